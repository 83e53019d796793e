"""The residual networks of He et al. (2016), table 1, for counting what they hold."""

import torch
from torch import nn

STAGES = (64, 128, 256, 512)


def normalized(n_in, n_out, size, stride=1):
    """A convolution without offsets, and its batch normalization."""
    convolution = nn.Conv2d(n_in, n_out, size, stride, padding=size // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(n_out))


class Block(nn.Module):
    """The plain block of 18 and 34 layers, or the bottleneck of 50 and more."""

    def __init__(self, n_in, width, stride, is_bottleneck):
        super().__init__()
        n_out = 4 * width if is_bottleneck else width
        if is_bottleneck:
            parts = normalized(n_in, width, 1), normalized(width, width, 3, stride)
            self.body = nn.Sequential(*parts, normalized(width, n_out, 1))
        else:
            self.body = nn.Sequential(
                normalized(n_in, width, 3, stride), normalized(width, width, 3)
            )
        if stride != 1 or n_in != n_out:
            self.shortcut = normalized(n_in, n_out, 1, stride)


def residual_network(blocks_per_stage, is_bottleneck):
    """The modules of the whole network for 1000 classes, without memory behind them."""
    with torch.device("meta"):
        modules = nn.ModuleList([normalized(3, 64, 7, stride=2)])
        n_in = 64
        for width, n_blocks in zip(STAGES, blocks_per_stage, strict=True):
            for i in range(n_blocks):
                stride = 2 if i == 0 and width > 64 else 1
                modules.append(Block(n_in, width, stride, is_bottleneck))
                n_in = 4 * width if is_bottleneck else width
        modules.append(nn.Linear(n_in, 1000))
    return modules


def n_parameters(blocks_per_stage, is_bottleneck):
    network = residual_network(blocks_per_stage, is_bottleneck)
    return sum(weight.numel() for weight in network.parameters())
