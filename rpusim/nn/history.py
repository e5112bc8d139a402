"""What a training recorded."""

from __future__ import annotations

import csv
import io
import json
import numbers
import os
from dataclasses import dataclass, field, fields
from typing import Any

from rpusim._base import checkpoint as files
from rpusim._base.state import Entry, Stateful
from rpusim._base.validation import shown

__all__ = ["History"]


def number(name: str, value: Any) -> Any:
    """Return a number as it is: sums of losses may be infinite, or none."""
    if not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number; got {shown(value)}")
    return value


@dataclass
class History(Stateful):
    """What happened in each epoch: lists of equal length, one entry per epoch.

    Attributes
    ----------
    train_loss : list of float
        Mean loss of the training samples, each taken just before its own update.
    test_loss : list of float or None
        Mean loss of the validation samples after the epoch; None without validation.
    test_error : list of float or None
        Wrongly classified validation samples, in %; None without validation or labels.
    lr : list of float
        Learning rate.
    seconds : list of float
        Wall time of the training steps, without the validation, in s.
    samples_per_second : list of float
        Training samples over `seconds`, in 1/s.

    Examples
    --------
    >>> history = History([0.5], [0.4], [12.0], [0.05], [2.0], [30000.0])
    >>> history.to_dict()["test_error"]
    [12.0]
    """

    train_loss: list[float] = field(default_factory=list)
    test_loss: list[float | None] = field(default_factory=list)
    test_error: list[float | None] = field(default_factory=list)
    lr: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    samples_per_second: list[float] = field(default_factory=list)

    def __len__(self) -> int:
        """Return the number of epochs."""
        return len(self.train_loss)

    def to_dict(self) -> dict[str, list[Any]]:
        """Return copies of the lists, by name."""
        return self.state_dict()

    def extended(self, **epoch: float | None) -> History:
        """Return a history with one more epoch, given by all names; this one stays."""
        return History(**{name: [*column, epoch[name]] for name, column in self.to_dict().items()})

    def _entries(self) -> dict[str, Entry]:
        return {column.name: self._column(column.name) for column in fields(self)}

    def _column(self, column: str) -> Entry:
        def check(name: str, values: Any) -> list[Any]:
            if not isinstance(values, list):
                raise TypeError(f"{name} must be a list; got {type(values).__name__}")
            return [None if one is None else number(f"{name}[{k}]", one) for k, one in enumerate(values)]

        return Entry(lambda: list(getattr(self, column)), check, lambda new: setattr(self, column, new))

    def _agree(self, name: str, checked: dict[str, Any]) -> None:
        lengths = {column: len(values) for column, values in checked.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"{name} must have columns of one length; got {lengths}")

    def save_json(self, path: str | os.PathLike[str]) -> None:
        """Write `to_dict()` as JSON."""
        with files.atomic_file(path) as file:
            file.write((json.dumps(self.to_dict(), indent=2) + "\n").encode())

    def save_csv(self, path: str | os.PathLike[str]) -> None:
        """Write one row per epoch (counted from 1), with a row of names above; None is an empty field."""
        columns, text = self.to_dict(), io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(["epoch", *columns])
        for epoch, row in enumerate(zip(*columns.values(), strict=True), start=1):
            writer.writerow([epoch, *row])
        with files.atomic_file(path) as file:
            file.write(text.getvalue().encode())
