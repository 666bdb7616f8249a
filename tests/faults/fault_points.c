/* Preloaded into the very program that ships, so that it costs that program nothing: counts the
 * calls that can fail, and makes the n-th of a kind fail or kill the process.
 *
 *   FAULT_SCOPE=DIRECTORY    calls on files count only below it; calls on sockets always do
 *   FAULT_AT=KIND:N:ACTION[:TIMES]
 *                            KIND is a name of fault_kind_names, or `any`; N counts from 1;
 *                            ACTION is kill, torn (half a write, then kill) or an errno name; an
 *                            error strikes TIMES calls of the kind in a row (default 1, * for ever)
 *   FAULT_COUNTS=FILE        how often each kind was called, in the order of fault_kind_names
 *   FAULT_HIT=FILE           gets a line when the fault strikes
 *   FAULT_FREE=FILE          while it is there, statvfs answers with the free bytes it names
 *   FAULT_NO_DNS=FILE        while it is there, no name is resolved
 *
 * Allocations count when the program's own code asks for them, not when a library does. The record
 * of all changes for the power-loss test is in recorder.c.
 */
#include "fault_points.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <netdb.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define DESCRIPTORS 65536

enum action { ACTION_NONE, ACTION_KILL, ACTION_TORN, ACTION_FAIL };

static const char *const fault_kind_names[FAULT_KINDS] = {
    "any",   "alloc",   "open",   "write",   "sync", "rename", "unlink",
    "mkdir", "statvfs", "sqlite", "connect", "send", "receive"};

static const struct {
    const char *name;
    int value;
} errors[] = {{"ENOMEM", ENOMEM},
              {"EIO", EIO},
              {"ENOSPC", ENOSPC},
              {"EMFILE", EMFILE},
              {"EACCES", EACCES},
              {"ECONNRESET", ECONNRESET},
              {"ECONNREFUSED", ECONNREFUSED},
              {"ETIMEDOUT", ETIMEDOUT},
              {"EPIPE", EPIPE}};

static struct {
    atomic_bool ready;
    enum fault_kind kind;
    uint64_t from, until; /* calls of the kind that the fault strikes */
    enum action action;
    int error;
    const char *hit_file;
    const char *free_file;
    const char *no_dns_file;
    const char *scope;
    size_t scope_length;
    uintptr_t program_begin, program_end;
    _Atomic uint64_t private_counts[FAULT_KINDS];
    _Atomic uint64_t *counts;
} faults;

static atomic_uchar descriptors[DESCRIPTORS]; /* enum descriptor_kind */

enum descriptor_kind { DESCRIPTOR_OTHER, DESCRIPTOR_FILE, DESCRIPTOR_SOCKET };

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);

/* ---- set-up ---- */

static int find_program(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size;
    (void)context;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X))
            continue;
        faults.program_begin = info->dlpi_addr + segment->p_vaddr;
        faults.program_end = faults.program_begin + segment->p_memsz;
    }
    return 1; /* the program itself is the first */
}

static void complain(const char *text, const char *about)
{
    (void)fprintf(stderr, "fault points: %s: %s\n", text, about);
    _exit(99);
}

static void parse_fault(const char *text)
{
    char kind[16] = "", action[16] = "", times[24] = "1";
    unsigned long long from = 0;
    if (sscanf(text, "%15[a-z]:%llu:%15[A-Za-z]:%23s", kind, &from, action, times) < 3 || from == 0)
        complain("FAULT_AT is not KIND:N:ACTION[:TIMES]", text);
    faults.kind = FAULT_KINDS;
    for (int i = 0; i < FAULT_KINDS; i++)
        if (strcmp(kind, fault_kind_names[i]) == 0)
            faults.kind = (enum fault_kind)i;
    if (faults.kind == FAULT_KINDS)
        complain("no such kind", kind);
    faults.from = from;
    faults.until = strcmp(times, "*") == 0 ? UINT64_MAX : from + strtoull(times, NULL, 10);
    if (strcmp(action, "kill") == 0)
        faults.action = ACTION_KILL;
    else if (strcmp(action, "torn") == 0)
        faults.action = ACTION_TORN;
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        if (strcmp(action, errors[i].name) == 0) {
            faults.action = ACTION_FAIL;
            faults.error = errors[i].value;
        }
    }
    if (faults.action == ACTION_NONE)
        complain("no such action", action);
}

static void share_counts(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof faults.private_counts) != 0)
        complain("cannot make the file of counts", path);
    void *shared =
        mmap(NULL, sizeof faults.private_counts, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (shared == MAP_FAILED)
        complain("cannot map the file of counts", path);
    (void)close(fd);
    faults.counts = shared;
}

__attribute__((constructor)) static void set_up(void)
{
    faults.counts = faults.private_counts;
    (void)dl_iterate_phdr(find_program, NULL);
    const char *counts = getenv("FAULT_COUNTS");
    const char *fault = getenv("FAULT_AT");
    faults.scope = getenv("FAULT_SCOPE");
    faults.scope_length = faults.scope ? strlen(faults.scope) : 0;
    faults.hit_file = getenv("FAULT_HIT");
    faults.free_file = getenv("FAULT_FREE");
    faults.no_dns_file = getenv("FAULT_NO_DNS");
    if (counts)
        share_counts(counts);
    if (fault)
        parse_fault(fault);
    recorder_set_up();
    atomic_store(&faults.ready, true);
}

/* ---- counting and striking ---- */

static void note_hit(enum fault_kind kind, uint64_t number)
{
    if (!faults.hit_file)
        return;
    /* By the raw call, so that writing this down is no fault point itself. */
    int fd = (int)real_open(faults.hit_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    char line[64];
    int length = snprintf(line, sizeof line, "%s %llu\n", fault_kind_names[kind],
                          (unsigned long long)number);
    if (fd >= 0) {
        (void)!real_write(fd, line, (size_t)length);
        (void)real_close(fd);
    }
}

static enum action strike(enum fault_kind kind)
{
    if (!atomic_load_explicit(&faults.ready, memory_order_acquire))
        return ACTION_NONE;
    uint64_t number = atomic_fetch_add(&faults.counts[kind], 1) + 1;
    uint64_t any = atomic_fetch_add(&faults.counts[FAULT_ANY], 1) + 1;
    uint64_t at = faults.kind == FAULT_ANY ? any : number;
    if (faults.action == ACTION_NONE || (faults.kind != FAULT_ANY && faults.kind != kind) ||
        at < faults.from || at >= faults.until)
        return ACTION_NONE;
    note_hit(kind, at);
    return faults.action;
}

static void die(void)
{
    (void)kill(getpid(), SIGKILL);
    for (;;)
        (void)pause();
}

bool fault_strikes(enum fault_kind kind)
{
    enum action action = strike(kind);
    if (action == ACTION_NONE)
        return false;
    if (action != ACTION_FAIL)
        die();
    errno = faults.error;
    return true;
}

size_t fault_strikes_write(enum fault_kind kind, int *failed, size_t length)
{
    *failed = 0;
    enum action action = strike(kind);
    if (action == ACTION_KILL)
        die();
    if (action == ACTION_TORN)
        return length / 2;
    if (action == ACTION_FAIL) {
        errno = faults.error;
        *failed = 1;
    }
    return length;
}

void fault_torn(void)
{
    die();
}

/* ---- what counts ---- */

bool fault_path_counts(int directory, const char *path)
{
    if (!faults.scope)
        return false;
    if (path[0] != '/')
        return directory >= 0 && directory < DESCRIPTORS &&
               atomic_load(&descriptors[directory]) == DESCRIPTOR_FILE;
    return strncmp(path, faults.scope, faults.scope_length) == 0 &&
           (path[faults.scope_length] == '/' || path[faults.scope_length] == '\0');
}

static void mark(int fd, enum descriptor_kind kind)
{
    if (fd >= 0 && fd < DESCRIPTORS)
        atomic_store(&descriptors[fd], (unsigned char)kind);
}

void fault_mark_file(int fd)
{
    mark(fd, DESCRIPTOR_FILE);
}

void fault_mark_socket(int fd)
{
    mark(fd, DESCRIPTOR_SOCKET);
}

void fault_unmark(int fd)
{
    mark(fd, DESCRIPTOR_OTHER);
}

bool fault_is_file(int fd)
{
    return fd >= 0 && fd < DESCRIPTORS && atomic_load(&descriptors[fd]) == DESCRIPTOR_FILE;
}

bool fault_is_socket(int fd)
{
    return fd >= 0 && fd < DESCRIPTORS && atomic_load(&descriptors[fd]) == DESCRIPTOR_SOCKET;
}

/* ---- memory ---- */

static bool is_of_program(const void *caller)
{
    uintptr_t at = (uintptr_t)caller;
    return at >= faults.program_begin && at < faults.program_end;
}

#define ALLOCATION_FAILS()                                                                         \
    (is_of_program(__builtin_return_address(0)) && fault_strikes(FAULT_ALLOC))

void *malloc(size_t size)
{
    return ALLOCATION_FAILS() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return ALLOCATION_FAILS() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    return ALLOCATION_FAILS() ? NULL : __libc_realloc(old, size);
}

char *strdup(const char *text)
{
    if (ALLOCATION_FAILS())
        return NULL;
    size_t size = strlen(text) + 1;
    char *copy = __libc_malloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

char *strndup(const char *text, size_t maximum)
{
    if (ALLOCATION_FAILS())
        return NULL;
    size_t length = strnlen(text, maximum);
    char *copy = __libc_malloc(length + 1);
    if (!copy)
        return NULL;
    copy[length] = '\0';
    return memcpy(copy, text, length);
}

/* ---- free space ---- */

/* Bytes from the file, or -1 when there is none. */
static long long told_free_bytes(void)
{
    char text[32] = "";
    int fd = faults.free_file ? (int)real_open(faults.free_file, O_RDONLY | O_CLOEXEC, 0) : -1;
    if (fd < 0)
        return -1;
    ssize_t length = pread(fd, text, sizeof text - 1, 0);
    (void)real_close(fd);
    return length > 0 ? strtoll(text, NULL, 10) : -1;
}

int statvfs(const char *path, struct statvfs *out)
{
    if (fault_path_counts(AT_FDCWD, path) && fault_strikes(FAULT_STATVFS))
        return -1;
    int (*real)(const char *, struct statvfs *) =
        (int (*)(const char *, struct statvfs *))dlsym(RTLD_NEXT, "statvfs");
    int failed = real(path, out);
    long long told = failed ? -1 : told_free_bytes();
    if (told >= 0)
        out->f_bavail = (fsblkcnt_t)told / out->f_frsize;
    return failed;
}

/* ---- names ---- */

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **out)
{
    bool is_name = node && node[strspn(node, "0123456789.:abcdefABCDEF[]%")] != '\0';
    if (is_name && faults.no_dns_file && access(faults.no_dns_file, F_OK) == 0)
        return EAI_AGAIN;
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
        (int (*)(const char *, const char *, const struct addrinfo *, struct addrinfo **))dlsym(
            RTLD_NEXT, "getaddrinfo");
    return real(node, service, hints, out);
}

/* ---- SQLite ---- */

struct sqlite3;
struct sqlite3_stmt;
int sqlite3_step(struct sqlite3_stmt *statement);
int sqlite3_errcode(struct sqlite3 *handle);
int sqlite3_extended_errcode(struct sqlite3 *handle);

static _Thread_local int sqlite_failure;

/* What SQLite answers to a failure of the system. */
static int sqlite_code(int errnum)
{
    switch (errnum) {
    case ENOSPC:
        return 13; /* SQLITE_FULL */
    case ENOMEM:
        return 7; /* SQLITE_NOMEM */
    default:
        return 10; /* SQLITE_IOERR */
    }
}

int sqlite3_step(struct sqlite3_stmt *statement)
{
    sqlite_failure = 0;
    /* Within sqlite3_exec the answer of a step is not looked at: it would just be left out. */
    if (is_of_program(__builtin_return_address(0)) && fault_strikes(FAULT_SQLITE)) {
        sqlite_failure = sqlite_code(errno);
        return sqlite_failure;
    }
    int (*real)(struct sqlite3_stmt *) =
        (int (*)(struct sqlite3_stmt *))dlsym(RTLD_NEXT, "sqlite3_step");
    return real(statement);
}

int sqlite3_errcode(struct sqlite3 *handle)
{
    int (*real)(struct sqlite3 *) = (int (*)(struct sqlite3 *))dlsym(RTLD_NEXT, "sqlite3_errcode");
    return sqlite_failure ? sqlite_failure : real(handle);
}

int sqlite3_extended_errcode(struct sqlite3 *handle)
{
    int (*real)(struct sqlite3 *) =
        (int (*)(struct sqlite3 *))dlsym(RTLD_NEXT, "sqlite3_extended_errcode");
    return sqlite_failure ? sqlite_failure : real(handle);
}
