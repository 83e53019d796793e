"""Bytes kept for the backward pass, against what PyTorch was and is measured to keep."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dlcourse.compute.memory import activations, tape
from dlcourse.compute.memory.activations import Transformer
from dlcourse.compute.memory.sharding import Layer, layer_activations
from dlcourse.compute.memory.tape import Tape

# Bytes of all storages that torch 2.13 saved for the backward pass on a CPU, weights and buffers
# apart, while torchvision's models trained and those of transformers 5.23 ran without dropout.
VGG11 = (64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M")
VGG19 = (64, 64, "M", 128, 128, "M", *(256,) * 4, "M", *((512,) * 4 + ("M",)) * 2)
SMALL = Transformer(3, 96, 6, 200, 1_000)
MEASURED = {
    "alexnet": (lambda: activations.alexnet(8), 29_961_540),
    "vgg11": (lambda: activations.vgg(2, VGG11), 97_746_772),
    "vgg19": (lambda: activations.vgg(1, VGG19), 78_577_580),
    "resnet18": (lambda: activations.resnet(3, (2, 2, 2, 2), is_bottleneck=False), 66_589_948),
    "resnet34": (lambda: activations.resnet(2, is_bottleneck=False), 64_506_196),
    "resnet101": (lambda: activations.resnet(2, (3, 4, 23, 3)), 254_135_636),
    "convnext_small": (lambda: activations.convnext(2, (3, 3, 27, 3)), 348_432_556),
    "vit_b_32": (lambda: activations.vit(3, patch=32), 91_329_964),
    "vgg16": (lambda: activations.vgg(4), 293_437_092),
    "resnet50": (lambda: activations.resnet(4), 343_866_532),
    "resnet152": (lambda: activations.resnet(2, (3, 8, 36, 3)), 355_474_772),
    "convnext_tiny": (lambda: activations.convnext(2), 218_319_772),
    "vit_b_16": (lambda: activations.vit(2), 236_329_380),
    "gpt2 eager": (lambda: activations.gpt2(1, 1_024, is_fused=False), 1_873_317_900),
    "gpt2 sdpa": (lambda: activations.gpt2(1, 1_024), 1_269_927_948),
    "bert sdpa": (lambda: activations.bert(1, 512), 372_772_868),
    "llama eager": (lambda: activations.llama(2, 512), 620_056_580),
}
SMALL_MEASURED = [  # network, sequences, heads for keys and values, fused, bytes at length 64
    ("gpt2", 1, None, False, 2_669_580),
    ("gpt2", 3, None, False, 8_007_684),
    ("gpt2", 1, None, True, 2_379_276),
    ("gpt2", 3, None, True, 7_136_772),
    ("bert", 1, None, False, 1_575_940),
    ("bert", 3, None, False, 4_726_788),
    ("bert", 1, None, True, 1_285_636),
    ("bert", 3, None, True, 3_855_876),
    ("llama", 1, 6, False, 1_987_340),
    ("llama", 3, 6, False, 5_945_604),
    ("llama", 1, 6, True, 1_697_036),
    ("llama", 3, 6, True, 5_074_692),
    ("llama", 1, 3, False, 1_987_340),
    ("llama", 3, 3, False, 5_945_604),
    ("llama", 1, 3, True, 1_623_308),
    ("llama", 3, 3, True, 4_853_508),
    ("llama", 1, 1, False, 1_864_460),
    ("llama", 3, 1, False, 5_945_604),
    ("llama", 1, 1, True, 1_574_156),
    ("llama", 3, 1, True, 4_706_052),
]
N_CONFIGS = 40  # random networks of each kind


@pytest.mark.parametrize("name", MEASURED)
def test_the_bytes_are_those_measured_of_published_networks(name):
    run, measured = MEASURED[name]
    assert run().n_bytes == measured


@pytest.mark.parametrize(("name", "batch", "n_kv_heads", "is_fused", "measured"), SMALL_MEASURED)
def test_the_bytes_are_those_measured_of_small_transformers(
    name, batch, n_kv_heads, is_fused, measured
):
    inner = 4 * SMALL.width if name == "gpt2" else SMALL.inner_width
    sizes = SMALL._replace(n_kv_heads=n_kv_heads, inner_width=inner)
    assert getattr(activations, name)(batch, 64, sizes, is_fused=is_fused).n_bytes == measured


def saved_bytes(network, run):
    """Bytes of the storages that PyTorch saves while `run()`, without weights and buffers."""
    own = [*network.parameters(), *network.buffers()]
    own = {array.untyped_storage().data_ptr() for array in own}
    kept = {}

    def note(array):
        storage = array.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage
        return array

    with torch.autograd.graph.saved_tensors_hooks(note, lambda array: array):
        loss = run()  # alive until the bytes are counted, and with it what it keeps
    n_bytes = sum(storage.nbytes() for storage in kept.values())
    return n_bytes, loss.item()


@pytest.mark.proves("eq-memory-mlp", by="independent")
@pytest.mark.parametrize("seed", range(N_CONFIGS))
def test_random_multilayer_perceptrons(seed):
    rng = np.random.default_rng(seed)
    widths = [int(n) for n in rng.integers(1, 60, rng.integers(2, 7))]
    batch = int(rng.integers(1, 40))
    layers = []
    for n, m in zip(widths, widths[1:], strict=False):
        layers += [nn.Linear(n, m), nn.ReLU()]
    network = nn.Sequential(*layers[:-1])
    x, classes = torch.randn(batch, widths[0]), torch.zeros(batch, dtype=torch.int64)
    measured, _ = saved_bytes(network, lambda: F.cross_entropy(network(x), classes))
    assert activations.mlp(widths, batch).n_bytes == measured
    assert measured == 4 * batch * sum(widths) + 8 * batch + 4  # the closed form of the chapter


class Convolutions(nn.Module):
    """A random chain of layers, run by PyTorch in `forward` and by the tape in `keep`."""

    def __init__(self, rng):
        super().__init__()
        self.steps, self.layers = [], nn.ModuleList()
        self.channels = channels = int(rng.integers(1, 5))
        for kind in rng.choice(["convolution", "norm", "relu", "pool", "dropout", "residual"], 9):
            if kind == "convolution":
                wider, stride = channels * int(rng.integers(1, 4)), int(rng.integers(1, 3))
                groups = channels if rng.random() < 0.3 else 1
                layer = nn.Conv2d(channels, wider, 3, stride, 1, groups=groups)
                self.steps.append((kind, layer, (wider, 3, stride, 1)))
                channels = wider
            elif kind == "residual":
                layer = nn.Conv2d(channels, channels, 1)
                self.steps.append((kind, layer, (channels, 1)))
            else:
                layer = {
                    "norm": nn.BatchNorm2d(channels),
                    "relu": nn.ReLU(),
                    "pool": nn.MaxPool2d(3, 1, 1),
                    "dropout": nn.Dropout(0.5),
                }[kind]
                self.steps.append((kind, layer, ()))
            self.layers.append(layer)
        self.head = nn.Linear(channels, 3)

    def forward(self, x):
        for kind, layer, _ in self.steps:
            x = x + layer(x) if kind == "residual" else layer(x)
        return self.head(F.adaptive_avg_pool2d(x, 1).flatten(1))

    def keep(self, batch, size):
        run = Tape()
        x = run.new(batch, self.channels, size, size)
        for kind, _, sizes in self.steps:
            if kind == "convolution":
                x = tape.convolution(run, x, *sizes)
            elif kind == "residual":
                x = run.new(*tape.convolution(run, x, *sizes).sides)
            elif kind == "pool":
                x = tape.max_pool(run, x, 3, 1, 1)
            else:
                does = {"norm": tape.batch_norm, "relu": tape.relu, "dropout": tape.dropout}
                x = does[kind](run, x)
        x = tape.adaptive_average_pool(run, x, 1)
        tape.cross_entropy(run, tape.linear(run, x.view(*x.sides[:2]), 3))
        return run.n_bytes


@pytest.mark.parametrize("seed", range(N_CONFIGS))
def test_random_convolutional_networks(seed):
    rng = np.random.default_rng(seed)
    network = Convolutions(rng)
    batch, size = int(rng.integers(2, 6)), int(rng.integers(5, 20))
    x, classes = torch.randn(batch, network.channels, size, size), torch.zeros(batch).long()
    x.requires_grad_()  # every layer has a gradient to pass on, also one without weights
    measured, _ = saved_bytes(network, lambda: F.cross_entropy(network(x), classes))
    assert network.keep(batch, size) == measured


class Decoder(nn.Module):
    """A pre-normalized decoder in PyTorch, in the order of operations of GPT-2."""

    def __init__(self, sizes: Transformer, length: int, is_fused: bool, is_written_out: bool):
        super().__init__()
        self.sizes, self.is_fused, self.is_written_out = sizes, is_fused, is_written_out
        width, inner = sizes.width, sizes.inner_width
        self.words, self.places = nn.Embedding(sizes.n_words, width), nn.Embedding(length, width)
        self.layers = nn.ModuleList(
            nn.ModuleList(
                [
                    nn.LayerNorm(width),
                    nn.Linear(width, 3 * width),
                    nn.Linear(width, width),
                    nn.LayerNorm(width),
                    nn.Linear(width, inner),
                    nn.Linear(inner, width),
                ]
            )
            for _ in range(sizes.n_layers)
        )
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, sizes.n_words)

    def forward(self, words, places):
        x = self.words(words) + self.places(places)
        for norm, qkv, merge, norm_2, up, down in self.layers:
            x = x + merge(self.attend(*qkv(norm(x)).chunk(3, dim=-1)))
            x = x + down(self.activate(up(norm_2(x))))
        return self.head(self.norm(x))

    def attend(self, *qkv):
        batch, length, width = qkv[0].shape
        n_heads = self.sizes.n_heads
        q, k, v = (x.view(batch, length, n_heads, -1).transpose(1, 2) for x in qkv)
        if self.is_fused:
            y = F.scaled_dot_product_attention(q, k, v)
        else:
            weights = (q @ k.transpose(2, 3) * (width // n_heads) ** -0.5).softmax(-1)
            y = weights @ v
        return y.transpose(1, 2).reshape(batch, length, width)

    def activate(self, x):
        if not self.is_written_out:
            return F.gelu(x)
        return 0.5 * x * (1.0 + torch.tanh(0.8 * (x + 0.044715 * torch.pow(x, 3.0))))


@pytest.mark.parametrize("seed", range(N_CONFIGS))
def test_random_transformers(seed):
    rng = np.random.default_rng(seed)
    n_heads, head = int(rng.integers(1, 5)), 8 * int(rng.integers(1, 4))
    sizes = Transformer(
        n_layers=int(rng.integers(1, 4)),
        width=n_heads * head,
        n_heads=n_heads,
        inner_width=int(rng.integers(1, 5)) * 16,
        n_words=int(rng.integers(5, 50)),
    )
    batch, length = int(rng.integers(1, 4)), int(rng.integers(2, 40))
    is_fused, is_written_out = bool(rng.integers(2)), bool(rng.integers(2))
    network = Decoder(sizes, length, is_fused, is_written_out)
    words, places = torch.zeros(batch, length).long(), torch.arange(length)[None]
    classes = torch.zeros(batch * length).long()
    measured, _ = saved_bytes(
        network, lambda: F.cross_entropy(network(words, places).flatten(0, 1), classes)
    )
    run = Tape()
    x, _ = tape.embedding(run, batch, length, sizes.width)
    tape.embedding(run, 1, length, sizes.width)
    activate = tape.gelu_written_out if is_written_out else tape.gelu
    for _ in range(sizes.n_layers):
        x = activations.prenorm_layer(run, x, sizes, is_fused, activate)
    logits = tape.linear(run, tape.layer_norm(run, x), sizes.n_words)
    tape.cross_entropy(run, logits.view(batch * length, sizes.n_words))
    assert run.n_bytes == measured


@pytest.mark.proves("eq-memory-layer", by="independent")
@pytest.mark.parametrize("seed", range(10))
def test_the_closed_form_of_a_layer_of_gpt2(seed):
    rng = np.random.default_rng(seed)
    s, b, a = (int(n) for n in rng.integers(1, 50, 3))
    h = a * int(rng.integers(1, 20))
    network = Decoder(Transformer(1, h, a, 4 * h, n_words=2), s, False, is_written_out=True)
    x = torch.randn(b, s, h, requires_grad=True)
    layer = network.layers[0]
    network.layers = nn.ModuleList()

    def run():
        norm, qkv, merge, norm_2, up, down = layer
        y = x + merge(network.attend(*qkv(norm(x)).chunk(3, dim=-1)))
        return (y + down(network.activate(up(norm_2(y))))).sum()

    measured, _ = saved_bytes(layer, run)
    assert measured == s * b * (112 * h + 16 + 4 * a * s)


def sixteen_bit_layer(s, b, h, a):
    """A layer with dropout on a tape of 16-bit numbers; statistics of the norms left out."""
    run = Tape(bytes_per_number=2, mask_bytes=1)
    x = run.new(b, s, h)
    y = tape.layer_norm(run, x)
    q, k, v = (tape.linear(run, y, h).view(b, a, s, h // a) for _ in range(3))
    y = tape.attention(run, q, k, v, is_fused=False, dropped=True)
    y = tape.dropout(run, tape.linear(run, y, h))
    y = tape.layer_norm(run, run.new(*y.sides))
    y = tape.linear(run, tape.gelu(run, tape.linear(run, y, 4 * h)), h)
    tape.dropout(run, y)
    statistics = 2 * 2 * 4 * s * b
    return run.n_bytes - statistics


@pytest.mark.proves("eq-memory-layer-16", by="independent")
@pytest.mark.parametrize("seed", range(10))
def test_the_formula_of_korthikanti_is_the_sum_over_the_operations(seed):
    s, b, a, head = (int(n) for n in np.random.default_rng(seed).integers(1, 40, 4))
    layer = Layer(s, b, a * head, a)
    assert sixteen_bit_layer(*layer) == pytest.approx(layer_activations(layer), rel=1e-12)


def test_an_array_kept_twice_counts_once_and_so_do_its_views():
    run = Tape()
    x = run.new(3, 4)
    run.keep("first", x)
    run.keep("second", x.view(12), x.view(2, 6).view(4, 3))
    assert run.by_operation() == {"first": 48}


def test_a_planted_rule_is_noticed(monkeypatch):
    def keeps_input_too(run, x):
        run.keep("activation", x)
        return tape.gelu(run, x)

    monkeypatch.setattr(activations.ops, "relu", keeps_input_too)
    run, measured = MEASURED["alexnet"]
    assert run().n_bytes != measured


def test_the_table_adds_up():
    shown = repr(activations.mlp([4, 3], batch=2))
    assert "together" in shown
    assert "100.0 %" in shown
