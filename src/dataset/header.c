/* Reads element headers, and forgives what writers get wrong in them. */
#include "header.h"

#include <stddef.h>

uint16_t header_read_16(const uint8_t *bytes, unsigned encoding)
{
    if (encoding & ENCODING_BIG_ENDIAN)
        return (uint16_t)(bytes[0] << 8 | bytes[1]);
    return (uint16_t)(bytes[1] << 8 | bytes[0]);
}

uint32_t header_read_32(const uint8_t *bytes, unsigned encoding)
{
    uint32_t first = header_read_16(bytes, encoding);
    uint32_t second = header_read_16(bytes + 2, encoding);
    return encoding & ENCODING_BIG_ENDIAN ? first << 16 | second : second << 16 | first;
}

static bool vr_is_short(uint16_t vr)
{
    static const char names[] = "AEASATCSDADSDTFDFLISLOLTPNSHSLSSSTTMUIULUS";
    for (size_t i = 0; names[i] != '\0'; i += 2)
        if (vr == VR(names[i], names[i + 1]))
            return true;
    return false;
}

bool header_vr_is_long(uint16_t vr)
{
    static const char names[] = "OBODOFOLOVOWSQSVUCUNURUTUV";
    for (size_t i = 0; names[i] != '\0'; i += 2)
        if (vr == VR(names[i], names[i + 1]))
            return true;
    return false;
}

uint16_t header_vr(const uint8_t header[8])
{
    return VR(header[4], header[5]);
}

bool header_looks_explicit(const uint8_t header[8])
{
    uint16_t vr = header_vr(header);
    return vr_is_short(vr) || (header_vr_is_long(vr) && header[6] == 0 && header[7] == 0);
}

static bool is_upper(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z';
}

static bool is_printable(uint8_t byte)
{
    return byte >= ' ' && byte <= '~';
}

enum header_form header_explicit_form(const uint8_t header[8])
{
    uint16_t vr = header_vr(header);
    if (vr_is_short(vr))
        return FORM_SHORT;
    if (header_vr_is_long(vr))
        return FORM_LONG;
    if (is_upper(header[4]) && is_upper(header[5]))
        return header[6] == 0 && header[7] == 0 ? FORM_LONG : FORM_SHORT;
    if (vr == 0 || (is_printable(header[4]) && is_printable(header[5])))
        return FORM_SHORT;
    return FORM_IMPLICIT;
}

bool header_is_file_meta(const uint8_t header[8])
{
    return header[0] == 0x02 && header[1] == 0x00 && header_looks_explicit(header);
}

bool header_is_shifted_by_one(const uint8_t header[8])
{
    return (header[0] == ' ' || header[0] == 0) && (header[1] == 0x02 || header[1] == 0x08) &&
           header[2] == 0 && header[4] == 0 && vr_is_short(VR(header[5], header[6]));
}

uint8_t header_detect_encoding(const uint8_t header[8], uint8_t declared)
{
    unsigned encoding = declared;
    if (header[0] == 0 && header[1] != 0 && header[1] <= 0x20)
        encoding |= ENCODING_BIG_ENDIAN;
    else if (header[1] == 0 && header[0] != 0 && header[0] <= 0x20)
        encoding &= ~ENCODING_BIG_ENDIAN;

    if (header_looks_explicit(header))
        encoding &= ~ENCODING_IMPLICIT_VR;
    else if (header_explicit_form(header) == FORM_IMPLICIT ||
             (header_vr(header) == 0 && header_read_16(header + 6, encoding) == 0))
        encoding |= ENCODING_IMPLICIT_VR;
    return (uint8_t)encoding;
}
