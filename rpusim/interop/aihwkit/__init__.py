"""Configurations of AIHWKit, read into our specifications.

`from_config` takes its dataclasses, by the names of their classes and attributes (AIHWKit need not be installed), or plain
dicts and JSON text of the same names, every part with its class under "class" where it is not clear from its place. What has no
counterpart is an error that names it; what is meant otherwise here is a note.
"""

from rpusim.interop.aihwkit.configurations import Configuration, Translated, from_config

__all__ = ["Configuration", "Translated", "from_config"]
