"""Windows of images against plain loops over their places."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpusim.nn import _windows


@st.composite
def geometries(draw, padding=2):
    pair = lambda low, high: (draw(st.integers(low, high)), draw(st.integers(low, high)))  # noqa: E731
    kernel, stride, dilation, pad = pair(1, 4), pair(1, 3), pair(1, 3), pair(0, padding)
    more = pair(0, 5)
    size = tuple(max(1, d * (k - 1) + 1 - 2 * p) + m for k, d, p, m in zip(kernel, dilation, pad, more, strict=True))
    outputs = tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1 for n, p, d, k, s in zip(size, pad, dilation, kernel, stride, strict=True)
    )
    return (*kernel, *stride, *pad, *dilation), size, outputs


def windows_of(x, windows, outputs):
    """The windows (images, rows, columns, channels, height, width), place by place."""
    (kh, kw, sv, sh, pv, ph, dv, dh), (rows, columns) = windows, outputs
    padded = np.pad(x, ((0, 0), (0, 0), (pv, pv), (ph, ph)))
    out = np.zeros((len(x), rows, columns, x.shape[1], kh, kw), np.float32)
    for r in range(rows):
        for q in range(columns):
            for i in range(kh):
                for j in range(kw):
                    out[:, r, q, :, i, j] = padded[:, :, r * sv + i * dv, q * sh + j * dh]
    return out


@given(geometries(), st.integers(0, 3), st.integers(1, 3), st.integers(0, 2))
def test_gather_and_its_adjoint(geometry, images, channels, wider):
    windows, size, (rows, columns) = geometry
    rng = np.random.default_rng(0)
    x = rng.standard_normal((images, channels, *size)).astype(np.float32)
    wanted = windows_of(x, windows, (rows, columns))
    for first in range(rows):
        some = wanted[:, first:].reshape(images * (rows - first) * columns, channels * windows[0] * windows[1])
        out = np.full((len(some), some.shape[1] + wider), 7, np.float32)
        _windows.gather(x, windows, first, rows - first, columns, out)
        np.testing.assert_array_equal(out[:, : some.shape[1]], some)
        assert (out[:, some.shape[1] :] == 7).all()
        v = rng.standard_normal(out.shape).astype(np.float32)
        back = np.zeros(x.shape, np.float32)
        _windows.scatter(v, windows, first, rows - first, columns, back)
        np.testing.assert_allclose(
            (back.astype(np.float64) * x).sum(), (some.astype(np.float64) * v[:, : some.shape[1]]).sum(), rtol=1e-4, atol=1e-4
        )
        more = back.copy()
        _windows.scatter(v, windows, first, rows - first, columns, more)
        np.testing.assert_allclose(more, 2 * back, rtol=1e-4, atol=1e-5)  # it adds


def test_images_of_any_strides():
    rng = np.random.default_rng(1)
    whole = rng.standard_normal((4, 6, 7, 9)).astype(np.float32)
    windows, rows, columns = (3, 2, 1, 2, 1, 0, 1, 1), 7, 4
    for part in (whole[::2, 1:4], whole.transpose(0, 1, 3, 2)[:, :3, :7, :].copy(order="F"), whole[:, :3, ::-1, ::-1]):
        rows = part.shape[2]
        columns = (part.shape[3] - 2) // 2 + 1
        got, wanted = (np.empty((len(part) * rows * columns, 18), np.float32) for _ in range(2))
        _windows.gather(part, windows, 0, rows, columns, got)
        _windows.gather(np.ascontiguousarray(part), windows, 0, rows, columns, wanted)
        np.testing.assert_array_equal(got, wanted)
    z, wanted = np.zeros((4, 6, 7, 9), np.float32), np.zeros((4, 3, 7, 9), np.float32)
    v = rng.standard_normal((4 * 7 * 4, 20)).astype(np.float32)
    _windows.scatter(v[:, 1:19], windows, 0, 7, 4, z[:, 2:5])
    _windows.scatter(np.ascontiguousarray(v[:, 1:19]), windows, 0, 7, 4, wanted)
    np.testing.assert_array_equal(z[:, 2:5], wanted)
    assert not z[:, :2].any() and not z[:, 5:].any() and wanted.any()


@given(geometries(padding=0))
def test_largest_and_back(geometry):
    (kh, kw, sv, sh, *_), size, _ = geometry
    windows = (kh, kw, sv, sh, 0, 0, 1, 1)
    rows, columns = ((n - k) // s + 1 for n, k, s in zip(size, (kh, kw), (sv, sh), strict=True))
    rng = np.random.default_rng(2)
    x = rng.integers(-2, 3, (2, 3, *size)).astype(np.float32)  # with many equal ones
    wanted = windows_of(x, windows, (rows, columns)).transpose(0, 3, 1, 2, 4, 5).reshape(2, 3, rows, columns, -1)
    y, places = _windows.largest(x, windows, rows, columns)
    np.testing.assert_array_equal(y, wanted.max(axis=-1))
    np.testing.assert_array_equal(places, wanted.argmax(axis=-1))
    d = rng.integers(1, 5, y.shape).astype(np.float32)
    z, expected = np.zeros(x.shape, np.float32), np.zeros(x.shape, np.float32)
    _windows.to_places(d.transpose(0, 1, 3, 2).copy().transpose(0, 1, 3, 2), places, windows, z)
    for (b, c, r, q), value in np.ndenumerate(d):
        i, j = divmod(int(places[b, c, r, q]), kw)
        expected[b, c, r * sv + i, q * sh + j] += value
    np.testing.assert_array_equal(z, expected)


@given(geometries(padding=0))
def test_mean_and_its_adjoint(geometry):
    (kh, kw, sv, sh, *_), size, _ = geometry
    windows = (kh, kw, sv, sh, 0, 0, 1, 1)
    rows, columns = ((n - k) // s + 1 for n, k, s in zip(size, (kh, kw), (sv, sh), strict=True))
    rng = np.random.default_rng(3)
    x = rng.standard_normal((2, 3, *size)).astype(np.float32)
    wanted = windows_of(x, windows, (rows, columns)).mean(axis=(4, 5), dtype=np.float64).transpose(0, 3, 1, 2)
    y = _windows.mean(x, windows, rows, columns)
    np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=1e-6)
    d = rng.standard_normal(y.shape).astype(np.float32)
    z = np.zeros(x.shape, np.float32)
    _windows.spread(d.transpose(1, 0, 3, 2).copy().transpose(1, 0, 3, 2), windows, z)
    np.testing.assert_allclose((z.astype(np.float64) * x).sum(), (wanted * d).sum(), rtol=1e-4, atol=1e-4)


def test_signals_of_any_type():
    x = np.arange(36.0).reshape(1, 1, 6, 6)
    packed = np.zeros(1, [("label", "u1"), ("image", "f4", (1, 6, 6))])
    packed["image"] = x
    windows, wanted = (2, 2, 2, 2, 0, 0, 1, 1), np.empty((9, 4), np.float32)
    _windows.gather(x.astype(np.float32), windows, 0, 3, 3, wanted)
    d = np.ones((1, 1, 3, 3))
    for same in (x, x.astype(np.int64), x.astype(">f4"), packed["image"]):
        out = np.empty((9, 4), np.float32)
        _windows.gather(same, windows, 0, 3, 3, out)
        np.testing.assert_array_equal(out, wanted)
        y, places = _windows.largest(same, windows, 3, 3)
        np.testing.assert_array_equal(y.ravel(), wanted.max(axis=1))
        np.testing.assert_array_equal(_windows.mean(same, windows, 3, 3).ravel(), wanted.mean(axis=1))
    for back in (
        lambda z: _windows.scatter(np.ones((9, 4)), windows, 0, 3, 3, z),
        lambda z: _windows.spread(4 * d, windows, z),
    ):
        z = np.zeros((1, 1, 6, 6), np.float32)
        back(z)
        assert (z == 1).all()
    z = np.zeros((1, 1, 6, 6), np.float32)
    _windows.to_places(d, places, windows, z)
    assert z.sum() == 9
    with pytest.raises(TypeError, match="signals must be real numbers; got dtype complex128"):
        _windows.largest(x + 1j, windows, 3, 3)


def test_what_is_no_number_is_largest():
    x = np.array([[[[1, np.nan, 3, 2], [np.nan, 0, np.inf, -np.inf]]]], np.float32)
    y, places = _windows.largest(x, (2, 2, 2, 2, 0, 0, 1, 1), 1, 2)
    assert np.isnan(y[0, 0, 0, 0]) and y[0, 0, 0, 1] == np.inf
    assert places.tolist() == [[[[1, 2]]]]


def test_nothing_is_read_or_written_outside():
    x, windows = np.zeros((1, 1, 4, 4), np.float32), (2, 2, 1, 1, 0, 0, 1, 1)
    good = np.zeros((9, 4), np.float32)
    _windows.gather(x, windows, 0, 3, 3, good)
    for wrong in (good[:8], good[:, :3], good.T.copy().T, good[None]):
        with pytest.raises(ValueError, match=r"out must be a writeable float32 array of shape \(9, 4\), or wider"):
            _windows.gather(x, windows, 0, 3, 3, wrong)
        with pytest.raises(ValueError, match=r"vectors must be a float32 array of shape \(9, 4\), or wider"):
            _windows.scatter(wrong, windows, 0, 3, 3, x)
    frozen, frozen_vectors = x.copy(), good.copy()
    frozen.flags.writeable = frozen_vectors.flags.writeable = False
    unaligned = np.zeros(37, np.uint8)[1:].view(np.float32)
    for wrong in (good.astype(np.float64), frozen_vectors, good.astype(">f4"), unaligned.reshape(9, 1)):
        with pytest.raises(ValueError, match="out must be a writeable float32 array"):
            _windows.gather(x, windows if wrong.shape[1] == 4 else (1, 1, 1, 1, 0, 0, 1, 1), 0, 3, 3, wrong)
    for wrong in (x[0], x.astype(np.float64), frozen, unaligned.reshape(1, 1, 3, 3)):
        with pytest.raises(ValueError, match="out must be a writeable float32 array of four axes"):
            _windows.scatter(good, windows, 0, 3, 3, wrong)
    y, places = _windows.largest(x, windows, 3, 3)
    for rows, columns in ((4, 3), (3, 4), (0, 3)):
        with pytest.raises(ValueError, match=f"windows must lie within the images, of 4 x 4; got {rows} x {columns} of 2 x 2"):
            _windows.largest(x, windows, rows, columns)
        with pytest.raises(ValueError, match=f"windows must lie within the images, of 4 x 4; got {rows} x {columns} of 2 x 2"):
            _windows.mean(x, windows, rows, columns)
    for back in (lambda out: _windows.to_places(y, places, windows, out), lambda out: _windows.spread(y, windows, out)):
        with pytest.raises(ValueError, match="windows must lie within the images, of 4 x 3; got 3 x 3 of 2 x 2"):
            back(x[..., :3])
    with pytest.raises(ValueError, match=r"d must have as many images and channels as out, \(1, 1\); got shape \(2, 1, 3, 3\)"):
        _windows.spread(np.zeros((2, 1, 3, 3), np.float32), windows, x)
    with pytest.raises(ValueError, match=r"d must have the shape \(1, 1, 3, 3\) of places; got \(1, 1, 3, 2\)"):
        _windows.to_places(y[..., :2], places, windows, x)
