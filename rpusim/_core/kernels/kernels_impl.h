/* All kernels, in terms of plain loops; included once per instruction set by kernels_<set>.c, which defines RPU_SET.
 *
 * Decided, and why:
 * - Work follows pulses. Trains are drawn once per vector (train_bits), turned into lists of firing columns per slot,
 *   and shared by all rows; a row walks only the slots in which it fires, and only the columns that fire there.
 * - Within one slot every column occurs at most once, so the devices of a list are independent and are stepped as
 *   vectors: load, step, store. Slots and vectors follow in order: a device sees its own changes.
 * - Rows are taken through all vectors in strips whose state and parameters fit the first-level cache (measured: 3.0 to
 *   2.1 ns per pulse against strips for the second level). Where one strip stops inside a chunk of draws, the next one goes
 *   on in it (`tails`).
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
#define RPU_ONE_BY_ONE
#include <intrin.h>
static inline int rpu_lowest_bit(uint32_t m) { unsigned long k; _BitScanForward(&k, m); return (int)k; }
#else
#define RPU_ONE_BY_ONE __asm__ volatile("");     /* keeps a loop from being made of gathers or scatters */
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

/* Probabilities have the 24 bits of a float32, so both parts are exact. */
static void thresholds(const float *v, int64_t n, float scale, uint32_t *high, uint32_t *low, uint16_t *negative,
                       uint16_t *possible)
{
    scale = scale < 1e38f ? scale : 1e38f;      /* 0 stays 0 */
    RPU_SIMD
    for (int64_t j = 0; j < n; j++) {
        float p = fabsf(v[j]) * scale;
        p = (p < 1.0f ? p : 1.0f) * 65536.0f;
        const int32_t h = (int32_t)p;
        high[j] = (uint32_t)h;
        low[j] = (uint32_t)(int32_t)((p - (float)h) * 65536.0f);
    }
    for (int64_t first = 0; first < n; first += RPU_GROUP) {
        uint32_t minus = 0, some = 0;
        const int lanes = n - first < RPU_GROUP ? (int)(n - first) : RPU_GROUP;
        for (int l = 0; l < lanes; l++) {
            minus |= (uint32_t)(v[first + l] < 0.0f) << l;
            some |= (uint32_t)((high[first + l] | low[first + l]) != 0) << l;
        }
        negative[first / RPU_GROUP] = (uint16_t)minus;
        possible[first / RPU_GROUP] = (uint16_t)some;
    }
}

/* Trains of one slot: 32 bits per line, 64 lines per chunk as in normal.h. */
static void train_slot(uint64_t key, int kind, uint64_t operation, const uint32_t *high, const uint32_t *low,
                       const uint16_t *possible, int64_t n, uint16_t *fired)
{
    const rpu_stream s = rpu_stream_at(key, kind, operation, 0xFFFFFFFFu);
    const int64_t groups = RPU_GROUPS(n);
    for (int64_t first = 0; first < groups; first += RPU_CHUNK / RPU_GROUP) {
        const int64_t last = first + RPU_CHUNK / RPU_GROUP < groups ? first + RPU_CHUNK / RPU_GROUP : groups;
        uint32_t draws[4][RPU_LANES], any = 0;
        for (int64_t g = first; g < last; g++)
            any |= possible[g];
        if (any)
            rpu_philox_chunk(s, (uint32_t)(first * RPU_GROUP / RPU_CHUNK), draws);
        for (int64_t g = first; g < last; g++) {
            const uint32_t *h = high + RPU_GROUP * g, *lo = low + RPU_GROUP * g;
            uint32_t bits = 0;
            if (possible[g]) {
                const uint32_t *draw = draws[g - first];
#ifdef RPU_USE_AVX512
                const __m512i word = _mm512_loadu_si512(draw), upper = _mm512_srli_epi32(word, 16);
                const __m512i limit = _mm512_maskz_loadu_epi32(possible[g], h);
                const __mmask16 tie = _mm512_cmpeq_epu32_mask(upper, limit);
                bits = _mm512_cmplt_epu32_mask(upper, limit) |
                       _mm512_mask_cmplt_epu32_mask(tie, _mm512_and_si512(word, _mm512_set1_epi32(0xFFFF)),
                                                    _mm512_maskz_loadu_epi32(possible[g], lo));
#else
                for (uint32_t m = possible[g]; m; m &= m - 1) {
                    const int l = rpu_lowest_bit(m);
                    const uint32_t upper = draw[l] >> 16;
                    bits |= (uint32_t)((upper < h[l]) | ((upper == h[l]) & ((draw[l] & 0xFFFFu) < lo[l]))) << l;
                }
#endif
            }
            fired[g] = (uint16_t)(bits & possible[g]);
        }
    }
}

/* A slot fires where 32 random bits are below the threshold. The first 16 decide unless they tie with the threshold's
 * (one slot in 65536); a tie draws 16 more, so that 8 slots cost one counter and the law is exact to 2^-32. */
static void train_bits(uint64_t key, int kind, uint64_t operation, const uint32_t *high_of, const uint32_t *low_of,
                       const int32_t *line, int64_t lines, int32_t bl, int32_t words, uint32_t *bits)
{
    const int32_t blocks = (bl + 7) / 8;
    for (int64_t first = 0; first < lines; first += RPU_LANES) {
        const int n = lines - first < RPU_LANES ? (int)(lines - first) : RPU_LANES;
        uint32_t position[RPU_LANES], high[RPU_LANES], fired[RPU_LANES], ties[RPU_LANES];
        for (int l = 0; l < RPU_LANES; l++) {
            position[l] = l < n ? (uint32_t)line[first + l] : 0;
            high[l] = l < n ? high_of[position[l]] : 0;
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
            for (int l = 0; l < RPU_LANES; l++) {
                fired[l] &= used;
                ties[l] &= used;
                any_tie |= ties[l];
            }
            if (any_tie)
                for (int l = 0; l < n; l++)
                    for (uint32_t m = ties[l]; m; m &= m - 1) {
                        const int slot = rpu_lowest_bit(m);
                        const rpu_stream s = rpu_stream_at(key, kind, operation, 0x80000000u | (uint32_t)(32 * word + slot));
                        if ((rpu_philox(s, position[l]).v[0] & 0xFFFFu) < low_of[position[l]])
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
    int32_t silent;                /* no noise: the buffer holds zeros for ever */
    float buffer[RPU_GROUP + RPU_NOISE_BUFFER + RPU_GROUP];   /* room for what is left when it is refilled, and to read on */
} rpu_noise;

static inline void noise_begin(rpu_noise *g, int silent, rpu_stream stream, uint64_t first, uint64_t end)
{
    g->stream = stream;
    g->next = silent ? 0 : first;
    g->end = silent ? 0 : end;
    g->silent = silent;
    g->position = 0;
    g->available = silent ? RPU_NOISE_BUFFER : 0;
}

/* Go on inside a chunk that an earlier part of the same stream has drawn. */
static inline void noise_resume(rpu_noise *g, const float *chunk)
{
    memcpy(g->buffer + RPU_GROUP, chunk, sizeof *chunk * RPU_CHUNK);
    g->position = RPU_GROUP + (int32_t)(g->next % RPU_CHUNK);
    g->available = RPU_GROUP + RPU_CHUNK;
    g->next += RPU_CHUNK - g->next % RPU_CHUNK;
}

/* Refill the buffer; fewer than RPU_GROUP draws may be left in it. */
static void noise_refill(rpu_noise *g)
{
    const int32_t left = g->available - g->position;
    const uint64_t chunk = g->next / RPU_CHUNK;
    uint64_t chunks = (g->end + RPU_CHUNK - 1) / RPU_CHUNK - chunk;
    const int32_t skipped = (int32_t)(g->next - chunk * RPU_CHUNK);
    float kept[RPU_GROUP];
    if (chunks > RPU_NOISE_BUFFER / RPU_CHUNK)
        chunks = RPU_NOISE_BUFFER / RPU_CHUNK;
    memcpy(kept, g->buffer + g->position, sizeof *kept * (size_t)left);
    for (uint64_t c = 0; c < chunks; c++)
        rpu_normal_chunk(g->stream, (uint32_t)(chunk + c), g->buffer + RPU_GROUP + c * RPU_CHUNK);
    /* only a fresh stream starts inside a chunk, and then nothing is left over */
    g->position = RPU_GROUP + skipped - left;
    memcpy(g->buffer + g->position, kept, sizeof *kept * (size_t)left);
    g->available = RPU_GROUP + (int32_t)(chunks * RPU_CHUNK);
    g->next = (chunk + chunks) * RPU_CHUNK;
}

/* Up to n consecutive draws; *got says how many. */
static inline const float *noise_take(rpu_noise *g, int32_t n, int32_t *got)
{
    if (g->position == g->available)
        noise_refill(g);
    const int32_t left = g->available - g->position;
    const float *z = g->buffer + g->position;
    *got = n < left ? n : left;
    g->position += g->silent ? 0 : *got;
    return z;
}

/* ---- pulses on lists and masks of devices --------------------------------------------------------------------------- */

static inline rpu_row row_of(const rpu_cells *cells, int64_t row)
{
    rpu_row r;
    r.w = cells->w + row * cells->columns;
    for (int k = 0; k < RPU_MAX_PARAMETERS; k++)
        r.parameter[k] = cells->parameter[k] + row * cells->stride[k];
    r.noise_mult = cells->noise_mult;
    r.noise_add = cells->noise_add;
    return r;
}

/* Few devices: gather them into buffers, step them as if they were neighbours, put them back. The gather instructions are
 * slower than loads one by one (measured with AVX-512: 9 against 6 cycles per pulse). Many devices: a mask over all columns,
 * where the draws can be spread over the lanes of a vector (expand), i.e. with AVX-512; there it pays from 3 lanes of 16. */
#ifdef RPU_USE_AVX512
#define RPU_MASK_FROM 6
#define RPU_DEFINE_MASK(model)                                                                                         \
static void model##_pulse_mask(const rpu_row *row, const uint16_t *masks, const uint16_t *negative, int64_t columns,   \
                               int32_t flip, rpu_noise *noise)                                                         \
{                                                                                                                      \
    const uint32_t turn = flip ? 0xFFFFu : 0u;                                                                         \
    for (int64_t g = 0; g < RPU_GROUPS(columns); g++) {                                                                \
        const uint32_t fires = masks[g];                                                                               \
        uint32_t up[RPU_GROUP];                                                                                        \
        float xi[RPU_GROUP];                                                                                           \
        if (fires == 0)                                                                                                \
            continue;                                                                                                  \
        if (noise->available - noise->position < RPU_GROUP && noise->next < noise->end)                                \
            noise_refill(noise);                                                                                       \
        _mm512_storeu_ps(xi, _mm512_maskz_expand_ps((__mmask16)fires,                                                  \
                                                    _mm512_loadu_ps(noise->buffer + noise->position)));                \
        _mm512_storeu_si512(up, _mm512_movm_epi32((__mmask16)(negative[g] ^ turn)));                                   \
        noise->position += noise->silent ? 0 : _mm_popcnt_u32(fires);                                                  \
        const rpu_row r = row_at(row, RPU_GROUP * g);                                                                  \
        if (RPU_GROUP * (g + 1) > columns) {    /* lanes beyond the row must not be read */                            \
            for (uint32_t m = fires; m; m &= m - 1) {                                                                  \
                const int l = rpu_lowest_bit(m);                                                                       \
                r.w[l] = rpu_step_##model(&r, l, r.w[l], up[l], xi[l]);                                                \
            }                                                                                                          \
            break;                                                                                                     \
        }                                                                                                              \
        float stepped[RPU_GROUP];                                                                                      \
        RPU_SIMD                                                                                                       \
        for (int32_t l = 0; l < RPU_GROUP; l++)                                                                        \
            stepped[l] = rpu_step_##model(&r, l, r.w[l], up[l], xi[l]);                                                \
        _mm512_mask_storeu_ps(r.w, (__mmask16)fires, _mm512_loadu_ps(stepped));                                        \
    }                                                                                                                  \
}
static inline rpu_row row_at(const rpu_row *row, int64_t column)
{
    rpu_row r = *row;
    r.w += column;
    for (int k = 0; k < RPU_MAX_PARAMETERS; k++)
        r.parameter[k] += column;
    return r;
}
#else
#define RPU_MASK_FROM 0
#define RPU_DEFINE_MASK(model)                                                                                         \
static void model##_pulse_mask(const rpu_row *row, const uint16_t *masks, const uint16_t *negative, int64_t columns,   \
                               int32_t flip, rpu_noise *noise)                                                         \
{                                                                                                                      \
    (void)row, (void)masks, (void)negative, (void)columns, (void)flip, (void)noise;                                     \
}
#endif

/* Pulses per device of one slot and row, for those who want them. */
static void count_pulses(const rpu_cells *cells, const rpu_trains *t, int32_t slot, int64_t row, int32_t flip)
{
    int64_t *up = cells->count_up + row * cells->columns, *down = cells->count_down + row * cells->columns;
    if (t->start[slot] >= 0) {
        const int32_t *columns = t->columns + t->start[slot];
        for (int32_t q = 0; q < t->fired[slot]; q++)
            ((columns[q] ^ flip) & RPU_NEGATIVE ? up : down)[columns[q] & ~RPU_NEGATIVE]++;
        return;
    }
    for (int64_t j = 0; j < cells->columns; j++)
        if (t->masks[slot * RPU_GROUPS(cells->columns) + j / RPU_GROUP] >> (j % RPU_GROUP) & 1u)
            (((t->negative[j / RPU_GROUP] >> (j % RPU_GROUP) & 1u) != 0) != (flip != 0) ? up : down)[j]++;
}

/* `flip` is 0 or RPU_NEGATIVE: a device goes up where the sign of its column differs from it (x d > 0 lowers w). */
#define RPU_DEFINE_MODEL(model)                                                                                        \
RPU_DEFINE_MASK(model)                                                                                                 \
                                                                                                                       \
static void model##_pulse_list(const rpu_row *restrict row, const int32_t *restrict columns, int32_t n, int32_t flip,  \
                               rpu_noise *noise)                                                                       \
{                                                                                                                      \
    while (n > 0) {                                                                                                    \
        int32_t got;                                                                                                   \
        const float *restrict xi = noise_take(noise, n < RPU_CHUNK ? n : RPU_CHUNK, &got);                             \
        float state[RPU_CHUNK], parameter[RPU_PARAMETERS_##model][RPU_CHUNK];                                          \
        uint32_t up[RPU_CHUNK];                                                                                        \
        rpu_row near = {.w = state, .noise_mult = row->noise_mult, .noise_add = row->noise_add};                       \
        for (int32_t q = 0; q < got; q++) {                                                                            \
            const int32_t j = columns[q] & ~RPU_NEGATIVE;                                                              \
            RPU_ONE_BY_ONE                                                                                             \
            state[q] = row->w[j];                                                                                      \
            for (int k = 0; k < RPU_PARAMETERS_##model; k++)                                                           \
                parameter[k][q] = row->parameter[k][j];                                                                \
        }                                                                                                              \
        for (int k = 0; k < RPU_PARAMETERS_##model; k++)                                                               \
            near.parameter[k] = parameter[k];                                                                          \
        RPU_SIMD                                                                                                       \
        for (int32_t q = 0; q < got; q++)                                                                              \
            up[q] = (uint32_t)((columns[q] ^ flip) >> 31);                                                             \
        RPU_SIMD                                                                                                       \
        for (int32_t q = 0; q < got; q++)                                                                              \
            state[q] = rpu_step_##model(&near, q, state[q], up[q], xi[q]);                                             \
        for (int32_t q = 0; q < got; q++) {                                                                            \
            RPU_ONE_BY_ONE                                                                                             \
            row->w[columns[q] & ~RPU_NEGATIVE] = state[q];                                                             \
        }                                                                                                              \
        columns += got;                                                                                                \
        n -= got;                                                                                                      \
    }                                                                                                                  \
}                                                                                                                      \
                                                                                                                       \
static void model##_update_rows(const rpu_cells *cells, const rpu_trains *trains, int64_t vectors, int64_t row0,       \
                                int64_t row1, int64_t strip, float *tails, int reverse, uint64_t key,                  \
                                uint64_t operation)                                                                    \
{                                                                                                                      \
    const int silent = cells->noise_mult == 0.0f && cells->noise_add == 0.0f;                                          \
    const int64_t groups = RPU_GROUPS(cells->columns);                                                                 \
    rpu_noise noise;                                                                                                   \
    if (silent)                                                                                                        \
        memset(noise.buffer, 0, sizeof noise.buffer);                                                                  \
    for (int64_t first = row0; first < row1; first += strip) {                                                         \
        const int64_t last = first + strip < row1 ? first + strip : row1;                                              \
        for (int64_t v = 0; v < vectors; v++) {                                                                        \
            const rpu_trains *t = trains + v;                                                                          \
            if (t->bl == 0 || t->noise_base[first] == t->noise_base[last])                                             \
                continue;                                                                                              \
            const uint64_t from = t->noise_base[first], to = t->noise_base[last];                                      \
            noise_begin(&noise, silent, rpu_stream_at(key, RPU_PULSE_NOISE, operation + (uint64_t)v, 0), from, to);    \
            if (!silent && from > t->noise_base[row0] && from % RPU_CHUNK)                                             \
                noise_resume(&noise, tails + v * RPU_CHUNK);                                                           \
            for (int64_t i = first; i < last; i++) {                                                                   \
                if (t->noise_base[i] == t->noise_base[i + 1])                                                          \
                    continue;                                                                                          \
                const rpu_row row = row_of(cells, i);                                                                  \
                const int32_t flip = (t->row_negative[i] != 0) != (reverse != 0) ? RPU_NEGATIVE : 0;                   \
                for (int32_t word = 0; word < t->words; word++)                                                        \
                    for (uint32_t m = t->row_bits[i * t->words + word]; m; m &= m - 1) {                               \
                        const int32_t slot = 32 * word + rpu_lowest_bit(m);                                            \
                        if (t->fired[slot] == 0)                                                                       \
                            continue;                                                                                  \
                        if (t->start[slot] >= 0)                                                                       \
                            model##_pulse_list(&row, t->columns + t->start[slot], t->fired[slot], flip, &noise);       \
                        else                                                                                           \
                            model##_pulse_mask(&row, t->masks + slot * groups, t->negative, cells->columns, flip,      \
                                               &noise);                                                                \
                        if (cells->count_up)                                                                           \
                            count_pulses(cells, t, slot, i, flip);                                                     \
                    }                                                                                                  \
            }                                                                                                          \
            if (!silent && last < row1 && to % RPU_CHUNK)                                                              \
                memcpy(tails + v * RPU_CHUNK, noise.buffer + noise.available - RPU_CHUNK, sizeof *tails * RPU_CHUNK);  \
        }                                                                                                              \
    }                                                                                                                  \
}                                                                                                                      \
                                                                                                                       \
static rpu_pulse_count model##_pulse_row(const rpu_cells *cells, int64_t row_index, const int32_t *counts,             \
                                         int32_t *scratch, uint64_t key, uint64_t operation)                           \
{                                                                                                                      \
    rpu_pulse_count total = {0, 0};                                                                                    \
    int32_t n = 0;                                                                                                     \
    for (int32_t j = 0; j < cells->columns; j++) {                                                                     \
        if (counts[j] > 0) { scratch[n++] = j | RPU_NEGATIVE; total.up += counts[j]; }                                 \
        if (counts[j] < 0) { scratch[n++] = j; total.down -= counts[j]; }                                              \
    }                                                                                                                  \
    if (n == 0)                                                                                                        \
        return total;                                                                                                  \
    const int silent = cells->noise_mult == 0.0f && cells->noise_add == 0.0f;                                          \
    const rpu_row row = row_of(cells, row_index);                                                                      \
    rpu_noise noise;                                                                                                   \
    if (silent)                                                                                                        \
        memset(noise.buffer, 0, sizeof noise.buffer);                                                                  \
    noise_begin(&noise, silent, rpu_stream_at(key, RPU_COUNT_NOISE, operation, (uint32_t)row_index), 0,                \
                (uint64_t)(total.up + total.down));                                                                    \
    /* round p gives the p-th pulse to every device that has that many */                                              \
    for (int32_t p = 1; n > 0; p++) {                                                                                  \
        int32_t kept = 0;                                                                                              \
        model##_pulse_list(&row, scratch, n, 0, &noise);                                                               \
        for (int32_t q = 0; q < n; q++) {                                                                              \
            const int32_t count = counts[scratch[q] & ~RPU_NEGATIVE];                                                  \
            if (count > p || -count > p)                                                                               \
                scratch[kept++] = scratch[q];                                                                          \
        }                                                                                                              \
        n = kept;                                                                                                      \
    }                                                                                                                  \
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
static inline float clip(float value, float bound)
{
    value = value > bound ? bound : value;
    return value < -bound ? -bound : value;
}

/* Up with a probability equal to the fraction; u is in (0, 1]. */
static inline float round_stochastically(float level, float u)
{
    const float floor_level = floorf(level);
    return floor_level + (u <= level - floor_level ? 1.0f : 0.0f);
}

static void dac(const rpu_converters *c, const float *x, int64_t n, double scale, uint64_t key, int kind_offset,
                uint64_t operation, uint32_t retry, float *v)
{
    const rpu_stream rounding = rpu_stream_at(key, RPU_DAC_ROUND + kind_offset, operation, retry);
    const rpu_stream noise = rpu_stream_at(key, RPU_DAC_NOISE + kind_offset, operation, retry);
    const float bound = c->dac_bound, unit = c->dac_scale, step = c->dac_step, levels = c->dac_levels;
    /* the reciprocal of a subnormal maximum does not fit a float32: take its factor in two steps, the first one exact */
    const float lift = scale > 1e30 ? 0x1p64f : 1.0f, rest = (float)(scale / lift);
    if (c->dac_stochastic) {
        float u[RPU_CHUNK];
        for (int64_t j = 0; j < n; j++) {
            if (j % RPU_CHUNK == 0)
                rpu_uniform_chunk(rounding, (uint32_t)(j / RPU_CHUNK), u);
            v[j] = step * clip(round_stochastically(x[j] * lift * rest * unit, u[j % RPU_CHUNK]), levels);
        }
    } else if (unit != 0.0f) {
        RPU_SIMD
        for (int64_t j = 0; j < n; j++)
            v[j] = step * clip(rintf(x[j] * lift * rest * unit), levels);
    } else {
        RPU_SIMD
        for (int64_t j = 0; j < n; j++)
            v[j] = clip(x[j] * lift * rest, bound);
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
                const float level = round_stochastically((in[j] + sigma * z[j]) * unit, u[j]);
                clipped |= fabsf(level) > levels;
                to[j] = factor * (step * clip(level, levels));
            }
        } else if (unit != 0.0f) {
            RPU_SIMD_OR(clipped)
            for (int j = 0; j < m; j++) {
                const float level = rintf((in[j] + sigma * z[j]) * unit);
                clipped |= fabsf(level) > levels;
                to[j] = factor * (step * clip(level, levels));
            }
        } else {
            RPU_SIMD_OR(clipped)
            for (int j = 0; j < m; j++) {
                const float value = in[j] + sigma * z[j];
                clipped |= fabsf(value) > bound;
                to[j] = factor * clip(value, bound);
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
    .mask_from = RPU_MASK_FROM,
    .normals = normals,
    .uniforms = uniforms,
    .thresholds = thresholds,
    .train_slot = train_slot,
    .train_bits = train_bits,
    .update_rows = {RPU_MODELS(RPU_UPDATE_ENTRY)},
    .pulse_row = {RPU_MODELS(RPU_PULSE_ENTRY)},
    .rank_one_rows = rank_one_rows,
    .dac = dac,
    .adc = adc,
    .abs_max = abs_max,
    .all_finite = all_finite,
};
