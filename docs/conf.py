"""How the pages in this folder become a site: `scripts/docs`."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]
os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])  # for the kernels of notebooks
os.environ.setdefault("OMP_NUM_THREADS", "1")
logging.getLogger("traitlets").setLevel(logging.WARNING)

_profile = HERE.parent / "build" / "ipython" / "profile_default"  # not that of who builds, and no remarks of the kernel
_profile.mkdir(parents=True, exist_ok=True)
(_profile / "ipython_kernel_config.py").write_text("get_config().IPKernelApp.log_level = 40\n")
os.environ["IPYTHONDIR"] = str(_profile.parent)

project = "rpusim"
author = "The rpusim developers"
copyright = author
extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",  # docstrings are numpydoc's
    "myst_nb",  # pages are Markdown, and notebooks are run
    "sphinx_gallery.gen_gallery",  # scripts that draw are run
    "mathml",  # ours: formulas that every current browser draws by itself, without a script from elsewhere
    "api",  # ours: the pages of the public names
]
exclude_patterns = ["examples", "_ext", "_build", "gallery/*.ipynb", "gallery/*.py", "gallery/sg_execution_times.rst"]
exclude_patterns += ["gallery/*.json", "gallery/*.zip", "sg_execution_times.rst"]
nitpicky = False
default_role = "py:obj"

html_theme = "furo"
html_title = "rpusim"
html_static_path = ["_static"]
html_css_files = ["rpusim.css"]
html_math_renderer = "mathml"
html_theme_options = {"light_css_variables": {"font-stack": "system-ui, sans-serif"}}
html_copy_source = False

autodoc_typehints = "none"  # numpydoc sections say them
autodoc_member_order = "bysource"
autosummary_generate = False
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
numpydoc_xref_param_type = False

myst_enable_extensions = ["dollarmath", "deflist", "colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_merge_streams = True

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "download_all_examples": False,
    "show_signature": False,
    "capture_repr": (),
    "within_subsection_order": "FileNameSortKey",
    "min_reported_time": 1e9,
    "write_computation_times": False,
    "abort_on_example_error": True,
}


def _outside(app: object, docname: str, source: list[str]) -> None:
    """Links to files beside this folder, which are pages here."""
    for name in ("CONTRIBUTING", "CHANGELOG"):
        source[0] = source[0].replace(f"](../{name}.md", f"]({name.lower()}.md")


def setup(app: object) -> None:
    app.connect("source-read", _outside)  # type: ignore[attr-defined]
