"""What the name of a column says: a quantity, a unit, a direction."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = []

_LETTERS = {"f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "": 1.0}
_WORDS = {"femto": 1e-15, "pico": 1e-12, "nano": 1e-9, "micro": 1e-6, "milli": 1e-3, "kilo": 1e3, "mega": 1e6, "giga": 1e9}
#: symbols and words of units; those in lower case are of any case
_UNITS = {
    "S": ("S", "siemens siemen mho mhos 1/ohm ohm^-1 ohm-1 ohm**-1 a/v"),
    "A": ("A", "amperes ampere amps amp"),
    "ohm": ("ohm", "ohms ohm r"),
    "V": ("V", "volts volt"),
    "s": ("s", "seconds second secs sec s"),
    "min": ("min", "minutes minute mins min"),
    "h": ("h", "hours hour hrs hr h"),
    "W": ("W", "watts watt"),
    "K": ("K", "kelvin degc °c"),
    "Hz": ("Hz", "hertz hz"),
}
#: conductance quantum 2 e^2 / h, in siemens
G_0 = 7.748091729863649e-5
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻\N{MINUS SIGN}", "0123456789--")
#: what a unit is one of
QUANTITY_OF = {"S": "conductance", "A": "current", "ohm": "resistance", "V": "voltage", "s": "time", "min": "time",
                "h": "time", "W": "power", "K": "temperature", "Hz": "frequency"}  # fmt: skip
_POWER = re.compile(r"^[x×*·]?\s*(?:10\s*(?:\^|\*\*)?\s*\{?([+-]?\d+)\}?|1[eE]([+-]?\d+))\s*[*·×x]?\s*(.+)$")
_POWER_BEHIND = re.compile(r"^(.+?)\s*[x×*·]\s*(?:10\s*(?:\^|\*\*)?\s*\{?([+-]?\d+)\}?|1[eE]([+-]?\d+))$")


def unit_in(text: str) -> tuple[str, float] | None:
    """The unit that a text says, and its factor; None where it is none that is known."""
    text = text.strip().replace("Â", "").replace("µ", "u").replace("μ", "u").replace("\ufffd", "u")
    text = text.replace("Ω", "ohm").replace("Ω", "ohm").replace("\\mu", "u").replace("\\Omega", "ohm")
    text = text.translate(_SUPERSCRIPTS).strip("$ ")
    for pattern, groups in ((_POWER, (1, 2, 3)), (_POWER_BEHIND, (2, 3, 1))):
        found = pattern.match(text)
        if found and len(text) < 40:
            power, other, rest = (found.group(k) for k in groups)
            inner = _plain_unit(rest.strip())
            exponent = int((power or other)[:6])
            if inner and abs(exponent) < 40:
                return inner[0], inner[1] * float(f"1e{exponent}")
    return _plain_unit(text)


def _plain_unit(text: str) -> tuple[str, float] | None:
    if text in ("G0", "G_0", "2e^2/h", "2e2/h"):
        return "S", G_0
    for unit, (symbol, words) in _UNITS.items():
        for word in (symbol, *words.split()):
            if not text.lower().endswith(word.lower()):
                continue
            head, tail = text[: len(text) - len(word)], text[len(text) - len(word) :]
            if tail != symbol and (word != tail.lower() or (len(word) == 1 and head)):
                continue
            if len(word) == 1 and tail != symbol and word != "s":
                continue
            if head in _LETTERS and not (unit in ("min", "h") and head):
                return unit, _LETTERS[head]
            if head.lower().strip(" -") in _WORDS:
                return unit, _WORDS[head.lower().strip(" -")]
    return None


@dataclass(frozen=True)
class Label:
    """What is known of a column by its name: `quantity` and `direction` are "" and None where it says none."""

    name: str
    quantity: str = ""
    unit: str = ""
    factor: float = 1.0
    direction: str | None = None
    numbered: bool = False


_BRACKETS = re.compile(r"[(\[{]\s*([^()\[\]{}]+?)\s*[)\]}]")
_SLASH = re.compile(r"\s*/\s*([^/]+?)\s*$")
_IN = re.compile(r"(?:\s+in|\s*,|\s*:|\s+-)\s+([^\s,]+(?:\s?[sS]iemens)?)\s*$")
_LAST = re.compile(r"(?<=[\w)\]])[\s_.\-]+([^\s_]+)\s*$")


def split_unit(name: str) -> tuple[str, str, float]:
    """A name without its unit, the unit, its factor."""
    for found in _BRACKETS.finditer(name):
        unit = _of_lower_case(found.group(1), name) or unit_in(found.group(1))
        if unit:
            return (name[: found.start()] + " " + name[found.end() :]).strip(), *unit
    for pattern in (_SLASH, _IN):
        found2 = pattern.search(name)
        if found2:
            rest = name[: found2.start()]
            unit = _of_lower_case(found2.group(1), rest) or unit_in(found2.group(1))
            if unit:
                return name[: found2.start()].strip(), *unit
    last = _LAST.search(name)
    if last:
        unit = unit_in(last.group(1))
        rest = name[: last.start()].strip()
        # a lone letter may be that of a device: only behind a quantity that is measured in it
        if unit and (len(last.group(1)) > 1 or QUANTITY_OF[unit[0]] == quantity_of(rest)):
            return rest, *unit
    whole = unit_in(name)
    return ("", *whole) if whole and len(name.strip()) > 1 and whole[1] != G_0 else (name.strip(), "", 1.0)


def _of_lower_case(text: str, name: str) -> tuple[str, float] | None:
    """The unit of a conductance that somebody wrote as "us"."""
    if text in ("s", "us", "ns", "ms", "ps", "µs", "μs") and quantity_of(_BRACKETS.sub("", name)) == "conductance":
        return unit_in(text[:-1] + "S")
    return None


_NAMES: tuple[tuple[str, str], ...] = (
    ("spread", r"(.*[\W_])?(sigma|std|sd|stdev|std\W?dev|dev(iation)?|err(ors?)?|uncertainty|sem|se|var(iance)?|±|spread|noise|"
               r"ci|iqr|cv)([\W_].*)?|([dδΔ]|delta)[\W_]?[gir]\b.*|.*(sigma|stdev|stddev|_std|_err|_sd)\d*"),
    ("temperature", r"temp(erature)?\b.*"),
    ("power", r"(power|energy)\b.*"),
    ("frequency", r"(freq(uency)?)\b.*"),
    ("voltage", r"(.*[\W_])?(volt\w*|bias|amplitude|amp)([\W_].*)?|v[\W_]?[a-z]{0,6}\W?\d*|abs\(?v\)?\d*|.*voltage.*|"
                r".*_v\d*"),
    ("time", r"(time|elapsed|date|timestamp|duration|delay|t)\b.*|(.*[\W_])?(width|duration|time|timestamp)([\W_].*)?|t\d*"),
    ("count", r"\W*((im)?puls(es?|e)?|pulse[\W_]?(no|nr|num|number|index|idx|id|count|n|i|#)s?\W*|points?|pts?|n|no|nr|num|"
              r"number|index|idx|steps?|count|#|x|unnamed\W.*)\W*(number|index|count|no|nr|#|num|id)?\W*|"
              r"\W*(number|no|nr|#|num|n|count)[\W_]*(of[\W_]+)?(pulses?|steps?|points?)\W*\d*|pulses?[\W_]+(applied|given)|"
              r"\W*(pulses?)[\W_]*(no|nr|number|#|index)?\W*\d*"),
    ("cycle", r"\W*(cycles?|cyc|loops?|runs?|rep(eat|etition|s)?|iterations?|trials?|rounds?|sweeps?)[\W_]*"
              r"(no|nr|num|number|index|idx|id|#)?\W*"),
    ("device", r"\W*(device|dev|cell|dut|die|chip|sample|site|row|col|column|wordline|bitline|wl|bl|channel|synapse)[\W_]*"
               r"(no|nr|num|number|index|idx|id|name|#)?\W*"),
    ("branch", r"\W*((pulse|ramp|write)[\W_]*)?(type|polarity|branch|direction|phase|process|op|operation|sign|mode|kind|label|"
               r"half)\W*|(ltp|pot\w*|set|up)[\W_]+(or[\W_]+)?(ltd|dep\w*|reset|down)"),
    ("resistance", r"(.*[\W_])?resist\w*([\W_].*)?|(r|rread|rch|rds|rlow|rhigh|ron|roff|rdev|rset|rreset|lrs|hrs)"
                   r"([\W_].*)?\d*"),
    ("conductance", r"(.*[\W_])?conduct\w*([\W_].*)?\d*|g([\W_].*)?\d*|g(ch|ds|d|p|n|s|on|off|read|up|down|ltp|ltd|pot|dep|"
                    r"mean|avg|plus|minus|set|reset|norm|dev|max|min)\w*|synaptic[\W_].*|.*conductance.*"),
    ("current", r"(.*[\W_])?current([\W_].*)?\d*|\|?i\|?([\W_].*)?\d*|i(d|ds|sd|dr|read|meas|cell|ch|out|on|off|s)\d*|"
                r"abs\W?i\W?\d*|.*current.*"),
)  # fmt: skip
_QUANTITIES = tuple((quantity, re.compile(pattern, re.IGNORECASE)) for quantity, pattern in _NAMES)
_UP = re.compile(r"(?<![a-z])(ltp|pot(entiation|entiate|\b)?|up|set|inc(rease|reasing)?|rising|program(ming)?)(?![a-z])", re.I)
_DOWN = re.compile(r"(?<![a-z])(ltd|dep(ression|ress|\b)?|down|dn|reset|dec(rease|reasing)?|falling|erase)(?![a-z])", re.I)


def quantity_of(name: str) -> str:
    """What a name without its unit is that of, "" where it does not say."""
    name = name.strip().strip("\"'")
    if not name or len(name) > 120:
        return ""
    return next((quantity for quantity, pattern in _QUANTITIES if pattern.fullmatch(name)), "")


def direction_in(text: str) -> str | None:
    """ "up" or "down" where a text says one of them."""
    text = text.replace("_", " ")
    up, down = _UP.search(text), _DOWN.search(text)
    return None if bool(up) == bool(down) else "up" if up else "down"


def label_of(name: str, unit_below: str = "") -> Label:
    """What the name of a column, and the cell of a row of units below it, say."""
    name = name[:200]
    rest, unit, factor = split_unit(name)
    below = unit_in(unit_below.strip("()[]{} ")) if unit_below else None
    if below and not unit:
        unit, factor = below
    quantity = quantity_of(rest)
    measured = quantity == "count" and unit in ("S", "A", "ohm")  # as "n (uS)"
    if unit in QUANTITY_OF and (measured or quantity not in ("spread", "count", "cycle", "device", "branch")):
        contradicts = quantity == "conductance" and unit == "ohm"  # one of the two is wrong: to be said
        quantity = quantity if contradicts else QUANTITY_OF[unit]
    return Label(name, quantity, unit, factor, direction_in(rest), bool(re.search(r"\d\W*$", rest)))
