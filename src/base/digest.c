/* Digests over OpenSSL and libdeflate. */
#include "aurabridge/digest.h"

#include <libdeflate.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <limits.h>
#include <string.h>

static EVP_MD_CTX *context_of(struct sha256 *digest)
{
    return (EVP_MD_CTX *)(void *)digest;
}

struct sha256 *sha256_new(void)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(context);
        context = NULL;
    }
    return (struct sha256 *)(void *)context;
}

int sha256_update(struct sha256 *digest, const void *bytes, size_t length)
{
    return EVP_DigestUpdate(context_of(digest), bytes, length) == 1 ? 0 : -1;
}

int sha256_finish(struct sha256 *digest, uint8_t out[SHA256_SIZE])
{
    return EVP_DigestFinal_ex(context_of(digest), out, NULL) == 1 ? 0 : -1;
}

void sha256_free(struct sha256 *digest)
{
    EVP_MD_CTX_free(context_of(digest));
}

int sha256_of(uint8_t out[SHA256_SIZE], const void *bytes, size_t length)
{
    return EVP_Digest(bytes, length, out, NULL, EVP_sha256(), NULL) == 1 ? 0 : -1;
}

int sha256_hex_of(char out[SHA256_HEX_SIZE], const void *bytes, size_t length)
{
    uint8_t digest[SHA256_SIZE];
    if (sha256_of(digest, bytes, length) != 0)
        return -1;
    hex_encode(out, digest, sizeof digest);
    return 0;
}

int hmac_sha256(uint8_t out[SHA256_SIZE], const void *key, size_t key_length, const void *bytes,
                size_t length)
{
    if (key_length > INT_MAX)
        return -1;
    unsigned written = 0;
    return HMAC(EVP_sha256(), key, (int)key_length, bytes, length, out, &written) ? 0 : -1;
}

uint32_t crc32_update(uint32_t crc, const void *bytes, size_t length)
{
    /* Null with no bytes asks libdeflate for the initial value, not for what `crc` is. */
    return length > 0 ? libdeflate_crc32(crc, bytes, length) : crc;
}

void hex_encode(char *out, const void *bytes, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *at = bytes;
    for (size_t i = 0; i < length; i++) {
        *out++ = digits[at[i] >> 4];
        *out++ = digits[at[i] & 15];
    }
    *out = '\0';
}

size_t base64_size(size_t length)
{
    return (length + 2) / 3 * 4 + 1;
}

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(char *out, const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < length; i += 3) {
        size_t left = length - i;
        uint32_t group = (uint32_t)at[i] << 16;
        if (left > 1)
            group |= (uint32_t)at[i + 1] << 8;
        if (left > 2)
            group |= at[i + 2];
        *out++ = base64_digits[group >> 18];
        *out++ = base64_digits[group >> 12 & 63];
        *out++ = left > 1 ? base64_digits[group >> 6 & 63] : '=';
        *out++ = left > 2 ? base64_digits[group & 63] : '=';
    }
    *out = '\0';
}

static int base64_value(char digit)
{
    const char *found = digit ? strchr(base64_digits, digit) : NULL;
    return found ? (int)(found - base64_digits) : -1;
}

long base64_decode(uint8_t *out, size_t out_size, const char *text)
{
    size_t length = strlen(text);
    if (length % 4 != 0)
        return -1;
    size_t padding = 0;
    while (padding < 2 && padding < length && text[length - 1 - padding] == '=')
        padding++;
    size_t size = length / 4 * 3 - padding;
    if (size > out_size)
        return -1;
    uint32_t group = 0;
    size_t written = 0;
    for (size_t i = 0; i < length; i++) {
        int value = i < length - padding ? base64_value(text[i]) : 0;
        if (value < 0)
            return -1;
        group = group << 6 | (uint32_t)value;
        if (i % 4 != 3)
            continue;
        for (int shift = 16; shift >= 0 && written < size; shift -= 8)
            out[written++] = (uint8_t)(group >> shift);
        group = 0;
    }
    return (long)size;
}
