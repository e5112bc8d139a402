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

#define RPU_MODEL constant_step
#include "model.template.h"
#define RPU_MODEL linear_step
#include "model.template.h"
#define RPU_MODEL soft_bounds
#include "model.template.h"
#define RPU_MODEL soft_bounds_reference
#include "model.template.h"
#define RPU_MODEL exp_step
#include "model.template.h"
#define RPU_MODEL pow_step
#include "model.template.h"
#define RPU_MODEL pow_step_reference
#include "model.template.h"
#define RPU_MODEL piecewise_step
#include "model.template.h"

/* ---- the table ------------------------------------------------------------------------------------------------------ */

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
