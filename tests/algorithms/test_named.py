"""Algorithms by name: all build, learn and are told apart; the table of costs in the documentation is theirs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import rpusim as rpu
from rpusim.algorithms import named

DEVICE = rpu.devices.SoftBounds(dw_min=0.005, w_max=1.0, w_min=-1.0)


#: c-TTv2 flips its choppers after 10 reads of a line, which are 20 vectors where there are two lines; at half a pulse of 1/200
#: of the bound per vector its fast array remembers 400, so what flips cancels. The paper's lines are 100 vectors apart
SLOWER = {"c-ttv2": {"in_chop_prob": 0.01}}


@pytest.mark.parametrize("name", named.names())
def test_every_name_gives_an_algorithm_that_learns(name):
    """A 3 x 2 regression: the error must fall to less than half of where it began."""
    rule = named.get(name, DEVICE).replace(**SLOWER.get(name, {}))
    tile, rng = rule.build((3, 2), rng=160), np.random.default_rng(161)
    target = np.array([[0.4, -0.3], [-0.2, 0.4], [0.3, 0.2]])
    for _ in range(12000):
        x = rng.standard_normal(2)
        tile.update(x, (tile.weights - target) @ x, 0.05)
    assert np.linalg.norm(tile.weights - target) < np.linalg.norm(target) / 2
    assert rpu.from_json(rule.to_json()) == rule


#: what every name must be, of the publications; `fast_lr` and `transfer_lr` of all are written out, so that a default that
#: moves is noticed. Where a publication gives nothing the reason is beside it
TRAINS = {"desired_bl": 31, "update_management": True, "update_bl_management": True, "pulse_type": "stochastic"}
FIVE = TRAINS | {"desired_bl": 5}
ONE = {"desired_bl": 1, "update_management": False, "update_bl_management": False, "pulse_type": "stochastic"}
EXACT = TRAINS | {"pulse_type": "deterministic_implicit"}
#: every vector is followed by the read of one column, in turn (Gokmen and Haensch 2020, Algorithm 1 with ns = 1)
BY_COLUMN = {
    "transfer_every": 1, "transfer_columns": True, "n_reads_per_transfer": 1, "random_selection": False,
    "scale_transfer_lr": True, "reference_offset_mean": 0.0, "reference_offset_std": 0.0, "mean_granularity": False,
}  # fmt: skip
#: AIHWKit 1.1.0, build_config("c-ttv2"): the defaults of ChoppedTransferCompound, A with fast_lr 0.1, scaled, trains of 5 slots
CHOPPED = BY_COLUMN | {
    "fast_lr": 0.1, "scale_fast_lr": False, "transfer_lr": 1.0, "auto_scale": True, "auto_momentum": 0.99, "in_chop_prob": 0.1,
    "in_chop_random": True, "out_chop_prob": 0.0, "buffer_granularity": 1.0, "auto_granularity": 0.0, "step": 1.0,
    "momentum": 0.0, "forget_buffer": True, "no_buffer": False, "correct_gradient_magnitudes": False, "zero_shift": "exact",
    "pulses": FIVE, "transfer_pulses": ONE,
}  # fmt: skip
SCALED = BY_COLUMN | {"scale_fast_lr": True, "pulses": TRAINS, "transfer_pulses": TRAINS}
PUBLISHED = {
    "digital": ("DigitalSGD", {}),
    "sgd": ("SGD", {"pulses": TRAINS}),  # Gokmen and Vlasov (2016)
    # Onen et al. (2022) give no rates: those of the demonstrations
    "shd": (
        "SHD",
        {
            "fast_lr": 1.0, "slow_lr": 5.0, "transfer_every": 1, "transfer_vectors": "one_hot", "reference": "shared",
            "zero_shift": "exact", "pulses": TRAINS, "transfer_pulses": TRAINS,
        },
    ),
    "ttv1": (
        "TikiTaka",
        SCALED | {"fast_lr": 1.0, "transfer_lr": 5.0, "gamma": 0.0, "transfer_vectors": "one_hot", "zero_shift": "exact",
                  "with_reset_prob": 0.0},
    ),
    # as c-ttv2 without flips; build_config("ttv2") itself leaves the rate of A unscaled, at 1
    "ttv2": ("ChoppedTikiTaka", CHOPPED | {"in_chop_prob": 0.0}),
    "c-ttv2": ("ChoppedTikiTaka", CHOPPED),
    # build_config("agad"), whose single pulses are the same with update management
    "agad": ("AGAD", CHOPPED | {"in_chop_random": False, "zero_shift": "none", "tail_weightening": 5.0, "buffer_cap": 0.0}),
    # Nandakumar et al. (2020): epsilon is the step, one row after another after every vector, in full precision
    "mixed-precision": (
        "MixedPrecision",
        {
            "transfer_every": 1, "n_rows_per_transfer": None, "random_row": False, "granularity": 0.0, "transfer_lr": 1.0,
            "n_x_bins": 0, "n_d_bins": 0, "aihwkit_transfer": False, "pulses": TRAINS,
        },
    ),
    "eapu": ("EaPU", {"transfer_every": 1, "n_rows_per_transfer": None, "threshold": 1, "pulses": EXACT}),
    "manhattan": ("Manhattan", {"transfer_every": 100, "n_rows_per_transfer": None, "dead_zone": 0.0, "pulses": EXACT}),
    # Wu et al. (2025): gamma 0.4; version 2: fast_lr 1, transfer_lr 0.11
    "residual": ("ResidualLearning", SCALED | {"fast_lr": 1.0, "transfer_lr": 0.1, "gamma": 0.4, "zero_shift": "exact"}),
    "residual-v2": (
        "ResidualLearningV2",
        SCALED | {"fast_lr": 1.0, "transfer_lr": 0.11, "gamma": 0.4, "zero_shift": "exact", "transfer_pulses": ONE},
    ),
    # Xiao et al. (2026), fully connected network: fast_lr 0.5, transfer_lr 0.05, gamma 0.1, choppers 0.05; eta is not told
    "rider": (
        "RIDER", SCALED | {"fast_lr": 0.5, "transfer_lr": 0.05, "gamma": 0.1, "reference_lr": 0.001, "zero_shift": "none"},
    ),
    "e-rider": (
        "ERIDER",
        SCALED | {"fast_lr": 0.5, "transfer_lr": 0.05, "gamma": 0.1, "reference_lr": 0.001, "zero_shift": "none",
                  "in_chop_prob": 0.05, "in_chop_random": True},
    ),
    # Li et al. (2026), MNIST: transfer_every 2 5^n, gamma 0.5, transfer_lr 0.1 1.2^n unscaled
    "multi-tile": (
        "MultiTileResidual",
        SCALED | {"fast_lr": 1.0, "transfer_lr": 0.1, "gamma": 0.5, "transfer_every": 2, "transfer_every_growth": 5,
                  "transfer_lr_growth": 1.2, "scale_transfer_lr": False, "n_tiles": 3, "warm_start": False},
    ),
    "low-rank": (  # AIHWKit's defaults of its extension
        "LowRankTikiTaka",
        {
            "rank": 4, "alpha": 1.0, "transfer_every": 32, "fast_lr": 1.0, "transfer_lr": 1.0, "b_gain": 0.1, "pulses": TRAINS,
            "transfer_pulses": TRAINS,
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", named.names())
def test_settings_are_the_published_ones(name):
    rule = named.get(name, DEVICE)
    kind, published = PUBLISHED[name]
    assert type(rule).__name__ == kind
    schemes = {n: {key: getattr(getattr(rule, n), key) for key in published[n]} for n in published if n.endswith("pulses")}
    assert {n: getattr(rule, n) for n in published} | schemes == published
    devices = {getattr(rule, n) for n in ("device", "fast", "slow") if hasattr(rule, n)} - {None}
    assert devices == ({DEVICE} if name != "digital" else set())


@pytest.mark.parametrize(
    "name, fast, transfer",
    [
        # with lr 0.2 and 7 lines on a device of steps 0.005: rate of A (or eta_0 l_max dw), and of the hand-over (buffers: in
        # pulses of C per unit of what is read)
        ("ttv1", 0.2, 1.0), ("ttv2", 0.1 * 5 * 0.005, 0.2 / 0.005), ("c-ttv2", 0.1 * 5 * 0.005, 0.2 / 0.005),
        ("agad", 0.1 * 5 * 0.005, 0.2 / 0.005), ("residual", 0.2, 0.02), ("residual-v2", 0.2, 0.022 / 0.005),
        ("rider", 0.1, 0.01), ("e-rider", 0.1, 0.01),
    ],
)  # fmt: skip
def test_rates_are_what_the_settings_say(name, fast, transfer):
    got, (first,) = named.get(name, DEVICE)._rates(0.2, 7)
    assert (got, first) == (pytest.approx(fast), pytest.approx(transfer))


def test_names_are_checked():
    with pytest.raises(ValueError, match="algorithm must be one of 'digital', .*; got 'tiki'"):
        named.get("tiki", DEVICE)


def test_the_table_of_costs_is_what_the_tiles_say():
    text = (Path(__file__).parents[2] / "docs" / "algorithms.md").read_text(encoding="utf-8")
    rows = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 8:
            rows[cells[0].strip("`")] = cells[2:]
    assert set(rows) == set(named.names())
    for name, row in rows.items():
        needed = named.get(name, DEVICE).build((100, 200), rng=0).resources()
        size = 100 * 200
        arrays, digital, bits, reads, updates, products = needed
        expected = [
            f"{arrays}",
            f"{digital / size:g}",
            "yes" if bits else "",
            f"{reads:g}",
            f"{updates:g}",
            f"{products / size:g}",
        ]
        assert row == expected, name
