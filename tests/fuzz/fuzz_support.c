/* See the header. */
#include "fuzz.h"

#include "aurabridge/log.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void fuzz_fail(const char *file, int line, const char *condition, const char *text)
{
    (void)fprintf(stderr, "FINDING %s:%d: %s%s%s\n", file, line, condition, text ? "\n  " : "",
                  text ? text : "");
    abort();
}

/* ---- the input ---- */

uint8_t fuzz_byte(struct fuzz_input *input)
{
    return (uint8_t)fuzz_number(input, 1);
}

uint32_t fuzz_number(struct fuzz_input *input, unsigned bytes)
{
    uint32_t number = 0;
    for (; bytes > 0 && input->left > 0; bytes--, input->left--)
        number = number << 8 | *input->at++;
    return number;
}

size_t fuzz_take(struct fuzz_input *input, const uint8_t **out, size_t wanted)
{
    size_t taken = wanted < input->left ? wanted : input->left;
    *out = input->at;
    input->at += taken;
    input->left -= taken;
    return taken;
}

static bool is_separator(const uint8_t *at, size_t left)
{
    return left >= 3 && memcmp(at, "%%%", 3) == 0 && (left == 3 || at[3] == '\n');
}

char *fuzz_section(struct fuzz_input *input, size_t *length)
{
    const uint8_t *start = input->at;
    size_t used = 0;
    size_t step = 0;
    for (bool at_line = true; used < input->left; used++) {
        if (at_line && is_separator(start + used, input->left - used)) {
            step = input->left - used > 3 ? 4 : 3;
            break;
        }
        at_line = start[used] == '\n';
    }
    char *text = malloc(used + 1);
    if (!text)
        abort();
    if (used > 0)
        memcpy(text, start, used);
    text[used] = '\0';
    input->at += used + step;
    input->left -= used + step;
    if (length)
        *length = used;
    return text;
}

/* ---- texts ---- */

bool fuzz_is_line(const char *text, size_t size)
{
    size_t length = strnlen(text, size);
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7F)
            return false;
    }
    return length > 0 && length < size;
}

bool fuzz_is_utf8(const char *text)
{
    const uint8_t *at = (const uint8_t *)text;
    while (*at) {
        unsigned more = *at < 0x80 ? 0 : *at >= 0xF0 ? 3 : *at >= 0xE0 ? 2 : 1;
        uint32_t code_point = more == 0 ? *at : *at & (0x3FU >> more);
        uint32_t least = more == 3 ? 0x10000 : more == 2 ? 0x800 : more == 1 ? 0x80 : 0;
        if ((*at >= 0x80 && *at < 0xC2) || *at > 0xF4)
            return false;
        for (at++; more > 0; more--, at++) {
            if ((*at & 0xC0) != 0x80)
                return false;
            code_point = code_point << 6 | (*at & 0x3F);
        }
        if (code_point < least || (code_point >= 0xD800 && code_point < 0xE000) ||
            code_point > 0x10FFFF)
            return false;
    }
    return true;
}

/* ---- the log ---- */

static const char *log_secret;
static unsigned log_lines;

void fuzz_log_must_not_hold(const char *secret)
{
    log_secret = secret;
}

unsigned fuzz_log_count(void)
{
    return log_lines;
}

void __wrap_log_write(enum log_level level, const char *room, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The real one escapes controls, so only the content is judged. */
void __wrap_log_write(enum log_level level, const char *room, const char *format, ...)
{
    char text[LOG_LINE_MAX];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    log_lines++;
    FUZZ_CHECK(length > 0 && level <= LOG_LEVEL_DEBUG && room[0]);
    if (log_secret)
        FUZZ_CHECK_TEXT(!strstr(text, log_secret), text);
    if (getenv("FUZZ_LOG"))
        (void)fprintf(stderr, "log: %s: %s\n", room, text);
}

/* ---- files ---- */

static char directory[256];

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

void fuzz_remove_tree(const char *path)
{
    (void)nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void remove_directory(void)
{
    fuzz_remove_tree(directory);
}

const char *fuzz_directory(void)
{
    if (directory[0])
        return directory;
    const char *place = getenv("FUZZ_DIRECTORY");
    if (!place)
        place = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    int length = snprintf(directory, sizeof directory, "%s/aurabridge-fuzz-XXXXXX", place);
    if (length < 0 || length >= (int)sizeof directory)
        fuzz_fail(__FILE__, __LINE__, "FUZZ_DIRECTORY is short enough", place);
    if (!mkdtemp(directory) || atexit(remove_directory) != 0)
        abort();
    return directory;
}

void fuzz_write_file(const char *path, const void *bytes, size_t length)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || (length > 0 && write(fd, bytes, length) != (ssize_t)length) || close(fd) != 0)
        fuzz_fail(__FILE__, __LINE__, "a file could be written", path);
}
