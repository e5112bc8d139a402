"""Formulas as MathML, which browsers draw without scripts, by what docutils brings."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.errors import ExtensionError


def _markup(text: str, where: nodes.Node, block: bool) -> str:
    if block and "\\\\" in text and "\\begin" not in text:
        text = rf"\begin{{aligned}}{text}\end{{aligned}}"
    try:
        found = str(tex2mathml(text.strip(), as_block=block))
    except MathError as error:
        raise ExtensionError(f"{where.source}:{where.line}: {error} in the formula {text!r}") from None
    found = re.sub(r"<mo[^>]*>\|</mo>", '<mo lspace="0" rspace="0">|</mo>', found)  # of a size: close to what it is of
    return re.sub(r">\n\s*<", "><", found)


def _inline(translator: Any, node: nodes.math) -> None:
    translator.body.append(_markup(node.astext(), node, False))
    raise nodes.SkipNode


def _block(translator: Any, node: nodes.math_block) -> None:
    parts = [_markup(part, node, True) for part in node.astext().split(r"\qquad")]  # which may stand below each other
    translator.body.append(f'<div class="formula">{"".join(parts)}</div>')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, Any]:
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True}
