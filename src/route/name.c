/* Names of attributes: a PS3.6 keyword or a tag in its usual notation. */
#include "aurabridge/route.h"

#include <string.h>

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

static int parse_tag(uint32_t *tag, const char *text)
{
    uint32_t value = 0;
    for (size_t i = 0; i < 9; i++) {
        if (i == 4) {
            if (text[i] != ',')
                return -1;
            continue;
        }
        int digit = hex_value(text[i]);
        if (digit < 0)
            return -1;
        value = value << 4 | (uint32_t)digit;
    }
    *tag = value;
    return 0;
}

int route_attribute_tag(uint32_t *tag, const char *name)
{
    size_t length = strlen(name);
    if (length == 11 && name[0] == '(' && name[10] == ')')
        return parse_tag(tag, name + 1);
    if (length == 9 && name[4] == ',')
        return parse_tag(tag, name);
    return attribute_tag_from_keyword(tag, name);
}
