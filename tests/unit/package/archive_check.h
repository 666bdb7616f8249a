/* What other people's readers say of an archive. Each fails the running test when they object. */
#ifndef AURABRIDGE_TESTS_ARCHIVE_CHECK_H
#define AURABRIDGE_TESTS_ARCHIVE_CHECK_H

#include "package_fixture.h"

/* libarchive, by central directory and, with `streaming`, by local headers alone: names, sizes and
 * contents are those of the shelf's files, in order. */
void check_with_libarchive(const struct shelf *shelf, const char *path, bool streaming);
/* Entries and sizes only, without reading contents. */
void check_headers_with_libarchive(const struct shelf *shelf, const char *path);
void check_with_unzip(const char *path);
/* Python's zipfile, contents too when `contents`. */
void check_with_python(const char *path, size_t count, bool contents);
/* java.util.zip.ZipInputStream, which refuses stored entries with data descriptors. */
void check_with_java(const struct shelf *shelf, const char *path, size_t count);

#endif
