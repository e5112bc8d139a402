"""Tables of steps: look-up tables, percentiles, means and pairs, against the law that they were drawn from."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

import rpusim as rpu
from rpusim.fitting import StepTable, fit_steps, read_steps

LOW, HIGH = 2e-6, 10e-6
NOISE = 0.4


def mean_step(g, sign):
    """Of a device with soft bounds at 1 and 12 uS, in siemens."""
    return np.where(sign > 0, (12e-6 - g) / 40, (g - 1e-6) / 60)


def lut(path, sign, n=41, m=201, header=True):
    """As CrossSim writes it: changes uniform within mean (1 +- sqrt(3) noise)."""
    g, u = np.linspace(LOW, HIGH, n), np.linspace(0, 1, m)
    rows = sign * mean_step(g, sign) * (1 + sign * NOISE * np.sqrt(3) * (2 * u[:, None] - 1))
    head = (
        "1st Row = Gbins, 2nd Row = CDF Points, 3rd row onward =  dG matrix (rows= CDF, columns = Gbins) \n" if header else ""
    )
    lines = [",".join(f"{x:.16g}" for x in row) for row in (g, u, *rows)]
    path.write_text(head + "\n".join([lines[0], lines[1], "", *lines[2:]]) + "\n")
    return path


def holds(found, noise=NOISE, rel=1e-6):
    """Whether a device has the law, where the table has conductances."""
    w = np.linspace(-1, 1, 9)
    g = found.to_conductance(w)
    for sign, step in ((1, found.device.step_up), (-1, found.device.step_down)):
        assert step(w) * found.slope == pytest.approx(mean_step(g, sign), rel=rel), sign
    assert found.device.dw_min_std == pytest.approx(noise, rel=max(rel, 1e-4))


@pytest.mark.parametrize("header", [True, False])
def test_look_up_tables_as_crosssim_writes_them(tmp_path, header):
    found = read_steps(
        lut(tmp_path / "dG_increasing.txt", 1, header=header), lut(tmp_path / "dG_decreasing.txt", -1, header=header)
    )
    assert found.unit == "S"
    assert (found.offset, found.slope) == pytest.approx((6e-6, 4e-6))
    holds(found)
    assert not found.notes
    other = read_steps(lut(tmp_path / "a.txt", 1), lut(tmp_path / "b.txt", -1))
    assert other.device == found.device and "a.txt: most changes go up: taken as pulses up" in other.notes


def test_tidy_tables_of_distributions_and_percentiles(tmp_path):
    g, u = np.linspace(LOW, HIGH, 9), np.linspace(0, 1, 51)
    rows = ["G (uS),CDF,dG (nS),type"]
    for sign, kind in ((1, "SET"), (-1, "RESET")):
        q = sign * mean_step(g[:, None], sign) * (1 + sign * NOISE * np.sqrt(3) * (2 * u - 1))
        rows += [
            f"{a * 1e6:.12g},{p:.3g},{d * 1e9:.12g},{kind}"
            for a, line in zip(g, q, strict=True)
            for p, d in zip(u, line, strict=True)
        ]
    path = tmp_path / "steps.csv"
    path.write_text("\n".join(rows))
    holds(read_steps(path))
    path.write_text("\n".join(rows).replace("CDF", "percentile (%)"))
    for head, percentiles in (("p{:g}", (5, 25, 50, 75, 95)), ("{:g} %", (10, 50, 90)), ("q{:g}", (0.05, 0.5, 0.95))):
        files = []
        for sign, name in ((1, "set"), (-1, "reset")):
            z = norm.ppf(np.array(percentiles) / (1 if percentiles[0] < 1 else 100))
            q = sign * mean_step(g[:, None], sign) * (1 + sign * NOISE * z)
            files.append(tmp_path / f"{name}.csv")
            files[-1].write_text("G (S)," + ",".join(head.format(p) for p in percentiles) + "\n" + "\n".join(
                ",".join(f"{x:.12g}" for x in (a, *line)) for a, line in zip(g, q, strict=True)))  # fmt: skip
        found = read_steps(*files)
        holds(found)
        assert any("those of the normals nearest to them" in note for note in found.notes)


def pairs(sign, n, seed, noise=NOISE):
    rng = np.random.default_rng([seed, sign + 1])
    g = rng.uniform(LOW, HIGH, n)
    return np.stack([g, sign * mean_step(g, sign) * (1 + noise * rng.standard_normal(n))], 1)


def test_pairs_have_the_law_and_honest_errors():
    """z of the step at w = 0 over 100 seeds: 95 within 3, spread 0.8 to 1.25."""
    z, noises = [], []
    for seed in range(100):
        found = fit_steps(pairs(1, 2000, seed), pairs(-1, 2000, seed), bins=16, g_min=LOW, g_max=HIGH, unit="S")
        truth = (mean_step(6e-6, 1) + mean_step(6e-6, -1)) / 2 / found.slope
        z.append((found.values["dw_min"] - truth) / found.standard_errors["dw_min"])
        noises.append((found.values["dw_min_std"] - NOISE) / found.standard_errors["dw_min_std"])
    print(f"dw_min z {np.mean(z):.2f} +- {np.std(z):.2f}; dw_min_std z {np.mean(noises):.2f} +- {np.std(noises):.2f}")
    for values in (z, noises):
        assert np.sum(np.abs(values) < 3) >= 95 and 0.8 < np.std(values, ddof=1) < 1.25


def test_few_pairs_have_the_spread_of_a_sample():
    change = np.array([1.0, 1.4, 1.2, 2.0, 2.6, 2.0])
    found = fit_steps(np.stack([np.repeat([0.0, 10.0], 3), change], 1), [(0, -1), (5, -1), (10, -1)], bins=2)
    assert [row[2] for row in found.up] == pytest.approx([change[:3].std(ddof=1), change[3:].std(ddof=1)])
    exact = fit_steps([(0, 1), (0, 1), (10, 1), (10, 1)], [(0, -1), (0, -1), (10, -1), (10, -1)], bins=2)
    assert exact.values["dw_min_std"] == exact.standard_errors["dw_min_std"] == exact.standard_errors["dw_min"] == 0.0
    assert [row[1] for row in found.up] == pytest.approx([1.2, 2.2]) and [row[3] for row in found.up] == [3, 3]


def test_files_of_pairs_and_of_means(tmp_path):
    both = {1: pairs(1, 20_000, 7), -1: pairs(-1, 20_000, 7)}
    path = tmp_path / "pairs.csv"
    rows = [f"{g * 1e6:.9g},{(g + d) * 1e6:.9g},{'up' if s > 0 else 'down'}" for s, p in both.items() for g, d in p]
    path.write_text("G before (uS),G after (uS),type\n" + "\n".join(rows))
    from_file = read_steps(path, bins=20)
    arrays = fit_steps(both[1], both[-1], bins=20)
    assert from_file.unit == "S" and from_file.device.dw_min == pytest.approx(arrays.device.dw_min, rel=1e-5)
    holds(from_file, rel=0.03)
    g = np.linspace(LOW, HIGH, 11)
    path.write_text("G (uS),dG LTP (nS),dG LTD (nS)\n" + "\n".join(
        f"{x * 1e6:.9g},{mean_step(x, 1) * 1e9:.9g},{mean_step(x, -1) * 1e9:.9g}" for x in g))  # fmt: skip
    found = read_steps(path)
    assert "pairs.csv: changes of pulses down are positive: taken as their sizes" in found.notes
    assert "nothing tells the noise of pulses: dw_min_std is 0" in found.notes
    holds(found, noise=0.0)


def test_what_is_guessed_and_clipped_is_said():
    up, down = pairs(1, 500, 1), pairs(-1, 500, 1)
    narrow = fit_steps(up[up[:, 0] < 7e-6], down)
    assert any(note.startswith("weights -1 and 1 are") for note in narrow.notes)
    wide = fit_steps(up[up[:, 0] < 7e-6], down, g_min=LOW, g_max=HIGH)
    assert any("steps up were seen from" in note and "beyond" in note for note in wide.notes)
    constant = np.stack([up[:, 0], mean_step(up[:, 0], 1) + 1e-7 * np.random.default_rng(0).standard_normal(500)], 1)
    assert any(note.startswith("noise over the step goes from") for note in fit_steps(constant, down).notes)
    backwards = np.array(up)
    backwards[up[:, 0] > 9e-6, 1] *= -1
    assert any("of the other sign" in note for note in fit_steps(backwards, down).notes)
    reads = np.cumsum(np.full(400, 1e-8)) + 5e-6 + 5e-8 * np.random.default_rng(1).standard_normal(400)
    chain = np.stack([reads[:-1], np.diff(reads)], 1)
    note = next(n for n in fit_steps(chain, down).notes if "noise of reads" in n)
    assert 3e-8 < float(note.split("about ")[1].split()[0]) < 7e-8


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("G (uS),dG (uS)\n1,0.1\n2,0.1\n3,0.1\n", "steps of both signs are needed; got none down"),
        ("a,b\n1,2\n2,3\n3,4\n", "must have one column of conductances"),
        ("G (uS),type\n1,up\n2,up\n3,down\n", "must have a column of changes"),
        ("G (uS),CDF,dG (uS),type\n1,0.5,1,up\n1,-2,1,up\n2,0.5,1,down\n", "line 3: probabilities must be from 0 to 1; got -2"),
        ("1st Row = Gbins, 2nd Row = CDF\n1,2,3\n0,0.5,1\n1,1,1\n1,1\n1,1,1\n", "line 5: must have a change for each of 3"),
        ("1st Row = Gbins, 2nd Row = CDF\n1,2,3\n0,0.5,1\n1,1,1\n", "must have a row for each of its 3 probabilities; got 1"),
        ("1st Row = Gbins, 2nd Row = CDF\n1,2,x\n0,1\n1,1,1\n1,1,1\n", "line 2: must hold numbers"),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_refused(tmp_path, text, message):
    path = tmp_path / "file.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_steps(path)


def test_arguments_are_refused_by_name():
    good = pairs(1, 50, 0)
    for given, message in (
        ({"up": good[:2]}, "up must hold at least 3 pairs"), ({"up": good[:, :1]}, "up must have shape"),
        ({"bins": 1}, "bins must be"), ({"unit": 3}, "unit must be"), ({"g_min": 1.0}, "g_max must be above"),
        ({"dw_min_std": 0.1}, "dw_min_std follow"), ({"down": good}, "down must have steps that go down"),
    ):  # fmt: skip
        with pytest.raises((ValueError, TypeError), match=message):
            fit_steps(**{"up": good, "down": pairs(-1, 50, 0), **given})


def test_it_is_a_device_and_goes_to_json_and_back():
    found = fit_steps(pairs(1, 500, 1), pairs(-1, 500, 1), unit="S", dw_min_dtod=0.1)
    assert rpu.CrossbarArray((2, 3), found, rng=0).device == found.device and found.device.dw_min_dtod == 0.1
    again = StepTable.from_json(found.to_json())
    assert again == found and rpu.from_json(found.to_json()) == found.device
    assert found.symmetry_point == found.device.symmetry_point and float(found.step_up(0.0)) > 0.0
