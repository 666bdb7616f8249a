/* See synthetic.h. The phantom is drawn once for a few neighbouring slices, the noise is new in
 * each pixel: that is what a deflator finds in images of a scanner. */
#include "synthetic.h"

#include "data_set.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NOISE_VALUES = 4096, SLICES_ALIKE = 8, FRAME_ROWS = 512 };

struct shape {
    enum synthetic_kind kind;
    const char *name, *sop_class;
    unsigned columns;
    size_t pixel_bytes;
    double sigma; /* of the noise, in pixel values */
};

/* The sigmas make zlib at level 6 reach the ratios of clinical series: 2.35 and 1.95. */
static const struct shape shapes[] = {
    {SYNTHETIC_CT, "CT", "1.2.840.10008.5.1.4.1.1.2", 512, SYNTHETIC_CT_BYTES, 10.0},
    {SYNTHETIC_MR, "MR", "1.2.840.10008.5.1.4.1.1.4", 128, SYNTHETIC_MR_BYTES, 14.0},
};

struct synthetic {
    struct synthetic_plan plan;
    const struct shape *shape;
    unsigned association, index;
    unsigned rows;
    uint16_t *slice; /* without noise; 0 is outside the field of view and stays 0 */
    unsigned drawn;  /* index + 1 of the slice that `slice` was drawn for; 0: none */
    int16_t noise[NOISE_VALUES];
};

int synthetic_kind_named(enum synthetic_kind *kind, size_t *pixel_bytes, const char *name)
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        if (strcmp(name, shapes[i].name) == 0) {
            *kind = shapes[i].kind;
            *pixel_bytes = shapes[i].pixel_bytes;
            return 0;
        }
    }
    return -1;
}

const char *synthetic_sop_class(enum synthetic_kind kind)
{
    return shapes[kind].sop_class;
}

/* splitmix64: one step of the sequence that starts at *state. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t mixed = (*state += UINT64_C(0x9e3779b97f4a7c15));
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

static uint64_t mix(uint64_t seed, uint64_t first, uint64_t second)
{
    uint64_t state = seed;
    state = next_random(&state) + first;
    state = next_random(&state) + second;
    return next_random(&state);
}

enum { STUDY = 1000000, SERIES }; /* in the place of an index */

static void make_uid(char out[UID_SIZE], uint64_t seed, unsigned association, unsigned index)
{
    uint64_t high = mix(seed, association, index) | UINT64_C(1) << 63;
    (void)snprintf(out, UID_SIZE, "2.25.%llu%010u", (unsigned long long)high, index);
}

/* A bell-shaped table: the sum of twelve even numbers. */
static void fill_noise(int16_t noise[NOISE_VALUES], double sigma)
{
    uint64_t state = 1;
    for (int i = 0; i < NOISE_VALUES; i++) {
        double sum = -6.0;
        for (int k = 0; k < 12; k++)
            sum += (double)(next_random(&state) >> 11) / 9007199254740992.0;
        noise[i] = (int16_t)lround(sum * sigma);
    }
}

struct synthetic *synthetic_new(const struct synthetic_plan *plan, unsigned association)
{
    struct synthetic *series = calloc(1, sizeof *series);
    if (!series)
        return NULL;
    series->plan = *plan;
    series->shape = &shapes[plan->kind];
    series->association = association;
    size_t row = (size_t)series->shape->columns * 2;
    series->rows = (unsigned)((plan->pixel_bytes + row - 1) / row);
    series->rows = series->rows ? series->rows : 1;
    if (series->rows > FRAME_ROWS) /* multi-frame: whole frames */
        series->rows = (series->rows + FRAME_ROWS - 1) / FRAME_ROWS * FRAME_ROWS;
    fill_noise(series->noise, series->shape->sigma);
    series->slice = malloc(series->rows * row);
    if (!series->slice) {
        free(series);
        return NULL;
    }
    return series;
}

void synthetic_free(struct synthetic *series)
{
    if (series)
        free(series->slice);
    free(series);
}

static bool inside(double x, double y, double cx, double cy, double rx, double ry)
{
    double dx = (x - cx) / rx, dy = (y - cy) / ry;
    return dx * dx + dy * dy < 1.0;
}

/* A chest in values of HU + 1024, in a round field of view; `z` is the slice. */
static double tissue(double x, double y, double z)
{
    double wide = 0.82 + 0.04 * sin(z * 0.11), lung = 0.30 + 0.05 * sin(z * 0.07);
    if (x * x + y * y > 0.97)
        return 0;
    if (!inside(x, y, 0, 0.05, wide, 0.62))
        return inside(x, y, 0, 0.9, 1.2, 0.12) ? 180 : 24; /* the table, the air */
    if (inside(x, y, 0, 0.45, 0.11, 0.10))
        return 1024 + 420 + 90 * sin(x * 40 + z) * cos(y * 37); /* the spine */
    if (inside(x, y, -0.38, 0.02, lung, 0.44) || inside(x, y, 0.38, 0.02, lung, 0.44))
        return 1024 - 820 + 70 * sin(x * 31 + z * 0.3) * sin(y * 29);
    if (inside(x, y, 0.06, -0.08, 0.22, 0.25))
        return 1024 + 45 + 18 * sin(z * 0.5 + x * 9);
    if (!inside(x, y, 0, 0.05, wide - 0.05, 0.56))
        return 1024 - 100 + 12 * x;
    return 1024 + 55 + 20 * x * y;
}

static void draw(struct synthetic *series, unsigned index)
{
    unsigned columns = series->shape->columns;
    for (unsigned row = 0; row < series->rows; row++) {
        double y = 2.0 * row / series->rows - 1;
        for (unsigned column = 0; column < columns; column++) {
            double x = 2.0 * column / columns - 1;
            series->slice[(size_t)row * columns + column] = (uint16_t)tissue(x, y, index);
        }
    }
    series->drawn = index + 1;
}

static void make_pixels(struct synthetic *series, uint8_t *out, uint64_t state)
{
    size_t count = (size_t)series->rows * series->shape->columns;
    for (size_t i = 0; i < count; i += 4) {
        uint64_t dice = next_random(&state);
        for (size_t k = i; k < i + 4 && k < count; k++, dice >>= 16) {
            int value = series->slice[k];
            if (value)
                value += series->noise[dice % NOISE_VALUES];
            value = value < 0 ? 0 : value;
            out[2 * k] = (uint8_t)value;
            out[2 * k + 1] = (uint8_t)(value >> 8);
        }
    }
}

struct names {
    char study[UID_SIZE], series[UID_SIZE], instance[UID_SIZE];
};

/* All up to the pixel data, but for group 0028; the private element of a stream lies between. */
static void put_header(struct data_set *set, const struct shape *shape, const struct names *names,
                       unsigned number)
{
    data_set_put_text(set, 0x00080008, "CS", "ORIGINAL\\PRIMARY\\AXIAL");
    data_set_put_text(set, 0x00080016, "UI", shape->sop_class);
    data_set_put_text(set, 0x00080018, "UI", names->instance);
    data_set_put_text(set, 0x00080020, "DA", "20260101");
    data_set_put_text(set, 0x00080030, "TM", "120000");
    data_set_put_text(set, 0x00080050, "SH", "BENCH");
    data_set_put_text(set, 0x00080060, "CS", shape->name);
    data_set_put_text(set, 0x00080070, "LO", "Phantom");
    data_set_put_text(set, 0x00080090, "PN", "");
    data_set_put_text(set, 0x00100010, "PN", "Phantom^Bench");
    data_set_put_text(set, 0x00100020, "LO", "PHANTOM-1");
    data_set_put_text(set, 0x00100030, "DA", "19700101");
    data_set_put_text(set, 0x00100040, "CS", "O");
    data_set_put_text(set, 0x0020000d, "UI", names->study);
    data_set_put_text(set, 0x0020000e, "UI", names->series);
    data_set_put_text(set, 0x00200010, "SH", "1");
    data_set_put_text(set, 0x00200011, "IS", "1");
    data_set_put_number(set, 0x00200013, number);
}

static void put_image(struct data_set *set, const struct shape *shape, unsigned rows)
{
    data_set_put_u16(set, 0x00280002, 1);
    data_set_put_text(set, 0x00280004, "CS", "MONOCHROME2");
    if (rows > FRAME_ROWS)
        data_set_put_number(set, 0x00280008, rows / FRAME_ROWS);
    data_set_put_u16(set, 0x00280010, (uint16_t)(rows > FRAME_ROWS ? FRAME_ROWS : rows));
    data_set_put_u16(set, 0x00280011, (uint16_t)shape->columns);
    data_set_put_u16(set, 0x00280100, 16);
    data_set_put_u16(set, 0x00280101, 16);
    data_set_put_u16(set, 0x00280102, 15);
    data_set_put_u16(set, 0x00280103, 0);
    if (shape->kind == SYNTHETIC_CT) {
        data_set_put_text(set, 0x00281052, "DS", "-1024");
        data_set_put_text(set, 0x00281053, "DS", "1");
    }
}

int synthetic_next(struct synthetic *series, struct synthetic_instance *out)
{
    const struct synthetic_plan *plan = &series->plan;
    unsigned index = series->index++, study = plan->one_study ? 0 : series->association;
    size_t pixels = (size_t)series->rows * series->shape->columns * 2;
    struct names names;
    make_uid(names.study, plan->seed, study, STUDY);
    make_uid(names.series, plan->seed, series->association, SERIES);
    make_uid(names.instance, plan->seed, series->association, index);
    memcpy(out->sop_instance_uid, names.instance, sizeof names.instance);

    struct data_set set = {.size = pixels + 2048};
    set.bytes = out->bytes = malloc(set.size);
    if (!out->bytes)
        return -1;
    put_header(&set, series->shape, &names, index + 1);
    put_image(&set, series->shape, series->rows);
    data_set_put_long(&set, 0x7fe00010, "OW", (uint32_t)pixels);
    if (!series->drawn || index / SLICES_ALIKE != (series->drawn - 1) / SLICES_ALIKE)
        draw(series, index);
    make_pixels(series, out->bytes + set.length, mix(plan->seed, series->association, index));
    out->size = set.length + pixels;
    return 0;
}

enum { STREAM_NOISE = 1000003, FRAME_BYTES = FRAME_ROWS * 512 * 2 };

int synthetic_stream_open(struct synthetic_stream *stream, uint64_t bytes, uint64_t seed)
{
    uint32_t pixels = (uint32_t)(bytes / 2 / FRAME_BYTES * FRAME_BYTES);
    *stream = (struct synthetic_stream){.private_bytes = (bytes - pixels + 1) & ~UINT64_C(1)};
    if (bytes < 2 * FRAME_BYTES || stream->private_bytes >= UINT32_MAX)
        return -1;
    struct names names;
    make_uid(names.study, seed, 0, STUDY);
    make_uid(names.series, seed, 0, SERIES);
    make_uid(names.instance, seed, 0, 0);
    memcpy(stream->sop_instance_uid, names.instance, sizeof names.instance);
    struct data_set head = {.bytes = stream->head, .size = sizeof stream->head};
    put_header(&head, &shapes[SYNTHETIC_CT], &names, 1);
    put_image(&head, &shapes[SYNTHETIC_CT], pixels / 1024);
    data_set_put_text(&head, 0x00290010, "LO", "AURABRIDGE BENCH");
    data_set_put_long(&head, 0x00291010, "OB", (uint32_t)stream->private_bytes);
    struct data_set middle = {.bytes = stream->middle, .size = sizeof stream->middle};
    data_set_put_long(&middle, 0x7fe00010, "OW", pixels);
    stream->head_size = head.length;
    stream->middle_size = middle.length;
    stream->size = head.length + stream->private_bytes + middle.length + pixels;
    stream->noise = malloc(STREAM_NOISE);
    if (!stream->noise)
        return -1;
    for (size_t i = 0; i < STREAM_NOISE; i++)
        stream->noise[i] = (uint8_t)next_random(&seed);
    return 0;
}

void synthetic_stream_close(struct synthetic_stream *stream)
{
    free(stream->noise);
    stream->noise = NULL;
}

/* The longest run of bytes at `at` that lies in one piece. */
static const uint8_t *stream_piece(const struct synthetic_stream *stream, size_t *length)
{
    uint64_t at = stream->at, middle = stream->head_size + stream->private_bytes;
    uint64_t ends = stream->size;
    if (at < stream->head_size) {
        *length = stream->head_size - (size_t)at;
        return stream->head + at;
    }
    if (at >= middle && at < middle + stream->middle_size) {
        *length = stream->middle_size - (size_t)(at - middle);
        return stream->middle + (at - middle);
    }
    if (at < middle)
        ends = middle;
    size_t begin = (size_t)(at % STREAM_NOISE);
    *length = STREAM_NOISE - begin;
    if (*length > ends - at)
        *length = (size_t)(ends - at);
    return stream->noise + begin;
}

size_t synthetic_stream_read(struct synthetic_stream *stream, uint8_t *out, size_t size)
{
    size_t done = 0;
    while (done < size && stream->at < stream->size) {
        size_t length;
        const uint8_t *piece = stream_piece(stream, &length);
        length = length < size - done ? length : size - done;
        memcpy(out + done, piece, length);
        done += length;
        stream->at += length;
    }
    return done;
}
