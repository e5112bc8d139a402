"""Reading NeuroSim's parameters from lists of names and values: C++, Python, CSV, JSON, or plain text."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
from pathlib import Path
from typing import Any

from rpusim._base.specification import plain_json
from rpusim._base.validation import shown
from rpusim.fitting.decode import bytes_of, text_of
from rpusim.fitting.labels import NeuroSim, neurosim
from rpusim.fitting.units import split_unit

__all__ = ["looks_like_neurosim", "read_neurosim"]

#: names without case and signs, and what they are
_NAMES = {
    "NL_LTP": "nlltp nonlinearityltp ltpnonlinearity nlp alphaltp nlpotentiation",
    "NL_LTD": "nlltd nonlinearityltd ltdnonlinearity nld alphaltd nldepression",
    "maxNumLevelLTP": "maxnumlevelltp maxlevelltp numlevelltp numpulseltp pulsesltp levelsltp pmaxltp",
    "maxNumLevelLTD": "maxnumlevelltd maxlevelltd numlevelltd numpulseltd pulsesltd levelsltd pmaxltd",
    "level": "maxlevel maxnumlevel numlevel numlevels levels numberoflevels numberofpulses pmax",
    "maxConductance": "maxconductance gmax onconductance gon",
    "minConductance": "minconductance gmin offconductance goff",
    "resistanceOn": "resistanceon ron", "resistanceOff": "resistanceoff roff",
    "onoffratio": "onoffratio onoff conductanceratio",
    "sigmaCtoC": "sigmactoc ctoc c2c c2cvari c2cvariation cycletocycle cycletocyclevariation",
    "sigmaDtoD": "sigmadtod dtod d2d d2dvari d2dvariation devicetodevice devicetodevicevariation",
}  # fmt: skip
_KNOWN = {alias: name for name, aliases in _NAMES.items() for alias in aliases.split()}
_ASSIGNED = re.compile(
    r"^\s*(?:[\w:*&<>]+\s+)*?(?:\w+(?:\.|->))*([A-Za-z_][\w /.-]{0,60}?(?:\s*[(\[][^)\]]{1,12}[)\]])?)\s*[=:,;\t]\s*"
    r"(.+?)[;,\s]*$"
)
_BLANK = re.compile(r"^\s*([A-Za-z_]\w{0,40})\s+([-+.\d]\S*)\s*$")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$")
_OF_RANGE = re.compile(r"(.+?)\s*\*\s*\(\s*maxConductance\s*-\s*minConductance\s*\)$")
_ONE_OVER = re.compile(r"(?:\(\s*double\s*\)\s*)?1(?:\.0*)?\s*/\s*(.+)$")
_CONSTRUCTOR = re.compile(r"^\s*(\w+)::\1\s*\(")


def _name(text: str) -> str | None:
    return _KNOWN.get(re.sub(r"[^a-z0-9]", "", text.lower()))


def _assignments(text: str) -> list[tuple[str, str, int]]:
    """Names that are known, their values as they are written, and their lines."""
    text = re.sub(r"/\*.*?\*/", lambda found: "\n" * found.group().count("\n"), text, flags=re.DOTALL)
    out = []
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        line = re.split(r"//|#", line[:300], maxsplit=1)[0].strip().strip('"')
        found = _ASSIGNED.match(line) or _BLANK.match(line)
        if found and _name(split_unit(found.group(1).strip("\"' "))[0] or found.group(1)):
            out.append((found.group(1).strip("\"' "), found.group(2).strip("\"' "), number))
    return out


def _of_real_device(text: str) -> tuple[str, list[str]]:
    """Of the peer's Cell.cpp, which has several devices, the lines of that with an exponential; others as they are."""
    lines = text.splitlines()
    starts = [(k, found.group(1)) for k, line in enumerate(lines) if (found := _CONSTRUCTOR.match(line))]
    mine = [k for k, name in starts if name == "RealDevice"]
    if len(starts) < 2 or len(mine) != 1:
        return text, []
    end = next((k for k, _ in starts if k > mine[0]), len(lines))
    kept = [line if mine[0] <= k < end else "" for k, line in enumerate(lines)]
    others = ", ".join(name for _, name in starts if name != "RealDevice")
    return "\n".join(kept), [f"of several devices RealDevice is read; others: {others[:120]}"]


def looks_like_neurosim(text: str) -> bool:
    """Whether a text is a list of NeuroSim's parameters: both labels of nonlinearity are in it."""
    if text.lstrip().startswith("{"):
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            return False
        names = {_name(str(key)) for key in data} if isinstance(data, dict) else set()
    else:
        names = {_name(split_unit(name)[0] or name) for name, _, _ in _assignments(text[:1_000_000])}
    return {"NL_LTP", "NL_LTD"} <= names


def read_neurosim(
    path: str | os.PathLike[str], *, zero: str = "middle", encoding: str | None = None, **others: Any
) -> NeuroSim:
    """Read NeuroSim's parameters from a list of names and values, and return the device that they describe.

    Lines may be those of C++ (``maxConductance = 3.8462e-8;``), Python (``args.c2cVari = 0.003``), CSV or text
    (``NL_LTP, 2.4``, ``NL_LTP: 2.4``), or the file JSON. Of the peer's Cell.cpp RealDevice is read. Names are those of
    MLP+NeuroSim (NL_LTP, maxNumLevelLTP, sigmaCtoC, ...) and DNN+NeuroSim (nonlinearityLTP, max_level, c2cVari, onoffratio,
    ...) and close ones (Gmax (uS), Ron). What is not among them is passed over.

    Parameters
    ----------
    path : path
    zero, **others
        See `neurosim`.
    encoding : str, optional
        Encoding of the file.

    Returns
    -------
    NeuroSim

    Raises
    ------
    ValueError
        If a parameter is missing, is no number, or stands there twice with two values; the message names the line.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> import pathlib, tempfile, rpusim as rpu
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "cell.txt"
    >>> _ = path.write_text("NL_LTP = 1\\nNL_LTD = -1\\nmaxNumLevelLTP = 64\\nonoffratio = 10\\nsigmaCtoC = 0.01\\n")
    >>> found = rpu.fitting.read_neurosim(path)
    >>> found.device.gamma_up == found.device.gamma_down, round(found.device.gamma_up, 4)
    (True, 0.3795)
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"path must be a path; got {type(path).__name__}")
    if encoding is not None and not isinstance(encoding, str):
        raise TypeError(f"encoding must be a str or None; got {shown(encoding)}")
    file = Path(path)
    text, notes = text_of(file, bytes_of(file), encoding)
    if text.lstrip().startswith("{"):
        data = plain_json(str(file), text)
        pairs = [(str(name), value, 0) for name, value in data.items()] if isinstance(data, dict) else []
        found = [
            (name, value if isinstance(value, str) else repr(value), line)
            for name, value, line in pairs
            if _name(split_unit(name)[0] or name)
        ]
    else:
        text, more = _of_real_device(text)
        notes += more
        found = _assignments(text)
    values = _values(file, found, notes)
    result = neurosim(zero=zero, **values, **others)
    return dataclasses.replace(result, notes=(*notes, *result.notes))


def _values(file: Path, found: list[tuple[str, str, int]], notes: list[str]) -> dict[str, Any]:
    """Arguments of `neurosim`."""
    seen: dict[str, tuple[float, int, bool]] = {}
    for written, text, line in found:
        base, _, factor = split_unit(written)
        name = _name(base or written)
        assert name is not None
        if re.fullmatch(r"(\(\s*double\s*\)\s*)?1(\.0*)?\s*/\s*resistanceO(n|ff)", text):
            continue  # what it is of is read itself
        read = _number(text, name)
        if read is None and name in seen:
            notes.append(f"{file.name}, line {line}: {written[:60]} is no number there, and stays {seen[name][0]:g}")
            continue
        if read is None:
            where = f"{file}, line {line}" if line else str(file)
            raise ValueError(f"{where}: {written[:60]} must be a number; got {shown(text)}")
        number, of_range = read[0] * factor, read[1]
        if name in seen and seen[name][0] != number:
            where = f"{file}, line {line}" if line else str(file)
            raise ValueError(
                f"{where}: {name} must have one value; got {number:g} after {seen[name][0]:g} (line {seen[name][1]})"
            )
        seen.setdefault(name, (number, line, of_range))
    out: dict[str, Any] = {name: value for name, (value, _, _) in seen.items()}
    for level in ("maxNumLevelLTP", "maxNumLevelLTD", "level"):
        if level in out:
            if out[level] != round(out[level]):
                raise ValueError(f"{file}: {level} must be an integer; got {out[level]:g}")
            out[level] = int(out[level])
    if "level" in out:
        level = out.pop("level")
        out.setdefault("maxNumLevelLTP", level)
        out.setdefault("maxNumLevelLTD", level)
    for name, other in (("resistanceOn", "maxConductance"), ("resistanceOff", "minConductance")):
        if name in out:
            ohm = out.pop(name)
            if not ohm > 0.0:
                raise ValueError(f"{file}: {name} must be positive; got {ohm:g}")
            out.setdefault(other, 1.0 / ohm)
    missing = [name for name in ("NL_LTP", "NL_LTD", "maxNumLevelLTP") if name not in out]
    if missing:
        raise ValueError(
            f"{file}: must give {', '.join(missing)}, as a list of names and values; got {', '.join(seen) or 'none'}"
        )
    if "minConductance" in out and "onoffratio" in out:
        del out["onoffratio"]
        notes.append("onoffratio is passed over, as minConductance is given")
    if "maxConductance" not in out and "minConductance" in out and out["minConductance"] > 0.0:
        raise ValueError(f"{file}: must give maxConductance beside minConductance; got {', '.join(seen)}")
    if "minConductance" not in out and "onoffratio" not in out:
        notes.append("no minConductance and no onoffratio: the smallest conductance is taken to be 0")
    if seen.get("sigmaCtoC", (0.0,))[0] > 0.0:
        _noise(file, seen["sigmaCtoC"], out, notes)
    return out


def _number(text: str, name: str) -> tuple[float, bool] | None:
    """A value, and whether it is said to be of the range; None where it is no number."""
    of_range = _OF_RANGE.match(text)
    plain = of_range.group(1).strip() if of_range and name == "sigmaCtoC" else text
    over = _ONE_OVER.match(plain)
    percent = plain.endswith("%")
    plain = over.group(1) if over else plain.rstrip("% ")
    value = float(plain) if _NUMBER.match(plain) else None
    if value is None or not math.isfinite(value) or (over and value == 0.0):
        return None
    return (1.0 / value if over else value) * (0.01 if percent else 1.0), bool(of_range) or percent


def _noise(file: Path, given: tuple[float, int, bool], out: dict[str, Any], notes: list[str]) -> None:
    """The noise of a pulse as a fraction of the range, where it is a plain number."""
    value, line, of_range = given
    high = out.get("maxConductance", 1.0)
    low = out["minConductance"] if "minConductance" in out else high / out["onoffratio"] if out.get("onoffratio") else 0.0
    if not of_range and high < 1e-2 and value <= high - low:
        out["sigmaCtoC"] = value / (high - low)
        notes.append(f"sigmaCtoC {value:g} is below the range of conductances: taken in siemens, {out['sigmaCtoC']:.3g} of it")
    elif not of_range:
        notes.append(f"sigmaCtoC {value:g} is taken as a fraction of the full range")
    if out["sigmaCtoC"] > 1.0:
        where = f"{file}, line {line}" if line else str(file)
        raise ValueError(f"{where}: sigmaCtoC must be at most 1, a fraction of the range; got {value:g}: is it in percent?")
