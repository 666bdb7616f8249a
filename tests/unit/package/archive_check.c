/* See the header. */
#include "archive_check.h"

#include <CUnit/CUnit.h>
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* The exit status, 127 when there is no such program. */
static int run(const char *const *arguments)
{
    posix_spawn_file_actions_t actions;
    pid_t child;
    int status = -1;
    if (posix_spawn_file_actions_init(&actions) != 0)
        return -1;
    int result =
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    if (result == 0)
        result =
            posix_spawnp(&child, arguments[0], &actions, NULL, (char *const *)arguments, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    if (result != 0)
        return 127;
    if (waitpid(child, &status, 0) != child || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

static void check_content(const struct shelf *shelf, struct archive *archive, size_t row)
{
    const struct ledger_member *instance = &shelf->ledger.rows[row];
    uint64_t size = instance->file_size;
    uint8_t *bytes = malloc(size + 1);
    uint8_t *file = malloc(size + 1);
    int fd;
    size_t got;
    CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT_EQUAL(archive_read_data(archive, bytes, size + 1), (la_ssize_t)size);
    CU_ASSERT_EQUAL_FATAL(spool_read(&fd, shelf->spool, instance->file_name, NULL), 0);
    CU_ASSERT_EQUAL(fs_read_at(fd, file, size + 1, 0, &got, NULL), 0);
    CU_ASSERT_EQUAL(got, size);
    CU_ASSERT_EQUAL(memcmp(bytes, file, size), 0);
    (void)close(fd);
    free(bytes);
    free(file);
}

static void check_entries(const struct shelf *shelf, struct archive *archive, bool contents)
{
    struct archive_entry *entry;
    size_t row = 0;
    int result;
    while ((result = archive_read_next_header(archive, &entry)) == ARCHIVE_OK) {
        char name[256];
        CU_ASSERT_TRUE_FATAL(row < shelf->ledger.count);
        (void)snprintf(name, sizeof name, STUDY_UID "/%s.dcm",
                       shelf->ledger.rows[row].sop_instance_uid);
        CU_ASSERT_STRING_EQUAL(archive_entry_pathname(entry), name);
        CU_ASSERT_EQUAL(archive_entry_size(entry), (la_int64_t)shelf->ledger.rows[row].file_size);
        if (contents)
            check_content(shelf, archive, row);
        row++;
    }
    if (result != ARCHIVE_EOF)
        (void)fprintf(stderr, "libarchive: %s\n", archive_error_string(archive));
    CU_ASSERT_EQUAL(result, ARCHIVE_EOF);
    CU_ASSERT_EQUAL(row, shelf->ledger.count);
}

static void read_archive(const struct shelf *shelf, const char *path, bool streaming, bool contents)
{
    struct archive *archive = archive_read_new();
    CU_ASSERT_PTR_NOT_NULL_FATAL(archive);
    int supported = streaming ? archive_read_support_format_zip_streamable(archive)
                              : archive_read_support_format_zip_seekable(archive);
    CU_ASSERT_EQUAL_FATAL(supported, ARCHIVE_OK);
    CU_ASSERT_EQUAL_FATAL(archive_read_open_filename(archive, path, 65536), ARCHIVE_OK);
    check_entries(shelf, archive, contents);
    CU_ASSERT_EQUAL(archive_read_free(archive), ARCHIVE_OK);
}

void check_with_libarchive(const struct shelf *shelf, const char *path, bool streaming)
{
    read_archive(shelf, path, streaming, true);
}

void check_headers_with_libarchive(const struct shelf *shelf, const char *path)
{
    read_archive(shelf, path, false, false);
}

void check_with_unzip(const char *path)
{
    const char *const arguments[] = {"unzip", "-tqq", path, NULL};
    CU_ASSERT_EQUAL(run(arguments), 0);
}

void check_with_python(const char *path, size_t count, bool contents)
{
    char number[32];
    (void)snprintf(number, sizeof number, "%zu", count);
    const char *const arguments[] = {
        "python3",
        "-c",
        "import sys, zipfile\n"
        "z = zipfile.ZipFile(sys.argv[1])\n"
        "assert len(z.infolist()) == int(sys.argv[2]), len(z.infolist())\n"
        "assert all(i.date_time == (1980, 1, 1, 0, 0, 0) for i in z.infolist())\n"
        "assert all(not i.flag_bits for i in z.infolist())\n"
        "if sys.argv[3] == 'contents': assert z.testzip() is None\n"
        "else: z.read(z.infolist()[0]); z.read(z.infolist()[-1])\n",
        path,
        number,
        contents ? "contents" : "ends",
        NULL};
    CU_ASSERT_EQUAL(run(arguments), 0);
}

void check_with_java(const struct shelf *shelf, const char *path, size_t count)
{
    static const char source[] =
        "import java.io.*;\n"
        "import java.util.zip.*;\n"
        "public class Stream {\n"
        "    public static void main(String[] a) throws Exception {\n"
        "        long count = 0;\n"
        "        try (ZipInputStream in = new ZipInputStream(new FileInputStream(a[0]))) {\n"
        "            byte[] b = new byte[65536];\n"
        "            for (ZipEntry e; (e = in.getNextEntry()) != null; count++)\n"
        "                while (in.read(b) >= 0) { }\n"
        "        }\n"
        "        if (count != Long.parseLong(a[1])) System.exit(3);\n"
        "    }\n"
        "}\n";
    char program[256], number[32];
    (void)snprintf(program, sizeof program, "%s/Stream.java", shelf->directory);
    (void)snprintf(number, sizeof number, "%zu", count);
    CU_ASSERT_EQUAL(fs_write_atomic(program, source, sizeof source - 1, NULL), 0);
    const char *const arguments[] = {"java", program, path, number, NULL};
    CU_ASSERT_EQUAL(run(arguments), 0);
}
