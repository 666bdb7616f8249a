/* Text in every defined character set, in wrongly named ones, and damaged text. */
#include "aurabridge/charset.h"
#include "suite.h"

#include <stdint.h>
#include <string.h>

#define PN CHARSET_PERSON_NAME
#define LO CHARSET_TEXT

struct row {
    const char *character_set;
    const char *fallback;
    enum charset_value kind;
    const char *bytes;
    const char *expected;
};

static void check_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char text[512];
        size_t length = charset_to_utf8(text, sizeof text, rows[i].character_set, rows[i].fallback,
                                        rows[i].kind, rows[i].bytes, strlen(rows[i].bytes));
        if (strcmp(text, rows[i].expected) != 0)
            printf("\n    row %zu (%s): \"%s\" instead of \"%s\"\n", i, rows[i].character_set, text,
                   rows[i].expected);
        CU_ASSERT_STRING_EQUAL(text, rows[i].expected);
        CU_ASSERT_EQUAL(length, strlen(text));
    }
}

#define CHECK(rows) check_rows(rows, sizeof(rows) / sizeof *(rows))

/* PS3.5 annexes H to K. */
static void test_examples_of_the_standard(void)
{
    static const struct row rows[] = {
        {"\\ISO 2022 IR 87", NULL, PN,
         "Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
         "Yamada^Tarou=山田^太郎=やまだ^たろう"},
        {"ISO 2022 IR 13\\ISO 2022 IR 87", NULL, PN,
         "\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J="
         "\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
         "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"},
        {"ISO 2022 IR 6\\ISO 2022 IR 13\\ISO 2022 IR 87\\ISO 2022 IR 159", NULL, PN,
         "\x1b$B$\"\x1b(Ba\x1b)I\xb1\x1b$B%\"\x1b$(DmN\x1b(B", "あaｱア齩"},
        {"\\ISO 2022 IR 149", NULL, PN,
         "Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^"
         "\x1b$)C\xb1\xe6\xb5\xbf",
         "Hong^Gildong=洪^吉洞=홍^길동"},
        {"ISO_IR 192", NULL, PN, "Wang^XiaoDong=王^小東=", "Wang^XiaoDong=王^小東"},
        {"GB18030", NULL, PN, "Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab=", "Wang^XiaoDong=王^小东"},
        {"GBK", NULL, PN, "Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab=", "Wang^XiaoDong=王^小东"},
        {"\\ISO 2022 IR 58", NULL, PN,
         "Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=", "Zhang^XiaoDong=张^小东"},
    };
    CHECK(rows);
}

static void test_single_byte_sets(void)
{
    static const struct row rows[] = {
        {"", NULL, PN, "Doe^John", "Doe^John"},
        {"ISO_IR 6", NULL, PN, "Doe^John", "Doe^John"},
        {"ISO_IR 100", NULL, PN, "Buc^J\xe9r\xf4me", "Buc^Jérôme"},
        {"ISO_IR 101", NULL, LO, "\xa3\xf3\x64\xbc", "Łódź"},
        {"ISO_IR 109", NULL, LO, "\xa1", "Ħ"},
        {"ISO_IR 110", NULL, LO, "\xd3", "Ķ"},
        {"ISO_IR 144", NULL, PN, "\xbb\xee\xda\x63\x65\xdc\xd1\x79\x70\xd3", "Люкceмбypг"},
        {"ISO_IR 127", NULL, PN, "\xe2\xc8\xc7\xe6\xea^\xe4\xe6\xd2\xc7\xd1", "قباني^لنزار"},
        {"ISO_IR 126", NULL, PN, "\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2", "Διονυσιος"},
        {"ISO_IR 138", NULL, PN, "\xf9\xf8\xe5\xef^\xe3\xe1\xe5\xf8\xe4", "שרון^דבורה"},
        {"ISO_IR 148", NULL, LO, "\xdd\xfe", "İş"},
        {"ISO_IR 203", NULL, LO, "5 \xa4", "5 €"},
        {"ISO_IR 166", NULL, LO, "\xa1\xa2", "กข"},
        {"ISO_IR 13", NULL, LO, "\xb1~\\\xb2", "ｱ‾\\ｲ"},
        {"ISO 2022 IR 101", NULL, LO, "\xa3\xf3\x64\xbc", "Łódź"},
        {"ISO 2022 IR 144", NULL, LO, "\xbb\xee", "Лю"},
    };
    CHECK(rows);
}

/* Code extensions (PS3.5 6.1.2.5): G1 of several sets, reset at delimiters. */
static void test_code_extensions(void)
{
    static const struct row rows[] = {
        {"ISO 2022 IR 100\\ISO 2022 IR 144", NULL, PN, "J\xe9^\x1b-L\xbb\xee^J\xe9", "Jé^Лю^Jé"},
        {"ISO 2022 IR 100\\ISO 2022 IR 144", NULL, LO, "\x1b-L\xbb\xee\\\xe9", "Лю\\é"},
        {"ISO 2022 IR 100\\ISO 2022 IR 126", NULL, LO, "\xe9 \x1b-F\xc4 \x1b-A\xe9", "é Δ é"},
        {"\\ISO 2022 IR 166", NULL, LO, "\x1b-T\xa1\xa2", "กข"},
        {"\\ISO 2022 IR 203", NULL, LO, "\x1b-b\xa4", "€"},
        /* "\" and "^" as second bytes of a kanji: 0x3B5C, 0x3B5E */
        {"\\ISO 2022 IR 87", NULL, PN, "\x1b$B;\\\x1b(B^\x1b$B;^\x1b(B", "施^枝"},
        {"\\ISO 2022 IR 87", NULL, LO, "\x1b$B;\\\x1b(B\\A", "施\\A"},
        /* as second bytes in GBK and GB18030: 0x815C, 0x815E */
        {"GBK", NULL, PN, "\x81\\\x81^^A", "乗乛^A"},
        {"GB18030", NULL, LO, "\x81\\\\B", "乗\\B"},
        {"GB18030", NULL, LO, "\x81\x39\xef\x30", "㐁"},
        {"\\ISO 2022 IR 159", NULL, LO, "\x1b$(D0!\x1b(B!", "丂!"},
    };
    CHECK(rows);
}

static void test_wrongly_written_sets(void)
{
    static const struct row rows[] = {
        {"ISO-8859-1", NULL, PN, "J\xe9r\xf4me", "Jérôme"},
        {"ISO8859-5", NULL, PN, "\xbb\xee", "Лю"},
        {"ISO IR 100", NULL, PN, "J\xe9r\xf4me", "Jérôme"},
        {"ISO_IR_100", NULL, PN, "J\xe9", "Jé"},
        {"iso_ir 101", NULL, LO, "\xa3", "Ł"},
        {"ISO_IR 100\\ISO 2022 IR 100", NULL, PN, "J\xe9r\xf4me", "Jérôme"},
        {"ISO 2022 IR 100", NULL, PN, "J\xe9r\xf4me", "Jérôme"},
        {"ISO_IR 87", NULL, PN, "\x1b$B;3ED\x1b(B", "山田"},
        {"ISO 2022 IR 87", NULL, PN, "\x1b$B;3ED\x1b(B", "山田"},
        {"ISO 2022 IR 149", NULL, PN, "\xb1\xe8\xc8\xf1", "김희"},
        {"\\ISO 2022 IR 100", NULL, LO, "\xe9", "é"},
        {"\\ISO_IR 192", NULL, LO, "é", "é"},
        {"UTF-8", NULL, LO, "é", "é"},
        {"  ISO_IR 100 ", NULL, LO, "\xe9", "é"},
        /* designated once, though the delimiter resets it */
        {"\\ISO 2022 IR 149", NULL, PN, "\x1b$)C\xb1\xe8^\xc8\xf1\xc1\xdf", "김^희중"},
        {"\\ISO 2022 IR 149", NULL, PN, "\xb1\xe8", "김"},
        {"\\ISO 2022 IR 100\\ISO 2022 IR 144", NULL, PN, "\x1b-L\xbb\xee^\xbb\xee", "Лю^Лю"},
        {"ISO_IR 100", NULL, PN, "\x1b$B;3ED\x1b(B", "山田"},
        {"NO SUCH SET", NULL, PN, "J\xe9", "Jé"},
    };
    CHECK(rows);
}

static void test_damaged_text(void)
{
    static const struct row rows[] = {
        {"", NULL, PN, "\xc4neas", "Äneas"},
        {"", "ISO_IR 144", PN, "\xbb\xee", "Лю"},
        {"", "GB18030", PN, "\xcd\xf5", "王"},
        {"", "\\ISO 2022 IR 87", PN, "A^B", "A^B"},
        {"", NULL, PN, "Jérôme", "Jérôme"},
        {"ISO_IR 192", NULL, PN, "J\xe9r\xf4me^A", "Jérôme^A"},
        {"ISO_IR 192", NULL, PN, "Jos\xe9", "José"},
        {"ISO_IR 192", NULL, LO, "\xc0\xaf", "À¯"},
        {"ISO_IR 192", NULL, LO, "\xed\xa0\x80x", "í\xc2\xa0€x"},
        {"ISO_IR 192", "ISO_IR 144", LO, "\xbb\xee", "Лю"},
        {"ISO_IR 192", NULL, LO, "\xe7\x8e\x8b\xe5\xb0", "王"}, /* cut by the device */
        {"ISO_IR 127", NULL, LO, "\xa1", "¡"},                  /* not in the set */
        {"\\ISO 2022 IR 149", NULL, LO, "\x1b$)C\xb1\xe8\xc8", "김"},
        {"\\ISO 2022 IR 87", NULL, LO, "\x1b$B;3E", "山"},
        {"ISO_IR 100", NULL, LO,
         "O\x92"
         "Brien",
         "O’Brien"},
        {"", NULL, LO, "a\x01\x02z\x7f", "az"},
        {"", NULL, LO, "one\r\ntwo", "one two"},
        {"", NULL, LO, "a\x1bz", "az"},
        {"", NULL, LO, "a\x1b$*Zz", "az"},
        {"", NULL, LO, "a\x1b", "a"},
        {"", NULL, LO, "a\x1b$", "a$"},
        {"ISO_IR 192", NULL, LO, "a\xc2\x85z", "az"}, /* a C1 control */
    };
    CHECK(rows);
}

static void test_padding(void)
{
    static const struct row rows[] = {
        {"", NULL, PN, "Doe^John^^^ ", "Doe^John"},
        {"", NULL, PN, "Doe==", "Doe"},
        {"", NULL, PN, "^John", "^John"},
        {"", NULL, PN, "=^", ""},
        {"", NULL, PN, "A^^\\B= ", "A\\B"},
        {"", NULL, LO, "  x  ", "x"},
        {"", NULL, LO, "a \\ b ", "a\\b"},
        {"", NULL, LO, "x^=", "x^="},
        {"", NULL, LO, "", ""},
        {"", NULL, LO, "   ", ""},
        {"", NULL, LO, "\\\\", "\\\\"},
    };
    CHECK(rows);
    char text[8];
    CU_ASSERT_EQUAL(charset_to_utf8(text, sizeof text, "", NULL, LO, "1.2\0", 4), 3);
    CU_ASSERT_STRING_EQUAL(text, "1.2");
}

static void test_is_cut_at_a_character(void)
{
    static const char bytes[] = "Ж王Ж";
    static const char *const expected[] = {"", "", "", "Ж", "Ж", "Ж", "Ж王", "Ж王", "Ж王Ж", "Ж王Ж"};
    for (size_t size = 1; size < sizeof expected / sizeof *expected; size++) {
        char text[16];
        memset(text, 'x', sizeof text);
        charset_to_utf8(text, size, "ISO_IR 192", NULL, LO, bytes, strlen(bytes));
        CU_ASSERT_STRING_EQUAL(text, expected[size]);
        CU_ASSERT_EQUAL(text[size], 'x');
    }
}

static void test_knows_the_defined_terms(void)
{
    static const char *const known[] = {"ISO_IR 100",      "ISO_IR 101",      "ISO_IR 109",
                                        "ISO_IR 110",      "ISO_IR 144",      "ISO_IR 127",
                                        "ISO_IR 126",      "ISO_IR 138",      "ISO_IR 148",
                                        "ISO_IR 203",      "ISO_IR 13",       "ISO_IR 166",
                                        "ISO_IR 192",      "GB18030",         "GBK",
                                        "ISO 2022 IR 6",   "ISO 2022 IR 100", "ISO 2022 IR 101",
                                        "ISO 2022 IR 109", "ISO 2022 IR 110", "ISO 2022 IR 144",
                                        "ISO 2022 IR 127", "ISO 2022 IR 126", "ISO 2022 IR 138",
                                        "ISO 2022 IR 148", "ISO 2022 IR 203", "ISO 2022 IR 13",
                                        "ISO 2022 IR 166", "ISO 2022 IR 87",  "ISO 2022 IR 159",
                                        "ISO 2022 IR 149", "ISO 2022 IR 58"};
    static const char *const unknown[] = {"",          "ISO-8859-1",      "ISO_IR 1000",
                                          "ISO_IR 87", "ISO_IR 14",       "latin1",
                                          "ISO_IR",    "ISO 2022 IR 192", "ISO_IR 100 "};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        CU_ASSERT_TRUE(charset_is_known(known[i]));
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        CU_ASSERT_FALSE(charset_is_known(unknown[i]));
}

static CU_TestInfo cases[] = {SUITE_CASE(test_examples_of_the_standard),
                              SUITE_CASE(test_single_byte_sets),
                              SUITE_CASE(test_code_extensions),
                              SUITE_CASE(test_wrongly_written_sets),
                              SUITE_CASE(test_damaged_text),
                              SUITE_CASE(test_padding),
                              SUITE_CASE(test_is_cut_at_a_character),
                              SUITE_CASE(test_knows_the_defined_terms),
                              CU_TEST_INFO_NULL};
SUITE_MAIN("charset", cases)
