"""FLOPs of one image through known networks: ours beside four public tools.

The tools are put in a folder of their own, beside the course's torch. Each number is taken as the
tool names it, FLOPs or multiply-adds, and set against the exact count; with `--write` the table
becomes the data file from which the scoreboard is made.
"""

import json
import os
import subprocess
import sys
import warnings
from datetime import date
from importlib.metadata import version
from importlib.util import find_spec

import pairs

DATA = pairs.ROOT / "dlcourse" / "compute" / "data" / "flop_counters.json"
UNITS = {
    "torch": "FLOPs",
    "calflops": "FLOPs",
    "fvcore": "FLOPs",
    "torchinfo": "multiply-adds",
    "ptflops": "MACs",
}
PACKAGES = [
    *(tool for tool in UNITS if tool != "torch"),
    "torchvision",
    "transformers",
    "accelerate",
]
FOLDER = pairs.ROOT / "_build" / "flop_counters"
NAMES = [
    "alexnet", "vgg16", "resnet18", "resnet50", "resnext50_32x4d", "densenet121", "mobilenet_v2",
    "efficientnet_b0", "convnext_tiny", "swin_t", "vit_b_16", "vit_l_16",
]  # fmt: skip


def calflops(network, image):
    from calflops import calculate_flops

    options = {"output_as_string": False, "print_results": False, "print_detailed": False}
    return calculate_flops(network, input_shape=tuple(image.shape), **options)[0]


def fvcore(network, image):
    from fvcore.nn import FlopCountAnalysis

    analysis = FlopCountAnalysis(network, image)
    return analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).total()


def torchinfo(network, image):
    from torchinfo import summary

    return summary(network, input_data=image, verbose=0).total_mult_adds


def ptflops(network, image):
    from ptflops import get_model_complexity_info

    options = {"as_strings": False, "print_per_layer_stat": False, "verbose": False}
    return get_model_complexity_info(network, tuple(image.shape[1:]), **options)[0]


def networks():
    """Each network with its name, ready for inference."""
    import torch

    try:
        import torchvision
    except RuntimeError:
        # The wheel's compiled operations need torch with CUDA; the classifiers use none of them.
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor boxes, Tensor scores, float threshold) -> Tensor")
        import torchvision
    for name in NAMES:
        yield name, getattr(torchvision.models, name)(weights=None).eval()


def compare():
    """The exact count of each network, and what each tool says."""
    import torch

    from dlcourse.compute.counting.counter import count, torch_flops

    tools = {"calflops": calflops, "fvcore": fvcore, "torchinfo": torchinfo, "ptflops": ptflops}
    rows = []
    for name, network in networks():
        image = torch.zeros(1, 3, 224, 224)
        exact = count(network, image).flops
        reported = {"torch": torch_flops(network, image)}
        reported |= {tool: int(run(network, image)) for tool, run in tools.items()}
        rows.append({"name": name, "exact": exact, "reported": reported})
    return rows


def beside_torch():
    """Install the tools, all but torch, and run this script again where it finds them."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    without = FOLDER / "without.txt"
    without.write_text('torch; python_version < "3"\n')
    uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet"]
    subprocess.run([*uv, "--target", FOLDER, "--override", without, *PACKAGES], check=True)
    paths = {"PYTHONPATH": os.pathsep.join(map(str, (FOLDER, pairs.ROOT)))}
    command = [sys.executable, __file__, *sys.argv[1:]]
    subprocess.run(command, check=True, env={**os.environ, **paths})


def main():
    if find_spec("fvcore") is None:
        return beside_torch()
    from dlcourse.chapters.scoreboard.public_tools import comparison

    warnings.simplefilter("ignore")
    versions = {name: version(name).split("+")[0] for name in ("torchvision", *UNITS)}
    data = {
        "date": date.today().isoformat(),
        "versions": versions,
        "units": UNITS,
        "rows": compare(),
    }
    print(f"\nReported FLOPs over exact ones\n{comparison(data)}")
    if "--write" in sys.argv:
        DATA.write_text(json.dumps(data, indent=1) + "\n")


if __name__ == "__main__":
    main()
