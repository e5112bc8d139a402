/* All kernels, in terms of plain loops; included once per instruction set by kernels_<set>.c, which defines RPU_SET.
 *
 * Decided, and why:
 * - Work follows pulses. Trains are drawn once per vector (train_bits), turned into lists of firing columns per slot and a
 *   list of firing rows, and shared by all rows; a row walks only the slots in which it fires, and only the columns that
 *   fire there.
 * - Within one slot every column occurs at most once, so its devices are independent and are stepped as vectors: gather,
 *   step, put back. Slots and vectors follow in order: a device sees its own changes.
 * - All vectors go through a row before the next row is touched, so a row's state and parameters come to the first-level cache
 *   once per batch. A bit per row and vector says who fires where, so a vector that does not fire in a row costs nothing
 *   (measured at 0.01 pulses per device: asking each vector was a tenth of a pulse).
 * - Sparse vectors wait for memory, since what is kept of each is no longer in the first-level cache when the next row comes:
 *   it is little and in few lines. Keys of rounds are made anew, directions come with the bits above, and a vector whose lists
 *   are one (rpu_trains.only) is not asked for slots (measured together at 0.01 pulses: 0.91 of the time).
 * No validation here: the Python side has checked everything. */

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "ars.h"
#include "converters.h"
#include "devices.h"
#include "elementwise.h"
#include "kernels.h"
#include "lists.h"
#include "noise.h"
#include "normal.h"
#include "panel.h"
#include "portable.h"
#include "stream.h"
#include "wires_impl.h"

/* The four words of one position. */
static void words(uint64_t key, int kind, uint64_t operation, uint32_t line, uint32_t position, uint32_t *out)
{
    const rpu_stream s = rpu_stream_at(key, kind, operation, line);
    uint32_t all[4 * RPU_AES_BLOCKS];
    rpu_ars_group(&s, NULL, position, all, 1);
    memcpy(out, all, 4 * sizeof *out);
}

static void normals(uint64_t key, int kind, uint64_t operation, uint32_t line, uint32_t chunk, int64_t chunks, float *out)
{
    const rpu_stream s = rpu_stream_at(key, kind, operation, line);
    for (int64_t c = 0; c < chunks; c++)
        rpu_normal_chunk(&s, chunk + (uint32_t)c, out + c * RPU_CHUNK);
}

static void uniforms(uint64_t key, int kind, uint64_t operation, uint32_t line, uint32_t chunk, int64_t chunks, float *out)
{
    const rpu_stream s = rpu_stream_at(key, kind, operation, line);
    for (int64_t c = 0; c < chunks; c++)
        rpu_uniform_chunk(&s, chunk + (uint32_t)c, out + c * RPU_CHUNK);
}

/* ---- pulse trains ------------------------------------------------------------------------------------------------ */

/* Thresholds of 16 lines; see kernels.h. Written out where there are instructions for the signs of lanes, since compilers make
 * two passes of it (measured: a third of the time of sparse trains). */
static inline void group_thresholds(const float *v, float scale, float top, uint32_t *high, uint32_t *low, uint16_t *negative,
                                    uint16_t *possible)
{
    uint32_t minus = 0, none = 0;
#if defined(RPU_USE_AVX2) || defined(RPU_USE_AVX512)
    for (int l = 0; l < RPU_GROUP; l += 8) {
        const __m256 x = _mm256_loadu_ps(v + l), part = _mm256_set1_ps(65536.0f);
        const __m256 size = _mm256_mul_ps(_mm256_andnot_ps(_mm256_set1_ps(-0.0f), x), _mm256_set1_ps(scale));
        const __m256 p = _mm256_min_ps(_mm256_mul_ps(size, part), _mm256_set1_ps(top));
        const __m256i h = _mm256_cvttps_epi32(p);
        const __m256i rest = _mm256_cvttps_epi32(_mm256_mul_ps(_mm256_sub_ps(p, _mm256_cvtepi32_ps(h)), part));
        const __m256i zero = _mm256_cmpeq_epi32(_mm256_or_si256(h, rest), _mm256_setzero_si256());
        _mm256_storeu_si256((__m256i *)(high + l), h);
        _mm256_storeu_si256((__m256i *)(low + l), rest);
        minus |= (uint32_t)_mm256_movemask_ps(x) << l;
        none |= (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(zero)) << l;
    }
#else
    RPU_SIMD
    for (int l = 0; l < RPU_GROUP; l++) {
        float p = fabsf(v[l]) * scale * 65536.0f;
        p = p < top ? p : top;
        const int32_t h = (int32_t)p;
        high[l] = (uint32_t)h;
        low[l] = (uint32_t)(int32_t)((p - (float)h) * 65536.0f);
    }
    for (int l = 0; l < RPU_GROUP; l++) {
        minus |= (rpu_float_to_bits(v[l]) >> 31) << l;
        none |= (uint32_t)((high[l] | low[l]) == 0) << l;
    }
#endif
    *negative = (uint16_t)minus;
    *possible = (uint16_t)~none;
}

/* Probabilities have the 24 bits of a float32, so both parts are exact. `high` and `low` are written in whole groups. */
static void thresholds(const float *v, int64_t n, float scale, uint32_t *high, uint32_t *low, uint16_t *negative,
                       uint16_t *possible)
{
    scale = scale < 1e38f ? scale : 1e38f;      /* 0 stays 0 */
    const float top = scale < 0.0f ? 0.0f : 65536.0f;   /* not a constant to the compiler, which would make a branch of it */
    const int64_t whole = n / RPU_GROUP * RPU_GROUP;
    for (int64_t first = 0; first < whole; first += RPU_GROUP)
        group_thresholds(v + first, scale, top, high + first, low + first, negative + first / RPU_GROUP,
                         possible + first / RPU_GROUP);
    if (whole < n) {
        float padded[RPU_GROUP] = {0};
        memcpy(padded, v + whole, sizeof *v * (size_t)(n - whole));
        group_thresholds(padded, scale, top, high + whole, low + whole, negative + whole / RPU_GROUP,
                         possible + whole / RPU_GROUP);
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
        uint32_t draws[RPU_CHUNK], any = 0;
        for (int64_t g = first; g < last; g++)
            any |= possible[g];
        if (any)
            rpu_ars_chunk(&s, (uint32_t)(first * RPU_GROUP / RPU_CHUNK), draws);
        for (int64_t g = first; g < last; g++) {
            const uint32_t *h = high + RPU_GROUP * g, *lo = low + RPU_GROUP * g;
            uint32_t bits = 0;
            if (possible[g]) {
                const uint32_t *draw = draws + RPU_GROUP * (g - first);
#if defined(RPU_USE_AVX512)
                const __m512i word = _mm512_loadu_si512(draw), upper = _mm512_srli_epi32(word, 16);
                const __m512i limit = _mm512_maskz_loadu_epi32(possible[g], h);
                const __mmask16 tie = _mm512_cmpeq_epu32_mask(upper, limit);
                bits = _mm512_cmplt_epu32_mask(upper, limit) |
                       _mm512_mask_cmplt_epu32_mask(tie, _mm512_and_si512(word, _mm512_set1_epi32(0xFFFF)),
                                                    _mm512_maskz_loadu_epi32(possible[g], lo));
#elif defined(RPU_USE_AVX2)
                for (int l = 0; l < RPU_GROUP; l += 8) {
                    const __m256i word = _mm256_loadu_si256((const __m256i *)(draw + l)), upper = _mm256_srli_epi32(word, 16);
                    const __m256i limit = _mm256_loadu_si256((const __m256i *)(h + l));
                    const __m256i rest = _mm256_loadu_si256((const __m256i *)(lo + l));
                    const __m256i below = _mm256_cmpgt_epi32(limit, upper), tie = _mm256_cmpeq_epi32(limit, upper);
                    const __m256i lower = _mm256_cmpgt_epi32(rest, _mm256_and_si256(word, _mm256_set1_epi32(0xFFFF)));
                    const __m256i fire = _mm256_or_si256(below, _mm256_and_si256(tie, lower));
                    bits |= (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(fire)) << l;
                }
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

/* Which of the 8 slots of a block fire, and which tie with the upper 16 bits of the threshold. */
static inline void block_slots(const uint32_t *words, uint32_t high, uint32_t *fired, uint32_t *ties)
{
#if defined(RPU_USE_AVX2) || defined(RPU_USE_AVX512)
    const __m256i draw = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)words)), limit = _mm256_set1_epi32((int)high);
    *fired = (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(limit, draw)));
    *ties = (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(limit, draw)));
#else
    *fired = *ties = 0;
    for (int slot = 0; slot < 8; slot++) {
        const uint32_t draw = words[slot / 2] >> 16 * (slot % 2) & 0xFFFFu;
        *fired |= (uint32_t)(draw < high) << slot;
        *ties |= (uint32_t)(draw == high) << slot;
    }
#endif
}

/* A slot fires where 32 random bits are below the threshold. The first 16 decide unless they tie with the threshold's
 * (one slot in 65536); a tie draws 16 more, so that 8 slots cost one counter and the law is exact to 2^-32. */
static void train_bits(uint64_t key, int kind, uint64_t operation, const uint32_t *high, const uint32_t *low,
                       const int32_t *line, int64_t lines, int32_t bl, int32_t words, uint32_t *bits)
{
    const int32_t blocks = (bl + 7) / 8;
    rpu_stream s = rpu_stream_at(key, kind, operation, 0);
    for (int64_t first = 0; first < lines; first += RPU_COUNTERS) {
        const int n = lines - first < RPU_COUNTERS ? (int)(lines - first) : RPU_COUNTERS;
        uint32_t position[RPU_COUNTERS] = {0}, draws[RPU_CHUNK];
        for (int l = 0; l < n; l++)
            position[l] = (uint32_t)line[first + l];
        for (int32_t word = 0; word < words; word++) {
            const int32_t slots = bl - 32 * word;
            const uint32_t used = slots >= 32 ? 0xFFFFFFFFu : (1u << slots) - 1u;
            uint32_t fired[RPU_COUNTERS] = {0}, ties[RPU_COUNTERS] = {0};
            for (int32_t block = 4 * word; block < blocks && block < 4 * word + 4; block++) {
                rpu_stream_line(&s, (uint32_t)block);
                rpu_ars_at(&s, position, draws);
                for (int l = 0; l < n; l++) {
                    uint32_t fire, tie;
                    block_slots(draws + 4 * l, high[position[l]], &fire, &tie);
                    fired[l] |= fire << 8 * (block & 3);
                    ties[l] |= tie << 8 * (block & 3);
                }
            }
            for (int l = 0; l < n; l++) {
                for (uint32_t m = ties[l] & used; m; m &= m - 1) {
                    const int slot = rpu_lowest_bit(m);
                    rpu_stream_line(&s, 0x80000000u | (uint32_t)(32 * word + slot));
                    rpu_ars_at(&s, position, draws);
                    if ((draws[4 * l] & 0xFFFFu) < low[position[l]])
                        fired[l] |= 1u << slot;
                }
                bits[(first + l) * words + word] = fired[l] & used;
            }
        }
    }
}

/* ---- sums of pulses ------------------------------------------------------------------------------------------------- */

/* Where a device of constant steps gets c pulses and cannot get to a bound, its change is one normal of mean c step and
 * variance c (sigma step)^2: one draw instead of c. The largest draw is below 6.7, so what c steps of 1 + 6.7 sigma do not
 * take to a bound, no draws do. (Whether they do is a comparison: a rounding of w, as between sets with and without fused
 * multiply-adds, may turn it, and then other draws are used.) Rows are summed where that is less work (pulses.c). Returns
 * whether some are left: `counts` are then the pulses of those near a bound, signed. The noise of a row has a line of the
 * stream of its own; a column's draw is at the position of the column. */
static int sum_row(const rpu_cells *cells, const rpu_trains *t, int32_t event, int64_t row, uint32_t flip,
                   const rpu_noise *noise, int32_t *counts)
{
    const int64_t n = cells->columns, all = RPU_GROUP * RPU_GROUPS(n);
    const rpu_row r = row_at(cells, row);
    const float sigma = r.noise_mult + r.noise_add, most = 1.0f + 6.7f * sigma;
    rpu_stream s = noise->stream;
    int32_t left = 0;
    float z[RPU_CHUNK] = {0};
    rpu_stream_line(&s, 1u + (uint32_t)row);
    for (int32_t word = 0; word < t->words; word++) {
        const uint32_t fires = t->row_bits[(int64_t)event * t->words + word];
        const uint32_t *restrict bits = t->column_bits + word * all;
        const int32_t keep = word ? -1 : 0;
        RPU_SIMD
        for (int64_t j = 0; j < all; j++) {
            uint32_t m = bits[j] & fires;
            m -= m >> 1 & 0x55555555u;
            m = (m & 0x33333333u) + (m >> 2 & 0x33333333u);
            m = (m + (m >> 4)) & 0x0F0F0F0Fu;
            m += m >> 8;
            counts[j] = (counts[j] & keep) + (int32_t)((m + (m >> 16)) & 0x3Fu);
        }
    }
    for (int64_t first = 0; first < n; first += RPU_CHUNK) {
        const int m = n - first < RPU_CHUNK ? (int)(n - first) : RPU_CHUNK;
        float *restrict w = r.w + first;
        int32_t *restrict count = counts + first;
        const uint32_t *sign = t->column_signs + first;
        const float *quad = r.quad + 4 * first;
        if (!cells->silent)
            rpu_normal_chunk(&s, (uint32_t)(first / RPU_CHUNK), z);
        RPU_SIMD
        for (int l = 0; l < m; l++) {
            const uint32_t up = sign[l] ^ flip;
            const float c = (float)count[l], step = rpu_pick(up, quad[4 * l], quad[4 * l + 1]), reach = c * fabsf(step) * most;
            const int32_t safe = -(int32_t)((w[l] + reach < quad[4 * l + 2]) & (w[l] - reach > quad[4 * l + 3]));
            const float change = rpu_signed(up, step * RPU_FMA(sigma * sqrtf(c), z[l], c));
            const int32_t down = ~(int32_t)up >> 31;
            w[l] += rpu_bits_to_float(rpu_float_to_bits(change) & (uint32_t)safe);
            count[l] = ((count[l] ^ down) - down) & ~safe;
        }
        for (int l = 0; l < m; l++)
            left |= count[l];
    }
    return left != 0;
}

/* `flip` is 0 or all bits: a device goes up where the sign of its column differs from it (x d > 0 lowers w). */
#define RPU_DEFINE_MODEL(model)                                                                                        \
static RPU_NOINLINE void model##_pulse_list(const rpu_row *row, int64_t segment, const uint16_t *columns,              \
                                            const uint8_t *signs, int32_t n, uint32_t flip, rpu_noise *noise)          \
{                                                                                                                      \
    float *w = row->w + segment;                                                                                       \
    const float *const quad = row->quad + 4 * segment, *const pair = row->pair + 2 * segment;                          \
    const float *const single = row->single + segment, *const constant = row->constant;                                \
    const float noise_mult = row->noise_mult, noise_add = row->noise_add;                                              \
    const uint16_t *at = columns;                                                                                      \
    float steepest = RPU_STEEPEST;                                                                                     \
    RPU_OPAQUE(steepest)    /* or GCC makes seven instructions of two */                                               \
    for (; n > 0; n -= RPU_BLOCK) {                                                                                    \
        int32_t left = n < RPU_BLOCK ? n : RPU_BLOCK;                                                                  \
        const float *xi = noise_take(noise, left);                                                                     \
        for (; left > 0; left -= RPU_LIST_LANES, xi += RPU_LIST_LANES, at += RPU_LIST_LANES, signs++) {                \
            float state[RPU_LIST_LANES], bound[RPU_LIST_LANES];                                                        \
            uint32_t up[RPU_LIST_LANES];                                                                               \
            rpu_lanes d;                                                                                               \
            d.noise_mult = noise_mult;                                                                                 \
            d.noise_add = noise_add;                                                                                   \
            d.additive = 1;                                                                                            \
            d.constant = constant;                                                                                     \
            directions(signs, flip, up);                                                                               \
            gather(state, w, at);                                                                                      \
            gather_quads(&d, bound, quad, at, up);                                                                     \
            if (RPU_PAIR_##model)                                                                                      \
                gather_pairs(&d, pair, at, up);                                                                        \
            if (RPU_SINGLE_##model)                                                                                    \
                gather(d.single, single, at);                                                                          \
            RPU_SIMD                                                                                                   \
            for (int l = 0; l < RPU_LIST_LANES; l++) {                                                                 \
                d.step[l] = rpu_signed(up[l], d.step[l]);                                                              \
                d.pair[l] = rpu_slope_##model(up[l], d.step[l], bound[l], d.pair[l], steepest);                        \
            }                                                                                                          \
            RPU_SIMD                                                                                                   \
            for (int l = 0; l < RPU_LIST_LANES; l++)                                                                   \
                state[l] = rpu_step_##model(&d, l, state[l], up[l], xi[l]);                                            \
            RPU_FORGET(w)       /* or its addresses fill the registers: columns are on the stack, or loaded twice */   \
            for (int l = RPU_LIST_LANES - 1; l >= 0; l--) {     /* the last device after those that only fill up */    \
                RPU_ONE_BY_ONE                                                                                         \
                *at_byte(w, at[l]) = state[l];                                                                         \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
}                                                                                                                      \
                                                                                                                       \
/* counts[j] pulses on the devices of one row; see kernels.h. */                                                       \
static rpu_pulse_count model##_pulse_counts(const rpu_cells *cells, int64_t row_index, const int32_t *counts,          \
                                            uint16_t *scratch, rpu_noise *noise, rpu_noise *written)                   \
{                                                                                                                      \
    const rpu_row row = row_at(cells, row_index);                                                                      \
    rpu_pulse_count total = {0, 0};                                                                                    \
    for (int64_t first = 0; first < cells->columns; first += RPU_SEGMENT) {                                            \
        const int32_t *count = counts + first;                                                                         \
        const int32_t m = (int32_t)(cells->columns - first < RPU_SEGMENT ? cells->columns - first : RPU_SEGMENT);      \
        uint16_t *columns = scratch;                                                                                   \
        uint8_t *signs = (uint8_t *)(scratch + m + RPU_LIST_LANES);                                                    \
        int32_t n = 0;                                                                                                 \
        for (int32_t j = 0; j < m; j++) {                                                                              \
            if (count[j] != 0) columns[n++] = (uint16_t)(4 * j);                                                       \
            if (count[j] > 0) total.up += count[j];                                                                    \
            else total.down -= count[j];                                                                               \
        }                                                                                                              \
        /* round p gives the p-th pulse to every device that has that many */                                          \
        for (int32_t p = 1, fewer = 1; n > 0; p++) {                                                                   \
            int32_t kept = 0;                                                                                          \
            for (int32_t q = n; q % RPU_LIST_LANES; q++)                                                               \
                columns[q] = columns[n - 1];                                                                           \
            for (int32_t q = 0; fewer && q < n; q += RPU_LIST_LANES) {                                                 \
                uint32_t bits = 0;                                                                                     \
                for (int l = 0; l < RPU_LIST_LANES; l++)                                                               \
                    bits |= (uint32_t)(count[columns[q + l] / 4] > 0) << l;                                            \
                signs[q / RPU_LIST_LANES] = (uint8_t)bits;                                                             \
            }                                                                                                          \
            model##_pulse_list(&row, first, columns, signs, n, 0, noise);                                              \
            if (row.visible)                                                                                           \
                write_list(&row, first, columns, n, written);                                                          \
            for (int32_t q = 0; q < n; q++) {                                                                          \
                const int32_t c = count[columns[q] / 4];                                                               \
                if (c > p || -c > p)                                                                                   \
                    columns[kept++] = columns[q];                                                                      \
            }                                                                                                          \
            fewer = kept < n;                                                                                          \
            n = kept;                                                                                                  \
        }                                                                                                              \
    }                                                                                                                  \
    return total;                                                                                                      \
}                                                                                                                      \
                                                                                                                       \
static rpu_pulse_count model##_pulse_row(const rpu_cells *cells, int64_t row_index, const int32_t *counts,             \
                                         uint16_t *scratch, uint64_t key, uint64_t operation)                          \
{                                                                                                                      \
    rpu_noise noise, written;                                                                                          \
    noise_begin(&noise, cells->silent, rpu_stream_at(key, RPU_COUNT_NOISE, operation, (uint32_t)row_index), 0);        \
    noise_begin(&written, 0, rpu_stream_at(key, RPU_WRITE_COUNT_NOISE, operation, (uint32_t)row_index), 0);            \
    if (cells->count_up)                                                                                               \
        for (int64_t j = 0; j < cells->columns; j++) {                                                                 \
            if (counts[j] > 0) cells->count_up[row_index * cells->columns + j] += counts[j];                           \
            if (counts[j] < 0) cells->count_down[row_index * cells->columns + j] -= counts[j];                         \
        }                                                                                                              \
    return model##_pulse_counts(cells, row_index, counts, scratch, &noise, &written);                                  \
}                                                                                                                      \
/* All pulses of one vector on one row. */                                                                             \
static void model##_pulse_event(const rpu_cells *cells, const rpu_row *row, const rpu_trains *t, int32_t event,        \
                                int64_t i, uint32_t flip, rpu_noise *noise, rpu_noise *written, int32_t *counts)       \
{                                                                                                                      \
    const int32_t segments = (int32_t)RPU_SEGMENTS(cells->columns);                                                    \
    const int summed = RPU_SUMS_##model && t->noise_base[event] == t->noise_base[event + 1];                           \
    if (summed && sum_row(cells, t, event, i, flip, noise, counts)) {                                                  \
        rpu_noise rest;                                                                                                \
        rpu_stream_line(&noise->stream, 0x80000000u | (uint32_t)i);                                                    \
        noise_begin(&rest, cells->silent, noise->stream, 0);                                                           \
        rpu_stream_line(&noise->stream, 0);                                                                            \
        model##_pulse_counts(cells, i, counts, (uint16_t *)(counts + RPU_GROUP * RPU_GROUPS(cells->columns)), &rest, NULL);\
    }                                                                                                                  \
    for (int32_t word = 0; word < t->words; word++)                                                                    \
        for (uint32_t m = t->row_bits[(int64_t)event * t->words + word]; m; m &= m - 1) {                              \
            const int32_t slot = 32 * word + rpu_lowest_bit(m);                                                        \
            int32_t part = slot * segments;                                                                            \
            for (int64_t first = 0; !summed && first < cells->columns; first += RPU_SEGMENT, part++) {                 \
                const uint16_t *columns = t->columns + t->start[part];                                                 \
                const uint8_t *signs = t->signs + t->start[part] / RPU_LIST_LANES;                                     \
                model##_pulse_list(row, first, columns, signs, t->fired[part], flip, noise);                           \
                if (row->visible)                                                                                      \
                    write_list(row, first, columns, t->fired[part], written);                                          \
            }                                                                                                          \
            if (cells->count_up)                                                                                       \
                count_pulses(cells, t, slot, i, flip);                                                                 \
        }                                                                                                              \
}                                                                                                                      \
                                                                                                                       \
static void model##_update_rows(const rpu_cells *cells, const rpu_trains *trains, int64_t vectors, int64_t row0,       \
                                int64_t row1, int goes_on, const rpu_work *work, int reverse, uint64_t key,            \
                                uint64_t operation)                                                                    \
{                                                                                                                      \
    int32_t *const event = work->event, *const counts = work->counts;                                                  \
    uint64_t *const due = work->due;                                                                                   \
    rpu_noise *const noises = work->noises;                                                                            \
    float *const panel = work->panel;                                                                                  \
    const int64_t words = RPU_DUE_WORDS(vectors);                                                                      \
    const int silent = cells->silent;                                                                                  \
    int64_t pulses = 0;                                                                                                \
    if (vectors > 1)                                                                                                   \
        memset(due, 0, sizeof *due * (size_t)((row1 - row0) * 2 * words));                                             \
    for (int64_t v = 0; v < vectors; v++) {                                                                            \
        const rpu_trains *t = trains + v;                                                                              \
        pulses += t->pulses.up + t->pulses.down;                                                                       \
        if (!goes_on) {                                                                                                \
            int32_t e = 0;                                                                                             \
            while (row0 > 0 && t->row[e] < 2 * row0)                                                                   \
                e++;                                                                                                   \
            event[v] = e;                                                                                              \
            if (t->row[e] == INT32_MAX)                                                                                \
                continue;                                                                                              \
            noise_begin(noises + v, silent, rpu_stream_at(key, RPU_PULSE_NOISE, operation + (uint64_t)v, 0),           \
                        t->noise_base[e]);                                                                             \
            if (cells->visible)                                                                                        \
                noise_begin(noises + vectors + v, 0, rpu_stream_at(key, RPU_WRITE_NOISE, operation + (uint64_t)v, 0),  \
                            t->noise_base[e]);                                                                         \
        }                                                                                                              \
        for (int32_t e = event[v]; vectors > 1 && t->row[e] < 2 * row1; e++) {                                         \
            uint64_t *const at = due + 2 * words * ((t->row[e] >> 1) - row0) + v / 64;                                 \
            at[0] |= (uint64_t)1 << v % 64;                                                                            \
            at[words] |= (uint64_t)((t->row[e] & 1) != reverse) << v % 64;                                             \
        }                                                                                                              \
    }                                                                                                                  \
    if (vectors == 1) {     /* its own order will do */                                                                \
        for (; trains->row[*event] < 2 * row1; ++*event) {                                                             \
            const int64_t row = trains->row[*event] >> 1;                                                              \
            const rpu_row at = row_at(cells, row);                                                                     \
            const uint32_t flip = (trains->row[*event] & 1) != reverse ? ~0u : 0;                                      \
            model##_pulse_event(cells, &at, trains, *event, row, flip, noises, noises + 1, counts);                    \
        }                                                                                                              \
        for (int64_t row = row0; cells->keeps && row < row1; row++)                                                    \
            keep_row(cells, trains, row);                                                                              \
        return;                                                                                                        \
    }                                                                                                                  \
    const int dense = 10 * pulses > cells->rows * cells->columns;    /* most cache lines are wanted, not few */        \
    const int simple = cells->visible == NULL && cells->count_up == NULL;                                              \
    for (int64_t row = row0; row < row1; row++) {                                                                      \
        const uint64_t *now = due + (row - row0) * 2 * words;                                                          \
        const int64_t first = (row + 1) * cells->columns, lines = (cells->columns + 15) / 16;                          \
        int64_t events = 0, share = 0, fetched = 0, kept = 0;                                                          \
        if (RPU_AFFINE_##model && panel_pays(cells, trains, vectors, now, row, event)) {                               \
            panel_row(cells, RPU_MODEL_##model, trains, vectors, now, row, event, noises, panel);                      \
            continue;                                                                                                  \
        }                                                                                                              \
        for (int64_t word = 0; dense && row + 1 < row1 && word < words; word++)                                        \
            events += rpu_population(now[word]);                                                                       \
        const rpu_row at = row_at(cells, row);                                                                         \
        if (events * RPU_FETCH >= lines)                                                                               \
            share = (lines + 2 * events - 1) / (2 * events);                                                           \
        for (int64_t word = 0; word < words; word++)                                                                   \
            for (uint64_t m = now[word]; m; m &= m - 1) {                                                              \
                const int64_t v = 64 * word + rpu_lowest_bit(m);                                                       \
                if (m & (m - 1)) {      /* the next vector (measured: 3.6 to 3.4 ns, sparse) */                        \
                    const int64_t n = 64 * word + rpu_lowest_bit(m & (m - 1));                                         \
                    RPU_PREFETCH(trains[n].columns);                                                                   \
                    RPU_PREFETCH(trains[n].columns + 32);                                                              \
                    RPU_PREFETCH((const float *)&noises[n].position);                                                  \
                    RPU_PREFETCH(noises[n].buffer + noises[n].position);                                               \
                }                                                                                                      \
                /* shares of the next row, before and after a list, so that loads of this one need not wait behind all of it */\
                fetched = fetch(cells, first, fetched, fetched + share < lines ? fetched + share : lines);             \
                for (; cells->keeps && kept < v; kept++)                                                               \
                    keep_row(cells, trains + kept, row);                                                               \
                const rpu_trains *const t = trains + v;                                                                \
                const uint32_t flip = 0u - (uint32_t)(now[words + word] >> v % 64 & 1u);                               \
                if (simple && t->only)                                                                                 \
                    model##_pulse_list(&at, 0, t->columns, t->signs, t->only, flip, noises + v);                       \
                else                                                                                                   \
                    model##_pulse_event(cells, &at, t, event[v], row, flip, noises + v, noises + vectors + v, counts); \
                event[v]++;                                                                                            \
                fetched = fetch(cells, first, fetched, fetched + share < lines ? fetched + share : lines);             \
            }                                                                                                          \
        for (; cells->keeps && kept < vectors; kept++)                                                                 \
            keep_row(cells, trains + kept, row);                                                                       \
    }                                                                                                                  \
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

/* Of finite numbers: without the sign their bits are in the order of their values, and integers vectorise. */
static float abs_max(const float *x, int64_t n)
{
    uint32_t top = 0;
    for (int64_t j = 0; j < n; j++) {
        const uint32_t a = rpu_float_to_bits(x[j]) & 0x7FFFFFFFu;
        top = a > top ? a : top;
    }
    return rpu_bits_to_float(top);
}

static int all_finite(const float *x, int64_t n)
{
    uint32_t bad = 0;
    for (int64_t j = 0; j < n; j++)
        bad |= (rpu_float_to_bits(x[j]) & 0x7F800000u) == 0x7F800000u;
    return !bad;
}

/* Eight sums, of every eighth number each: additions in one order on all sets, and no chain of them. */
static double sum_squares(const float *x, int64_t n)
{
    double sum[8] = {0}, rest = 0.0;
    const int64_t whole = n / 8 * 8;
    for (int64_t j = 0; j < whole; j += 8)
        for (int l = 0; l < 8; l++)
            sum[l] += (double)x[j + l] * (double)x[j + l];
    for (int64_t j = whole; j < n; j++)
        rest += (double)x[j] * (double)x[j];
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7])) + rest;
}

/* ---- the table ------------------------------------------------------------------------------------------------------ */

#define RPU_STRING2(x) #x
#define RPU_STRING(x) RPU_STRING2(x)
#define RPU_JOIN2(a, b) a##b
#define RPU_JOIN(a, b) RPU_JOIN2(a, b)
#define RPU_UPDATE_ENTRY(model) model##_update_rows,
#define RPU_PANEL_ENTRY(model) RPU_HAS_PANELS && RPU_AFFINE_##model,
#define RPU_PARAMETERS_ENTRY(model) 4 + 2 * RPU_PAIR_##model + RPU_SINGLE_##model,
#define RPU_PULSE_ENTRY(model) model##_pulse_row,

const rpu_kernels RPU_JOIN(rpu_kernels_, RPU_SET) = {
    .name = RPU_STRING(RPU_SET),
    .words = words,
    .normals = normals,
    .uniforms = uniforms,
    .thresholds = thresholds,
    .train_slot = train_slot,
    .train_bits = train_bits,
    .update_rows = {RPU_MODELS(RPU_UPDATE_ENTRY)},
    .panels = {RPU_MODELS(RPU_PANEL_ENTRY)},
    .parameters = {RPU_MODELS(RPU_PARAMETERS_ENTRY)},
    .pulse_row = {RPU_MODELS(RPU_PULSE_ENTRY)},
    .rank_one_rows = rank_one_rows,
    .dac = dac,
    .plane = plane,
    .analog = analog,
    .adc = adc,
    .abs_max = abs_max,
    .all_finite = all_finite,
    .sum_squares = sum_squares,
    .sigmoid = sigmoid,
    .sigmoid_gradient = sigmoid_gradient,
    .tanh = hyperbolic_tangent,
    .tanh_gradient = tanh_gradient,
    .cross_entropy = cross_entropy,
    .lstm = lstm,
    .lstm_gradient = lstm_gradient,
    .wires_factor = wires_factor,
    .wires_solve = wires_solve,
};
