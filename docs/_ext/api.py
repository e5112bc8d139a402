"""Pages of the API: one for each room with public names, from the lists of names that the package itself has."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

from sphinx.ext.autodoc.mock import mock

#: packages of extras, which the site does not need
MOCKED = ["sklearn", "torch", "onnx"]
#: rooms, and what they are, in the order of the house
ROOMS = {
    "rpusim": "Arrays, peripheries, counts",
    "rpusim.devices": "What one cross-point is",
    "rpusim.devices.presets": "Published devices",
    "rpusim.wires": "Lines with resistance",
    "rpusim.algorithms": "Training algorithms",
    "rpusim.algorithms.named": "Algorithms with published settings",
    "rpusim.nn": "Layers, networks, trainer",
    "rpusim.inference": "Trained networks on chips",
    "rpusim.inference.chips": "Published chips",
    "rpusim.theory": "Equilibria and continuum equations",
    "rpusim.experiments": "The regression on one parameter",
    "rpusim.fitting": "From measurements to devices",
    "rpusim.applications": "Kernels, memories, spikes, physical networks, search",
    "rpusim.sweep": "Studies of many runs",
    "rpusim.reproduce": "Published figures, computed anew",
    "rpusim.datasets": "Data",
    "rpusim.plotting": "Pictures",
    "rpusim.interop.sklearn": "Estimators of scikit-learn",
    "rpusim.interop.torch": "Layers of PyTorch",
    "rpusim.interop.onnx": "Files of ONNX",
    "rpusim.interop.aihwkit": "Configurations of AIHWKit",
    "rpusim.interop.spice": "Netlists",
    "rpusim.checkpoint": "Files that a killed process leaves whole",
}
#: where a room is, that is called otherwise
HOMES = {"rpusim.checkpoint": "rpusim._base.checkpoint"}


def _names(room: str, module: Any, seen: set[int]) -> list[str]:
    """Public names of a room that are not documented on a page before, and are no rooms themselves."""
    names = []
    for name in getattr(module, "__all__", []):
        value = getattr(module, name)
        if not (inspect.ismodule(value) or id(value) in seen or name.startswith("__")):
            names.append(name)
            if callable(value):
                seen.add(id(value))
    return names


def _entry(module: Any, name: str) -> list[str]:
    value = getattr(module, name)
    if inspect.isclass(value):
        return [f".. autoclass:: {name}", "   :members:", "   :show-inheritance:", ""]
    if callable(value):
        return [f".. autofunction:: {name}", ""]
    return [f".. autodata:: {name}", "   :no-value:" if len(repr(value)) > 100 else "", ""]


def _page(room: str, what: str, seen: set[int]) -> str:
    home = HOMES.get(room, room)
    with mock(MOCKED if room.startswith("rpusim.interop") else []):
        module = importlib.import_module(home)
    names = _names(room, module, seen)
    title = f"``{room}``"
    lines = [title, "=" * len(title), "", f"{what}.", "", f".. currentmodule:: {home}", ""]
    lines += [".. autosummary::", "   :nosignatures:", "", *(f"   {name}" for name in names), ""]
    for name in names:
        lines += ["----", "", *_entry(module, name)] if name != names[0] else _entry(module, name)
    return "\n".join(lines)


def _write(app: Any) -> None:
    """Write the pages, each only where it has changed."""
    folder = Path(app.srcdir) / "api"
    folder.mkdir(exist_ok=True)
    seen: set[int] = set()
    pages = {room: _page(room, what, seen) for room, what in ROOMS.items()}
    toctree = [".. toctree::", "   :maxdepth: 1", "", *(f"   {room}" for room in pages)]
    table = [f"   * - :doc:`{room} <{room}>`\n     - {what}" for room, what in ROOMS.items()]
    lines = ["API", "===", "", "Every public name, with an example that is run as a test.", ""]
    pages["index"] = "\n".join([*lines, ".. list-table::", "   :widths: 35 65", "", *table, "", *toctree, "   :hidden:"][:-1])
    for name, text in pages.items():
        path = folder / f"{name}.rst"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def _bars(app: Any, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Sizes like |x| are no substitutions: their bars are marked as text, but for examples, literals and formulas."""
    literal = None
    for k, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if literal is not None and line.strip() and indent <= literal:
            literal = None
        if literal is None and not line.lstrip().startswith((">>>", "...")):
            parts = re.split(r"(``[^`]*``|:math:`[^`]*`)", line)
            parts[::2] = [re.sub(r"(?<!\\)\|", r"\|", part) for part in parts[::2]]
            lines[k] = "".join(parts)
        if literal is None and (line.rstrip().endswith("::") or line.lstrip().startswith(".. math::")):
            literal = indent


def _joined(app: Any, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Parameters that are listed over several lines are one entry to numpydoc only on one line."""
    for k in range(len(lines) - 2, -1, -1):
        if re.fullmatch(r"[\w, ]+,", lines[k]) and re.match(r"\w", lines[k + 1]):
            lines[k : k + 2] = [f"{lines[k]} {lines[k + 1]}"]


def _is_inner(app: Any, what: str, name: str, value: Any, skip: bool, options: Any) -> bool | None:
    """Attributes that are for the code that draws and runs devices, and fields of tuples, which the docstring names."""
    inner = name in ("papers", "parameter_names", "kernel", "perturbed") or type(value).__name__ == "_tuplegetter"
    return True if inner else None


def setup(app: Any) -> dict[str, Any]:
    app.connect("autodoc-skip-member", _is_inner)
    app.connect("autodoc-process-docstring", _bars, priority=400)  # before numpydoc
    app.connect("autodoc-process-docstring", _joined, priority=401)
    app.config.autodoc_mock_imports = MOCKED
    app.connect("builder-inited", _write)
    return {"parallel_read_safe": True}
