"""The table over all papers at the top of docs/reproductions.md, and the picture of the field, from recorded results.

Both are made of reproduce-results/full, which scripts/record_results.py writes; run this after it.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rpusim import plotting, reproduce

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).with_name("reproduce-results") / "full"
PAGE = ROOT / "docs" / "reproductions.md"
BEGIN, END = "<!-- table: scripts/reproduction_table.py -->", "<!-- end of the table -->"
SHOWN = 3  # checks with a published number that a row shows
HEADER = ("name", "claim", "published", "measured", "verdict", "one core")


def read(folder: Path) -> dict[str, Any]:
    """Return what is on record, by name."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}


def minutes(seconds: float | None) -> str:
    """Return a duration in words."""
    if seconds is None:
        return ""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def number(value: float | None) -> str:
    """Return a number in words."""
    return "nan" if value is None else f"{value:.4g}"


def verdict(name: str, result: dict[str, Any]) -> str:
    """Return whether the criterion is met, how many checks are, and what part of the epochs was run."""
    checks = result["checks"]
    words = f"{'agrees' if result['passed'] else 'off'}, {sum(c['passed'] for c in checks)} of {len(checks)}"
    wanted, done = reproduce.get(name).epochs, result["settings"].get("epochs")
    if wanted is not None and done is not None and done < wanted:
        words += f"; {done} of {wanted} epochs"
    seeds = result["settings"].get("seeds", 1)
    return words + (f"; {seeds} seeds" if seeds > 1 else "")


def rows(results: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return the rows of the table: every reproduction, with its first checks that have a published number."""
    out = []
    for name in reproduce.names():
        entry = reproduce.get(name)
        if name not in results:
            out.append((f"`{name}`", entry.title, "", "", "not run to its end", ""))
            continue
        result = results[name]
        numbers = [c for c in result["checks"] if c["published"] is not None][:SHOWN]
        published = "; ".join(f"{c['label']}: {c['published']:.4g}" for c in numbers)
        measured = "; ".join(number(c["measured"]) for c in numbers)
        if not numbers:
            measured = "; ".join(f"{c['label']}: {number(c['measured'])}" for c in result["checks"][:SHOWN])
        out.append((f"`{name}`", entry.title, published, measured, verdict(name, result), minutes(result.get("duration_s"))))
    return out


def table(results: dict[str, Any]) -> str:
    """Return the table in Markdown."""
    lines = ["| " + " | ".join(HEADER) + " |", "|" + "---|" * len(HEADER)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows(results)])


def page(text: str, results: dict[str, Any]) -> str:
    """Return the page with its table made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table(results)}\n\n{END}{after}"


# ---- the picture of the field ----------------------------------------------------------------------------------------

RULES = ("SGD", "Tiki-Taka", "TTv2", "c-TTv2", "AGAD", "E-RIDER")
#: column: where it is from (study, place), and the line of each rule; all are the perceptron 784-256-128-10 on MNIST
FIELD: dict[str, tuple[str, Any, dict[str, str]]] = {
    "1200 states, symmetric": ("gokmen2019-ttv1", 0.0, {"SGD": "SGD"}),
    "1200 states, asymmetry 0.3": ("gokmen2019-ttv1", 0.3, {"SGD": "SGD", "Tiki-Taka": "Tiki-Taka"}),
    "1200 states, asymmetry 1": ("gokmen2019-ttv1", 1.0, {"SGD": "SGD", "Tiki-Taka": "Tiki-Taka"}),
    "1000 states, a third": ("gokmen2021-ttv2", 1000, {"Tiki-Taka": "version 1", "TTv2": "version 2"}),
    "20 states, a third": ("gokmen2021-ttv2", 20, {"Tiki-Taka": "version 1", "TTv2": "version 2"}),
    "20 states, offset 0": ("rasch2024-fig5", 0.0, {name: name for name in ("TTv2", "c-TTv2", "AGAD")}),
    "20 states, offset 0.5": ("rasch2024-fig5", 0.5, {name: name for name in ("TTv2", "c-TTv2", "AGAD")}),
    "20 states, offset 1": ("rasch2024-fig5", 1.0, {name: name for name in ("TTv2", "c-TTv2", "AGAD")}),
    "4 states, offset 0.05": ("xiao2026-table2", 0.05, {n: f"{n}, mean 0" for n in ("TTv2", "AGAD", "E-RIDER")}),
    "4 states, offset 1": ("xiao2026-table2", 1.0, {n: f"{n}, mean 0" for n in ("TTv2", "AGAD", "E-RIDER")}),
    "4 states, 0.4 + 1": ("xiao2026-table2", 1.0, {n: f"{n}, mean 0.4" for n in ("TTv2", "AGAD", "E-RIDER")}),
}


def errors(results: dict[str, Any]) -> dict[tuple[str, str], float]:
    """Return the final error in %, by column and rule, of what was run."""
    from rpusim.reproduce.studies import Found

    out = {}
    for column, (name, x, lines) in FIELD.items():
        found = Found(results[name]["runs"]) if name in results else Found([])
        known = {(run["line"], run["x"]) for run in found.runs}
        out |= {(column, rule): found[line, x] for rule, line in lines.items() if (line, x) in known}
    return out


def field(results: dict[str, Any], width: float | None = plotting.DOUBLE) -> Figure:
    """Draw the errors of all rules on all devices: a colour and a number each, nothing where nothing was run."""
    import numpy as np
    from matplotlib.colors import LogNorm

    from rpusim.plotting.style import panels, whole

    def draw(width: float | None) -> Figure:
        known = errors(results)
        columns = [column for column in FIELD if any(key[0] == column for key in known)]
        grid = np.array([[known.get((column, rule), np.nan) for rule in RULES] for column in columns])
        figure, (ax,) = panels(width, 1)
        image = ax.imshow(grid, norm=LogNorm(1.5, 90.0), cmap="viridis_r", aspect="auto")
        for k, row in enumerate(grid):
            for j, error in enumerate(row):
                if np.isfinite(error):
                    dark = error > 12.0
                    ax.text(j, k, f"{error:.1f}", ha="center", va="center", fontsize=7, color="white" if dark else "black")
        ax.set_xticks(range(len(RULES)), RULES)
        ax.set_yticks(range(len(columns)), columns)
        ax.set(xlabel="algorithm", ylabel="devices")
        ax.grid(False)
        figure.colorbar(image, ax=ax, label="test error (%)", ticks=[2, 5, 10, 20, 50], format="%g").minorticks_off()
        return figure

    return whole(draw)(width)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    results = read(RESULTS)
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")
    if errors(results):
        plotting.save(field(results), ROOT / "docs" / "figures" / "field", ("png",))


if __name__ == "__main__":
    main()
