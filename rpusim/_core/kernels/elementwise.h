/* Element-wise functions of the trainer. Part of kernels_impl.h.
 *
 * Decided, and why:
 * - Training one sample at a time is made of vectors of 10 to 1000 numbers, where a library's call costs more than its loop.
 *   Each function here is what took several calls, and is one pass (measured with NumPy and SciPy, ten classes: 5 us of the 75
 *   that a sample of MNIST takes; now 0.4).
 * - Not a number comes out where not a number comes in. */

/* e^x for x <= 0, relative to 2e-7; below -87 it is e^-87. x = k ln 2 + r: 0.693359375 k is exact, and 2.1e-4 is what ln 2
 * lacks of it; e^r = 1 + r + r^2 P(r) (own minimax fit, 3e-9), which is 1 at 0. */
static RPU_INLINE float exp_of_negative(float x)
{
    x = x < -87.0f ? -87.0f : x;
    const float shifted = x * 1.44269504f + 12582912.0f, k = shifted - 12582912.0f;     /* 1.5 2^23: rounds to an integer */
    const float r = (x - k * 0.693359375f) + k * 2.12194440e-4f, rr = r * r;
    const float p01 = RPU_FMA(r, 0.16666521f, 0.49999994f);
    const float p234 = RPU_FMA(rr, 0.001381454f, RPU_FMA(r, 0.008368745f, 0.04166839f));
    return RPU_FMA(rr, RPU_FMA(rr, p234, p01), 1.0f + r) * rpu_bits_to_float((rpu_float_to_bits(shifted) + 127u) << 23);
}

static void sigmoid(const float *restrict x, int64_t n, float *restrict y)
{
    RPU_SIMD
    for (int64_t j = 0; j < n; j++) {
        const float e = exp_of_negative(-fabsf(x[j]));
        y[j] = (x[j] < 0.0f ? e : 1.0f) / (1.0f + e);
    }
}

static void sigmoid_gradient(const float *restrict y, const float *restrict d, int64_t n, float *restrict z)
{
    RPU_SIMD
    for (int64_t j = 0; j < n; j++)
        z[j] = (1.0f - y[j]) * y[j] * d[j];
}

static double cross_entropy(const float *restrict y, int64_t n, int64_t label, float *restrict gradient)
{
    float top = y[0];
    double sum = 0.0;
    for (int64_t j = 1; j < n; j++)
        top = y[j] > top ? y[j] : top;
    RPU_SIMD
    for (int64_t j = 0; j < n; j++)
        gradient[j] = exp_of_negative(y[j] - top);
    for (int64_t j = 0; j < n; j++)
        sum += gradient[j];
    const float scale = (float)(1.0 / sum);
    RPU_SIMD
    for (int64_t j = 0; j < n; j++)
        gradient[j] *= scale;
    gradient[label] -= 1.0f;
    return log(sum) + ((double)top - y[label]);
}
