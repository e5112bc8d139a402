# PYTHON_ARGCOMPLETE_OK
"""The command `rpusim`: a module per subcommand, which loads what it needs when it runs."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rpusim as rpu
from rpusim.commands import curves, device, doctor, fit, infer, regression, reproduce, sweep, train, wires
from rpusim.commands.common import add_output, ending_of

__all__ = ["main", "parser"]


class _Version(argparse.Action):
    """Shows the version, which takes longer to find out than the help."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        print(f"rpusim {rpu.__version__}")
        parser.exit()


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    whole = argparse.ArgumentParser(
        prog="rpusim",
        description="Physics of resistive crossbar arrays, and the training algorithms that run on them.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="examples:\n"
        "  rpusim regression --out figures/\n"
        "  rpusim spiral --device soft-bounds --out figures/\n"
        "  rpusim device --list\n"
        "  rpusim train mnist --algorithm shd --device soft-bounds --epochs 10\n"
        "  rpusim curves figures/mnist-sgd-*.json figures/mnist-shd-*.json --width 3.3 --format pdf\n"
        "  rpusim infer figures/mnist-digital-float32.network.npz --chip hermes\n"
        "  rpusim reproduce list\n"
        "  rpusim sweep study.toml\n",
    )
    whole.add_argument("--version", action=_Version, nargs=0, help="show program's version number and exit")
    commands = whole.add_subparsers(dest="command", required=True, metavar="command")

    def command(
        name: str, run: Any, text: str, examples: str, output: bool = True, file: str | None = None
    ) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            epilog="examples:\n" + examples,
        )
        sub.set_defaults(run=run)
        if output:
            add_output(sub, file)
        return sub

    for module in (regression, device, train, curves, infer, fit, reproduce, sweep, wires, doctor):
        module.add_parser(command)
    return whole


def _check_folder(args: argparse.Namespace) -> None:
    """See that results can be written, before they are computed."""
    folder = getattr(args, "out", None)
    if folder is None or getattr(args, "list", False) or getattr(args, "name", None) == "list":
        return
    if getattr(args, "json", None) and getattr(args, "figure", None):  # then nothing is written there
        return
    if args.command == "fit" and folder.suffix == ".json" and not folder.is_dir():  # the file of the result
        folder = folder.parent
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        what = "cannot be written to" if there.is_dir() else "is no folder"
        raise OSError(f"--out must be a folder for results; got {folder}, where {there} {what}")


def _check_files(args: argparse.Namespace) -> None:
    """See that descriptions and measurements are there, before anything is loaded to read them."""
    names = {"name": args.command, "device": "device", "chip": "chip", "nonlinearity": "--nonlinearity"}
    names |= {"files": "file", "up": "file", "down": "file", "network": "network", "study": "study"}
    for name, called in names.items():
        given: Any = getattr(args, name, None)
        for one in given if isinstance(given, list) else [given]:
            described = isinstance(one, str) and one.endswith(".json") and not one.lstrip().startswith("{")
            if (described or isinstance(one, Path)) and not os.path.lexists(one):
                raise ValueError(f"{called} {ending_of(one)!r} cannot be read: there is no such file")
            if (described or isinstance(one, Path)) and os.path.isdir(one):
                raise ValueError(f"{called} {ending_of(one)!r} must be a file; got a folder")


def _complete(whole: argparse.ArgumentParser) -> None:
    """Answer a shell that asks how a line goes on, where argcomplete is installed."""
    if "_ARGCOMPLETE" in os.environ:
        try:
            import argcomplete
        except ImportError:
            return
        argcomplete.autocomplete(whole)


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Warnings in a line each, without the place in the source, which is not that of who typed the command."""
    before = warnings.formatwarning
    warnings.formatwarning = lambda message, *_, **__: f"rpusim: warning: {message}\n"
    try:
        yield
    finally:
        warnings.formatwarning = before


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    whole = parser()
    _complete(whole)
    args, unknown = whole.parse_known_args(argv)
    if unknown:
        files = [f"./{name}" for name in unknown if Path(name).exists()]
        hint = f"; a file whose name begins with - is written {' '.join(files)}" if files else ""
        known = f"; `rpusim {args.command} --help` lists what there is"
        whole.error(f"unrecognized arguments: {' '.join(unknown)}{hint}{known}")
    if args.command in ("regression", "spiral"):
        args.device = args.device or ["constant-step", "soft-bounds"]
    if args.command == "regression":
        args.algorithm = args.algorithm or ["sgd", "shd"]
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # units and names of files that the terminal has no letters for
    try:
        _check_folder(args)
        _check_files(args)
        if getattr(args, "threads", None):
            try:
                rpu.set_num_threads(args.threads)
            except ValueError as error:
                raise ValueError(f"--threads {args.threads}: {error}") from None
        with _plain_warnings():
            status: int = args.run(args)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # who read our output has gone; there is nobody to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except MemoryError as error:
        print(f"rpusim: not enough memory{f': {error}' if str(error) else ''}", file=sys.stderr)
        return 2
    except (ValueError, TypeError, OSError) as error:
        print(f"rpusim: {error}", file=sys.stderr)
        return 2
    except RuntimeError as error:
        loaded = sys.modules.get("rpusim.wires")  # not before it is used
        if loaded is None or not isinstance(error, loaded.ConvergenceError):
            raise
        print(f"rpusim: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as error:
        where = str(error) or f"{args.command} keeps no checkpoint and begins anew"
        print(f"rpusim: interrupted; {where}", file=sys.stderr)
        return 130
