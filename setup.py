"""Build of the compiled core; everything else is in pyproject.toml.

RPUSIM_DEBUG=1 turns on bounds checks, assertions and debug symbols, for development. RPUSIM_JOBS is how many files are compiled
at once (all processors).
"""

import os
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.modified import newer_group

if sysconfig.get_config_var("Py_GIL_DISABLED"):  # its modules would turn the lock on again, with a warning that says little
    sys.exit("rpusim does not support free-threaded builds of Python: its locks count on the interpreter's")

DEBUG = os.environ.get("RPUSIM_DEBUG", "0") not in ("", "0")
JOBS = int(os.environ.get("RPUSIM_JOBS") or len(getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))(0)))
KERNELS = "rpusim/_core/kernels"
KERNEL_SETS = ["vaes", "avx2", "avx512", "neon_aes", "baseline"]
# what every module has of Cython's own (memoryviews, functions), once for all
UTILITIES = "rpusim._core._cython_rpusim"
# name, further C sources, headers beside those that they include
EXTENSIONS = [
    ("rpusim._core.kernels", [f"{KERNELS}/dispatch.c", *(f"{KERNELS}/kernels_{name}.c" for name in KERNEL_SETS)]),
    ("rpusim._core.array", []),
    ("rpusim._core.buffers", []),
    ("rpusim._core.devices", []),
    ("rpusim._core.reads", []),
    ("rpusim._core.updates", [f"{KERNELS}/pulses.c"]),
    ("rpusim._core.wires", []),
    ("rpusim._core.lock", []),
    ("rpusim._core.products", []),
    ("rpusim._core.threads", [f"{KERNELS}/team.c"]),
    ("rpusim.algorithms._digital", []),
    ("rpusim.algorithms._low_rank", []),
    ("rpusim.algorithms._transfer", []),
    ("rpusim.fitting._filter", []),
    ("rpusim.nn._elementwise", []),
    ("rpusim.nn._windows", []),
]
# What a processor without any of the sets gets is slow in any case. Glue is not: its loops over arrays want their vectors.
FIRST = {f"{KERNELS}/kernels_{name}.c" for name in KERNEL_SETS if name != "baseline"}
SLOW = {f"{KERNELS}/kernels_baseline.c", UTILITIES.replace(".", "/") + ".c"}
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": DEBUG,
    "wraparound": False,
    "initializedcheck": DEBUG,
    "cdivision": True,
    "embedsignature": True,
}


class BuildExt(build_ext):
    """Compiles the files of all extensions side by side, those that take longest first, by flags that the compiler accepts."""

    def build_extensions(self):
        self._msvc = self.compiler.compiler_type == "msvc"
        if self._msvc:
            self._flags = ["/fp:precise"]
        else:
            # No contraction and no fast-math: every instruction set must give the same bits.
            self._flags = ["-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", *([] if DEBUG else ["-g0"])]
            self._flags += [flag for flag in ["-fopenmp-simd"] if self._works(flag)]  # pragmas for loops, no threads
        work = [
            (extension, source)
            for extension in self.extensions
            if self.force or newer_group([*extension.sources, *extension.depends], self.get_ext_fullpath(extension.name))
            for source in extension.sources
        ]
        work.sort(key=lambda one: (one[1] not in FIRST, -Path(one[1]).stat().st_size))
        if work:
            print(f"rpusim: {len(work)} files to compile, {JOBS} at a time", file=sys.stderr, flush=True)
        with ThreadPoolExecutor(JOBS) as pool:
            done = {pool.submit(self._compile, *one): one[1] for one in work}
            objects = {source: task.result() for task, source in done.items()}
        self.compiler.compile = lambda sources, **_: [name for source in sources for name in objects[source]]
        super().build_extensions()

    def _compile(self, extension, source):
        level = "-O1" if DEBUG or source in SLOW else "-O3"
        return self.compiler.compile(
            [source],
            output_dir=self.build_temp,
            macros=extension.define_macros,
            include_dirs=extension.include_dirs,
            debug=self.debug,
            extra_postargs=[*self._flags, "/O2" if self._msvc else level],
            depends=extension.depends,
        )

    def _works(self, flag):
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "probe.c"
            source.write_text("int main(void) { return 0; }\n")
            try:
                self.compiler.compile([str(source)], output_dir=folder, extra_postargs=[flag])
            except Exception:
                return False
        return True


def headers(source):
    """Return the headers of this project that a C file includes, and those that they include."""
    found = set()
    files = [Path(source)]
    while files:
        file = files.pop()
        for line in file.read_text(encoding="utf-8").splitlines():
            if line.strip().startswith(('#include "', '#define RPU_EACH_MODEL "')):
                header = Path(KERNELS, Path(line.split('"')[1]).name)
                if header not in found and header.exists():
                    found.add(header)
                    files.append(header)
    return found


extensions = [
    Extension(
        name,
        [name.replace(".", "/") + ".pyx", *sources],
        include_dirs=["rpusim/_core", np.get_include()],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
    )
    for name, sources in EXTENSIONS
]
extensions = cythonize(
    [*extensions, Extension(UTILITIES, [])],
    compiler_directives=DIRECTIVES,
    shared_utility_qualified_name=UTILITIES,
    force=any(
        Path(source).with_suffix(".c").exists()
        and Path(source).with_suffix(".c").stat().st_mtime < Path(__file__).stat().st_mtime
        for extension in extensions
        for source in extension.sources
        if source.endswith(".pyx")
    ),
)
for extension in extensions:
    extension.depends += ["setup.py"] + sorted({str(header) for source in extension.sources for header in headers(source)})

setup(ext_modules=extensions, cmdclass={"build_ext": BuildExt})
