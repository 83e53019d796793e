"""The catalogue of accelerators: what a data sheet promises, dense.

One row a device in `data/devices.json`, each with the document it was read from. Rates count a
multiply-add as two operations and every zero as a number: dense. Data sheets of NVIDIA's devices
since 2020 print twice as much beside it, for matrices half of whose entries are zero. Those rates
have no row here, and asking for one is an error: training has no such matrices.

dtype       what is multiplied: "fp64", "fp32", "tf32", "bf16", "fp16", "fp8", "int8", ...
accumulate  in what the products are added up: consumer cards are half as fast in "fp32"
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType

from dlcourse.tables import PrintsTable, Table

BITS = {
    "fp64": 64,
    "fp32": 32,
    "tf32": 19,  # 1 sign, 8 exponent and 10 fraction bits; stored in 32
    "bf16": 16,
    "fp16": 16,
    "fp8": 8,
    "int8": 8,
    "fp4": 4,
    "int4": 4,
}
GIB, GB, TERA = 2**30, 1e9, 1e12
_SPELLINGS = {"bfloat16": "bf16", "float16": "fp16", "half": "fp16", "float32": "fp32"}


@dataclass(frozen=True, repr=False)
class Device(PrintsTable):
    """One accelerator: its dense rates, memory, power, link and where they were read.

    `peak_flops` maps (dtype, accumulate) to operations a second on the fastest unit. Memory is
    in bytes: makers write GB for 2^30 of them. `link_bytes_per_second` is to other accelerators,
    both directions together, as makers quote it; `io_bytes_per_second` is the same with the link
    to the host. What no source tells is None.
    """

    name: str
    vendor: str
    aliases: tuple[str, ...]
    released: str  # year and month of the first sale
    kind: str  # "data center", "workstation", "consumer", or "cloud": rented, never sold
    peak_flops: Mapping[tuple[str, str], float]
    memory_bytes: int
    bandwidth_bytes_per_second: float
    power_watts: float | None
    link: str
    link_bytes_per_second: float
    io_bytes_per_second: float | None
    die_mm2: float | None
    source: str
    note: str

    def peak(self, dtype: str, accumulate: str | None = None) -> float:
        """Dense operations a second in `dtype`.

        Where `accumulate` is not given it is the type that training uses, "fp32" (for integers
        "int32"), or else the only one that the device has. Raises ValueError for a rate that
        counts zeros, and for a type that the device lacks.
        """
        dtype = dense_dtype(dtype)
        rates = {of: rate for (what, of), rate in self.peak_flops.items() if what == dtype}
        if accumulate is None:
            usual = [of for of in ("fp32", "int32", *rates) if of in rates]
            accumulate = usual[0] if usual else None
        if accumulate not in rates:
            listed = ", ".join(f"{what} in {of}" for what, of in self.peak_flops)
            wanted = f"{dtype} added up in {accumulate}" if accumulate else dtype
            raise ValueError(f"{self.name} has no rate for {wanted}. It has: {listed}.")
        return rates[accumulate]

    def has(self, dtype: str) -> bool:
        """Whether the device multiplies in `dtype`."""
        return any(what == dtype for what, _ in self.peak_flops)

    def balance(self, dtype: str) -> float:
        """Operations a byte at which computing takes as long as reading: the ridge of the roof."""
        return self.peak(dtype) / self.bandwidth_bytes_per_second

    def check_rate(self, flops_per_second: float, dtype: str):
        """Raise ValueError if a rate given for `dtype` is more than the dense peak."""
        dense = self.peak(dtype)
        if flops_per_second > 1.005 * dense:  # data sheets round to three digits
            is_sparse = abs(flops_per_second / dense - 2) < 0.02
            why = (
                "is a rate with half of the matrix zero"
                if is_sparse
                else "is above what its units can do"
            )
            raise ValueError(
                f"{flops_per_second / TERA:,.0f} TFLOP/s in {dtype} {why}: the dense peak of "
                f"{self.name} is {dense / TERA:,.0f}. Use `device({self.name!r}).peak({dtype!r})`."
            )

    def table(self):
        rates = [f"{rate / TERA:,.4g}" for rate in self.peak_flops.values()]
        kinds = [f"{what} in {of}, TFLOP/s" for what, of in self.peak_flops]
        rows = {
            **dict(zip(kinds, rates, strict=True)),
            "memory, GiB": f"{self.memory_bytes / GIB:g}",
            "bandwidth, GB/s": f"{self.bandwidth_bytes_per_second / GB:,.0f}",
            f"{self.link}, GB/s": f"{self.link_bytes_per_second / GB:,.4g}",
            "power, W": "unknown" if self.power_watts is None else f"{self.power_watts:g}",
            "first sold": self.released,
            "source": self.source,
        }
        return Table({"property": list(rows), self.name: list(rows.values())})


def dense_dtype(dtype: str) -> str:
    """The key of a number type. Raises `ValueError` for an unknown one, and for a sparse rate."""
    name = dtype.strip().lower()
    if "spars" in name or "2:4" in name:
        raise ValueError(
            f"{dtype!r} asks for a rate that counts zeros as work. Training multiplies dense "
            "matrices: ask for the type alone, such as 'bf16', or halve the sparse rate."
        )
    name = _SPELLINGS.get(name, name)
    if name not in BITS:
        raise ValueError(f"Unknown number type {dtype!r}. Known: {', '.join(BITS)}.")
    return name


def device(name: str) -> Device:
    """The device of that name or alias; capitals, spaces, dashes and underscores do not count.

    A family's bare name stands for its usual training part: "A100" is the SXM one of 80 GB,
    "H100" the SXM one, "V100" the one of 16 GB. Raises ValueError with the names alike.

    >>> device("H100").peak("bf16")
    989400000000000.0
    """
    found = _by_alias().get(_plain(name))
    if found is None:
        start = _plain(name)[:3]
        near = [d.name for d in CATALOGUE.values() if start and start in _plain(d.name)]
        known = near or list(CATALOGUE)
        raise ValueError(f"No device is called {name!r}. Known: {', '.join(known)}.")
    return found


def available(date: str) -> list[Device]:
    """The devices sold by the month of `date`, "2020-05" or a full date, oldest first."""
    sold = [d for d in CATALOGUE.values() if d.released <= date[:7]]
    return sorted(sold, key=lambda d: d.released)


def data_sheet(names, dtype) -> Table:
    """Devices side by side: dense peak in `dtype`, memory, bandwidth, balance and power."""
    rows = [device(name) for name in names]
    return Table(
        {
            "device": [d.name for d in rows],
            "first sold": [d.released for d in rows],
            f"{dtype}, TFLOP/s": [d.peak(dtype) / TERA for d in rows],
            "memory, GiB": [d.memory_bytes / GIB for d in rows],
            "GB/s": [d.bandwidth_bytes_per_second / GB for d in rows],
            "FLOP a byte": [round(d.balance(dtype), 1) for d in rows],
            "power, W": ["unknown" if d.power_watts is None else d.power_watts for d in rows],
        }
    )


def read(name: str) -> list[dict]:
    """The rows of the data file `name` of this room, as they are written."""
    text = resources.files("dlcourse.compute").joinpath("data", name).read_text(encoding="utf-8")
    return json.loads(text)


def _device(row: dict) -> Device:
    rates = {
        tuple(key.split("/")): float(round(tflops * TERA))
        for key, tflops in row["dense_tflops"].items()
    }
    io = row["io_gb_s"]
    return Device(
        **{key: row[key] for key in ("name", "vendor", "released", "kind", "link", "die_mm2")},
        **{key: row[key] for key in ("power_watts", "source", "note")},
        aliases=tuple(row["aliases"]),
        peak_flops=MappingProxyType(rates),
        memory_bytes=round(row["memory_gib"] * GIB),
        bandwidth_bytes_per_second=row["bandwidth_gb_s"] * GB,
        link_bytes_per_second=row["link_gb_s"] * GB,
        io_bytes_per_second=None if io is None else io * GB,
    )


CATALOGUE = MappingProxyType({row["name"]: _device(row) for row in read("devices.json")})


@cache
def _by_alias() -> dict[str, Device]:
    names = [(_plain(name), d) for d in CATALOGUE.values() for name in (d.name, *d.aliases)]
    return dict(names)


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum() or letter == "/")
