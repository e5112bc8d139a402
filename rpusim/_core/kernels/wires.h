/* The resistor network of one crossbar array, as factored by `wires_factor` and solved by `wires_solve`; see wires_impl.h. */
#ifndef RPU_WIRES_H
#define RPU_WIRES_H

#include <stdint.h>

#define RPU_STRIP 8     /* rows that are handled at once in the direction of rows, and columns in that of columns */

/* The lines of one direction. The near end of a word line is the left one, where a single driver is; that of a bit line the
 * lower one, where a single sensor is. */
typedef struct {
    const double *inner;    /* ohm, between two nodes; 0 and infinity are exact */
    const double *near_end; /* ohm, from the last node to the near terminal, the terminal's own resistance included */
    const double *far_end;  /* likewise to the far terminal; infinity: there is none */
} rpu_lines;

/* Arrays of strips hold [strip][column][row of the strip]; the others are grids, [row][column], `width` to a row. Rows are
 * filled up to whole strips, columns to `width`, with devices and lines that carry nothing. */
typedef struct {
    int64_t rows, columns, strips, width;
    rpu_lines words, bits;
    double *g;              /* strips: conductances, siemens */
    double *row_c, *row_d;  /* strips: how much of the voltage of its left neighbour a node takes; reciprocal pivots */
    double *col_c, *col_d;  /* grids: of its lower neighbour; square roots of reciprocal pivots */
} rpu_wires;

/* One vector. All voltages in volt. */
typedef struct {
    const double *word;     /* (rows of whole strips): at the terminals of word lines */
    const double *bit;      /* (width): at those of bit lines */
    const double *emf;      /* strips: a source within each device, driving current towards the bit line; or NULL */
    double *u;              /* grid: nodes of bit lines less `bit`; or NULL */
    double *v;              /* grid: nodes of word lines less `word`; or NULL */
    int warm;               /* u holds what to start from */
    int ends;               /* only the currents of lines whose segments at terminals have resistance; u, v are NULL */
    double *word_out;       /* (rows of whole strips): current of each word line's devices towards bit lines, ampere */
    double *bit_out;        /* (width): likewise of each bit line's devices */
    double tolerance;       /* of the preconditioned residual, relative to that of the right-hand side */
    int64_t max_iterations;
    double *work;           /* RPU_WIRES_WORK doubles; RPU_WIRES_BLOCK_WORK for a block */
    const double *block;    /* not NULL: RPU_STRIP vectors, for `ends`; word, bit and both outs are then [line][lane] */
    double block_unit;      /* of these factors */
    int64_t iterations;     /* results */
    double residual;
} rpu_wires_task;

/* Doubles in one grid (or array of strips), and in `work`. */
#define RPU_WIRES_GRID(net) ((net)->strips * RPU_STRIP * (net)->width)
#define RPU_WIRES_WORK(net) \
    (4 * RPU_WIRES_GRID(net) + 4 * RPU_STRIP * (net)->width + 4 * RPU_STRIP * (net)->strips)

/* For blocks, in doubles: grids (rows, columns) of g, row_c, row_d in float64, and of g / unit^2, row_c, row_d unit^2, col_c,
 * col_d unit in float32. */
#define WIRES_ROUND_STEPS 5     /* odd */
#define RPU_WIRES_BLOCK_FACTORS(net) ((11 * (net)->rows * (net)->columns + 1) / 2)
#define RPU_WIRES_BLOCK_WORK(net) \
    (RPU_STRIP * ((2 + WIRES_ROUND_STEPS / 2) * (net)->rows * (net)->columns + 4 * (net)->columns + 2 * (net)->rows))

#endif
