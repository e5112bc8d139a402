"""What a figure in print must be, by where its parts come to lie."""

from __future__ import annotations

import itertools
import re

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

UNITS = {"conductance": "S", "current": "A", "resistance": "ohm", "voltage": "V", "time": "s"}


def texts_of(figure: Figure) -> list[Text]:
    """All that can be read: not the labels of ticks beyond the limits of their axes."""
    beyond = set()
    for axis in [axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)]:
        low, high = sorted(axis.get_view_interval())
        slack = 1e-9 * (high - low)
        for tick in [*axis.majorTicks, *axis.minorTicks]:
            if not low - slack <= tick.get_loc() <= high + slack:
                beyond |= {tick.label1, tick.label2}
    every = figure.findobj(Text)
    return [text for text in every if text.get_visible() and text.get_text().strip() and text not in beyond]


def check_print(figure: Figure, width: float) -> None:
    """Raise AssertionError, which says what is wrong, where a figure cannot be printed."""
    assert abs(figure.get_figwidth() - width) < 1e-9, f"wide {figure.get_figwidth()}"
    figure.draw_without_rendering()
    bars = {id(image.colorbar.ax): image for ax in figure.axes for image in [*ax.images, *ax.collections] if image.colorbar}
    panels = [ax for ax in figure.axes if id(ax) not in bars]
    for ax in figure.axes:
        _check_axes(ax, ax in panels)
    for ax in panels:
        place = ax.get_subplotspec().get_gridspec()
        assert ax.get_position().width > 0.55 / place.ncols, f"narrow: {ax.get_title('left')!r}"
    boxes = [(text, text.get_window_extent()) for text in texts_of(figure)]
    for text, box in boxes:
        assert 6.99 <= text.get_fontsize() <= 9.01, f"font size {text.get_fontsize()} of {text.get_text()!r}"
        inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= figure.bbox.x1 + 1 and box.y1 <= figure.bbox.y1 + 1
        assert inside, f"outside: {text.get_text()!r} at {box} of {figure.bbox}"
    for (one, a), (two, b) in itertools.combinations(boxes, 2):
        over = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert min(over) <= 0.5, f"overlap of {one.get_text()!r} and {two.get_text()!r}"
    for ax, other in itertools.product(panels, panels):
        if ax.get_legend() is not None:
            box, axes = ax.get_legend().get_window_extent(), other.get_window_extent()
            assert not box.overlaps(axes), f"legend of {ax.get_title()!r} over {other.get_title()!r}"


def _check_axes(ax: Axes, is_panel: bool) -> None:
    shown = [*ax.lines, *ax.collections, *ax.images, *ax.patches]
    assert shown, f"no data in {ax.get_title()!r}"
    labels = (ax.get_xlabel(), ax.get_ylabel()) if is_panel else (ax.get_ylabel(),)
    for label in labels:
        assert label, f"no label on an axis of {ax.get_title()!r}"
        for quantity, unit in UNITS.items():
            if re.search(rf"\b{quantity}\b", label):
                assert re.search(rf"\([fpnµmkMG]?{unit}\)", label), f"no unit in {label!r}"
    for coloured in [*ax.images, *ax.collections] if is_panel else []:
        assert coloured.get_array() is None or coloured.colorbar is not None, "colour bar missing"
