/* Draws of one stream, for those who do not use them up at once. */
#ifndef RPU_DRAWS_H
#define RPU_DRAWS_H

#include <stdint.h>
#include <string.h>

#include "ars.h"
#include "normal.h"
#include "stream.h"

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

#endif
