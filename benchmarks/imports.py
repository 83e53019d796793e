"""How long `import dlcourse` takes beside `import numpy`, each in a fresh interpreter.

`python benchmarks/imports.py`
"""

import subprocess
import sys
from time import perf_counter

from pairs import ROOT, ratio, table


def fresh(statement):
    command = [sys.executable, "-c", statement]
    return lambda: subprocess.run(command, check=True, cwd=ROOT)


def main():
    numpy = fresh("import numpy")
    rows = [
        (statement, "import numpy", ratio(fresh(statement), numpy, 25, perf_counter), aim)
        for statement, aim in (
            ("import dlcourse", 1.10),
            ("import numpy, dlcourse", 1.10),
            ("import dlcourse.autograd", None),
            ("import dlcourse.nn", None),
        )
    ]
    table("Imports", rows)


if __name__ == "__main__":
    main()
