"""A zygote that leaves out steps of its confinement: `python -m ... WEAKNESS DESCRIPTOR`."""

import importlib
import os
import sys

from dlcourse.grading.sandbox.inside import confine, zygote

EVERY_STEP = (
    "fresh_files become count_own_threads give_up_rights limit_resources limit_threads "
    "filter_system_calls"
).split()
LEFT_OUT = {
    "open": EVERY_STEP,
    "shared files": ["fresh_files"],
    "no filter": ["filter_system_calls"],
    "no limits": ["limit_resources"],
    "shown": [],  # the answers lie where every notebook sees them, and one is imported
}


def weaken(weakness):
    """Leave steps out, or with "failing STEP" make one fail as a kernel might."""
    how, _, name = weakness.partition(" ")
    if how == "failing":

        def fail(*arguments):
            raise OSError(f"no {name}")

        setattr(confine, name, fail)
        return
    for step in LEFT_OUT[weakness]:
        assert hasattr(confine, step)
        setattr(confine, step, lambda *arguments: None)
    if weakness == "shown":
        importlib.import_module("dlcourse.losses")
    if weakness == "shared files":
        os.chmod(confine.WRITABLE, 0o1777)


if __name__ == "__main__":
    weaken(sys.argv[1])
    zygote.main(int(sys.argv[2]))
