"""The Kalman filter along pulses, for all ramps and for all sets of values of the parameters of a model.

Decided, and why: pulse after pulse in NumPy, some forty calls on arrays of a hundred numbers were nearly all of the time of a
fit (measured: 2 ramps of 1000 values, all models, 123 s; now 8). A ramp under one set of values depends on no other, so that
each runs from its first value to its last in the registers. A law is not written again for a set: its mean step is
one of four forms, whose numbers come from the device (`forms.py`).
"""

from libc.math cimport NAN, erfc, exp, isfinite, pow, sqrt

import numpy as np


cdef enum Form:
    AFFINE              # c0 + c1 w
    TABLE               # linear between nodes c2, c3, .. that are equally spaced from c0 to c1
    EXPONENTIAL         # c0 max(1 - c1 exp(c2 w + c3), 0)
    POWER               # c0 max(c1 + c2 w, 0)^c3

FORMS = {"affine": AFFINE, "table": TABLE, "exponential": EXPONENTIAL, "power": POWER}
LENGTHS = {"affine": 2, "table": 4, "exponential": 4, "power": 4}      # numbers, at least

cdef enum:
    FAR = 8             # standard deviations from which a bound does not show in a float64


cdef struct Pulse:
    Form form
    const double *c
    Py_ssize_t n
    double sign, low, high
    double proportional2, added2, read2, slow2, kept    # squares of noises; of the slow one, the part that a pulse leaves


cdef struct Belief:
    double m, v         # mean and variance of the state
    double u, uu, vu    # mean and variance of the slow noise, and its covariance with the state


cdef inline double _between(double x, double low, double high) noexcept nogil:
    return low if x < low else high if x > high else x


cdef double _step(const Pulse *p, double w) noexcept nogil:
    cdef const double *c = p.c
    cdef double t, last
    cdef Py_ssize_t k
    if p.form == AFFINE:
        return c[0] + c[1] * w
    if p.form == EXPONENTIAL:
        t = 1.0 - c[1] * exp(c[2] * w + c[3])
        return 0.0 if t < 0.0 else c[0] * t
    if p.form == POWER:
        t = c[1] + c[2] * w
        return 0.0 if t <= 0.0 else c[0] * pow(t, c[3])
    last = <double>(p.n - 3)
    t = _between((w - c[0]) / (c[1] - c[0]) * last, 0.0, last)
    if t != t:
        return t
    k = min(<Py_ssize_t>t, p.n - 4)
    t -= <double>k
    return c[2 + k] * (1.0 - t) + c[3 + k] * t


cdef void _clip(const Pulse *p, Belief *s) noexcept nogil:
    # Mean and variance of a normal variable that is clipped at the bounds.
    cdef double sd = sqrt(s.v), a = (p.low - s.m) / sd, b = (p.high - s.m) / sd
    if b >= FAR and a <= -FAR:
        return
    a, b = _between(a, -40.0, 37.0), _between(b, -37.0, 40.0)
    cdef double below = 0.5 * erfc(-a * sqrt(0.5)), above = 0.5 * erfc(b * sqrt(0.5))
    cdef double pa = exp(-0.5 * a * a) / sqrt(2.0 * PI), pb = exp(-0.5 * b * b) / sqrt(2.0 * PI)
    cdef double first = a * below + b * above + pa - pb
    cdef double second = a * a * below + b * b * above + (1.0 - below - above) + a * pa - b * pb - first * first
    s.m = _between(s.m + sd * first, p.low, p.high)
    s.v = s.v * (0.0 if second < 0.0 else second) + 1e-18


cdef void _predict(const Pulse *p, bint slow, Belief *s) noexcept nogil:
    # One pulse: moments of the new state by three nodes of the old one.
    cdef double sd = sqrt(s.v), m = 0.0, v = 0.0, slope = 0.0, w, x, limit
    cdef double[3] after, step
    cdef int k
    for k in range(3):
        w = _between(s.m + NODES[k] * sd, p.low, p.high)
        step[k] = _step(p, w)
        after[k] = w + p.sign * step[k]
        m += WEIGHTS[k] * after[k]
        slope += WEIGHTS[k] * NODES[k] * after[k]
    for k in range(3):
        x = after[k] - m
        v += WEIGHTS[k] * (x * x + p.proportional2 * step[k] * step[k])
    s.m, s.v = m, v + p.added2 + 1e-18
    _clip(p, s)
    if slow:            # covariance: times the mean slope of the new state against the old
        s.vu *= p.kept * slope / (sd if sd > 1e-30 else 1e-30)
        s.u *= p.kept
        s.uu = p.kept * p.kept * s.uu + (1.0 - p.kept * p.kept) * p.slow2
        limit = sqrt(s.v * s.uu)        # a clipped state has lost variance
        s.vu = _between(s.vu, -limit, limit)


cdef void _see(const Pulse *p, double y, bint slow, Belief *s, double *e, double *variance) noexcept nogil:
    # A read: its innovation, its variance, and what is believed after it. What is missing changes nothing.
    cdef double size = s.v + p.read2 + 2.0 * s.vu + s.uu, gain = (s.v + s.vu) / size, other = (s.vu + s.uu) / size
    cdef double found = y - s.m - s.u
    e[0], variance[0] = NAN, NAN
    if not isfinite(y):
        return
    e[0], variance[0] = found, size
    s.m += gain * found
    if not slow:
        s.v = gain * p.read2
        return
    s.v = s.v - gain * gain * size
    s.u += other * found
    s.vu -= gain * other * size
    s.uu -= other * other * size
    s.v, s.uu = (0.0 if s.v < 0.0 else s.v), (0.0 if s.uu < 0.0 else s.uu)


cdef double PI = 3.14159265358979323846
cdef double[3] NODES = [-sqrt(3.0), 0.0, sqrt(3.0)]
cdef double[3] WEIGHTS = [1.0 / 6.0, 4.0 / 6.0, 1.0 / 6.0]


def run(const double[:, ::1] y, const double[::1] direction, str form, const double[:, :, ::1] numbers,
        const double[:, ::1] noises, const double[:, ::1] bounds, const double[:, :, ::1] start):
    """Return innovations and their variances, (sets, ramps, values), nan where there is no value and at first ones.

    `y` are the ramps (ramps, values), `direction` is 1 or -1 for each. For every set, `numbers` (sets, 2, n) are those of the
    `form` of its up and of its down step; `noises` (sets, 6) the squares of that in proportion to a step, of those that are
    added by an up and by a down pulse, of read and of slow noise, and the part of the last that a pulse leaves; `bounds`
    (sets, 2) the lower and the upper one. `start` (5, sets, ramps) are mean and variance of the first state, mean and
    variance of the slow noise, and their covariance."""
    cdef Py_ssize_t sets = numbers.shape[0], ramps = y.shape[0], values = y.shape[1], i, j, t
    if (direction.shape[0] != ramps or numbers.shape[1] != 2 or numbers.shape[2] < LENGTHS[form]
            or (noises.shape[0], noises.shape[1]) != (sets, 6) or (bounds.shape[0], bounds.shape[1]) != (sets, 2)
            or (start.shape[0], start.shape[1], start.shape[2]) != (5, sets, ramps)):
        raise ValueError(f"arrays must be of {sets} sets and {ramps} ramps; got other shapes")
    e_out, s_out = np.full((sets, ramps, values), np.nan), np.full((sets, ramps, values), np.nan)
    cdef double[:, :, ::1] e = e_out, variance = s_out
    cdef Pulse p
    cdef Belief s
    cdef bint slow
    p.form, p.n = FORMS[form], numbers.shape[2]
    with nogil:
        for i in range(sets):
            p.proportional2, p.read2, p.slow2, p.kept = noises[i, 0], noises[i, 3], noises[i, 4], noises[i, 5]
            p.low, p.high = bounds[i, 0], bounds[i, 1]
            slow = p.slow2 > 0.0
            for j in range(ramps):
                p.sign = direction[j]
                p.c = &numbers[i, 0 if p.sign > 0.0 else 1, 0]
                p.added2 = noises[i, 1 if p.sign > 0.0 else 2]
                s.m, s.v, s.u, s.uu, s.vu = start[0, i, j], start[1, i, j], start[2, i, j], start[3, i, j], start[4, i, j]
                for t in range(1, values):
                    _predict(&p, slow, &s)
                    _see(&p, y[j, t], slow, &s, &e[i, j, t], &variance[i, j, t])
    return e_out, s_out


def respond(str form, const double[::1] numbers, double direction, double start, double low, double high, Py_ssize_t values):
    """Return the states from `start` on under pulses of one direction, between the bounds and without noise, (values,)."""
    if numbers.shape[0] < LENGTHS[form] or values < 1:
        raise ValueError(f"numbers of the form {form} must be {LENGTHS[form]} or more, and values 1; got "
                         f"{numbers.shape[0]} and {values}")
    out = np.empty(values)
    cdef double[::1] w = out
    cdef Py_ssize_t t
    cdef Pulse p
    p.form, p.c, p.n = FORMS[form], &numbers[0], numbers.shape[0]
    w[0] = start
    with nogil:
        for t in range(1, values):
            w[t] = _between(w[t - 1] + direction * _step(&p, w[t - 1]), low, high)
    return out
