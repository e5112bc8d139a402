"""A study as one page of HTML that needs nothing else."""

from __future__ import annotations

import html
import io
import json
import os
from pathlib import Path
from typing import Any

from rpusim._base.checkpoint import atomic_file
from rpusim._base.validation import instance
from rpusim.sweep.results import Results
from rpusim.sweep.settings import label

__all__ = ["save_report"]

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 75em; margin: 2em auto; padding: 0 1em; color: #222; }
h1 { font-size: 1.5em; } h2 { font-size: 1.15em; margin-top: 2em; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25em .7em; text-align: right; border-bottom: 1px solid #ddd; }
.about th, .about td { text-align: left; vertical-align: top; }
thead th { cursor: pointer; position: sticky; top: 0; background: #fff; white-space: nowrap; }
thead th[aria-sort=ascending]::after { content: " \\25b2"; } thead th[aria-sort=descending]::after { content: " \\25bc"; }
.wide { overflow: auto; max-height: 40em; } .failed { color: #b00; }
pre { overflow-x: auto; background: #f6f6f6; padding: .7em; }
svg { max-width: 100%; height: auto; }
"""
_SCRIPT = """
document.querySelectorAll("table.points thead th").forEach((th, k) => th.addEventListener("click", () => {
  const body = th.closest("table").tBodies[0], up = th.getAttribute("aria-sort") !== "ascending";
  th.parentNode.querySelectorAll("th").forEach(other => other.removeAttribute("aria-sort"));
  th.setAttribute("aria-sort", up ? "ascending" : "descending");
  const key = row => { const text = row.cells[k].dataset.value, n = Number(text); return text === "" || isNaN(n) ? text : n; };
  const order = (a, b) => typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === "number" ? -1 : 1;
  [...body.rows].sort((a, b) => (up ? 1 : -1) * order(key(a), key(b))).forEach(row => body.append(row));
}));
"""


def _shown(value: Any) -> str:
    return html.escape(f"{value:.5g}" if isinstance(value, float) else "" if value is None else str(value))


def _about(rows: list[tuple[str, Any]]) -> str:
    cells = "".join(f"<tr><th>{html.escape(name)}</th><td>{_shown(value)}</td></tr>" for name, value in rows)
    return f'<table class="about"><tbody>{cells}</tbody></table>'


def _points(columns: dict[str, list[Any]]) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
    body = []
    for row in zip(*columns.values(), strict=True):
        kind = ' class="failed"' if row[-1] == "failed" else ""
        cells = (
            f'<td data-value="{html.escape("" if v is None else repr(v) if isinstance(v, float) else str(v))}">{_shown(v)}</td>'
            for v in row
        )
        body.append(f"<tr{kind}>{''.join(cells)}</tr>")
    return f'<div class="wide"><table class="points"><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'


def _picture(results: Results) -> str:
    from matplotlib import rc_context

    from rpusim.plotting.style import style
    from rpusim.sweep.figures import overview

    file = io.StringIO()
    with rc_context(style()):
        overview(results).savefig(file, format="svg", metadata={"Date": None})
    text = file.getvalue()
    return text[text.index("<svg") :]


def _seen(results: Results, name: str) -> str:
    """All that was noted of the points under a name."""
    found = dict.fromkeys(json.dumps(row[name]) if isinstance(row[name], dict) else row[name] for row in results.rows)
    texts = [str(one) for one in found if one is not None]
    return ", ".join(text.strip("{}").replace('"', "") for text in texts) or "unknown"


def save_report(results: Results, path: str | os.PathLike[str], title: str | None = None) -> Path:
    """Write a page about a study: what was varied, a table that can be sorted, pictures, seeds, versions, commits, failures.

    Parameters
    ----------
    results : Results
    path : path
    title : str, optional

    Returns
    -------
    Path

    Examples
    --------
    >>> import tempfile, rpusim as rpu
    >>> study = rpu.sweep.Study("regression", {"lr": [0.01, 0.1]}, {"steps": 200})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     results = rpu.sweep.run(study, folder + "/study.sqlite", workers=1, progress=False)
    ...     page = rpu.sweep.save_report(results, folder + "/study.html", "rates")
    ...     print(page.name, "rates" in page.read_text())
    study.html True
    """
    instance(Results, "Results of a sweep")("results", results)
    study, counts = results.study, results.counts()
    heading = html.escape(title or f"Sweep: {study['task']}")
    vary = [
        (
            name,
            f"{v['range']['low']:g} to {v['range']['high']:g}" if isinstance(v, dict) else ", ".join(str(label(x)) for x in v),
        )
        for name, v in study["vary"].items()
    ]
    about = [
        ("task", study["task"]), ("design", study["design"] + (f", {study['points']} points" if study["points"] else "")),
        ("points", ", ".join(f"{n} {status}" for status, n in counts.items())),
        ("seeds", f"{study['seeds']} of each, from rng {study['rng']}"), ("versions", _seen(results, "versions")),
        ("commit", _seen(results, "code")), ("hosts", _seen(results, "host")),
        ("seconds", sum(row["seconds"] or 0.0 for row in results.rows)),
    ]  # fmt: skip
    best = results.best()
    if best is not None:
        name = study["minimize"] or study["maximize"]
        at = ", ".join(f"{k} {label(v)}" for k, v in best["varied"].items())
        about.append(("best", f"{name} {best['results'][name]:.5g} at {at}"))
    parts = [f"<h1>{heading}</h1>", _about(about), "<h2>Varied</h2>", _about(vary)]
    if study["settings"]:
        parts += ["<h2>The same for all</h2>", _about([(k, label(v)) for k, v in study["settings"].items()])]
    if counts["done"]:
        parts += ["<h2>Pictures</h2>", _picture(results)]
    parts += ["<h2>Points</h2>", _points(results.columns())]
    for varied, trace in results.failures():
        at = ", ".join(f"{k} {label(v)}" for k, v in varied.items())
        parts.append(f"<details><summary>failed: {html.escape(at)}</summary><pre>{html.escape(trace)}</pre></details>")
    page = (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{heading}</title><style>{_STYLE}</style></head>'
        f"<body>{''.join(parts)}<script>{_SCRIPT}</script></body></html>\n"
    )
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(target) as file:
        file.write(page.encode())
    return target
