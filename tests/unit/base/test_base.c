/* The base room: texts, time, buffers, JSON, files, digests, units. */
#include "aurabridge/buffer.h"
#include "aurabridge/clock.h"
#include "aurabridge/digest.h"
#include "aurabridge/error.h"
#include "aurabridge/fs.h"
#include "aurabridge/identifier.h"
#include "aurabridge/json.h"
#include "aurabridge/log.h"
#include "aurabridge/units.h"

#include "suite.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void test_error_texts_nest(void)
{
    struct error err;
    CU_ASSERT_EQUAL(error_set(&err, "disk %s", "full"), -1);
    CU_ASSERT_EQUAL(error_wrap(&err, "storing %d", 7), -1);
    CU_ASSERT_STRING_EQUAL(err.text, "storing 7: disk full");
    error_set(&err, "again: %s", err.text);
    CU_ASSERT_STRING_EQUAL(err.text, "again: storing 7: disk full");
    error_errno(&err, 2, "opening x");
    CU_ASSERT_STRING_EQUAL(err.text, "opening x: No such file or directory");
    CU_ASSERT_EQUAL(error_set(NULL, "nobody listens"), -1);
    char longer[3 * ERROR_TEXT_MAX];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    error_set(&err, "%s", longer);
    error_wrap(&err, "%s", longer);
    CU_ASSERT_EQUAL(strlen(err.text), ERROR_TEXT_MAX - 1);
}

static void test_error_is_one_line(void)
{
    struct error err;
    error_set(&err, "{%s}", "a\nb\t\x7F\xC3\xA9");
    CU_ASSERT_STRING_EQUAL(err.text, "{a?b??\xC3\xA9}");
    error_wrap(&err, "key %s", "x\ry");
    CU_ASSERT_STRING_EQUAL(err.text, "key x?y: {a?b??\xC3\xA9}");
    error_errno(&err, 2, "opening %s", "x\ny");
    CU_ASSERT_STRING_EQUAL(err.text, "opening x?y: No such file or directory");
}

static void test_log_lines_cannot_be_forged(void)
{
    int ends[2];
    CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
    int kept = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    log_info("test", "peer %s", "A\n2026 forged\x1b[31m");
    log_debug("test", "%s", "below the level");
    dup2(kept, STDERR_FILENO);
    close(kept);
    close(ends[1]);
    char line[512];
    ssize_t got = read(ends[0], line, sizeof line - 1);
    close(ends[0]);
    CU_ASSERT_FATAL(got > 0);
    line[got] = '\0';
    CU_ASSERT_PTR_NOT_NULL(strstr(line, "info    test: peer A\\x0a2026 forged\\x1b[31m\n"));
    CU_ASSERT_PTR_EQUAL(strchr(line, '\n'), line + got - 1);
}

static void test_clock_texts(void)
{
    static const struct {
        const char *text;
        int64_t wall_ms;
    } rows[] = {
        {"2025-01-24T12:00:00Z", 1737720000000},
        {"2025-01-24T12:00:00.25Z", 1737720000250},
        {"2025-01-24T14:30:00+02:30", 1737720000000},
        {"2025-01-24T11:00:00-01:00", 1737720000000},
        {"2025-01-24T12:00:00.123456Z", 1737720000123},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        int64_t wall = 0;
        CU_ASSERT_EQUAL(clock_parse_rfc3339(&wall, rows[i].text), 0);
        CU_ASSERT_EQUAL(wall, rows[i].wall_ms);
    }
    static const char *const bad[] = {"",
                                      "2025-01-24",
                                      "2025-01-24T12:00:00",
                                      "x",
                                      "2025-01-24T12:00:00Zx",
                                      "2025-01-24T12:00:00+0x:00"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        int64_t wall = 0;
        CU_ASSERT_EQUAL(clock_parse_rfc3339(&wall, bad[i]), -1);
    }
    char out[CLOCK_RFC3339_SIZE];
    clock_format_rfc3339(out, 1737720000007);
    CU_ASSERT_STRING_EQUAL(out, "2025-01-24T12:00:00.007Z");
    int64_t wall = 0;
    CU_ASSERT_EQUAL(clock_parse_http_date(&wall, "Fri, 24 Jan 2025 12:00:00 GMT"), 0);
    CU_ASSERT_EQUAL(wall, 1737720000000);
    CU_ASSERT_EQUAL(clock_parse_http_date(&wall, "tomorrow"), -1);
}

static void test_buffer_keeps_its_maximum(void)
{
    struct buffer buffer;
    buffer_init(&buffer, 10);
    CU_ASSERT_STRING_EQUAL(buffer.data, "");
    CU_ASSERT_EQUAL(buffer_append_format(&buffer, "%s-%d", "ab", 12), 0);
    CU_ASSERT_EQUAL(buffer_append_text(&buffer, "67890"), 0);
    CU_ASSERT_EQUAL(buffer_append_text(&buffer, "x"), -1);
    CU_ASSERT_STRING_EQUAL(buffer.data, "ab-1267890");
    buffer_clear(&buffer);
    CU_ASSERT_EQUAL(buffer.length, 0);
    CU_ASSERT_EQUAL(buffer_append_text(&buffer, "0123456789"), 0);
    buffer_free(&buffer);
    CU_ASSERT_STRING_EQUAL(buffer.data, "");
}

static int parses(const char *text)
{
    struct json *root = NULL;
    int result = json_parse(&root, text, strlen(text), NULL);
    json_free(root);
    return result;
}

static void test_json_limits(void)
{
    CU_ASSERT_EQUAL(parses("{\"a\":[1,2,{\"b\":null}]}"), 0);
    CU_ASSERT_EQUAL(parses("{} x"), -1);
    CU_ASSERT_EQUAL(parses("{\"a\":"), -1);
    CU_ASSERT_EQUAL(parses(""), -1);
    CU_ASSERT_EQUAL(parses("<html></html>"), -1);
    char deep[2 * JSON_DEPTH_MAX + 8];
    memset(deep, '[', JSON_DEPTH_MAX + 1);
    memset(deep + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    deep[2 * JSON_DEPTH_MAX + 2] = '\0';
    CU_ASSERT_EQUAL(parses(deep), -1);
    deep[2 * JSON_DEPTH_MAX + 1] = '\0';
    CU_ASSERT_EQUAL(parses(deep + 1), 0);
    CU_ASSERT_EQUAL(parses("\"[[[[\\\"[[[[\""), 0);
}

static void test_json_values(void)
{
    struct json *root = json_new_object();
    CU_ASSERT_EQUAL(json_set_int(root, "big", 999999999999999), 0);
    CU_ASSERT_EQUAL(json_set_string(root, "text", "a"), 0);
    CU_ASSERT_EQUAL(json_set_string(root, "text", "b"), 0);
    CU_ASSERT_EQUAL(json_set_string(root, "none", NULL), 0);
    CU_ASSERT_EQUAL(json_set(root, "lost", NULL), -1);
    char *text = json_print(root);
    CU_ASSERT_STRING_EQUAL(text, "{\"big\":999999999999999,\"text\":\"b\",\"none\":null}");
    free(text);
    int64_t number = 0;
    CU_ASSERT_EQUAL(json_int(json_get(root, "big"), &number), 0);
    CU_ASSERT_EQUAL(number, 999999999999999);
    CU_ASSERT_EQUAL(json_int(json_get(root, "text"), &number), -1);
    CU_ASSERT_PTR_NULL(json_text(json_get(root, "absent")));
    CU_ASSERT_PTR_NULL(json_text(json_get(json_get(root, "absent"), "deeper")));
    json_free(root);
    CU_ASSERT_EQUAL(parses("{\"n\":1e400}"), 0);
}

static void test_files_are_published_whole(void)
{
    char directory[] = "/tmp/aurabridge-base-XXXXXX";
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory));
    char nested[FS_PATH_MAX];
    char path[FS_PATH_MAX];
    struct error err;
    CU_ASSERT_EQUAL(fs_join(nested, directory, "a/b/c", &err), 0);
    CU_ASSERT_EQUAL(fs_make_directory(nested, &err), 0);
    CU_ASSERT_EQUAL(fs_make_directory(nested, &err), 0);
    CU_ASSERT_EQUAL(fs_join(path, nested, "file", &err), 0);
    CU_ASSERT_EQUAL(fs_write_atomic(path, "one", 3, &err), 0);
    CU_ASSERT_EQUAL(fs_write_atomic(path, "second", 6, &err), 0);
    struct stat status;
    CU_ASSERT_EQUAL(stat(path, &status), 0);
    CU_ASSERT_EQUAL(status.st_mode & 0777, 0600);
    CU_ASSERT_EQUAL(stat(nested, &status), 0);
    CU_ASSERT_EQUAL(status.st_mode & 0777, 0700);
    struct buffer content;
    buffer_init(&content, 6);
    CU_ASSERT_EQUAL(fs_read_file(&content, path, &err), 0);
    CU_ASSERT_STRING_EQUAL(content.data, "second");
    buffer_free(&content);
    buffer_init(&content, 5);
    CU_ASSERT_EQUAL(fs_read_file(&content, path, &err), -1);
    buffer_free(&content);
    int fd = -1;
    CU_ASSERT_EQUAL(fs_create(&fd, path, &err), -1);
    CU_ASSERT_EQUAL(fs_make_directory(path, &err), -1);
    CU_ASSERT_EQUAL(fs_remove(path, &err), 0);
    CU_ASSERT_EQUAL(fs_remove(path, &err), 0);
    struct fs_room room = {0, 0};
    CU_ASSERT_EQUAL(fs_room(&room, directory, &err), 0);
    CU_ASSERT(room.bytes > 0);
    CU_ASSERT(room.files > 0);
    CU_ASSERT_EQUAL(fs_try_room(path, 4096, &err), 0);
    CU_ASSERT_EQUAL(fs_try_room(path, INT64_MAX / 2, &err), -1);
    CU_ASSERT_EQUAL(access(path, F_OK), -1);
}

static void test_digests(void)
{
    char hex[SHA256_HEX_SIZE];
    CU_ASSERT_EQUAL(sha256_hex_of(hex, "abc", 3), 0);
    CU_ASSERT_STRING_EQUAL(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    uint8_t mac[SHA256_SIZE];
    CU_ASSERT_EQUAL(hmac_sha256(mac, "Jefe", 4, "what do ya want for nothing?", 28), 0);
    hex_encode(hex, mac, sizeof mac);
    CU_ASSERT_STRING_EQUAL(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    CU_ASSERT_EQUAL(crc32_update(crc32_update(0, "12345", 5), "6789", 4), 0xCBF43926);
    struct sha256 *running = sha256_new();
    uint8_t digest[SHA256_SIZE];
    CU_ASSERT_EQUAL(sha256_update(running, "ab", 2), 0);
    CU_ASSERT_EQUAL(sha256_update(running, "c", 1), 0);
    CU_ASSERT_EQUAL(sha256_finish(running, digest), 0);
    hex_encode(hex, digest, sizeof digest);
    CU_ASSERT_EQUAL(memcmp(hex, "ba7816bf", 8), 0);
    sha256_free(running);
}

static void test_base64(void)
{
    static const struct {
        const char *plain, *text;
    } rows[] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        char out[16];
        uint8_t back[16];
        size_t length = strlen(rows[i].plain);
        base64_encode(out, rows[i].plain, length);
        CU_ASSERT_STRING_EQUAL(out, rows[i].text);
        CU_ASSERT_EQUAL(base64_size(length), strlen(out) + 1);
        CU_ASSERT_EQUAL(base64_decode(back, sizeof back, out), (long)length);
        CU_ASSERT_EQUAL(memcmp(back, rows[i].plain, length), 0);
    }
    uint8_t small[2];
    CU_ASSERT_EQUAL(base64_decode(small, sizeof small, "Zm9v"), -1);
    CU_ASSERT_EQUAL(base64_decode(small, sizeof small, "Zg="), -1);
    CU_ASSERT_EQUAL(base64_decode(small, sizeof small, "Z*=="), -1);
    CU_ASSERT_EQUAL(base64_decode(small, sizeof small, "===="), -1);
}

static void test_identifiers(void)
{
    char a[UUID_SIZE], b[UUID_SIZE], hex[9];
    CU_ASSERT_EQUAL(uuid_v4(a), 0);
    CU_ASSERT_EQUAL(uuid_v4(b), 0);
    CU_ASSERT_STRING_NOT_EQUAL(a, b);
    CU_ASSERT_EQUAL(strlen(a), 36);
    CU_ASSERT_EQUAL(a[14], '4');
    CU_ASSERT_PTR_NOT_NULL(strchr("89ab", a[19]));
    CU_ASSERT_EQUAL(random_hex(hex, 4), 0);
    CU_ASSERT_EQUAL(strlen(hex), 8);
    for (int i = 0; i < 100; i++)
        CU_ASSERT(random_below(3) < 3);
}

static void test_units(void)
{
    static const struct {
        const char *text;
        int64_t value; /* -1: refused */
    } durations[] = {
        {"30s", 30000}, {"500ms", 500}, {"2m", 120000},      {"24h", 86400000},
        {"0", 0},       {"0s", 0},      {"90d", 7776000000}, {"5", -1},
        {"-1s", -1},    {"s", -1},      {"1.5s", -1},        {"99999999999999999d", -1},
        {"", -1},       {"5 m", 300000}};
    for (size_t i = 0; i < COUNT(durations); i++) {
        int64_t value = -1;
        int result = units_parse_duration(&value, durations[i].text);
        CU_ASSERT_EQUAL(result == 0 ? value : -1, durations[i].value);
    }
    uint64_t bytes = 0;
    CU_ASSERT_EQUAL(units_parse_size(&bytes, "5GiB"), 0);
    CU_ASSERT_EQUAL(bytes, 5368709120);
    CU_ASSERT_EQUAL(units_parse_size(&bytes, "8 MiB"), 0);
    CU_ASSERT_EQUAL(bytes, 8388608);
    CU_ASSERT_EQUAL(units_parse_size(&bytes, "131072"), 0);
    CU_ASSERT_EQUAL(units_parse_rate(&bytes, "20Mbit/s"), 0);
    CU_ASSERT_EQUAL(bytes, 2500000);
    CU_ASSERT_EQUAL(units_parse_rate(&bytes, "64 kbit/s"), 0);
    CU_ASSERT_EQUAL(bytes, 8000);
    CU_ASSERT_EQUAL(units_parse_rate(&bytes, "1Gbit/s"), 0);
    CU_ASSERT_EQUAL(bytes, 125000000);
    static const char *const no_rates[] = {
        "20", "20MB/s", "20Mbit", "-1Mbit/s", "Mbit/s", "20mbit/s", "99999999999999Gbit/s"};
    for (size_t i = 0; i < sizeof no_rates / sizeof *no_rates; i++)
        CU_ASSERT_EQUAL(units_parse_rate(&bytes, no_rates[i]), -1);
    char rate[UNITS_TEXT_SIZE];
    units_format_rate(rate, 2500000);
    CU_ASSERT_STRING_EQUAL(rate, "20 Mbit/s");
    units_format_rate(rate, 8000);
    CU_ASSERT_STRING_EQUAL(rate, "64 kbit/s");
    units_format_rate(rate, 156250000);
    CU_ASSERT_STRING_EQUAL(rate, "1.25 Gbit/s");
    CU_ASSERT_EQUAL(units_parse_size(&bytes, "5XB"), -1);
    char text[UNITS_TEXT_SIZE];
    units_format_size(text, 1288490188);
    CU_ASSERT_STRING_EQUAL(text, "1.2 GiB");
    units_format_size(text, 512);
    CU_ASSERT_STRING_EQUAL(text, "512 bytes");
    units_format_duration(text, 11100000);
    CU_ASSERT_STRING_EQUAL(text, "3 h 5 min");
}

static CU_TestInfo cases[] = {
    SUITE_CASE(test_error_texts_nest),
    SUITE_CASE(test_error_is_one_line),
    SUITE_CASE(test_log_lines_cannot_be_forged),
    SUITE_CASE(test_clock_texts),
    SUITE_CASE(test_buffer_keeps_its_maximum),
    SUITE_CASE(test_json_limits),
    SUITE_CASE(test_json_values),
    SUITE_CASE(test_files_are_published_whole),
    SUITE_CASE(test_digests),
    SUITE_CASE(test_base64),
    SUITE_CASE(test_identifiers),
    SUITE_CASE(test_units),
    CU_TEST_INFO_NULL,
};
SUITE_MAIN("base", cases)
