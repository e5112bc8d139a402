/* Where draws come from: the name of a random stream. ars.h turns it into words. */
#ifndef RPU_STREAM_H
#define RPU_STREAM_H

#include <stdint.h>

#define RPU_ROUNDS 5
#define RPU_COUNTERS 16             /* handled at once, for enough work in flight */
#define RPU_CHUNK (4 * RPU_COUNTERS) /* draws in one chunk of a stream */

enum rpu_kind {                  /* what a stream is for: the top byte of its counter */
    RPU_TRAIN_X, RPU_TRAIN_D, RPU_PULSE_NOISE, RPU_COUNT_NOISE,
    RPU_DAC_ROUND, RPU_DAC_NOISE, RPU_ADC_ROUND, RPU_ADC_NOISE,
    RPU_DIFFUSION, RPU_RESET, RPU_RESET_CHOICE,
    RPU_WRITE_NOISE, RPU_WRITE_COUNT_NOISE, RPU_WRITE_ALL, RPU_DRIFT_NU, RPU_DRIFT_NOISE, RPU_READ_NOISE, RPU_EFFECT,
    RPU_BACKWARD = 64            /* added to the kinds of reads for transposed ones */
};

typedef struct {
    uint64_t key[2];                    /* of the first round; from round to round it grows by a constant */
    /* position (here 0, the draws' own); line: row, block of slots or number of the pass, by kind; operation number, with the
     * kind in its top byte */
    uint32_t counter[4];
} rpu_stream;

/* The same stream on another line. */
static inline void rpu_stream_line(rpu_stream *s, uint32_t line)
{
    s->counter[1] = line;
}

static inline rpu_stream rpu_stream_at(uint64_t key, int kind, uint64_t operation, uint32_t line)
{
    const rpu_stream s = {
        {key, 0}, {0, line, (uint32_t)operation, (uint32_t)(operation >> 32) | ((uint32_t)kind << 24)}
    };
    return s;
}

#endif
