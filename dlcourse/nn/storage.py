"""Save a network's numbers and load them again: an npz file of named arrays, never a pickle."""

from pathlib import Path
from zipfile import ZipFile

import numpy as np

from dlcourse.nn.layers import Layer


def save(path: str | Path, network: Layer) -> None:
    """Write all parameters and running statistics of `network` to `path`, by name.

    A pickle can run any program when it is opened; these are numbers and nothing else.
    """
    with ZipFile(path, "w") as archive:  # `np.savez` takes no array by the name "file"
        for name, x in network.arrays().items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, x, allow_pickle=False)


def load(path: str | Path, network: Layer) -> None:
    """Write the arrays stored at `path` into `network`, which must be built alike.

    Raises `ValueError` where their names, shapes or precision are not those of the network.
    """
    ours = network.parameters and network.arrays()  # writeable once they lie in the flat vector
    with np.load(path, allow_pickle=False) as stored:
        theirs = dict(stored)
    described = [{n: (x.shape, x.dtype) for n, x in arrays.items()} for arrays in (ours, theirs)]
    if described[0] != described[1]:
        names = sorted(set(described[0].items()) ^ set(described[1].items()))
        raise ValueError(
            f"The file must hold the arrays of this network; these differ: "
            f"{sorted({name for name, _ in names})}. Build the network as the saved one was."
        )
    for name, array in ours.items():
        array[...] = theirs[name]
