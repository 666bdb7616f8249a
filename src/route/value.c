/* Person names, dates and sexes. Every output is at most as long as its input plus one. */
#include "value.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct span {
    const char *at;
    size_t length;
};

static struct span trimmed(struct span span)
{
    while (span.length > 0 && *span.at == ' ') {
        span.at++;
        span.length--;
    }
    while (span.length > 0 && span.at[span.length - 1] == ' ')
        span.length--;
    return span;
}

/* Piece `index` of what `mark` divides; empty when there are fewer. */
static struct span piece_of(struct span whole, char mark, unsigned index)
{
    struct span rest = whole;
    for (;;) {
        const char *found = memchr(rest.at, mark, rest.length);
        size_t length = found ? (size_t)(found - rest.at) : rest.length;
        if (index == 0)
            return trimmed((struct span){rest.at, length});
        if (!found)
            return (struct span){rest.at + rest.length, 0};
        index--;
        rest = (struct span){found + 1, rest.length - length - 1};
    }
}

static bool has_name(struct span group)
{
    for (size_t i = 0; i < group.length; i++) {
        if (group.at[i] != '^' && group.at[i] != ' ')
            return true;
    }
    return false;
}

void value_person_name(char out[ATTRIBUTE_VALUE_SIZE], const char *name, enum template_part part)
{
    struct span first = {name, strcspn(name, "\\")};
    struct span group = piece_of(first, '=', 0);
    if (!has_name(group))
        group = piece_of(first, '=', 1);
    struct span main_part = piece_of(group, '^', part == TEMPLATE_FAMILY ? 0 : 1);
    struct span middle = {"", 0};
    if (part == TEMPLATE_GIVEN)
        middle = piece_of(group, '^', 2);
    bool both = main_part.length > 0 && middle.length > 0;
    (void)snprintf(out, ATTRIBUTE_VALUE_SIZE, "%.*s%s%.*s", (int)main_part.length, main_part.at,
                   both ? " " : "", (int)middle.length, middle.at);
}

static unsigned digits(const char *text, size_t count)
{
    unsigned value = 0;
    for (size_t i = 0; i < count; i++)
        value = value * 10 + (unsigned)(text[i] - '0');
    return value;
}

static unsigned days_in(unsigned year, unsigned month)
{
    static const unsigned days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

void value_date(char out[ATTRIBUTE_VALUE_SIZE], const char *date)
{
    char plain[9] = "";
    size_t length = strlen(date);
    out[0] = '\0';
    if (length == 10 && date[4] == '.' && date[7] == '.')
        (void)snprintf(plain, sizeof plain, "%.4s%.2s%.2s", date, date + 5, date + 8);
    else if (length == 8)
        memcpy(plain, date, sizeof plain);
    if (strspn(plain, "0123456789") != 8)
        return;
    unsigned year = digits(plain, 4);
    unsigned month = digits(plain + 4, 2);
    unsigned day = digits(plain + 6, 2);
    if (year == 0 || month < 1 || month > 12 || day < 1 || day > days_in(year, month))
        return;
    (void)snprintf(out, ATTRIBUTE_VALUE_SIZE, "%04u-%02u-%02u", year, month, day);
}

void value_sex(char out[ATTRIBUTE_VALUE_SIZE], const char *sex)
{
    static const char known[] = "MmFfOo";
    out[0] = '\0';
    const char *found = sex[0] && !sex[1] ? strchr(known, sex[0]) : NULL;
    if (!found)
        return;
    out[0] = known[((size_t)(found - known) & ~(size_t)1) + 1];
    out[1] = '\0';
}
