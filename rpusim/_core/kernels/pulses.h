/* From one pair of vectors to its pulses: train length, probabilities, shared lists of firing columns. */
#ifndef RPU_PULSES_H
#define RPU_PULSES_H

#include <stddef.h>
#include <stdint.h>

#include "kernels.h"

enum rpu_pulse_type { RPU_STOCHASTIC, RPU_MEAN_COUNT, RPU_DETERMINISTIC_IMPLICIT };

typedef struct {
    int32_t type, desired_bl, update_management, update_bl_management, fixed_bl;
    int32_t power_of_two_scales, shared_random_numbers;
    double um_grad_scale;
} rpu_pulse_scheme;

typedef struct {
    int32_t bl;                 /* slots; 0: nothing to do */
    int32_t shared;             /* one random number per slot for all columns, one for all rows */
    int32_t sum;                /* whether the pulses of a device may be summed where there are many; set by the caller */
    int32_t strips;             /* whether strips are of use where many columns fire; set by the caller */
    double scale_x, scale_d;    /* probability of a line per unit of |x|, |d|, before clipping at 1 */
} rpu_pulse_plan;

rpu_pulse_plan rpu_plan_pulses(const rpu_pulse_scheme *s, double lr, double granularity, double x_max, double d_max);

/* Bytes that the trains of one vector may take, and bytes of work space for drawing them. */
size_t rpu_trains_bytes(int64_t rows, int64_t columns, rpu_pulse_plan plan);
size_t rpu_scratch_bytes(int64_t rows, int64_t columns, int32_t bl);
/* Draws the trains of one vector into `memory`; adds to `fired` (columns, then rows; or NULL) how often each line fires. */
void rpu_draw_trains(const rpu_kernels *k, rpu_pulse_plan plan, const float *x, const float *d, int64_t rows,
                     int64_t columns, uint64_t key, uint64_t operation, void *memory, void *scratch, int64_t *fired,
                     rpu_trains *out);
/* Bytes of work space for taking `vectors` through up to `rows` rows at a time, whose parts are put into `work` from `memory`
 * on (NULL: they are only measured). `kinds` of noise; `sum`: rows may be summed; `strips` as in the plans. */
size_t rpu_lay_out_work(int64_t vectors, int64_t rows, int64_t columns, int kinds, int sum, int strips, void *memory,
                        rpu_work *work);
/* Pulse counts of one row (up positive) for the two types without trains. */
void rpu_count_pulses(const rpu_pulse_scheme *s, rpu_pulse_plan plan, const float *x, float d, int64_t columns,
                      int reverse, int32_t *counts);

#endif
