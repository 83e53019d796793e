"""A small language model, to count the operations of a training step."""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


class Block(nn.Module):
    """Attention and a perceptron of four times the width: 12 width^2 weights."""

    def __init__(self, width):
        super().__init__()
        self.width = width
        self.into_attention = nn.Linear(width, 3 * width, bias=False)
        self.out_of_attention = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)

    def forward(self, x):
        query, key, value = self.into_attention(x).split(self.width, -1)
        weights = torch.softmax(query @ key.mT, -1)
        x = x + self.out_of_attention(weights @ value)
        return x + self.down(torch.relu(self.up(x)))


def flops_per_token(n_layers, width, n_words, length):
    """Weights that multiply, and what a forward and a backward pass cost per weight and token."""
    with torch.device("meta"):
        model = nn.Sequential(*(Block(width) for _ in range(n_layers)))
        model.append(nn.Linear(width, n_words, bias=False))
        x = torch.zeros(2, length, width, requires_grad=True)  # two rows of embedded tokens
    with FlopCounterMode(display=False) as counter:
        model(x).sum().backward()
    n_weights = sum(weight.numel() for weight in model.parameters())
    return n_weights, counter.get_total_flops() / (2 * length) / n_weights
