"""Random streams: ARS-5, and the normals, uniforms and train bits made of it, against their exact laws."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from rpusim._core import kernels

KEY = 0x0123456789ABCDEF
P_LIMIT = 1e-6  # two-sided probability below which a statistic counts as wrong
Z_LIMIT = 5.0  # the same in standard deviations (p = 6e-7)


def binomial_p(count, n, p):
    """Two-sided probability of a count at least this far out."""
    return min(1.0, 2 * min(stats.binom.cdf(count, n, p), stats.binom.sf(count - 1, n, p)))


def words_of(n, *, key=KEY, line=0, operation=0, kind=0):
    """The words behind draws 0..n-1: draw i is word i % 4 of counter i // 4."""
    return np.array([kernels.words(key, p, line, operation, kind) for p in range(n // 4)]).reshape(-1)


def uniform_of(words):
    """(0, 1] in float32, rounded as the definition says."""
    return words.astype(np.float32) * np.float32(2.0**-32) + np.float32(2.0**-33)


@pytest.fixture(scope="module")
def ten_million():
    return kernels.normals(KEY, 10_000_000)


# ---- ARS-5 -------------------------------------------------------------------------------------------------------


def times(a, b):
    """Product in GF(2^8), modulo x^8 + x^4 + x^3 + x + 1."""
    product = 0
    while b:
        product ^= a if b & 1 else 0
        a = a << 1 ^ (0x11B if a & 0x80 else 0)
        b >>= 1
    return product


def substitute(byte):
    """SubBytes of FIPS 197, section 5.1.1: the inverse, by trial, and an affine map of its bits."""
    inverse = next((i for i in range(256) if times(byte, i) == 1), 0)
    bits = [inverse >> k & 1 for k in range(8)]
    return sum((bits[k] ^ bits[k - 4] ^ bits[k - 3] ^ bits[k - 2] ^ bits[k - 1] ^ (0x63 >> k & 1)) << k for k in range(8))


SUBSTITUTES = [substitute(byte) for byte in range(256)]


def encrypted(block, keys):
    """Rounds of FIPS 197 on 16 bytes: the first key is added, the others each after a round; the last one mixes nothing."""
    state = [a ^ k for a, k in zip(block, keys[0], strict=True)]
    for number, key in enumerate(keys[1:], start=1):
        state = [SUBSTITUTES[a] for a in state]
        state = [state[4 * ((j + r) % 4) + r] for j in range(4) for r in range(4)]  # ShiftRows; columns follow each other
        if number < len(keys) - 1:
            mixed = []
            for c in range(0, 16, 4):
                for r in range(4):
                    row = [2, 3, 1, 1][-r:] + [2, 3, 1, 1][:-r] if r else [2, 3, 1, 1]
                    product = 0
                    for k in range(4):
                        product ^= times(state[c + k], row[k])
                    mixed.append(product)
            state = mixed
        state = [a ^ k for a, k in zip(state, key, strict=True)]
    return state


def ars5(key, counter):
    """ARS-5 of Salmon et al. (2011): keys grow by the constants of the golden ratio and of sqrt(3) - 1."""
    low, high, keys = key & 2**64 - 1, key >> 64, []
    for _ in range(6):
        keys.append(list(low.to_bytes(8, "little") + high.to_bytes(8, "little")))
        low, high = (low + 0x9E3779B97F4A7C15) % 2**64, (high + 0xBB67AE8584CAA73B) % 2**64
    block = b"".join(word.to_bytes(4, "little") for word in counter)
    out = bytes(encrypted(list(block), keys))
    return tuple(int.from_bytes(out[k : k + 4], "little") for k in range(0, 16, 4))


def test_the_oracle_of_a_round_encrypts_as_fips_197_says():
    """Appendix B: AES-128, ten rounds; its key schedule is not that of ARS."""
    key = list(bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c"))
    keys, constant = [key], 1
    for _ in range(10):
        before = keys[-1]
        mixed = [SUBSTITUTES[b] for b in before[13:16] + before[12:13]]
        mixed[0] ^= constant
        constant = times(constant, 2)
        after = [a ^ b for a, b in zip(before[:4], mixed, strict=True)]
        for k in range(4, 16):
            after.append(before[k] ^ after[k - 4])
        keys.append(after)
    plain = list(bytes.fromhex("3243f6a8885a308d313198a2e0370734"))
    assert bytes(encrypted(plain, keys)).hex() == "3925841d02dc09fbdc118597196a0b32"


@pytest.mark.parametrize(
    "key, expected",
    [  # as Intel's Math Kernel Library draws (VSL_BRNG_ARS5, seed = key): counters 0 and 1
        (0, "7ecce06f 7cdc3bca 15513c87 29d24c9b 3b424772 84da4a94 bb5dbd82 cb1c3db8"),
        (1, "9920b2f2 1c9a2e7e 05ccf378 89820f38 17573d3c 4c1d1756 6eea8596 6de3f850"),
        (12345, "f42ad287 00f92d83 612acdc7 b9e73248 c8679787 c2235f59 8153295e 61dfef73"),
        (0x89ABCDEF, "4b8afa0f de76bb58 66c08637 9ef6d1cd cde57c3d 2aa44401 07e808b8 90616254"),
    ],
)
def test_words_are_those_of_another_library(key, expected):
    words = [int(w) for position in (0, 1) for w in kernels.words(key, position, 0, 0, 0)]
    assert words == [int(w, 16) for w in expected.split()]
    assert words[:4] == list(ars5(key, (0, 0, 0, 0)))


@pytest.mark.usefixtures("restore_kernels")
@pytest.mark.parametrize("name", kernels.kernel_sets())
def test_every_kernel_set_draws_the_words_of_ars_5_in_order(name):
    kernels.use_kernel_set(name)
    rng = np.random.default_rng(5)
    for _ in range(20):
        key, operation = (int(v) for v in rng.integers(0, 2**63, 2))
        operation %= 2**56
        position, line, kind = (int(v) for v in rng.integers(0, [2**32, 2**32, 256]))
        counter = (position, line, operation % 2**32, operation >> 32 | kind << 24)
        assert tuple(kernels.words(key, position, line, operation, kind)) == ars5(key, counter)
    where = dict(line=0x80000007, operation=2**40 + 5, kind=66)
    np.testing.assert_array_equal(kernels.uniforms(KEY, 256, **where), uniform_of(words_of(256, **where)))


# ---- normals ------------------------------------------------------------------------------------------------------


def test_normals_are_the_float64_box_muller_of_their_words():
    """Radius from the first word of a pair; from the second two signs and the angle within the quadrant."""
    n = 64 * 1000
    words = words_of(n).reshape(n // 64, 2, 2, 16)  # chunk, pair, radius or angle, lane
    first, second = words[:, :, 0], words[:, :, 1]
    u = ((first >> np.uint32(1)).astype(np.float32) + np.float32(0.5)).astype(np.float64) / 2.0**31
    radius = np.sqrt(-2.0 * np.log(u))
    within = (second << np.uint32(2)).view(np.int32).astype(np.float64) / 2.0**31  # of a quadrant, from -1 to 1
    phi = np.pi / 4 * (1 + within)
    signs = [1.0 - 2.0 * (second >> np.uint32(bit) & 1) for bit in (31, 30)]
    expected = np.stack([signs[0] * radius * np.cos(phi), signs[1] * radius * np.sin(phi)], axis=2)
    z = kernels.normals(KEY, n).reshape(expected.shape).astype(np.float64)  # (chunk, pair, cos|sin, lane)
    error = np.abs(z - expected) / np.maximum(radius, 1e-30)[:, :, None]
    assert error.max() < 3 * 2.0**-23
    assert error.mean() < 2.0**-24


def test_normals_have_the_moments_of_a_standard_normal(ten_million):
    z = ten_million.astype(np.float64)
    double_factorial = {1: 1, 2: 3, 3: 15, 4: 105, 5: 945, 6: 10395}  # E x^(2k)
    power = np.ones_like(z)
    for k in range(1, 7):
        power *= z
        mean = 0.0 if k % 2 else double_factorial[k // 2]
        sigma = np.sqrt((double_factorial[k] - mean**2) / z.size)
        assert abs(power.mean() - mean) < Z_LIMIT * sigma, k


@pytest.mark.parametrize("threshold", [0.5, 1.0, 2.0, 3.0, 4.0, 4.5, 5.0])
def test_normals_have_the_tails_of_a_standard_normal(ten_million, threshold):
    p = stats.norm.sf(threshold)
    for count in (np.count_nonzero(ten_million > threshold), np.count_nonzero(ten_million < -threshold)):
        assert binomial_p(count, ten_million.size, p) > P_LIMIT


def test_normals_follow_the_normal_distribution_everywhere(ten_million):
    assert stats.kstest(ten_million[:2_000_000].astype(np.float64), "norm").pvalue > P_LIMIT


def test_normals_do_not_repeat(ten_million):
    pairs = ten_million[:2_000_000].reshape(-1, 2, 2, 16).transpose(0, 1, 3, 2).reshape(-1, 2)
    assert len(np.unique(np.ascontiguousarray(pairs).view(np.int64))) == len(pairs)
    # float32 itself makes about 7000 coincidences among a million draws; a table of values makes far more
    assert len(np.unique(ten_million[:1_000_000])) > 980_000


@pytest.mark.parametrize("lag", [1, 2, 8, 15, 16, 17, 32, 48, 64, 128, 256, 1024])
def test_normals_at_a_distance_are_uncorrelated_and_so_are_their_squares(ten_million, lag):
    z = ten_million[:2_000_000].astype(np.float64)
    a, b = z[:-lag], z[lag:]
    n = a.size
    assert abs(np.sum(a * b)) < Z_LIMIT * np.sqrt(n)
    assert abs(np.sum((a**2 - 1) * (b**2 - 1))) < Z_LIMIT * np.sqrt(4 * n)


def test_streams_of_other_keys_operations_lines_and_kinds_are_uncorrelated():
    n = 100_000
    streams = [
        dict(key=0), dict(key=1), dict(key=2**32), dict(key=2**63), dict(line=1), dict(line=2), dict(line=2**31),
        dict(operation=1), dict(operation=2), dict(operation=2**32), dict(operation=2**55), dict(kind=1), dict(kind=2),
        dict(kind=64), dict(kind=71),
    ]  # fmt: skip
    z = np.array([kernels.normals(s.pop("key", 0), n, **s).astype(np.float64) for s in streams])
    products = z @ z.T / np.sqrt(n)
    off = products[np.triu_indices(len(z), 1)]
    assert np.abs(off).max() < 5.5  # 105 pairs
    assert (np.abs(np.diag(products) - np.sqrt(n)) < Z_LIMIT * np.sqrt(2)).all()


# ---- uniforms -----------------------------------------------------------------------------------------------------


def test_uniforms_are_uniform_on_the_half_open_interval():
    u = kernels.uniforms(KEY, 2_000_000, line=4, operation=9, kind=4)
    assert u.dtype == np.float32
    assert u.min() > 0.0 and u.max() <= 1.0
    assert stats.kstest(u.astype(np.float64), "uniform").pvalue > P_LIMIT
    assert binomial_p(np.count_nonzero(u < 2.0**-14), u.size, 2.0**-14) > P_LIMIT
    # all 32 bits count near 0: half a coincidence is expected there, with 24 bits about 120
    assert np.count_nonzero(u < 2.0**-10) - len(np.unique(u[u < 2.0**-10])) < 8


# ---- train bits ---------------------------------------------------------------------------------------------------


def train_bits(p, bl, lines=None, key=KEY, **where):
    """Bits of `lines` lines with probability p, or with the probabilities p."""
    p = np.asarray(p, dtype=np.float32) if lines is None else np.full(lines, p, dtype=np.float32)
    return kernels.train_bits(key, p, bl, **where)


@pytest.mark.parametrize("bl", [1, 2, 100])
@pytest.mark.parametrize(
    "p", [0.0, 2.0**-32, 2.0**-20, 2.0**-17, 3 * 2.0**-18, 1e-4, 0.01, 0.25, 0.5, 0.7, 0.999, 1 - 2.0**-17, 1.0]
)
def test_train_bits_fire_with_their_probability(p, bl):
    lines = 2_000_000 // bl
    bits = train_bits(p, bl, lines, operation=3)
    assert bits.shape == (lines, bl) and bits.dtype == bool
    if p in (0.0, 1.0):
        assert int(bits.sum()) == p * lines * bl
        return
    p = float(np.float32(p))
    assert binomial_p(int(bits.sum()), lines * bl, p) > P_LIMIT
    per_slot = bits.sum(axis=0)
    tails = np.minimum(stats.binom.cdf(per_slot, lines, p), stats.binom.sf(per_slot - 1, lines, p))
    assert (2 * tails > P_LIMIT / bl).all()


@pytest.mark.parametrize("bl", [1, 33])
def test_probabilities_of_neighbouring_lines_do_not_mix(bl):
    p, n = np.float32([0.0, 1.0, 0.2, 0.8, 2.0**-17, 0.5, 1.0, 0.0, 0.03]), 40_000
    counts = train_bits(np.tile(p, n), bl).sum(axis=1).reshape(-1, 9).sum(axis=0)
    for count, probability in zip(counts, p.astype(np.float64), strict=True):
        if probability in (0.0, 1.0):
            assert count == probability * n * bl
        else:
            assert binomial_p(count, n * bl, probability) > P_LIMIT


@pytest.mark.parametrize("p", [0.25, 0.5, 2.0**-8])
def test_slots_are_independent(p):
    lines, bl = 40_000, 100
    bits = train_bits(p, bl, lines) - p
    z = bits.T @ bits / (p * (1 - p) * np.sqrt(lines))
    assert np.abs(z[np.triu_indices(bl, 1)]).max() < (6.0 if p > 0.1 else 10.0)  # 4950 pairs; rare products are skewed


@pytest.mark.parametrize("p", [0.25, 0.5])
def test_lines_are_independent(p):
    lines, bl = 100, 40_000
    bits = train_bits(p, bl, lines) - p
    z = bits @ bits.T / (p * (1 - p) * np.sqrt(bl))
    assert np.abs(z[np.triu_indices(lines, 1)]).max() < 6.0


@pytest.mark.parametrize("lag", [1, 2, 15, 16, 17, 32, 48, 64, 65, 128])
def test_lines_of_one_slot_are_independent(lag):
    bits = train_bits(0.25, 1, 1_000_000)[:, 0] - 0.25
    assert abs(np.sum(bits[lag:] * bits[:-lag])) < Z_LIMIT * 0.1875 * np.sqrt(bits.size - lag)


@pytest.mark.parametrize("bl", [1, 64])
def test_trains_of_other_operations_keys_and_kinds_are_independent(bl):
    p, lines = 0.375, 128_000 // bl
    streams = [(k, o, kind) for k in (0, 1, 2**32) for o in (0, 1, 2**32, 2**32 + 1) for kind in (0, 1, 64)]
    bits = np.array([train_bits(p, bl, lines, key=k, operation=o, kind=t).ravel() for k, o, t in streams]) - p
    z = bits @ bits.T / (p * (1 - p) * np.sqrt(lines * bl))
    assert np.abs(z[np.triu_indices(len(streams), 1)]).max() < 5.5


def test_trains_of_one_slot_and_of_many_are_independent():
    a, b = train_bits(0.5, 1, 200_000)[:, 0] - 0.5, train_bits(0.5, 2, 200_000)[:, 0] - 0.5
    z = abs(np.sum(a * b)) / (0.25 * np.sqrt(a.size))
    assert z < Z_LIMIT or (a == b).all()  # another stream, or the same one


@pytest.mark.parametrize("bl", [2, 7, 8, 9, 31, 32, 33, 64, 100])
def test_trains_of_any_length_begin_alike(bl):
    p = np.linspace(0.0, 1.0, 37)
    np.testing.assert_array_equal(train_bits(p, bl), train_bits(p, 128)[:, :bl])


def test_no_lines_and_no_slots_make_no_bits():
    assert train_bits([], 5).shape == (0, 5)
    assert train_bits([0.5, 0.5], 0).shape == (2, 0)


# ---- stability ----------------------------------------------------------------------------------------------------


def test_streams_stay_as_they_were():
    """Recorded once: results of a seed must not change from one version to the next without notice."""
    where = dict(line=3, operation=2**32 + 5)
    chosen = [0, 1, 16, 63, 64, 199]
    z = kernels.normals(KEY, 200, kind=2, **where)[chosen]
    recorded = [0.462858677, 0.3915824, -0.488873899, -0.0384243168, -1.02084637, 0.487292498]
    np.testing.assert_allclose(z, recorded, rtol=1e-6)  # to rounding: the baseline has no fused multiply-adds
    u = kernels.uniforms(KEY, 200, kind=4, **where).view(np.uint32)[chosen]
    assert u.tolist() == [0x3F35DB54, 0x3F09E890, 0x3EFA37E7, 0x3E0988DA, 0x3E9E5FC4, 0x3F5DA8BC]
    bits = train_bits([0.5, 0.1, 2.0**-17 + 0.25], 40, operation=7, kind=1)
    assert (bits @ 2 ** np.arange(40)).tolist() == [0x4381BA95FD, 0x20060, 0x8C8AB0008D]
    slot = train_bits(np.full(40, 0.5), 1, operation=7, kind=1)[:, 0]
    assert slot @ 2 ** np.arange(40) == 0x5DE8772A39


@pytest.mark.usefixtures("restore_kernels")
@pytest.mark.parametrize("name", kernels.kernel_sets())
def test_every_kernel_set_draws_the_same(name):
    """Words and trains to the bit; normals as well where multiply-adds are fused, else to rounding."""

    def draw():
        p = np.concatenate([[0.0, 1.0, 2.0**-17, 2.0**-32], np.linspace(0, 1, 1003)]).astype(np.float32)
        parts = [kernels.uniforms(KEY, n, 5, 2**33 + 1, 4).view(np.uint32) for n in (1, 63, 64, 65, 500_000)]
        parts += [train_bits(p[:n], bl, operation=2**34) for bl in (1, 31, 32, 33, 100) for n in (1, 16, 70, 1007)]
        return parts, [kernels.normals(KEY, n, 5, 2**33 + 1, 2) for n in (1, 63, 64, 65, 500_000)]

    best = kernels.kernel_sets()[0]
    kernels.use_kernel_set(best)
    words, normals = draw()
    kernels.use_kernel_set(name)
    assert kernels.active_kernel_set() == name
    other_words, other_normals = draw()
    for a, b in zip(words, other_words, strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(normals, other_normals, strict=True):
        if "baseline" in (best, name):
            np.testing.assert_allclose(a, b, rtol=2e-6, atol=2e-6)
        else:
            np.testing.assert_array_equal(a.view(np.uint32), b.view(np.uint32))


@pytest.mark.usefixtures("restore_kernels")
@pytest.mark.parametrize("name", kernels.kernel_sets())
def test_finite_numbers_are_told_from_the_others_at_every_place(name):
    kernels.use_kernel_set(name)
    for n in (0, 1, 15, 16, 17, 67):
        values = np.linspace(-3e38, 3e38, n).astype(np.float32)
        assert kernels.is_finite(values)
        for k in range(n):
            for bad in (np.nan, np.inf, -np.inf, -np.nan):
                spoilt = values.copy()
                spoilt[k] = bad
                assert not kernels.is_finite(spoilt)


def test_unknown_kernel_sets_are_refused():
    before = kernels.active_kernel_set()
    with pytest.raises(ValueError, match="name must be one of .*'baseline'.*got 'sse9'"):
        kernels.use_kernel_set("sse9")
    assert kernels.active_kernel_set() == before


@pytest.mark.usefixtures("restore_kernels")
def test_the_best_kernel_set_is_the_first():
    assert kernels.kernel_sets()[-1] == "baseline"
    kernels.use_kernel_set()
    assert kernels.active_kernel_set() == kernels.kernel_sets()[0]


def test_the_environment_chooses_the_kernel_set():
    def run(value):
        code = "import rpusim._core.kernels as k; print(k.active_kernel_set())"
        environment = os.environ | {"RPUSIM_KERNELS": value}
        return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)

    assert run("baseline").stdout.strip() == "baseline"
    wrong = run("sse9")
    assert wrong.returncode and "got 'sse9'" in wrong.stderr
