"""The version of the package that is installed."""

from importlib.metadata import PackageNotFoundError, version

__all__ = ["__version__"]

try:
    __version__ = version("rpusim")
except PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "unknown"
