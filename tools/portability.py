"""Run the chapters as other processors would: `python tools/portability.py`.

The same wheels choose other instructions on another processor, and sums come out in another order.
Environment variables make the libraries choose as if they ran there. Outputs must not change.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

# NumPy offers these two nowhere else.
from numpy._core._multiarray_umath import __cpu_dispatch__ as numpy_dispatch
from numpy._core._multiarray_umath import __cpu_features__ as numpy_features

ROOT = Path(__file__).resolve().parents[1]
PYTEST = ["-m", "pytest", "book", "--nbval", "--nbval-current-env", "--nbval-cell-timeout", "300"]
PARALLEL = ["-n", str(os.cpu_count()), "--dist", "loadfile", "--no-loadscope-reorder", "-q"]


def without_numpy(*families):
    """NumPy's dispatched instruction sets of this machine, less those that are to stay."""
    names = [name for name in numpy_dispatch if numpy_features[name]]
    return " ".join(name for name in names if not name.startswith(families))


def processors():
    """Settings, by the processors that they imitate and this one can."""
    settings = {
        "before AVX": {
            "OPENBLAS_CORETYPE": "Prescott",
            "ATEN_CPU_CAPABILITY": "default",
            "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
            "ONEDNN_MAX_CPU_ISA": "SSE41",
            "NPY_DISABLE_CPU_FEATURES": without_numpy("X86_V2"),
        }
    }
    if numpy_features["AVX2"]:
        settings["with AVX2"] = {
            "OPENBLAS_CORETYPE": "Haswell",
            "ATEN_CPU_CAPABILITY": "avx2",
            "MKL_ENABLE_INSTRUCTIONS": "AVX2",
            "ONEDNN_MAX_CPU_ISA": "AVX2",
            "NPY_DISABLE_CPU_FEATURES": without_numpy("X86_V2", "X86_V3"),
        }
    if numpy_features["AVX512F"]:
        settings["with AVX-512"] = {
            "OPENBLAS_CORETYPE": "SkylakeX",
            "ATEN_CPU_CAPABILITY": "avx512",
            "MKL_ENABLE_INSTRUCTIONS": "AVX512",
            "ONEDNN_MAX_CPU_ISA": "AVX512_CORE",
        }
    return settings


def run_as(settings):
    """Whether every chapter shows what is stored when it runs under `settings`."""
    with tempfile.TemporaryDirectory() as executed:
        environment = os.environ | settings | {"DLCOURSE_EXECUTED": executed}
        command = [sys.executable, *PYTEST, *PARALLEL]
        return subprocess.run(command, cwd=ROOT, env=environment).returncode == 0


if __name__ == "__main__":
    if "X86_V2" not in numpy_features:
        sys.exit(
            "The settings imitate x86-64 processors and this is another one. "
            "Here `make test` itself compares with outputs that came from x86-64."
        )
    failed = []
    for name, settings in processors().items():
        print(f"\nAs a processor {name}", flush=True)
        failed += [] if run_as(settings) else [name]
    sys.exit(f"Outputs change on processors {', '.join(failed)}: see above." if failed else 0)
