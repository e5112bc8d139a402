"""From the text of a file to rows of cells: comments, delimiters, numbers."""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = []

#: words that stand for a value that is missing
MISSING = frozenset(
    "nan na n/a null none nil missing - -- --- . ? * #n/a #na #div/0! #value! #num! #ref! #name? #null! ovld overflow overload "
    "ovl ovr ol over.range overrange overflw err error err. invalid bad fail failed".split()
) | {""}
#: numbers of this size stand for overflow (9.9e37 of IEEE 488 instruments) or for not-a-number (9.91e37)
OVERFLOW = 9.9e36

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eEdD][+-]?\d+)?$")
_COMMA_NUMBER = re.compile(r"[+-]?\d+,\d+([eE][+-]?\d+)?$")
#: a comment begins, but in "Pulse #" and "#N/A"
_COMMENT = re.compile(r"#(?![\s)\]\"]*(?:[,;\t|]|$)|N/A|NA\b|DIV/0|VALUE!|NUM!|REF!|NAME\?|NULL!)", re.IGNORECASE)
_COMMENT_LINE = re.compile(r'\s*"?(?:#(?!N/A|NA\b|DIV/0|VALUE!|NUM!|REF!|NAME\?|NULL!)|%|//|!) *', re.IGNORECASE)
_COMMENT_BELOW = re.compile(r"#(?!N/A|NA\b|DIV/0|VALUE!|NUM!|REF!|NAME\?|NULL!)", re.IGNORECASE)
_NUMBER_FIRST = re.compile(r'[\s"|]*[+-]?\.?\d')
#: a line drawn below names
_RULE = re.compile(r"[-=+|:_\s]{6,}")
_QUOTED_COMMA = re.compile(r'"[+-]?\d+,(\d{1,2}|\d{4,})([eE][+-]?\d+)?"')
_UNSIGNED = str.maketrans({"\u2212": "-", "\u2013": "-", "\u00a0": " ", "\u202f": " ", "\u2009": " "})


@dataclass(frozen=True)
class Row:
    """One line: its number in the file, its cells, whether it was behind a comment sign, and the line itself."""

    line: int
    cells: list[str]
    comment: bool = False
    text: str = ""


@dataclass(frozen=True)
class Form:
    """How lines are cut into cells: by a delimiter (None: blanks), with decimal commas or points."""

    delimiter: str | None
    comma: bool


def number_of(cell: str, comma: bool = False) -> float | None:
    """The number that a cell holds, nan where it says that one is missing, None where it holds something else."""
    text = cell.strip()
    if text.lower() in MISSING and text != "nA":  # nanoamperes
        return math.nan
    if comma:
        text = text.replace(",", ".") if "." not in text else "x"
    if _NUMBER.match(text):
        return float(text.replace("d", "e").replace("D", "e"))
    if text.lower().lstrip("+-") in ("inf", "infinity"):
        return math.inf
    return None


def split_line(line: str, form: Form, path: Path, number: int) -> list[str]:
    """The cells of a line."""
    if form.delimiter is None:
        return [c.strip('"') for c in line.split()]
    try:
        cells = next(csv.reader([line], delimiter=form.delimiter, skipinitialspace=True))
    except csv.Error as error:
        raise ValueError(f"{path}, line {number}: must be cells of a table; got {line[:40]!r}... ({error})") from None
    return [c.strip().strip('"').strip() for c in cells]


def names_between_blanks(line: str, width: int) -> list[str]:
    """The names in a header line between blanks: a unit belongs to the name before it, and all to an only column."""
    if width == 1:
        return [line.strip().strip('"')]
    found = [c.strip('"') for c in re.findall(r'"[^"]*"|\S+(?:\s+[(\[][^)\]]*[)\]])?', line.strip())]
    return found if len(found) == width or '"' in line else line.split()


def rows_of(path: Path, text: str, skip_rows: int) -> tuple[list[Row], Form]:
    """The lines of a text, cut into cells; blank lines are left out."""
    lines: list[tuple[int, str, bool]] = []
    below = False
    for number, raw in _whole_lines(re.split(r"\r\n|\r|\n", text)):
        line = raw.translate(_UNSIGNED)
        if number <= skip_rows or not line.strip(" \t\x1a\0\f\v,;|") or _RULE.fullmatch(line):
            continue
        found = _COMMENT_LINE.match(line)
        if found:
            lines.append((number, line[found.end() :].rstrip(), True))
            continue
        below = below or bool(_NUMBER_FIRST.match(line))  # where # always begins a comment
        line = (_COMMENT_BELOW if below else _COMMENT).split(line, maxsplit=1)[0].rstrip()
        if line.strip():
            lines.append((number, line, False))
    body = [line for _, line, comment in lines if not comment]
    if not body:
        raise ValueError(f"{path}: must hold numbers; got an empty file" if not skip_rows else _nothing(path, skip_rows))
    form = form_of(body)
    return [
        Row(number, split_line(line, form, path, number), comment, line) for number, line, comment in lines if line.strip()
    ], form


def _whole_lines(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Lines with their numbers; a name in quotes may go over several."""
    k = 0
    while k < len(lines):
        line, first = lines[k], k + 1
        while (
            line.count('"') % 2
            and k + 1 < len(lines)
            and k - first < 3
            and any(lines[n].count('"') for n in range(k + 1, k + 2))
        ):
            k += 1
            line += " " + lines[k]
        yield first, line
        k += 1


def _nothing(path: Path, skip_rows: int) -> str:
    return f"{path}: skip_rows must leave lines with numbers; got {skip_rows}"


_FORMS = tuple(Form(delimiter, comma) for comma in (False, True) for delimiter in ("\t", ";", "|", ",", None))


def form_of(body: Sequence[str]) -> Form:
    """The form in which most lines are rows of numbers, all of the same number of cells."""
    sample = body if len(body) <= 400 else [*body[:200], *body[-200:]]
    if len(sample) > 1 and "," not in sample[0] and all(_COMMA_NUMBER.match(line.strip(' "')) for line in sample[1:]):
        return Form(None, True)  # one name over one column with decimal commas
    quoted = any(_QUOTED_COMMA.search(line) for line in sample)
    scores = [(_score(sample, form), form) for form in _FORMS if form != Form(",", True) or quoted]
    best = max(score for score, _ in scores)
    # blanks are within cells, too: a delimiter that does nearly as well is one
    return next(form for (count, several), form in scores if count >= 0.9 * best[0] and several == best[1])


def _score(sample: Sequence[str], form: Form) -> tuple[int, bool]:
    """How many lines of the commonest width hold numbers, twice where they hold nothing else; and whether they are several."""
    widths: Counter[int] = Counter()
    for line in sample:
        if form.delimiter is None:
            cells = line.split()
        elif '"' in line:
            cells = next(csv.reader([line[:100_000]], delimiter=form.delimiter, skipinitialspace=True))
        else:
            cells = line.split(form.delimiter)
        found = [number_of(c.strip(' "'), form.comma) for c in cells]
        if any(value is not None and not math.isnan(value) for value in found):
            whole = all(value is not None for value in found)
            if whole or len(cells) > 1:
                widths[len(cells)] += 2 if whole else 1
    if not widths:
        return 0, False
    width, count = max(widths.items(), key=lambda pair: (pair[1], pair[0]))
    return count, width > 1
