"""What one submission may use: time, memory, output, files.

notebook_*               all cells of the notebook together
call_*                   one call of one function
submission_wall_seconds  cells, calls and restarts together
memory_bytes             beyond what Python and its packages take
output_bytes             text that the cells print; the rest is cut
plot_bytes               pictures that the cells draw; the rest is dropped
plot_pixels              the same, as they are looked at: few bytes can unfold to many
n_plots                  number of pictures
n_processes              threads of the notebook (it cannot start a process)
file_bytes               files in its private /tmp, which is held in memory
n_restarts               fresh starts after a call or a cell that never came back
"""

from dataclasses import dataclass, fields

MEBIBYTE = 2**20


@dataclass(frozen=True)
class Limits:
    """Limits of one submission.

    Marks follow from CPU seconds, which a busy machine does not stretch. The wall-clock limits are
    backstops against code that sleeps, and generous for that reason. Raises `ValueError` for a
    limit that is no positive number.
    """

    notebook_cpu_seconds: float = 20.0
    notebook_wall_seconds: float = 120.0
    call_cpu_seconds: float = 4.0
    call_wall_seconds: float = 30.0
    submission_wall_seconds: float = 300.0
    memory_bytes: int = 512 * MEBIBYTE
    output_bytes: int = 200_000
    plot_bytes: int = 2 * MEBIBYTE
    plot_pixels: int = 40_000_000
    n_plots: int = 200
    n_processes: int = 16
    file_bytes: int = 64 * MEBIBYTE
    n_restarts: int = 20  # every test of a homework may meet an endless loop of its own

    def __post_init__(self):
        for field in fields(self):
            value, least = getattr(self, field.name), 0 if field.name == "n_restarts" else 1e-3
            if not least <= value < float("inf"):
                raise ValueError(
                    f"`{field.name}` must be a finite number of at least {least:g}, got {value!r}."
                )
