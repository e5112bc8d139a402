"""The compiled core: random streams, device steps, pulse trains, coincidence updates, converters, array products.

It works on buffers and scalars and knows no layers, no algorithms and no files. Other compiled parts of the package use
it through the `.pxd` files.
"""

from importlib.util import find_spec
from pathlib import Path

if find_spec(f"{__name__}.lock") is None:
    raise ImportError(
        f"rpusim is not compiled in {Path(__file__).parents[1]}. Where that is its source folder, start Python in another one "
        "to use an installed rpusim, or compile it there: scripts/demo, scripts/test, or pip install --editable ."
    )
