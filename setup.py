"""Build of the compiled core; everything else is in pyproject.toml.

RPUSIM_DEBUG=1 turns on bounds checks and assertions, for development.
"""

import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

DEBUG = os.environ.get("RPUSIM_DEBUG", "0") not in ("", "0")
KERNELS = "rpusim/_core/kernels"
KERNEL_SETS = ["vaes", "avx2", "avx512", "neon_aes", "baseline"]
KERNEL_SOURCES = ["dispatch.c", *(f"kernels_{name}.c" for name in KERNEL_SETS)]
# name, further C sources
EXTENSIONS = [
    ("rpusim._core.kernels", [f"{KERNELS}/{name}" for name in KERNEL_SOURCES]),
    ("rpusim._core.lock", []),
    ("rpusim._core.array", [f"{KERNELS}/pulses.c"]),
    ("rpusim.algorithms._digital", []),
    ("rpusim.algorithms._low_rank", []),
    ("rpusim._core.wires", []),
    ("rpusim.algorithms._transfer", []),
    ("rpusim.nn._elementwise", []),
    ("rpusim.nn._windows", []),
]
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": DEBUG,
    "wraparound": False,
    "initializedcheck": DEBUG,
    "cdivision": True,
    "embedsignature": True,
}


class BuildExt(build_ext):
    """Chooses flags by what the compiler accepts, OpenMP included; without it everything runs on one thread."""

    def build_extensions(self):
        if self.compiler.compiler_type == "msvc":
            compile_args, link_args = ["/O2", "/fp:precise", "/openmp"], []
        else:
            # No contraction and no fast-math: every instruction set must give the same bits.
            compile_args = ["-O1" if DEBUG else "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]
            compile_args += [flag for flag in ["-fopenmp-simd"] if self._works([flag], [])]
            link_args = []
            if self._works(["-fopenmp"], ["-fopenmp"]):
                compile_args.append("-fopenmp")
                link_args.append("-fopenmp")
            else:
                print("rpusim: no OpenMP here; updates will run on one thread", file=sys.stderr)
        for extension in self.extensions:
            extension.extra_compile_args += compile_args
            extension.extra_link_args += link_args
        super().build_extensions()

    def _works(self, compile_args, link_args):
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "probe.c"
            omp = "#include <omp.h>\n" if "-fopenmp" in compile_args else ""
            source.write_text(omp + "int main(void) { return 0; }\n")
            try:
                objects = self.compiler.compile([str(source)], output_dir=folder, extra_postargs=compile_args)
                self.compiler.link_executable(objects, "probe", output_dir=folder, extra_postargs=link_args)
            except Exception:
                return False
        return True


extensions = [
    Extension(
        name,
        [name.replace(".", "/") + ".pyx", *sources],
        include_dirs=["rpusim/_core", np.get_include()],
        depends=[str(p) for p in Path(KERNELS).glob("*.h")],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
    )
    for name, sources in EXTENSIONS
]

setup(
    ext_modules=cythonize(extensions, compiler_directives=DIRECTIVES),
    cmdclass={"build_ext": BuildExt},
)
