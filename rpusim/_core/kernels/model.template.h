/* Pulses on the devices of one model: included once for each, with RPU_MODEL defined as its name, which ends here.
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
 *   are one (rpu_trains.only) is not asked for slots (measured together at 0.01 pulses: 0.91 of the time). */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "devices.h"
#include "kernels.h"
#include "lists.h"
#include "noise.h"
#include "panel.h"
#include "portable.h"
#include "stream.h"
#include "sums.h"

#ifndef RPU_MODEL       /* as when it is compiled alone */
#define RPU_MODEL constant_step
#endif

/* `flip` is 0 or all bits: a device goes up where the sign of its column differs from it (x d > 0 lowers w). */
static RPU_NOINLINE void RPU_JOIN(RPU_MODEL, _pulse_list)(const rpu_row *row, int64_t segment, const uint16_t *columns,
                                                          const uint8_t *signs, int32_t n, uint32_t flip, rpu_noise *noise)
{
    float *w = row->w + segment;
    const float *const quad = row->quad + 4 * segment, *const pair = row->pair + 2 * segment;
    const float *const reference = row->reference + segment, *const constant = row->constant;
    const float noise_mult = row->noise_mult, noise_add = row->noise_add;
    const uint16_t *at = columns;
    float steepest = RPU_STEEPEST;
    RPU_OPAQUE(steepest)    /* or GCC makes seven instructions of two */
    for (; n > 0; n -= RPU_BLOCK) {
        int32_t left = n < RPU_BLOCK ? n : RPU_BLOCK;
        const float *xi = noise_take(noise, left);
        for (; left > 0; left -= RPU_LIST_LANES, xi += RPU_LIST_LANES, at += RPU_LIST_LANES, signs++) {
            float state[RPU_LIST_LANES], bound[RPU_LIST_LANES];
            uint32_t up[RPU_LIST_LANES];
            rpu_lanes d;
            d.noise_mult = noise_mult;
            d.noise_add = noise_add;
            d.additive = 1;
            d.constant = constant;
            directions(signs, flip, up);
            gather(state, w, at);
            gather_quads(&d, bound, quad, at, up);
            if (sizeof RPU_JOIN(RPU_PAIR_, RPU_MODEL) > 1)
                gather_pairs(&d, pair, at, up);
            if (RPU_JOIN(RPU_REFERENCE_, RPU_MODEL))
                gather(d.reference, reference, at);
            RPU_SIMD
            for (int l = 0; l < RPU_LIST_LANES; l++) {
                d.step[l] = rpu_signed(up[l], d.step[l]);
                d.pair[l] = RPU_JOIN(rpu_slope_, RPU_MODEL)(up[l], d.step[l], bound[l], d.pair[l], steepest);
            }
            RPU_SIMD
            for (int l = 0; l < RPU_LIST_LANES; l++)
                state[l] = RPU_JOIN(rpu_step_, RPU_MODEL)(&d, l, state[l], up[l], xi[l]);
            RPU_FORGET(w)       /* or its addresses fill the registers: columns are on the stack, or loaded twice */
            for (int l = RPU_LIST_LANES - 1; l >= 0; l--) {     /* the last device after those that only fill up */
                RPU_ONE_BY_ONE
                *at_byte(w, at[l]) = state[l];
            }
        }
    }
}

/* counts[j] pulses on the devices of one row; see kernels.h. */
static rpu_pulse_count RPU_JOIN(RPU_MODEL, _pulse_counts)(const rpu_devices *devices, int64_t row_index, const int32_t *counts,
                                                          uint16_t *scratch, rpu_noise *noise, rpu_noise *written)
{
    const rpu_row row = row_at(devices, row_index);
    rpu_pulse_count total = {0, 0};
    for (int64_t first = 0; first < devices->columns; first += RPU_SEGMENT) {
        const int32_t *count = counts + first;
        const int32_t m = (int32_t)(devices->columns - first < RPU_SEGMENT ? devices->columns - first : RPU_SEGMENT);
        uint16_t *columns = scratch;
        uint8_t *signs = (uint8_t *)(scratch + m + RPU_LIST_LANES);
        int32_t n = 0;
        for (int32_t j = 0; j < m; j++) {
            if (count[j] != 0) columns[n++] = (uint16_t)(4 * j);
            if (count[j] > 0) total.up += count[j];
            else total.down -= count[j];
        }
        /* round p gives the p-th pulse to every device that has that many */
        for (int32_t p = 1, fewer = 1; n > 0; p++) {
            int32_t kept = 0;
            for (int32_t q = n; q % RPU_LIST_LANES; q++)
                columns[q] = columns[n - 1];
            for (int32_t q = 0; fewer && q < n; q += RPU_LIST_LANES) {
                uint32_t bits = 0;
                for (int l = 0; l < RPU_LIST_LANES; l++)
                    bits |= (uint32_t)(count[columns[q + l] / 4] > 0) << l;
                signs[q / RPU_LIST_LANES] = (uint8_t)bits;
            }
            RPU_JOIN(RPU_MODEL, _pulse_list)(&row, first, columns, signs, n, 0, noise);
            if (row.visible)
                write_list(&row, first, columns, n, written);
            for (int32_t q = 0; q < n; q++) {
                const int32_t c = count[columns[q] / 4];
                if (c > p || -c > p)
                    columns[kept++] = columns[q];
            }
            fewer = kept < n;
            n = kept;
        }
    }
    return total;
}

/* The same with noise of its own, and counted. */
static rpu_pulse_count RPU_JOIN(RPU_MODEL, _pulse_row)(const rpu_devices *devices, int64_t row_index, const int32_t *counts,
                                                       uint16_t *scratch, uint64_t key, uint64_t operation)
{
    rpu_noise noise, written;
    noise_begin(&noise, devices->silent, rpu_stream_at(key, RPU_COUNT_NOISE, operation, (uint32_t)row_index), 0);
    noise_begin(&written, 0, rpu_stream_at(key, RPU_WRITE_COUNT_NOISE, operation, (uint32_t)row_index), 0);
    if (devices->count_up)
        for (int64_t j = 0; j < devices->columns; j++) {
            if (counts[j] > 0) devices->count_up[row_index * devices->columns + j] += counts[j];
            if (counts[j] < 0) devices->count_down[row_index * devices->columns + j] -= counts[j];
        }
    return RPU_JOIN(RPU_MODEL, _pulse_counts)(devices, row_index, counts, scratch, &noise, &written);
}

/* All pulses of one vector on one row. */
static void RPU_JOIN(RPU_MODEL, _pulse_event)(const rpu_devices *devices, const rpu_row *row, const rpu_trains *t,
                                              int32_t event, int64_t i, uint32_t flip, rpu_noise *noise,
                                              rpu_noise *written, int32_t *counts)
{
    const int32_t segments = (int32_t)RPU_SEGMENTS(devices->columns);
    const int summed = RPU_JOIN(RPU_SUMS_, RPU_MODEL) && t->noise_base[event] == t->noise_base[event + 1];
    if (summed && sum_row(devices, t, event, i, flip, noise, counts)) {
        rpu_noise rest;
        rpu_stream_line(&noise->stream, 0x80000000u | (uint32_t)i);
        noise_begin(&rest, devices->silent, noise->stream, 0);
        rpu_stream_line(&noise->stream, 0);
        RPU_JOIN(RPU_MODEL, _pulse_counts)(devices, i, counts, (uint16_t *)(counts + RPU_GROUP * RPU_GROUPS(devices->columns)),
                                           &rest, NULL);
    }
    for (int32_t word = 0; word < t->words; word++)
        for (uint32_t m = t->row_bits[(int64_t)event * t->words + word]; m; m &= m - 1) {
            const int32_t slot = 32 * word + rpu_lowest_bit(m);
            int32_t part = slot * segments;
            for (int64_t first = 0; !summed && first < devices->columns; first += RPU_SEGMENT, part++) {
                const uint16_t *columns = t->columns + t->start[part];
                const uint8_t *signs = t->signs + t->start[part] / RPU_LIST_LANES;
                RPU_JOIN(RPU_MODEL, _pulse_list)(row, first, columns, signs, t->fired[part], flip, noise);
                if (row->visible)
                    write_list(row, first, columns, t->fired[part], written);
            }
            if (devices->count_up)
                count_pulses(devices, t, slot, i, flip);
        }
}

/* Rows through all vectors; see kernels.h. */
static void RPU_JOIN(RPU_MODEL, _update_rows)(const rpu_devices *devices, const rpu_trains *trains, int64_t vectors,
                                              int64_t row0, int64_t row1, int goes_on, const rpu_work *work, int reverse,
                                              uint64_t key, uint64_t operation)
{
    int32_t *const event = work->event, *const counts = work->counts;
    uint64_t *const due = work->due;
    rpu_noise *const noises = work->noises;
    float *const panel = work->panel;
    const int64_t words = RPU_DUE_WORDS(vectors);
    const int silent = devices->silent;
    int64_t pulses = 0;
    if (vectors > 1)
        memset(due, 0, sizeof *due * (size_t)((row1 - row0) * 2 * words));
    for (int64_t v = 0; v < vectors; v++) {
        const rpu_trains *t = trains + v;
        pulses += t->pulses.up + t->pulses.down;
        if (!goes_on) {
            int32_t e = 0;
            while (row0 > 0 && t->row[e] < 2 * row0)
                e++;
            event[v] = e;
            if (t->row[e] == INT32_MAX)
                continue;
            noise_begin(noises + v, silent, rpu_stream_at(key, RPU_PULSE_NOISE, operation + (uint64_t)v, 0),
                        t->noise_base[e]);
            if (devices->visible)
                noise_begin(noises + vectors + v, 0, rpu_stream_at(key, RPU_WRITE_NOISE, operation + (uint64_t)v, 0),
                            t->noise_base[e]);
        }
        for (int32_t e = event[v]; vectors > 1 && t->row[e] < 2 * row1; e++) {
            uint64_t *const at = due + 2 * words * ((t->row[e] >> 1) - row0) + v / 64;
            at[0] |= (uint64_t)1 << v % 64;
            at[words] |= (uint64_t)((t->row[e] & 1) != reverse) << v % 64;
        }
    }
    if (vectors == 1) {     /* its own order will do */
        for (; trains->row[*event] < 2 * row1; ++*event) {
            const int64_t row = trains->row[*event] >> 1;
            const rpu_row at = row_at(devices, row);
            const uint32_t flip = (trains->row[*event] & 1) != reverse ? ~0u : 0;
            RPU_JOIN(RPU_MODEL, _pulse_event)(devices, &at, trains, *event, row, flip, noises, noises + 1, counts);
        }
        for (int64_t row = row0; devices->keeps && row < row1; row++)
            keep_row(devices, trains, row);
        return;
    }
    const int dense = 10 * pulses > devices->rows * devices->columns;    /* most cache lines are wanted, not few */
    const int simple = devices->visible == NULL && devices->count_up == NULL;
    for (int64_t row = row0; row < row1; row++) {
        const uint64_t *now = due + (row - row0) * 2 * words;
        const int64_t first = (row + 1) * devices->columns, lines = (devices->columns + 15) / 16;
        int64_t events = 0, share = 0, fetched = 0, kept = 0;
        if (RPU_JOIN(RPU_AFFINE_, RPU_MODEL) != 0 && panel_pays(devices, trains, vectors, now, row, event)) {
            panel_row(devices, RPU_JOIN(RPU_MODEL_, RPU_MODEL), trains, vectors, now, row, event, noises, panel);
            continue;
        }
        for (int64_t word = 0; dense && row + 1 < row1 && word < words; word++)
            events += rpu_population(now[word]);
        const rpu_row at = row_at(devices, row);
        if (events * RPU_FETCH >= lines)
            share = (lines + 2 * events - 1) / (2 * events);
        for (int64_t word = 0; word < words; word++)
            for (uint64_t m = now[word]; m; m &= m - 1) {
                const int64_t v = 64 * word + rpu_lowest_bit(m);
                if (m & (m - 1)) {      /* the next vector (measured: 3.6 to 3.4 ns, sparse) */
                    const int64_t n = 64 * word + rpu_lowest_bit(m & (m - 1));
                    RPU_PREFETCH(trains[n].columns);
                    RPU_PREFETCH(trains[n].columns + 32);
                    RPU_PREFETCH((const float *)&noises[n].position);
                    RPU_PREFETCH(noises[n].buffer + noises[n].position);
                }
                /* shares of the next row, before and after a list, so that loads of this one need not wait behind all of it */
                fetched = fetch(devices, first, fetched, fetched + share < lines ? fetched + share : lines);
                for (; devices->keeps && kept < v; kept++)
                    keep_row(devices, trains + kept, row);
                const rpu_trains *const t = trains + v;
                const uint32_t flip = 0u - (uint32_t)(now[words + word] >> v % 64 & 1u);
                if (simple && t->only)
                    RPU_JOIN(RPU_MODEL, _pulse_list)(&at, 0, t->columns, t->signs, t->only, flip, noises + v);
                else
                    RPU_JOIN(RPU_MODEL, _pulse_event)(devices, &at, t, event[v], row, flip, noises + v, noises + vectors + v,
                                                      counts);
                event[v]++;
                fetched = fetch(devices, first, fetched, fetched + share < lines ? fetched + share : lines);
            }
        for (; devices->keeps && kept < vectors; kept++)
            keep_row(devices, trains + kept, row);
    }
}

#undef RPU_MODEL
