"""Records full runs of reproductions: small JSON with commit, settings and duration; where networks are trained, the figure.

Reads what `rpusim reproduce NAME --epochs N --out DIR` wrote; writes reproduce-results/full/NAME.json and docs/figures.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rpusim import plotting, reproduce
from rpusim._base.checkpoint import atomic_file

ROOT = Path(__file__).parents[1]


def rounded(value: Any) -> Any:
    """Numbers to five digits, and no single values of programmings, whose means and spreads are kept."""
    if isinstance(value, dict):
        return {key: rounded(entry) for key, entry in value.items() if key != "values" or "mean" not in value}
    if isinstance(value, list):
        return [rounded(entry) for entry in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


CHECK = ("label", "measured", "published", "passed")


def summary_of_study(result: dict[str, Any], commit: str) -> dict[str, Any]:
    """Return what is kept of a study: no conditions, which the commit has, and of what only grows the last number."""
    runs = []
    for run in result["data"]["runs"]:
        kept = {name: run[name] for name in ("line", "x", "published", "seeds")}
        kept |= {name: rounded(run[name]) for name in ("test_error", "test_loss", "train_loss") if name in run}
        if any(value != 1.0 for curve in run["scale"] for value in curve):
            kept["scale"] = rounded(run["scale"])
        kept |= {name: [curve[-1] for curve in run[name]] for name in ("pulses", "cycles") if run[name][0][-1]}
        runs.append(kept | {"seconds": [round(sum(curve)) for curve in run["seconds"]]})
    return {
        "commit": commit,
        "settings": {k: v for k, v in result["settings"].items() if k != "conditions"},
        "duration_s": sum(sum(run["seconds"]) for run in runs),
        "passed": result["passed"],
        "checks": [rounded({k: check[k] for k in (*CHECK, "required")}) for check in result["checks"]],
        "runs": runs,
    }


def summary(result: dict[str, Any], commit: str) -> dict[str, Any]:
    """Return what is kept of a result: no specifications of algorithms, which the commit has."""
    if "runs" in result["data"]:
        return summary_of_study(result, commit)
    if not reproduce.get(result["name"]).trains:
        return {"commit": commit, **{k: rounded(result[k]) for k in ("duration_s", "passed", "checks")}, "settings": {}}
    curves = result["data"].get("curves", {})
    if not all("seconds" in curve for curve in curves.values()) or not curves:
        kept = {key: result[key] for key in ("settings", "passed", "checks")}
        took = {"duration_s": round(result["duration_s"])} if "duration_s" in result else {}
        return {"commit": commit, **kept, **took, "data": rounded(result["data"])}
    settings = {k: v for k, v in result["settings"].items() if k not in ("algorithms", "baseline")}
    kept = ("train_loss", "test_loss", "test_error", "similarity", "share")
    return {
        "commit": commit,
        "settings": settings,
        "duration_s": round(sum(sum(curve["seconds"]) for curve in curves.values())),
        "passed": result["passed"],
        "checks": [{k: check[k] for k in CHECK} for check in result["checks"]],
        "curves": {
            label: {k: [None if v is None else round(v, 4) for v in curve[k]] for k in kept if k in curve}
            for label, curve in curves.items()
        },
    }


def text_of(entry: dict[str, Any]) -> str:
    """JSON with a line for each part, and for each row of a list or a table: small, and changes can be read."""
    parts = []
    for name in sorted(entry):
        rows = entry[name]
        if isinstance(rows, list) and rows:
            inner = ",\n  ".join(json.dumps(row, sort_keys=True) for row in rows)
            parts.append(f'"{name}": [\n  {inner}\n ]')
        elif isinstance(rows, dict) and rows:
            inner = ",\n  ".join(f"{json.dumps(key)}: {json.dumps(rows[key], sort_keys=True)}" for key in sorted(rows))
            parts.append(f'"{name}": {{\n  {inner}\n }}')
        else:
            parts.append(f'"{name}": {json.dumps(rows)}')
    return "{\n " + ",\n ".join(parts) + "\n}\n"


def draw(name: str, result: dict[str, Any], path: Path) -> None:
    """Draw the figure of a written result."""
    plotting.save(reproduce.get(name).figure(SimpleNamespace(**result), plotting.DOUBLE), path)  # type: ignore[arg-type]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="examples:\n  rpusim reproduce gokmen2016 --epochs 10 --out results\n"
        "  python scripts/record_results.py results --commit $(git rev-parse --short HEAD)\n",
    )
    parser.add_argument("folder", type=Path, help="where `rpusim reproduce --out` wrote")
    parser.add_argument("--commit", required=True, help="commit that was run")
    args = parser.parse_args()
    folder = Path(__file__).with_name("reproduce-results") / "full"
    figures = ROOT / "docs" / "figures"
    figures.mkdir(exist_ok=True)
    found = [name for name in reproduce.names() if (args.folder / f"{name}.json").exists()]
    if not found:
        parser.error(f"{args.folder} holds no result of {', '.join(reproduce.names())}")
    for name in found:
        result = json.loads((args.folder / f"{name}.json").read_text(encoding="utf-8"))
        with atomic_file(folder / f"{name}.json") as file:
            file.write(text_of(summary(result, args.commit)).encode())
        if reproduce.get(name).trains:
            draw(name, result, figures / f"{name}.png")
        agreeing = sum(check["passed"] for check in result["checks"])
        print(f"{name}: {agreeing} of {len(result['checks'])} agree")


if __name__ == "__main__":
    main()
