/* All kernels, in terms of plain loops; included once per instruction set by kernels_<set>.c, which defines RPU_SET.
 *
 * Decided, and why:
 * - Work follows pulses. Trains are drawn once per vector (train_bits), turned into lists of firing columns per slot,
 *   and shared by all rows; a row walks only the slots in which it fires, and only the columns that fire there.
 * - Within one slot every column occurs at most once, so the devices of a list are independent and are stepped as
 *   vectors: gather, step, scatter. Slots and vectors follow in order: a device sees its own changes.
 * - A row block is taken through all vectors while its state and parameters are in cache.
 * - Noise of a vector is one stream over its pulses in order of (row, slot, column): consecutive in memory for a block
 *   of rows, so nothing is drawn that is not used except in the first and last chunk of a block.
 * No validation here: the Python side has checked everything. */

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "kernels.h"

#if defined(_MSC_VER) && !defined(__clang__)
#define restrict __restrict
#define RPU_SIMD
#define RPU_SIMD_OR(flag)
#include <intrin.h>
static inline int rpu_lowest_bit(uint32_t m) { unsigned long k; _BitScanForward(&k, m); return (int)k; }
#else
#define RPU_PRAGMA(text) _Pragma(#text)
#define RPU_SIMD RPU_PRAGMA(omp simd)
#define RPU_SIMD_OR(flag) RPU_PRAGMA(omp simd reduction(|:flag))
static inline int rpu_lowest_bit(uint32_t m) { return __builtin_ctz(m); }
#endif

#include "normal.h"
#include "devices.h"

#define RPU_NOISE_BUFFER (4 * RPU_CHUNK)

static void normals(uint64_t key, int kind, uint64_t operation, uint32_t line, uint32_t chunk, int64_t chunks, float *out)
{
    const rpu_stream s = rpu_stream_at(key, kind, operation, line);
    for (int64_t c = 0; c < chunks; c++)
        rpu_normal_chunk(s, chunk + (uint32_t)c, out + c * RPU_CHUNK);
}

static void uniforms(uint64_t key, int kind, uint64_t operation, uint32_t line, uint32_t chunk, int64_t chunks, float *out)
{
    const rpu_stream s = rpu_stream_at(key, kind, operation, line);
    for (int64_t c = 0; c < chunks; c++)
        rpu_uniform_chunk(s, chunk + (uint32_t)c, out + c * RPU_CHUNK);
}

/* ---- pulse trains ------------------------------------------------------------------------------------------------ */

/* A slot fires where 32 random bits are below the threshold. The first 16 decide unless they tie with the threshold's
 * (one slot in 65536); a tie draws 16 more, so that 8 slots cost one counter and the law is exact to 2^-32. */
static void train_bits(uint64_t key, int kind, uint64_t operation, const int32_t *line, const uint64_t *threshold,
                       int64_t lines, int32_t bl, int32_t words, uint32_t *bits)
{
    const int32_t blocks = (bl + 7) / 8;
    for (int64_t first = 0; first < lines; first += RPU_LANES) {
        const int n = lines - first < RPU_LANES ? (int)(lines - first) : RPU_LANES;
        uint32_t position[RPU_LANES], high[RPU_LANES], fired[RPU_LANES], ties[RPU_LANES];
        for (int l = 0; l < RPU_LANES; l++) {
            position[l] = l < n ? (uint32_t)line[first + l] : 0;
            high[l] = l < n ? (uint32_t)(threshold[first + l] >> 16) : 0;
        }
        for (int32_t word = 0; word < words; word++) {
            uint32_t any_tie = 0;
            memset(fired, 0, sizeof fired);
            memset(ties, 0, sizeof ties);
            for (int32_t block = 4 * word; block < blocks && block < 4 * word + 4; block++) {
                const rpu_stream s = rpu_stream_at(key, kind, operation, (uint32_t)block);
                const int shift = 8 * (block & 3);
                uint32_t draws[4][RPU_LANES];
                rpu_philox_lanes(s, position, draws);
                for (int v = 0; v < 4; v++) {
                    RPU_SIMD
                    for (int l = 0; l < RPU_LANES; l++) {
                        const uint32_t low = draws[v][l] & 0xFFFFu, up = draws[v][l] >> 16;
                        fired[l] |= ((uint32_t)(low < high[l]) | (uint32_t)(up < high[l]) << 1) << (shift + 2 * v);
                        ties[l] |= ((uint32_t)(low == high[l]) | (uint32_t)(up == high[l]) << 1) << (shift + 2 * v);
                    }
                }
            }
            const int32_t slots = bl - 32 * word;
            const uint32_t used = slots >= 32 ? 0xFFFFFFFFu : (1u << slots) - 1u;
            for (int l = 0; l < n; l++) {
                fired[l] &= used;
                ties[l] &= used;
                any_tie |= ties[l];
            }
            if (any_tie)
                for (int l = 0; l < n; l++)
                    for (uint32_t m = ties[l]; m; m &= m - 1) {
                        const int slot = rpu_lowest_bit(m);
                        const rpu_stream s = rpu_stream_at(key, kind, operation, 0x80000000u | (uint32_t)(32 * word + slot));
                        if ((rpu_philox(s, position[l]).v[0] & 0xFFFFu) < (threshold[first + l] & 0xFFFFu))
                            fired[l] |= 1u << slot;
                    }
            for (int l = 0; l < n; l++)
                bits[(first + l) * words + word] = fired[l];
        }
    }
}

/* ---- noise of pulses, drawn as it is used ------------------------------------------------------------------------- */

typedef struct {
    rpu_stream stream;
    uint64_t next, end;            /* position of the first draw not yet in the buffer; end of what may be wanted */
    int32_t position, available;   /* within the buffer */
    int silent;                    /* no noise: the buffer holds zeros for ever */
    float buffer[RPU_NOISE_BUFFER];
} rpu_noise;

static inline void noise_begin(rpu_noise *g, int silent, rpu_stream stream, uint64_t first, uint64_t end)
{
    g->stream = stream;
    g->next = first;
    g->end = end;
    g->position = g->available = 0;
    if (silent && !g->silent)
        memset(g->buffer, 0, sizeof g->buffer);
    g->silent = silent;
}

/* Up to n consecutive draws; *got says how many. */
static inline const float *noise_take(rpu_noise *g, int32_t n, int32_t *got)
{
    if (g->silent) {
        *got = n < RPU_NOISE_BUFFER ? n : RPU_NOISE_BUFFER;
        return g->buffer;
    }
    if (g->position == g->available) {
        const uint64_t chunk = g->next / RPU_CHUNK;
        uint64_t chunks = (g->end + RPU_CHUNK - 1) / RPU_CHUNK - chunk;
        if (chunks > RPU_NOISE_BUFFER / RPU_CHUNK)
            chunks = RPU_NOISE_BUFFER / RPU_CHUNK;
        for (uint64_t c = 0; c < chunks; c++)
            rpu_normal_chunk(g->stream, (uint32_t)(chunk + c), g->buffer + c * RPU_CHUNK);
        g->position = (int32_t)(g->next - chunk * RPU_CHUNK);
        g->available = (int32_t)(chunks * RPU_CHUNK);
        g->next = (chunk + chunks) * RPU_CHUNK;
    }
    const int32_t left = g->available - g->position;
    const float *z = g->buffer + g->position;
    *got = n < left ? n : left;
    g->position += *got;
    return z;
}

/* ---- pulses on lists of devices ------------------------------------------------------------------------------------ */

static inline rpu_row row_of(const rpu_cells *cells, int64_t row)
{
    rpu_row r;
    r.w = cells->w + row * cells->columns;
    for (int k = 0; k < RPU_MAX_PARAMETERS; k++) {
        r.mask[k] = cells->mask[k];
        r.parameter[k] = cells->parameter[k] + (cells->mask[k] ? row * cells->columns : 0);
    }
    r.noise_mult = cells->noise_mult;
    r.noise_add = cells->noise_add;
    return r;
}

/* One pulse on each listed column of a row. Only AVX-512 scatters; elsewhere results pass through a buffer so that the
 * step itself is still a vector loop. */
#ifdef RPU_USE_AVX512
#define RPU_STEP_LIST(step)                                          \
    RPU_SIMD                                                         \
    for (int32_t q = 0; q < got; q++) {                              \
        const int32_t j = columns[q];                                \
        row->w[j] = step(row, j, row->w[j], xi[q]);                  \
    }
#else
#define RPU_STEP_LIST(step)                                          \
    float stepped[RPU_NOISE_BUFFER];                                 \
    RPU_SIMD                                                         \
    for (int32_t q = 0; q < got; q++) {                              \
        const int32_t j = columns[q];                                \
        stepped[q] = step(row, j, row->w[j], xi[q]);                 \
    }                                                                \
    for (int32_t q = 0; q < got; q++)                                \
        row->w[columns[q]] = stepped[q];
#endif

#define RPU_DEFINE_MODEL(model)                                                                                        \
static void model##_pulse_list(const rpu_row *restrict row, const int32_t *restrict columns, int32_t n, int up,        \
                               rpu_noise *noise)                                                                       \
{                                                                                                                      \
    while (n > 0) {                                                                                                    \
        int32_t got;                                                                                                   \
        const float *restrict xi = noise_take(noise, n, &got);                                                         \
        if (up) {                                                                                                      \
            RPU_STEP_LIST(rpu_##model##_up)                                                                            \
        } else {                                                                                                       \
            RPU_STEP_LIST(rpu_##model##_down)                                                                          \
        }                                                                                                              \
        columns += got;                                                                                                \
        n -= got;                                                                                                      \
    }                                                                                                                  \
}                                                                                                                      \
                                                                                                                       \
static rpu_pulse_count model##_update_rows(const rpu_cells *cells, const rpu_trains *trains, int64_t vectors,          \
                                           int64_t row0, int64_t row1, int reverse, uint64_t key, uint64_t operation)  \
{                                                                                                                      \
    const int silent = cells->noise_mult == 0.0f && cells->noise_add == 0.0f;                                          \
    rpu_pulse_count total = {0, 0};                                                                                    \
    rpu_noise noise;                                                                                                   \
    noise.silent = 0;                                                                                                  \
    for (int64_t v = 0; v < vectors; v++) {                                                                            \
        const rpu_trains *t = trains + v;                                                                              \
        if (t->bl == 0 || t->noise_base[row0] == t->noise_base[row1])                                                  \
            continue;                                                                                                  \
        noise_begin(&noise, silent, rpu_stream_at(key, RPU_PULSE_NOISE, operation + (uint64_t)v, 0),                   \
                    t->noise_base[row0], t->noise_base[row1]);                                                         \
        for (int64_t i = row0; i < row1; i++) {                                                                        \
            if (t->noise_base[i] == t->noise_base[i + 1])                                                              \
                continue;                                                                                              \
            const rpu_row row = row_of(cells, i);                                                                      \
            for (int32_t word = 0; word < t->words; word++)                                                            \
                for (uint32_t m = t->row_bits[i * t->words + word]; m; m &= m - 1) {                                   \
                    const int32_t slot = 32 * word + rpu_lowest_bit(m);                                                \
                    for (int negative = 0; negative < 2; negative++) {                                                 \
                        const int32_t *columns = t->columns + t->start[2 * slot + negative];                           \
                        const int32_t n = t->start[2 * slot + negative + 1] - t->start[2 * slot + negative];           \
                        /* x d > 0 lowers the weight, unless the learning rate is negative */                          \
                        const int up = (negative != t->row_negative[i]) != reverse;                                    \
                        if (n == 0)                                                                                    \
                            continue;                                                                                  \
                        if (up) total.up += n; else total.down += n;                                                   \
                        model##_pulse_list(&row, columns, n, up, &noise);                                              \
                        if (cells->count_up) {                                                                         \
                            int64_t *count = (up ? cells->count_up : cells->count_down) + i * cells->columns;          \
                            for (int32_t q = 0; q < n; q++) count[columns[q]]++;                                       \
                        }                                                                                              \
                    }                                                                                                  \
                }                                                                                                      \
        }                                                                                                              \
    }                                                                                                                  \
    return total;                                                                                                      \
}                                                                                                                      \
                                                                                                                       \
static rpu_pulse_count model##_pulse_row(const rpu_cells *cells, int64_t row_index, const int32_t *counts,             \
                                         int32_t *scratch, uint64_t key, uint64_t operation)                           \
{                                                                                                                      \
    rpu_pulse_count total = {0, 0};                                                                                    \
    int32_t n[2] = {0, 0}, *list[2] = {scratch, scratch + cells->columns};                                             \
    for (int32_t j = 0; j < cells->columns; j++) {                                                                     \
        if (counts[j] > 0) { list[1][n[1]++] = j; total.up += counts[j]; }                                             \
        if (counts[j] < 0) { list[0][n[0]++] = j; total.down -= counts[j]; }                                           \
    }                                                                                                                  \
    if (n[0] + n[1] == 0)                                                                                              \
        return total;                                                                                                  \
    const rpu_row row = row_of(cells, row_index);                                                                      \
    rpu_noise noise;                                                                                                   \
    noise.silent = 0;                                                                                                  \
    noise_begin(&noise, cells->noise_mult == 0.0f && cells->noise_add == 0.0f,                                         \
                rpu_stream_at(key, RPU_COUNT_NOISE, operation, (uint32_t)row_index), 0,                                \
                (uint64_t)(total.up + total.down));                                                                    \
    /* round p gives the p-th pulse to every device that has that many */                                              \
    for (int32_t p = 1; n[0] + n[1] > 0; p++)                                                                          \
        for (int up = 0; up < 2; up++) {                                                                               \
            int32_t kept = 0;                                                                                          \
            model##_pulse_list(&row, list[up], n[up], up, &noise);                                                     \
            for (int32_t q = 0; q < n[up]; q++)                                                                        \
                if ((up ? counts[list[up][q]] : -counts[list[up][q]]) > p) list[up][kept++] = list[up][q];             \
            n[up] = kept;                                                                                              \
        }                                                                                                              \
    if (cells->count_up)                                                                                               \
        for (int64_t j = 0; j < cells->columns; j++) {                                                                 \
            if (counts[j] > 0) cells->count_up[row_index * cells->columns + j] += counts[j];                           \
            if (counts[j] < 0) cells->count_down[row_index * cells->columns + j] -= counts[j];                         \
        }                                                                                                              \
    return total;                                                                                                      \
}

RPU_MODELS(RPU_DEFINE_MODEL)

/* ---- devices without pulses ---------------------------------------------------------------------------------------- */

static void rank_one_rows(float *w, int64_t rows, int64_t columns, const float *x, const float *d, int64_t vectors,
                          float lr, int64_t row0, int64_t row1)
{
    for (int64_t i = row0; i < row1; i++) {
        float *restrict wi = w + i * columns;
        int64_t v = 0;
        /* Four vectors per pass over the row; the additions keep their order, so the split does not show. */
        for (; v + 4 <= vectors; v += 4) {
            const float a0 = lr * d[v * rows + i], a1 = lr * d[(v + 1) * rows + i];
            const float a2 = lr * d[(v + 2) * rows + i], a3 = lr * d[(v + 3) * rows + i];
            const float *restrict x0 = x + v * columns, *restrict x1 = x0 + columns;
            const float *restrict x2 = x1 + columns, *restrict x3 = x2 + columns;
            RPU_SIMD
            for (int64_t j = 0; j < columns; j++)
                wi[j] = (((wi[j] - a0 * x0[j]) - a1 * x1[j]) - a2 * x2[j]) - a3 * x3[j];
        }
        for (; v < vectors; v++) {
            const float a = lr * d[v * rows + i];
            const float *restrict xv = x + v * columns;
            RPU_SIMD
            for (int64_t j = 0; j < columns; j++)
                wi[j] -= a * xv[j];
        }
    }
}

/* ---- converters ---------------------------------------------------------------------------------------------------- */

static float abs_max(const float *x, int64_t n)
{
    float top = 0.0f;
    for (int64_t j = 0; j < n; j++) {
        const float a = fabsf(x[j]);
        top = a > top ? a : top;
    }
    return top;
}

static int all_finite(const float *x, int64_t n)
{
    uint32_t bad = 0;
    for (int64_t j = 0; j < n; j++)
        bad |= (rpu_float_to_bits(x[j]) & 0x7F800000u) == 0x7F800000u;
    return !bad;
}

/* Levels are numbered: v = step * clip(rint(y / step)), so the end levels are exact and clipping is decided in integers. */
static inline float quantise(float level, float levels)
{
    level = level > levels ? levels : level;
    return level < -levels ? -levels : level;
}

static void dac(const rpu_converters *c, const float *x, int64_t n, float scale, uint64_t key, int kind_offset,
                uint64_t operation, uint32_t retry, float *v)
{
    const rpu_stream rounding = rpu_stream_at(key, RPU_DAC_ROUND + kind_offset, operation, retry);
    const rpu_stream noise = rpu_stream_at(key, RPU_DAC_NOISE + kind_offset, operation, retry);
    const float bound = c->dac_bound, unit = c->dac_scale, step = c->dac_step, levels = c->dac_levels;
    if (c->dac_stochastic) {
        float u[RPU_CHUNK];
        for (int64_t j = 0; j < n; j++) {
            if (j % RPU_CHUNK == 0)
                rpu_uniform_chunk(rounding, (uint32_t)(j / RPU_CHUNK), u);
            v[j] = step * quantise(floorf(x[j] * scale * unit + u[j % RPU_CHUNK]), levels);
        }
    } else if (unit != 0.0f) {
        RPU_SIMD
        for (int64_t j = 0; j < n; j++)
            v[j] = step * quantise(rintf(x[j] * scale * unit), levels);
    } else {
        RPU_SIMD
        for (int64_t j = 0; j < n; j++)
            v[j] = rpu_clip(x[j] * scale, -bound, bound);
    }
    if (c->dac_noise != 0.0f)
        for (int64_t first = 0; first < n; first += RPU_CHUNK) {
            float z[RPU_CHUNK];
            const int64_t m = n - first < RPU_CHUNK ? n - first : RPU_CHUNK;
            rpu_normal_chunk(noise, (uint32_t)(first / RPU_CHUNK), z);
            for (int64_t j = 0; j < m; j++)
                v[first + j] += c->dac_noise * z[j];
        }
}

static int adc(const rpu_converters *c, const float *y, int64_t n, float factor, uint64_t key, int kind_offset,
               uint64_t operation, uint32_t retry, float *out)
{
    const rpu_stream rounding = rpu_stream_at(key, RPU_ADC_ROUND + kind_offset, operation, retry);
    const rpu_stream noise = rpu_stream_at(key, RPU_ADC_NOISE + kind_offset, operation, retry);
    const float bound = c->adc_bound, unit = c->adc_scale, step = c->adc_step, levels = c->adc_levels;
    const float sigma = c->adc_noise;
    int clipped = 0;
    for (int64_t first = 0; first < n; first += RPU_CHUNK) {
        float z[RPU_CHUNK], u[RPU_CHUNK];
        const int m = n - first < RPU_CHUNK ? (int)(n - first) : RPU_CHUNK;
        const float *restrict in = y + first;
        float *restrict to = out + first;
        if (sigma != 0.0f)
            rpu_normal_chunk(noise, (uint32_t)(first / RPU_CHUNK), z);
        else
            memset(z, 0, sizeof z);
        if (c->adc_stochastic) {
            rpu_uniform_chunk(rounding, (uint32_t)(first / RPU_CHUNK), u);
            for (int j = 0; j < m; j++) {
                const float level = floorf((in[j] + sigma * z[j]) * unit + u[j]);
                clipped |= fabsf(level) > levels;
                to[j] = factor * (step * quantise(level, levels));
            }
        } else if (unit != 0.0f) {
            RPU_SIMD_OR(clipped)
            for (int j = 0; j < m; j++) {
                const float level = rintf((in[j] + sigma * z[j]) * unit);
                clipped |= fabsf(level) > levels;
                to[j] = factor * (step * quantise(level, levels));
            }
        } else {
            RPU_SIMD_OR(clipped)
            for (int j = 0; j < m; j++) {
                const float value = in[j] + sigma * z[j];
                clipped |= fabsf(value) > bound;
                to[j] = factor * rpu_clip(value, -bound, bound);
            }
        }
    }
    return clipped;
}

/* ---- the table ------------------------------------------------------------------------------------------------------ */

#define RPU_STRING2(x) #x
#define RPU_STRING(x) RPU_STRING2(x)
#define RPU_JOIN2(a, b) a##b
#define RPU_JOIN(a, b) RPU_JOIN2(a, b)
#define RPU_UPDATE_ENTRY(model) model##_update_rows,
#define RPU_PULSE_ENTRY(model) model##_pulse_row,

const rpu_kernels RPU_JOIN(rpu_kernels_, RPU_SET) = {
    .name = RPU_STRING(RPU_SET),
    .normals = normals,
    .uniforms = uniforms,
    .train_bits = train_bits,
    .update_rows = {RPU_MODELS(RPU_UPDATE_ENTRY)},
    .pulse_row = {RPU_MODELS(RPU_PULSE_ENTRY)},
    .rank_one_rows = rank_one_rows,
    .dac = dac,
    .adc = adc,
    .abs_max = abs_max,
    .all_finite = all_finite,
};
