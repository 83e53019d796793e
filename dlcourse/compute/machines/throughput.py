"""Images a second: ResNet-50 on several accelerators, from MLPerf Training.

A row of `data/resnet50_rates.json` is a submission: the time from the first image read until the
network recognizes 75.9 % of the test images, and how many images it saw by then. Divided by the
number of devices they give a rate that says more than a peak: it includes reading, normalizing,
communicating and testing. No consumer card was ever submitted, so none is here.
"""

from dataclasses import dataclass

from dlcourse.compute.machines import hardware
from dlcourse.compute.models import architectures
from dlcourse.tables import PrintsTable, Table


@dataclass(frozen=True)
class Submission:
    """A run of ResNet-50 to the accuracy asked for. `images` were seen in `minutes`."""

    device: str
    n_devices: int
    dtype: str
    minutes: float
    images: int
    submitter: str
    system: str
    as_of: str
    source: str

    @property
    def images_per_second(self) -> float:
        """Images a second on each device."""
        return self.images / (60 * self.minutes) / self.n_devices

    @property
    def share_of_peak(self) -> float:
        """Operations of the model a second, over the dense peak of the device."""
        return self.images_per_second * flops_per_image() / self._peak()

    @property
    def images_per_gigabyte(self) -> float:
        """Images for each 10^9 bytes that the memory could have moved in the time."""
        moved = hardware.device(self.device).bandwidth_bytes_per_second
        return self.images_per_second / (moved / 1e9)

    def _peak(self) -> float:
        return hardware.device(self.device).peak(self.dtype)


class Submissions(PrintsTable):
    """All submissions of the data file, slowest device first."""

    def __init__(self):
        rows = [Submission(**row) for row in hardware.read("resnet50_rates.json")]
        self.rows = sorted(rows, key=lambda row: row.images_per_second)

    def of(self, device: str, n_devices: int) -> Submission:
        """The submission with so many of a device. Raises ValueError if there is none."""
        name = hardware.device(device).name
        found = [row for row in self.rows if (row.device, row.n_devices) == (name, n_devices)]
        if not found:
            known = ", ".join(f"{row.n_devices} {row.device}" for row in self.rows)
            raise ValueError(f"No submission with {n_devices} {name}. There are: {known}.")
        return found[0]

    def table(self):
        return Table(
            {
                "device": [row.device for row in self.rows],
                "devices": [row.n_devices for row in self.rows],
                "system": [f"{row.submitter}, {row.system}" for row in self.rows],
                "as of": [row.as_of for row in self.rows],
                "images/s, each": [round(row.images_per_second) for row in self.rows],
                "share of peak": [f"{100 * row.share_of_peak:.0f} %" for row in self.rows],
                "images a GB": [f"{row.images_per_gigabyte:.2f}" for row in self.rows],
            }
        )


def flops_per_image() -> int:
    """Operations of one training step of ResNet-50 on one image."""
    return architectures.named("resnet50").train_step_flops(batch=1)
