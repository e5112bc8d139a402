/* Noise of pulses, drawn as it is used.
 *
 * Decided: noise of a vector is one stream over its pulses in order of (row, slot, column). Each vector keeps the draws
 * it has left from row to row, so nothing is drawn that is not used but in the first and last chunk of a run of rows. */
#ifndef RPU_NOISE_H
#define RPU_NOISE_H

#include <stdint.h>
#include <string.h>

#include "kernels.h"
#include "normal.h"
#include "portable.h"
#include "stream.h"

#define RPU_NOISE_END (RPU_BLOCK + RPU_CHUNK)

/* Draw one more chunk; fewer than RPU_BLOCK draws may be left. Kept out of the loops that call it, whose registers it would
 * take (measured: 1.3 times the time of a pulse when inlined). */
static RPU_NOINLINE void noise_refill(rpu_noise *g)
{
    memcpy(g->buffer, g->buffer + RPU_NOISE_END - RPU_BLOCK, sizeof *g->buffer * RPU_BLOCK);
    rpu_normal_chunk(&g->stream, g->chunk++, g->buffer + RPU_BLOCK);
    g->position -= RPU_CHUNK;
}

static void noise_begin(rpu_noise *g, int silent, rpu_stream stream, uint64_t first)
{
    const int32_t skipped = (int32_t)(first % RPU_CHUNK);
    g->stream = stream;
    g->chunk = (uint32_t)(first / RPU_CHUNK);
    g->advance = silent ? 0 : -1;
    g->position = silent ? 0 : RPU_NOISE_END;
    if (silent)
        memset(g->buffer, 0, sizeof g->buffer);
    else if (skipped) {
        noise_refill(g);
        g->position += skipped;
    }
}

/* n <= RPU_BLOCK consecutive draws; what follows them may be read up to the next RPU_GROUP. */
static inline const float *noise_take(rpu_noise *g, int32_t n)
{
    if (RPU_NOISE_END - g->position < n)
        noise_refill(g);
    const float *z = g->buffer + g->position;
    g->position += n & g->advance;
    return z;
}

#endif
