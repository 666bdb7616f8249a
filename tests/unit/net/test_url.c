/* Reference resolution by the examples of RFC 3986 5.4, and the Host header. */
#include "aurabridge/http.h"

#include "suite.h"

#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

struct resolve_case {
    const char *location, *expected; /* null: refused */
};

static const struct resolve_case rfc_cases[] = {
    {"g", "http://a/b/c/g"},
    {"./g", "http://a/b/c/g"},
    {"g/", "http://a/b/c/g/"},
    {"/g", "http://a/g"},
    {"//g", "http://g/"},
    {"?y", "http://a/b/c/d;p?y"},
    {"g?y", "http://a/b/c/g?y"},
    {"#s", "http://a/b/c/d;p?q"},
    {"g#s", "http://a/b/c/g"},
    {"g?y#s", "http://a/b/c/g?y"},
    {";x", "http://a/b/c/;x"},
    {"g;x?y#s", "http://a/b/c/g;x?y"},
    {"", "http://a/b/c/d;p?q"},
    {".", "http://a/b/c/"},
    {"./", "http://a/b/c/"},
    {"..", "http://a/b/"},
    {"../g", "http://a/b/g"},
    {"../..", "http://a/"},
    {"../../g", "http://a/g"},
    {"../../../../g", "http://a/g"},
    {"/./g", "http://a/g"},
    {"/../g", "http://a/g"},
    {"g.", "http://a/b/c/g."},
    {"..g", "http://a/b/c/..g"},
    {"./g/.", "http://a/b/c/g/"},
    {"g/../h", "http://a/b/c/h"},
    {"g;x=1/../y", "http://a/b/c/y"},
    {"g?y/../x", "http://a/b/c/g?y/../x"},
    {"https://h:8443/x", "https://h:8443/x"},
    {"HTTP://h", "HTTP://h/"},
    /* never followed */
    {"ftp://h/x", NULL},
    {"file:///etc/passwd", NULL},
    {"javascript:x", NULL},
    {"http:g", NULL},
    {"http://", NULL},
    {"///x", NULL},
    {"a b", NULL},
    {"a\r\nX: y", NULL},
    {"\\\\h\\x", NULL},
};

static void test_resolves_as_the_rfc_shows(void)
{
    for (size_t i = 0; i < COUNT(rfc_cases); i++) {
        char out[128] = "";
        int result = http_resolve_url(out, sizeof out, "http://a/b/c/d;p?q", rfc_cases[i].location);
        bool good = rfc_cases[i].expected ? result == 0 && strcmp(out, rfc_cases[i].expected) == 0
                                          : result == -1;
        if (!good)
            printf("\n'%s' gave %d '%s'\n", rfc_cases[i].location, result, out);
        CU_ASSERT(good);
    }
}

static void test_resolve_needs_room_and_a_base(void)
{
    char out[16];
    CU_ASSERT_EQUAL(http_resolve_url(out, sizeof out, "http://host/12345", "67890"), -1);
    CU_ASSERT_EQUAL(http_resolve_url(out, sizeof out, "relative", "x"), -1);
    CU_ASSERT_EQUAL(http_resolve_url(out, sizeof out, "http://h", "f/1"), 0);
    CU_ASSERT_STRING_EQUAL(out, "http://h/f/1");
}

static const struct {
    const char *url, *expected;
} host_cases[] = {
    {"https://au.aurabox.app/api", "au.aurabox.app"},
    {"https://au.aurabox.app:443/api", "au.aurabox.app"},
    {"https://au.aurabox.app:0443", "au.aurabox.app"},
    {"https://au.aurabox.app:80/", "au.aurabox.app:80"},
    {"http://h:80", "h"},
    {"http://h:", "h"},
    {"http://h:08080/x", "h:8080"},
    {"http://user:secret@h:8080/x", "h:8080"},
    {"http://[::1]:8080/x", "[::1]:8080"},
    {"http://[::1]/x", "[::1]"},
    {"https://Mixed.Case/", "Mixed.Case"},
    {"http://h?x", "h"},
    {"http://h#x", "h"},
    {"http://h:99999", NULL},
    {"http://h:0", NULL},
    {"http://h:8x", NULL},
    {"http://[::1]x", NULL},
    {"http://[]", NULL},
    {"http://:80", NULL},
    {"http://", NULL},
    {"http://a b/", NULL},
    {"ftp://h/", NULL},
    {"/path", NULL},
    {"", NULL},
};

static void test_host(void)
{
    for (size_t i = 0; i < COUNT(host_cases); i++) {
        char out[64] = "";
        int result = http_host_of(out, sizeof out, host_cases[i].url);
        bool good = host_cases[i].expected ? result == 0 && strcmp(out, host_cases[i].expected) == 0
                                           : result == -1;
        if (!good)
            printf("\n'%s' gave %d '%s'\n", host_cases[i].url, result, out);
        CU_ASSERT(good);
    }
    char small[4];
    CU_ASSERT_EQUAL(http_host_of(small, sizeof small, "http://host/"), -1);
}

static CU_TestInfo cases[] = {SUITE_CASE(test_resolves_as_the_rfc_shows),
                              SUITE_CASE(test_resolve_needs_room_and_a_base), SUITE_CASE(test_host),
                              CU_TEST_INFO_NULL};

SUITE_MAIN("net_url", cases)
