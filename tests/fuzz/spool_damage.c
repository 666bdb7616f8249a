/* See the header. An input is a byte for the world, one for policy and more, and steps; a step is a
 * byte that says what, and what it needs. */
#include "spool_damage.h"

#include "damage_ledger.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEPS_MAX   24
#define CONTENT_MAX 600
#define COPY_MAX    8192

/* ---- where ---- */

static const char *const folders[] = {"1.2.3@0123456789abcdef",
                                      "1.2.5@0123456789abcdef",
                                      "1.2@a",
                                      "1.2.3",
                                      "@a",
                                      "1..2@a",
                                      "1.2.3@",
                                      "lost+found",
                                      "1.2.99@ffffffffffffffff"};
static const char *const names[] = {"1.2.5.1.0123456789abcdef.dcm",
                                    "1.2.3.1.0000000000000000.dcm",
                                    "1.2.99.1.aaaaaaaaaaaaaaaa.dcm",
                                    "1.2.3.1.000000000000000.dcm",
                                    ".hidden",
                                    "x.part",
                                    "1.2.3.1.0123456789ABCDEF.dcm",
                                    "1.2.3.1.0123456789abcdef.dcm.part"};

/* The path of the n-th file of the world that is an instance. */
static void instance_path(char out[800], enum world_size size, uint8_t number)
{
    const struct world_file *file = NULL;
    for (size_t i = 0; i < world_file_count(size); i++) {
        file = world_file(size, number + i);
        if (strncmp(file->name, "studies/", 8) == 0)
            break;
    }
    (void)snprintf(out, 800, "%s/%s", world_spool(), file->name);
}

/* A folder below studies/: one of the world's, or one that is told. */
static void take_folder(char out[800], enum world_size size, struct fuzz_input *input)
{
    uint8_t choice = fuzz_byte(input);
    if (choice % 2) {
        size_t row = choice / 2 % (sizeof folders / sizeof *folders);
        (void)snprintf(out, 800, "%s/studies/%s", world_spool(), folders[row]);
        return;
    }
    instance_path(out, size, choice);
    *strrchr(out, '/') = '\0';
}

/* A path below a folder; the name is told, made up or the input's own. */
static void take_path(char out[800], const char *folder, struct fuzz_input *input)
{
    uint8_t choice = fuzz_byte(input);
    char name[64] = "";
    if (choice % 4 == 3) {
        const uint8_t *bytes;
        size_t length = fuzz_take(input, &bytes, choice / 4 % 60U);
        for (size_t i = 0; i < length; i++)
            name[i] = bytes[i] && bytes[i] != '/' ? (char)bytes[i] : '_';
    } else if (choice % 4 == 2) {
        (void)snprintf(name, sizeof name, "1.2.5.%u.%016x.dcm", choice / 4 % 8U, choice);
    } else {
        (void)snprintf(name, sizeof name, "%s", names[choice / 4 % (sizeof names / sizeof *names)]);
    }
    if (!name[0] || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        (void)snprintf(name, sizeof name, "x");
    (void)snprintf(out, 800, "%.500s/%s", folder, name);
}

/* ---- what ---- */

static void write_content(const char *path, enum world_size size, struct fuzz_input *input)
{
    const struct world_file *like = world_file(size, fuzz_byte(input));
    uint8_t shape = fuzz_byte(input);
    const uint8_t *bytes;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return;
    (void)close(fd);
    if (shape % 4 == 3) {
        size_t length = fuzz_take(input, &bytes, fuzz_number(input, 2) % CONTENT_MAX);
        fuzz_write_file(path, bytes, length);
        return;
    }
    uint8_t *copy = malloc(like->length + 1);
    if (!copy)
        abort();
    memcpy(copy, like->bytes, like->length);
    size_t length = like->length < COPY_MAX ? like->length : COPY_MAX;
    if (shape % 4 == 1 && length > 0)
        length = fuzz_number(input, 2) % length;
    if (shape % 4 == 2 && length > 0)
        copy[fuzz_number(input, 2) % length] = fuzz_byte(input);
    fuzz_write_file(path, copy, length);
    free(copy);
}

static void publish(enum world_size size, struct fuzz_input *input)
{
    char folder[800];
    char path[800];
    take_folder(folder, size, input);
    (void)mkdir(folder, 0700); /* may be there */
    take_path(path, folder, input);
    write_content(path, size, input);
}

static void change_file(enum world_size size, struct fuzz_input *input)
{
    char path[800];
    struct stat status;
    const uint8_t *bytes;
    instance_path(path, size, fuzz_byte(input));
    uint8_t how = fuzz_byte(input);
    uint32_t at = fuzz_number(input, 2);
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return;
    if (fstat(fd, &status) == 0 && status.st_size > 0) {
        at %= (uint32_t)status.st_size;
        if (how % 3 == 0) {
            FUZZ_CHECK(ftruncate(fd, (off_t)at) == 0);
        } else {
            size_t length = fuzz_take(input, &bytes, how / 3 % 16U);
            off_t place = how % 3 == 1 ? (off_t)at : status.st_size;
            FUZZ_CHECK(pwrite(fd, bytes, length, place) == (ssize_t)length);
        }
    }
    (void)close(fd);
}

static void move_file(enum world_size size, struct fuzz_input *input)
{
    char from[800];
    char folder[800];
    char to[800];
    instance_path(from, size, fuzz_byte(input));
    take_folder(folder, size, input);
    (void)mkdir(folder, 0700);
    take_path(to, folder, input);
    /* Never over another one: that would be a loss of the test's own making. */
    (void)renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
}

static void remove_file(enum world_size size, struct fuzz_input *input)
{
    char path[800];
    instance_path(path, size, fuzz_byte(input));
    (void)unlink(path);
}

static void set_time(enum world_size size, struct fuzz_input *input)
{
    char path[800];
    instance_path(path, size, fuzz_byte(input));
    uint32_t high = fuzz_number(input, 4);
    uint32_t low = fuzz_number(input, 4);
    struct timespec times[2] = {{.tv_sec = 0}, {.tv_sec = 0}};
    times[1].tv_sec = (time_t)((uint64_t)high << 32 | low);
    times[1].tv_nsec = low % 1000000000;
    (void)utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW); /* the system may refuse */
}

static void make_link(const char *target, const char *path)
{
    if (symlink(target, path) != 0)
        return; /* something is there */
}

/* Things that nobody expects there. */
static void litter(enum world_size size, struct fuzz_input *input)
{
    static const char *const places[] = {"", "/incoming", "/studies"};
    char folder[800];
    char path[800];
    char target[400];
    uint8_t choice = fuzz_byte(input);
    if (choice % 4 == 3)
        take_folder(folder, size, input);
    else
        (void)snprintf(folder, sizeof folder, "%s%s", world_spool(), places[choice % 4]);
    if (choice % 4 == 2 && choice & 4)
        take_folder(path, size, input); /* something else where a study's folder would be */
    else
        take_path(path, folder, input);
    switch (choice / 8 % 6) {
    case 0:
        (void)mkdir(path, 0700);
        break;
    case 1:
        make_link(world_outside(), path);
        break;
    case 2:
        (void)snprintf(target, sizeof target, "%s/precious", world_outside());
        make_link(target, path);
        break;
    case 3:
        (void)mkfifo(path, 0600);
        break;
    case 4:
        make_link("nowhere", path);
        break;
    default:
        write_content(path, size, input);
        break;
    }
}

/* A kept entry, or a package's layout. */
static void change_state(enum world_size size, struct fuzz_input *input)
{
    uint8_t number = fuzz_byte(input);
    const uint8_t *bytes;
    for (size_t i = 0; i < world_file_count(size); i++) {
        const struct world_file *file = world_file(size, number + i);
        char path[800];
        if (strncmp(file->name, "entries/", 8) != 0 && strncmp(file->name, "packages/", 9) != 0)
            continue;
        size_t length = fuzz_take(input, &bytes, fuzz_byte(input));
        (void)snprintf(path, sizeof path, "%s/%s", world_spool(), file->name);
        fuzz_write_file(path, bytes, length);
        return;
    }
}

void damage_do(struct damage *out, struct fuzz_input *input)
{
    uint8_t world = fuzz_byte(input);
    uint8_t policy = fuzz_byte(input);
    *out = (struct damage){.size = world % 8 == 7 ? WORLD_LARGE : WORLD_SMALL,
                           .policy = (enum changed_duplicate)(policy % 4),
                           .keeps_house = policy & 4,
                           .packs = policy & 8,
                           .starts_again = policy & 16};
    world_lay_out(out->size);
    for (unsigned i = 0; i < STEPS_MAX && input->left > 0; i++) {
        switch (fuzz_byte(input) % 16) {
        case 0:
        case 1:
            publish(out->size, input);
            break;
        case 2:
            change_file(out->size, input);
            break;
        case 3:
            move_file(out->size, input);
            break;
        case 4:
            remove_file(out->size, input);
            break;
        case 5:
            set_time(out->size, input);
            break;
        case 6:
        case 7:
            litter(out->size, input);
            break;
        case 8:
            change_state(out->size, input);
            break;
        case 9:
            world_now_ms += (int64_t)(int32_t)fuzz_number(input, 4) * 1000;
            break;
        case 10:
            damage_ledger_lose(out, input);
            break;
        case 11:
            damage_ledger_bytes(out, input);
            break;
        default:
            damage_ledger_rows(out, input);
            break;
        }
    }
}
