/* Character set conversion on any bytes: the output is always terminated, fits, and is valid UTF-8
 * without controls; a shorter room gives the beginning of what a longer one gives; and what came
 * out is UTF-8 that stays as it is, but for padding where broken text holds delimiters. Up to the
 * first newline the input is Specific Character Set.
 */
#include "fuzz.h"

#include "aurabridge/charset.h"

#include <stdlib.h>
#include <string.h>

#define ROOM_MAX 4096

static void check_text(const char *text)
{
    FUZZ_CHECK(fuzz_is_utf8(text));
    for (const uint8_t *at = (const uint8_t *)text; *at; at++) {
        FUZZ_CHECK(*at >= 0x20 && *at != 0x7F);
        FUZZ_CHECK(*at != 0xC2 || at[1] >= 0xA0); /* U+0080 … U+009F */
    }
}

struct question {
    const char *character_set, *fallback;
    enum charset_value kind;
    const uint8_t *bytes;
    size_t length;
};

/* The caller frees it. */
static char *convert(const struct question *question, size_t room)
{
    char *out = malloc(room);
    uint8_t *exact = malloc(question->length + 1); /* so that the sanitizer sees its borders */
    if (!out || !exact)
        abort();
    memcpy(exact + 1, question->bytes, question->length);
    size_t length = charset_to_utf8(out, room, question->character_set, question->fallback,
                                    question->kind, exact + 1, question->length);
    FUZZ_CHECK(length < room && strlen(out) == length);
    check_text(out);
    free(exact);
    return out;
}

static size_t without_padding(const char *text)
{
    size_t length = strlen(text);
    while (length > 0 && strchr(" ^=", text[length - 1]))
        length--;
    return length;
}

/* Equal, but for padding anywhere. */
static bool is_same(const char *a, const char *b)
{
    static const char padding[] = " ^=";
    do {
        a += strspn(a, padding);
        b += strspn(b, padding);
    } while (*a && *a++ == *b++);
    return *a == '\0' && b[strspn(b, padding)] == '\0';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    char character_set[64] = "";
    size_t room = data[0] + 1U;
    struct question question = {.character_set = character_set,
                                .fallback = data[1] & 1 ? "ISO_IR 126" : NULL,
                                .kind = data[1] & 2 ? CHARSET_PERSON_NAME : CHARSET_TEXT};
    data += 2;
    size -= 2;
    const uint8_t *newline = size > 0 ? memchr(data, '\n', size) : NULL;
    if (newline && (size_t)(newline - data) < sizeof character_set) {
        size_t length = (size_t)(newline - data);
        memcpy(character_set, data, length);
        data += length + 1;
        size -= length + 1;
    }
    question.bytes = data;
    question.length = size;
    char *text = convert(&question, ROOM_MAX);
    char *shorter = convert(&question, room);
    FUZZ_CHECK(strncmp(text, shorter, without_padding(shorter)) == 0);
    struct question repeated = {.character_set = "ISO_IR 192",
                                .kind = question.kind,
                                .bytes = (const uint8_t *)text,
                                .length = strlen(text)};
    char *again = convert(&repeated, ROOM_MAX);
    FUZZ_CHECK_TEXT(is_same(text, again), text);
    free(again);
    free(shorter);
    free(text);
    return 0;
}
