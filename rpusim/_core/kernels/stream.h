/* Where draws come from: the name of a random stream. philox.h turns it into words. */
#ifndef RPU_STREAM_H
#define RPU_STREAM_H

#include <stdint.h>

#define RPU_ROUNDS 7
#define RPU_LANES 16             /* counters handled at once: one AVX-512 register of 32-bit words */
#define RPU_CHUNK (4 * RPU_LANES) /* draws in one chunk of a stream */

enum rpu_kind {                  /* what a stream is for: the top byte of its counter */
    RPU_TRAIN_X, RPU_TRAIN_D, RPU_PULSE_NOISE, RPU_COUNT_NOISE,
    RPU_DAC_ROUND, RPU_DAC_NOISE, RPU_ADC_ROUND, RPU_ADC_NOISE,
    RPU_DIFFUSION, RPU_RESET, RPU_RESET_CHOICE,
    RPU_WRITE_NOISE, RPU_WRITE_COUNT_NOISE, RPU_WRITE_ALL, RPU_DRIFT_NU, RPU_DRIFT_NOISE, RPU_READ_NOISE,
    RPU_BACKWARD = 64            /* added to the kinds of reads for transposed ones */
};

typedef struct {
    uint32_t key0[RPU_ROUNDS], key1[RPU_ROUNDS];    /* of the rounds */
    uint32_t line;               /* row, block of slots or number of the pass, by kind */
    uint32_t op_low, op_high;    /* operation number; kind in the top byte of op_high */
    uint32_t head[4];            /* what the first two rounds make of the words that all positions share */
} rpu_stream;

#define RPU_PHILOX_0 0xD2511F53u
#define RPU_PHILOX_1 0xCD9E8D57u

/* The same stream on another line. */
static inline void rpu_stream_line(rpu_stream *s, uint32_t line)
{
    const uint64_t p1 = (uint64_t)s->op_low * RPU_PHILOX_1;
    const uint64_t p0 = (uint64_t)((uint32_t)(p1 >> 32) ^ line ^ s->key0[0]) * RPU_PHILOX_0;
    s->line = line;
    s->head[0] = s->op_high ^ s->key1[0];
    s->head[1] = (uint32_t)p1 ^ s->key0[1];
    s->head[2] = (uint32_t)(p0 >> 32) ^ s->key1[1];
    s->head[3] = (uint32_t)p0;
}

static inline rpu_stream rpu_stream_at(uint64_t key, int kind, uint64_t operation, uint32_t line)
{
    rpu_stream s;
    for (uint32_t round = 0; round < RPU_ROUNDS; round++) {
        s.key0[round] = (uint32_t)key + round * 0x9E3779B9u;
        s.key1[round] = (uint32_t)(key >> 32) + round * 0xBB67AE85u;
    }
    s.op_low = (uint32_t)operation;
    s.op_high = (uint32_t)(operation >> 32) | ((uint32_t)kind << 24);
    rpu_stream_line(&s, line);
    return s;
}

#endif
