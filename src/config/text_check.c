/* What a listen address, a pattern, a URL and the like must look like. */
#include "text_check.h"

#include "aurabridge/ae_title.h"
#include "aurabridge/charset.h"
#include "aurabridge/uid.h"

#include <arpa/inet.h>
#include <string.h>

#define NAME_MAX_LENGTH 64
#define URL_MAX         2048

static bool is_port(const char *text)
{
    unsigned value = 0;
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 5 || text[digits])
        return false;
    for (; *text; text++)
        value = value * 10 + (unsigned)(*text - '0');
    return value <= 65535;
}

const char *text_check_listen(const char *text)
{
    static const char *const why = "no listen address; write address:port with a numeric address, "
                                   "e.g. \"0.0.0.0:11112\" or \"[::]:11112\"";
    char address[INET6_ADDRSTRLEN];
    unsigned char bytes[sizeof(struct in6_addr)];
    const char *colon = strrchr(text, ':');
    if (!colon || !is_port(colon + 1))
        return why;
    bool bracketed = text[0] == '[' && colon > text + 1 && colon[-1] == ']';
    const char *from = bracketed ? text + 1 : text;
    size_t length = (size_t)(colon - from) - (bracketed ? 1 : 0);
    if (length >= sizeof address)
        return why;
    memcpy(address, from, length);
    address[length] = '\0';
    return inet_pton(bracketed ? AF_INET6 : AF_INET, address, bytes) == 1 ? NULL : why;
}

const char *text_check_pattern(const char *text)
{
    size_t fixed = 0;
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++) {
        if (text[i] < 0x20 || text[i] > 0x7E || text[i] == '\\')
            return "no AE title pattern; it has a character that AE titles cannot have";
        fixed += text[i] != '*';
    }
    if (length == 0 || text[0] == ' ' || text[length - 1] == ' ')
        return "no AE title pattern; it is empty or has spaces around it";
    if (fixed > AE_TITLE_MAX || length > 2 * AE_TITLE_MAX)
        return "no AE title pattern; AE titles have at most 16 characters";
    return NULL;
}

const char *text_check_uid(const char *text)
{
    return uid_is_valid(text) ? NULL : "no UID; write digits and dots, at most 64";
}

const char *text_check_character_set(const char *text)
{
    if (text[0] == '\0' || charset_is_known(text))
        return NULL;
    return "no character set known here; write a defined term such as ISO_IR 100, ISO_IR 192, "
           "ISO 2022 IR 87 or GB18030";
}

const char *text_check_filled(const char *text)
{
    return text[strspn(text, " \t")] ? NULL : "empty";
}

const char *text_check_name(const char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-_";
    size_t length = strlen(text);
    if (length == 0 || length > NAME_MAX_LENGTH || strspn(text, letters) != length)
        return "no name; use letters, digits, - and _, at most 64";
    return NULL;
}

const char *text_check_name_or_empty(const char *text)
{
    return text[0] ? text_check_name(text) : NULL;
}

const char *text_check_template(const char *text)
{
    return text[0] ? NULL : "empty; leave the key out instead";
}

/* The host and what follows it; null when the text is no http or https URL. */
static const char *host_of(const char *url, bool *is_https)
{
    *is_https = strncmp(url, "https://", 8) == 0;
    if (*is_https)
        return url + 8;
    return strncmp(url, "http://", 7) == 0 ? url + 7 : NULL;
}

const char *text_check_url(const char *text)
{
    bool is_https = false;
    const char *host = host_of(text, &is_https);
    if (!host)
        return "no http or https URL; e.g. https://au.aurabox.app/api";
    if (strlen(text) > URL_MAX || strspn(host, "/:") > 0 || *host == '\0')
        return "no URL with a host; e.g. https://au.aurabox.app/api";
    for (const char *at = text; *at; at++) {
        if (*at <= 0x20 || *at > 0x7E)
            return "no URL; it has a space or a character that must be percent-encoded";
    }
    if (strpbrk(text, "?#@"))
        return "no base URL; leave out user name, query (?) and fragment (#)";
    return NULL;
}

bool text_is_exposed_http(const char *url)
{
    bool is_https = false;
    const char *host = host_of(url, &is_https);
    if (!host || is_https)
        return false;
    size_t length = strcspn(host, "/");
    if (host[0] != '[')
        length = strcspn(host, ":/");
    else
        length = strcspn(host, "]") + 1;
    char name[64] = "";
    if (length < sizeof name)
        memcpy(name, host, length);
    unsigned char ipv4[4];
    if (inet_pton(AF_INET, name, ipv4) == 1)
        return ipv4[0] != 127;
    return strcmp(name, "localhost") != 0 && strcmp(name, "[::1]") != 0;
}
