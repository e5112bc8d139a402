/* The table of all kernels, in terms of plain loops; included once per instruction set by kernels_<set>.c, which defines
 * RPU_SET. Each concern has a header of its own; updates of devices are model.template.h, once per model.
 * No validation here: the Python side has checked everything. */

#include "converters.h"
#include "devices.h"
#include "draws.h"
#include "elementwise.h"
#include "kernels.h"
#include "panel.h"
#include "portable.h"
#include "products.h"
#include "trains.h"
#include "wires_impl.h"

#define RPU_EACH_MODEL "model.template.h"
#include "devices.h"

/* ---- the table ------------------------------------------------------------------------------------------------------ */

#define RPU_ENTRY(model)                                    \
    {.name = #model,                                        \
     .pair = RPU_PAIR_##model,                              \
     .referenced = RPU_REFERENCE_##model,                   \
     .constants = RPU_CONSTANTS_##model,                    \
     .sums = RPU_SUMS_##model,                              \
     .strips = RPU_HAS_PANELS && RPU_AFFINE_##model != 0,   \
     .update_rows = model##_update_rows,                    \
     .pulse_row = model##_pulse_row},

static const rpu_model models[RPU_N_MODELS] = {RPU_MODELS(RPU_ENTRY)};

const rpu_kernels RPU_JOIN(rpu_kernels_, RPU_SET) = {
    .name = RPU_STRING(RPU_SET),
    .words = words,
    .normals = normals,
    .uniforms = uniforms,
    .thresholds = thresholds,
    .train_slot = train_slot,
    .train_bits = train_bits,
    .models = models,
    .n_models = RPU_N_MODELS,
    .rank_one_rows = rank_one_rows,
    .dac = dac,
    .plane = plane,
    .analog = analog,
    .adc = adc,
    .abs_max = abs_max,
    .all_finite = all_finite,
    .sum_squares = sum_squares,
    .size_products = size_products,
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
