"""Finding a task: by its name, or a function in a module or a file."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rpusim._base.validation import shown
from rpusim.sweep.named import TASKS
from rpusim.sweep.settings import SettingError
from rpusim.sweep.tasks import Task

__all__ = ["task_of"]


def task_of(task: Any, folder: Path | None = None) -> Task:
    """Return the task of a name, of "module:function" or "file.py:function", or of a function."""
    if callable(task):
        name = f"{getattr(task, '__module__', '?')}:{getattr(task, '__qualname__', type(task).__name__)}"
        return Task(name, task)
    if not isinstance(task, str):
        raise SettingError("task", f"task must be a function or a name; got {shown(task)}")
    if ":" not in task:
        if task not in TASKS:
            raise SettingError("task", f"task must be one of {', '.join(TASKS)}, or module:function; got {shown(task)}")
        return TASKS[task]
    return Task(task, _function(task, folder), folder=(folder or Path()).absolute())


@functools.cache
def _function(name: str, folder: Path | None) -> Callable[..., Any]:
    home, _, inner = name.rpartition(":")
    try:
        module = _module_of_file((folder or Path()) / home) if home.endswith(".py") else importlib.import_module(home)
        found: Any = module
        for part in inner.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, OSError, SyntaxError) as error:
        raise SettingError("task", f"task must be a function that can be imported; got {name!r} ({error})") from None
    if not callable(found):
        raise SettingError("task", f"task must be a function; got {name!r}, a {type(found).__name__}")
    return found


def _module_of_file(path: Path) -> Any:
    name = f"_rpusim_sweep_{path.stem}_{abs(hash(str(path.resolve())))}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ImportError(f"there is no file {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses and pickles look
    spec.loader.exec_module(module)
    return module
