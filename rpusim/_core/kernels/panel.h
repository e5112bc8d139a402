/* Rows on which many columns fire: all vectors go over 32 devices at a time, whose states stay in registers.
 *
 * Decided, and why:
 * - A list reads and writes a device's numbers one by one, and that is most of its time. Where about every third column fires
 *   or more, it is less work to step all of them, each eight as one vector, and to keep those as they were that do not fire:
 *   parameters come by whole registers, states are not stored between vectors (measured with AVX2, 512 columns of which 0.45
 *   fire in 29 slots: 0.77 to 0.82 of the time of lists, with a third of them the same time, with fewer more).
 * - The parameters of a row are first put into strips, one array of 32 numbers each, with the steps signed and the slopes
 *   worked out: it costs as much as five slots (panel_pays).
 * - The draws of a slot lie in the order of its firing columns. A table of 256 entries spreads eight of them: it says where
 *   the draw of a lane is, and by its top bit that a lane does not fire.
 * - Only models that are affine in the state: others compute so much per lane that idle lanes cost more than lists.
 * Draws, order and roundings are those of lists: results are the same bits. */
#ifndef RPU_PANEL_H
#define RPU_PANEL_H

#include <stdint.h>
#include <string.h>

#include "devices.h"
#include "kernels.h"
#include "lists.h"
#include "noise.h"
#include "normal.h"
#include "portable.h"
#include "stream.h"

#if defined(RPU_USE_AVX2) || defined(RPU_USE_AVX512)
#define RPU_HAS_PANELS 1

/* One slot of one vector on one row. */
typedef struct {
    const rpu_strip *strips;
    const uint32_t *up;         /* of each strip: which columns go up */
    const float *noise;
    int64_t vector;
} rpu_item;

#define RPU_ITEMS 64

/* The arrays of a strip. */
enum { RPU_STATE, RPU_STEP_UP, RPU_STEP_DOWN, RPU_HIGH, RPU_LOW, RPU_SLOPE_UP, RPU_SLOPE_DOWN, RPU_REFERENCE };

#define RPU_LOAD(strip, array, k) _mm256_loadu_ps((strip) + RPU_WIDE * (array) + 8 * (k))
#define RPU_STORE(strip, array, k, v) _mm256_storeu_ps((strip) + RPU_WIDE * (array) + 8 * (k), v)

/* spread[m]: for lane l, how many lanes below it are set in m; with the top bit where l itself is not. */
#define RPU_BITS2(m) (((m) & 1) + ((m) >> 1 & 1))
#define RPU_BITS4(m) (RPU_BITS2(m) + RPU_BITS2((m) >> 2))
#define RPU_LANE(m, l, below) (uint8_t)((below) | ((m) >> (l) & 1 ? 0 : 0x80))
#define RPU_SPREAD(m)                                                                                                  \
    {RPU_LANE(m, 0, 0), RPU_LANE(m, 1, (m) & 1), RPU_LANE(m, 2, RPU_BITS2(m)),                                         \
     RPU_LANE(m, 3, RPU_BITS2(m) + ((m) >> 2 & 1)), RPU_LANE(m, 4, RPU_BITS4(m)),                                      \
     RPU_LANE(m, 5, RPU_BITS4(m) + ((m) >> 4 & 1)), RPU_LANE(m, 6, RPU_BITS4(m) + RPU_BITS2((m) >> 4)),                \
     RPU_LANE(m, 7, RPU_BITS4(m) + RPU_BITS2((m) >> 4) + ((m) >> 6 & 1))},
#define RPU_SPREAD4(m) RPU_SPREAD(m) RPU_SPREAD((m) + 1) RPU_SPREAD((m) + 2) RPU_SPREAD((m) + 3)
#define RPU_SPREAD16(m) RPU_SPREAD4(m) RPU_SPREAD4((m) + 4) RPU_SPREAD4((m) + 8) RPU_SPREAD4((m) + 12)
#define RPU_SPREAD64(m) RPU_SPREAD16(m) RPU_SPREAD16((m) + 16) RPU_SPREAD16((m) + 32) RPU_SPREAD16((m) + 48)
static const uint8_t spread[256][8] = {RPU_SPREAD64(0) RPU_SPREAD64(64) RPU_SPREAD64(128) RPU_SPREAD64(192)};

/* Of two arrays the numbers of each lane's direction. The compiler is kept from making one comparison for several. */
static inline __m256 of_direction(__m256i direction, const float *strip, int up, int k)
{
    __asm__ volatile("" : "+x"(direction));
    return _mm256_blendv_ps(RPU_LOAD(strip, up + 1, k), RPU_LOAD(strip, up, k), _mm256_castsi256_ps(direction));
}

/* Some slots, in order, on the strips [first_strip, last_strip). `trace`, or NULL, takes the states before and after each of
 * them, for one strip. What a model has and whether noise_add counts are constants to the compiler. */
static RPU_INLINE void panel_run(const rpu_devices *devices, float *panel, const rpu_item *item, int32_t items,
                                 int64_t first_strip, int64_t last_strip, float *trace, int sloped, int referenced,
                                 int additive)
{
    const __m256i first = _mm256_setr_epi32(31, 30, 29, 28, 27, 26, 25, 24);
    rpu_lanes d;
    d.noise_mult = devices->noise_mult;
    d.noise_add = devices->noise_add;
    d.additive = additive;
    for (int64_t s = first_strip; s < last_strip; s++) {
        float *strip = panel + RPU_PANEL_ARRAYS * RPU_WIDE * s;
        __m256 state[RPU_WIDE / 8];
        for (int k = 0; k < RPU_WIDE / 8; k++)
            state[k] = RPU_LOAD(strip, RPU_STATE, k);
        for (int32_t i = 0; i < items; i++) {
            for (int k = 0; trace && k < RPU_WIDE / 8; k++)
                RPU_STORE(trace, i, k, state[k]);
            const rpu_strip *const fires = item[i].strips + s;
            const __m256i up = _mm256_set1_epi32((int)item[i].up[s]);
            RPU_FORGET(strip)   /* or parameters are copied to the stack */
            for (int k = 0; k < RPU_WIDE / 8; k++) {
                const __m256i direction = _mm256_sllv_epi32(up, _mm256_sub_epi32(first, _mm256_set1_epi32(8 * k)));
                const uint8_t *const spread_of = spread[fires->fire >> 8 * k & 0xFF];
                const __m256i place = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)spread_of));
                const __m256 draws = _mm256_loadu_ps(item[i].noise + fires->before[k]);
                float xi[8], w[8], next[8];
                _mm256_storeu_ps(d.step, of_direction(direction, strip, RPU_STEP_UP, k));
                if (sloped)
                    _mm256_storeu_ps(d.pair, of_direction(direction, strip, RPU_SLOPE_UP, k));
                _mm256_storeu_ps(d.high, RPU_LOAD(strip, RPU_HIGH, k));
                _mm256_storeu_ps(d.low, RPU_LOAD(strip, RPU_LOW, k));
                if (referenced)
                    _mm256_storeu_ps(d.reference, RPU_LOAD(strip, RPU_REFERENCE, k));
                _mm256_storeu_ps(xi, _mm256_permutevar8x32_ps(draws, place));
                _mm256_storeu_ps(w, state[k]);
                RPU_SIMD
                for (int l = 0; l < 8; l++)
                    next[l] = rpu_affine(&d, l, w[l], sloped, referenced, xi[l]);
                state[k] = _mm256_blendv_ps(_mm256_loadu_ps(next), state[k], _mm256_castsi256_ps(place));
            }
        }
        for (int k = 0; trace && k < RPU_WIDE / 8; k++)
            RPU_STORE(trace, items, k, state[k]);
        for (int k = 0; k < RPU_WIDE / 8; k++)
            RPU_STORE(strip, RPU_STATE, k, state[k]);
    }
}

typedef void panel_run_of(const rpu_devices *devices, float *panel, const rpu_item *item, int32_t items, int64_t first_strip,
                          int64_t last_strip, float *trace);
#define RPU_PANEL_RUN(name, sloped, referenced, additive)                                                              \
static RPU_NOINLINE void name(const rpu_devices *devices, float *panel, const rpu_item *item, int32_t items,               \
                              int64_t first_strip, int64_t last_strip, float *trace)                                   \
{                                                                                                                      \
    panel_run(devices, panel, item, items, first_strip, last_strip, trace, sloped, referenced, additive);                \
}
RPU_PANEL_RUN(panel_constant, 0, 0, 0)
RPU_PANEL_RUN(panel_constant_added, 0, 0, 1)
RPU_PANEL_RUN(panel_sloped, 1, 0, 0)
RPU_PANEL_RUN(panel_sloped_added, 1, 0, 1)
RPU_PANEL_RUN(panel_referenced, 1, 1, 0)
RPU_PANEL_RUN(panel_referenced_added, 1, 1, 1)

/* What the strips of a model hold; a reference comes with slopes. */
#define RPU_PANEL_TRAITS(model) {RPU_AFFINE_##model == RPU_SLOPED, RPU_REFERENCE_##model, sizeof RPU_PAIR_##model > 1},
static const struct { int sloped, referenced, paired; } panel_traits[RPU_N_MODELS] = {RPU_MODELS(RPU_PANEL_TRAITS)};
#define RPU_PANEL_CHECK(model) + (RPU_AFFINE_##model == RPU_UNSLOPED && RPU_REFERENCE_##model)
typedef char panel_has_no_run_for_a_reference_without_slopes[0 RPU_MODELS(RPU_PANEL_CHECK) == 0 ? 1 : -1];

static panel_run_of *panel_run_for(const rpu_devices *devices, int model)
{
    static panel_run_of *const runs[3][2] = {
        {panel_constant, panel_constant_added}, {panel_sloped, panel_sloped_added}, {panel_referenced, panel_referenced_added}
    };
    return runs[panel_traits[model].sloped + panel_traits[model].referenced][devices->noise_add != 0.0f];
}

/* Slopes of a strip, from what is in it. */
#define RPU_PANEL_SLOPES(model)                                                                                        \
    case RPU_MODEL_##model:                                                                                            \
        if (RPU_AFFINE_##model == RPU_SLOPED) {                                                                        \
            RPU_SIMD                                                                                                   \
            for (int l = 0; l < RPU_WIDE; l++) {                                                                       \
                up[l] = rpu_slope_##model(~0u, step_up[l], high[l], up[l], RPU_STEEPEST);                              \
                down[l] = rpu_slope_##model(0u, step_down[l], low[l], down[l], RPU_STEEPEST);                          \
            }                                                                                                          \
        }                                                                                                              \
        break;
static void panel_slopes(float *strip, int model)
{
    const float *step_up = strip + RPU_WIDE * RPU_STEP_UP, *step_down = strip + RPU_WIDE * RPU_STEP_DOWN;
    const float *high = strip + RPU_WIDE * RPU_HIGH, *low = strip + RPU_WIDE * RPU_LOW;
    float *up = strip + RPU_WIDE * RPU_SLOPE_UP, *down = strip + RPU_WIDE * RPU_SLOPE_DOWN;
    switch (model) {
        RPU_MODELS(RPU_PANEL_SLOPES)
    }
}

/* The first n numbers of `from`, as so many that there are `all`. */
static const float *panel_padded(const float *from, int n, int all, float *padded)
{
    if (n == all)
        return from;
    memset(padded, 0, sizeof *padded * (size_t)all);
    return memcpy(padded, from, sizeof *padded * (size_t)n);
}

/* The devices of a row as strips. */
static void panel_fill(const rpu_devices *devices, int model, int64_t row, float *strip)
{
    const __m256 minus = _mm256_set1_ps(-0.0f);
    const rpu_row r = row_at(devices, row);
    for (int64_t first = 0; first < devices->columns; first += RPU_WIDE, strip += RPU_PANEL_ARRAYS * RPU_WIDE) {
        const int n = devices->columns - first < RPU_WIDE ? (int)(devices->columns - first) : RPU_WIDE;
        float padded[4 * RPU_WIDE];
        const float *w = panel_padded(r.w + first, n, RPU_WIDE, padded);
        for (int k = 0; k < RPU_WIDE / 8; k++)
            RPU_STORE(strip, RPU_STATE, k, _mm256_loadu_ps(w + 8 * k));
        const float *quad = panel_padded(r.quad + 4 * first, 4 * n, 4 * RPU_WIDE, padded);
        for (int k = 0; k < RPU_WIDE / 8; k++, quad += 32) {
            const __m256 q01 = _mm256_loadu_ps(quad), q23 = _mm256_loadu_ps(quad + 8);
            const __m256 q45 = _mm256_loadu_ps(quad + 16), q67 = _mm256_loadu_ps(quad + 24);
            const __m256 q04 = _mm256_permute2f128_ps(q01, q45, 0x20), q15 = _mm256_permute2f128_ps(q01, q45, 0x31);
            const __m256 q26 = _mm256_permute2f128_ps(q23, q67, 0x20), q37 = _mm256_permute2f128_ps(q23, q67, 0x31);
            const __m256 steps_even = _mm256_unpacklo_ps(q04, q26), steps_odd = _mm256_unpacklo_ps(q15, q37);
            const __m256 bounds_even = _mm256_unpackhi_ps(q04, q26), bounds_odd = _mm256_unpackhi_ps(q15, q37);
            RPU_STORE(strip, RPU_STEP_UP, k, _mm256_unpacklo_ps(steps_even, steps_odd));
            RPU_STORE(strip, RPU_STEP_DOWN, k, _mm256_xor_ps(_mm256_unpackhi_ps(steps_even, steps_odd), minus));
            RPU_STORE(strip, RPU_HIGH, k, _mm256_unpacklo_ps(bounds_even, bounds_odd));
            RPU_STORE(strip, RPU_LOW, k, _mm256_unpackhi_ps(bounds_even, bounds_odd));
        }
        if (panel_traits[model].paired) {
            const float *pair = panel_padded(r.pair + 2 * first, 2 * n, 2 * RPU_WIDE, padded);
            for (int k = 0; k < RPU_WIDE / 8; k++, pair += 16) {
                const __m256 p03 = _mm256_loadu_ps(pair), p47 = _mm256_loadu_ps(pair + 8);
                const __m256 p0145 = _mm256_permute2f128_ps(p03, p47, 0x20), p2367 = _mm256_permute2f128_ps(p03, p47, 0x31);
                RPU_STORE(strip, RPU_SLOPE_UP, k, _mm256_shuffle_ps(p0145, p2367, 0x88));
                RPU_STORE(strip, RPU_SLOPE_DOWN, k, _mm256_shuffle_ps(p0145, p2367, 0xDD));
            }
        }
        if (panel_traits[model].referenced) {
            const float *reference = panel_padded(r.reference + first, n, RPU_WIDE, padded);
            for (int k = 0; k < RPU_WIDE / 8; k++)
                RPU_STORE(strip, RPU_REFERENCE, k, _mm256_loadu_ps(reference + 8 * k));
        }
        panel_slopes(strip, model);
    }
}

/* n draws in `out`, where there is room for RPU_NOISE_END more. What is left over is copied in whole chunks: a known length. */
static RPU_NOINLINE void noise_draw(rpu_noise *g, int32_t n, float *out)
{
    int32_t drawn = RPU_NOISE_END - g->position;
    if (g->advance == 0) {
        memset(out, 0, sizeof *out * (size_t)n);
        return;
    }
    for (int32_t k = 0; k < drawn; k += RPU_CHUNK)
        memcpy(out + k, g->buffer + g->position + k, sizeof *out * RPU_CHUNK);
    if (drawn >= n) {
        g->position += n;
        return;
    }
    for (; drawn < n; drawn += RPU_CHUNK)
        rpu_normal_chunk(&g->stream, g->chunk++, out + drawn);
    g->position = RPU_NOISE_END - (drawn - n);
    memcpy(g->buffer + g->position, out + n, sizeof *out * RPU_CHUNK);
}

/* Whether the vectors that are due on a row are less work by way of a panel: where so many columns fire that idle lanes and the
 * making of the strips are paid for. A row that is wanted as a whole goes by lists. */
static int panel_pays(const rpu_devices *devices, const rpu_trains *trains, int64_t vectors, const uint64_t *due, int64_t row,
                      const int32_t *event)
{
    int64_t pulses = 0, slots = 0;
    if (devices->visible)
        return 0;
    for (int64_t v = 0; devices->keeps == RPU_KEEPS_ROWS && v < vectors; v++)
        if (trains[v].keep == row)
            return 0;
    for (int64_t word = 0; word < RPU_DUE_WORDS(vectors); word++)
        for (uint64_t m = due[word]; m; m &= m - 1) {
            const int64_t v = 64 * word + rpu_lowest_bit(m);
            const rpu_trains *t = trains + v;
            const uint64_t *const base = t->noise_base + event[v];
            if (t->strips == NULL || base[0] == base[1])    /* sparse; summed */
                return 0;
            pulses += (int64_t)(base[1] - base[0]);
            for (int32_t part = 0; part < t->words; part++)
                slots += rpu_population(t->row_bits[(int64_t)event[v] * t->words + part]);
        }
    return 4 * pulses > devices->columns * (slots + 5);
}

/* Some slots on all strips, and what the vectors from `kept` up to `until`, none of which is to come, want kept of the row. */
static void panel_flush(const rpu_devices *devices, const rpu_trains *trains, panel_run_of *run, float *panel,
                        const rpu_item *item, int32_t items, int64_t kept, int64_t until, int64_t row)
{
    const int64_t strips = RPU_STRIPS(devices->columns);
    uint8_t wanted[RPU_STRIPS(RPU_SEGMENT) + 1];
    float trace[RPU_WIDE * (RPU_ITEMS + 1)];
    if (devices->keeps != RPU_KEEPS_COLUMNS) {
        run(devices, panel, item, items, 0, strips, NULL);
        return;
    }
    memset(wanted, 0, (size_t)strips);
    wanted[strips] = 1;
    for (int64_t v = kept; v < until; v++)
        if (trains[v].keep >= 0)
            wanted[trains[v].keep / RPU_WIDE] = 1;
    for (int64_t first = 0, s; first < strips; first = s + 1) {
        for (s = first; !wanted[s]; s++)
            ;
        run(devices, panel, item, items, first, s, NULL);
        if (s == strips)
            return;
        run(devices, panel, item, items, s, s + 1, trace);
        int32_t done = 0;       /* items of the vectors so far */
        for (int64_t v = kept; v < until; v++) {
            for (; done < items && item[done].vector <= v; done++)
                ;
            if (trains[v].keep >= 0 && trains[v].keep / RPU_WIDE == s)
                trains[v].kept[row] = trace[RPU_WIDE * done + trains[v].keep % RPU_WIDE];
        }
    }
}

/* All pulses of the vectors that are due on a row. */
static void panel_row(const rpu_devices *devices, int model, const rpu_trains *trains, int64_t vectors, const uint64_t *due,
                      int64_t row, int32_t *event, rpu_noise *noises, float *panel)
{
    const int64_t strips = RPU_STRIPS(devices->columns);
    float *const noise = panel + RPU_PANEL_ARRAYS * RPU_WIDE * strips;
    panel_run_of *const run = panel_run_for(devices, model);
    rpu_item item[RPU_ITEMS];
    int32_t items = 0;
    int64_t used = 0, kept = 0;
    panel_fill(devices, model, row, panel);
    for (int64_t word = 0; word < RPU_DUE_WORDS(vectors); word++)
        for (uint64_t m = due[word]; m; m &= m - 1) {
            const int64_t v = 64 * word + rpu_lowest_bit(m);
            const rpu_trains *t = trains + v;
            const int32_t e = event[v]++;
            const uint32_t flip = 0u - (uint32_t)(due[RPU_DUE_WORDS(vectors) + word] >> v % 64 & 1u);
            for (int32_t part = 0; part < t->words; part++)
                for (uint32_t bits = t->row_bits[(int64_t)e * t->words + part]; bits; bits &= bits - 1) {
                    const int32_t slot = 32 * part + rpu_lowest_bit(bits), n = t->fired[slot];
                    if (n == 0)
                        continue;
                    if (items == RPU_ITEMS || used + n + RPU_NOISE_END > RPU_PANEL_NOISE(devices->columns)) {
                        panel_flush(devices, trains, run, panel, item, items, kept, v, row);
                        kept = v;
                        items = 0;
                        used = 0;
                    }
                    noise_draw(noises + v, n, noise + used);
                    item[items++] = (rpu_item){t->strips + slot * strips, flip ? t->up + strips : t->up, noise + used, v};
                    used += n;
                    if (devices->count_up)
                        count_pulses(devices, t, slot, row, flip);
                }
        }
    panel_flush(devices, trains, run, panel, item, items, kept, vectors, row);
    for (int64_t first = 0; first < devices->columns; first += RPU_WIDE) {
        const int64_t n = devices->columns - first < RPU_WIDE ? devices->columns - first : RPU_WIDE;
        memcpy(devices->w + row * devices->columns + first, panel + RPU_PANEL_ARRAYS * first, sizeof *panel * (size_t)n);
    }
}

#else
#define RPU_HAS_PANELS 0
#define panel_pays(...) ((void)panel, 0)
#define panel_row(...)
#endif
#endif
