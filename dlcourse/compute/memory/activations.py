"""Networks run without numbers, to count what training keeps.

Each function runs one step of a published network on a `tape.Tape`, loss included, as its
reference implementation does (torchvision, transformers), and returns the tape. Transformers are
run without dropout, image networks as they are trained.

batch   images or sequences a step      length  tokens a sequence
"""

from math import prod
from typing import NamedTuple

from dlcourse.compute.memory import tape as ops
from dlcourse.compute.memory.tape import Shape, Tape

IMAGE = (3, 224, 224)  # channels, height, width of an image of ImageNet
N_CLASSES = 1000


def mlp(widths, batch: int) -> Tape:
    """Linear layers from widths[0] to widths[-1] with ReLU between them, and cross-entropy."""
    tape = Tape()
    x = tape.new(batch, widths[0])
    for width in widths[1:-1]:
        x = ops.relu(tape, ops.linear(tape, x, width))
    ops.cross_entropy(tape, ops.linear(tape, x, widths[-1]))
    return tape


VGG16 = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", *(512, 512, 512, "M") * 2)


def vgg(batch: int, layers=VGG16) -> Tape:
    """VGG: convolutions 3 by 3 with ReLU, "M" for a pooling, two hidden layers with dropout."""
    tape = Tape()
    x = tape.new(batch, *IMAGE)
    for width in layers:
        if width == "M":
            x = ops.max_pool(tape, x, kernel=2, stride=2)
        else:
            x = ops.relu(tape, ops.convolution(tape, x, width, kernel=3, padding=1))
    x = _flat(ops.adaptive_average_pool(tape, x, 7))
    for _ in range(2):
        x = ops.dropout(tape, ops.relu(tape, ops.linear(tape, x, 4096)))
    ops.cross_entropy(tape, ops.linear(tape, x, N_CLASSES))
    return tape


def alexnet(batch: int) -> Tape:
    """AlexNet in the version of one column, as torchvision has it."""
    tape = Tape()
    x = tape.new(batch, *IMAGE)
    columns = [(64, 11, 4, 2), (192, 5, 1, 2), (384, 3, 1, 1), (256, 3, 1, 1), (256, 3, 1, 1)]
    for place, (channels, kernel, stride, padding) in enumerate(columns):
        x = ops.relu(tape, ops.convolution(tape, x, channels, kernel, stride, padding))
        if place in (0, 1, 4):
            x = ops.max_pool(tape, x, kernel=3, stride=2)
    x = _flat(ops.adaptive_average_pool(tape, x, 6))
    for _ in range(2):
        x = ops.relu(tape, ops.linear(tape, ops.dropout(tape, x), 4096))
    ops.cross_entropy(tape, ops.linear(tape, x, N_CLASSES))
    return tape


def resnet(batch: int, blocks=(3, 4, 6, 3), *, is_bottleneck: bool = True) -> Tape:
    """ResNet: (3, 4, 6, 3) is ResNet-50, (3, 8, 36, 3) ResNet-152.

    Without bottlenecks (2, 2, 2, 2) is ResNet-18 and (3, 4, 6, 3) ResNet-34.
    """
    tape = Tape()
    x = _normalized(tape, tape.new(batch, *IMAGE), 64, kernel=7, stride=2)
    x = ops.max_pool(tape, ops.relu(tape, x), kernel=3, stride=2, padding=1)
    run = bottleneck if is_bottleneck else basic_block
    for stage, n_blocks in enumerate(blocks):
        for block in range(n_blocks):
            x = run(tape, x, 64 * 2**stage, stride=2 if stage and not block else 1)
    x = _flat(ops.adaptive_average_pool(tape, x, 1))
    ops.cross_entropy(tape, ops.linear(tape, x, N_CLASSES))
    return tape


def bottleneck(tape: Tape, x: Shape, width: int, stride: int) -> Shape:
    """Convolutions 1, 3 and 1 wide, each normalized; the sum with x keeps nothing."""
    y = ops.relu(tape, _normalized(tape, x, width, kernel=1))
    y = ops.relu(tape, _normalized(tape, y, width, kernel=3, stride=stride))
    y = _normalized(tape, y, 4 * width, kernel=1)
    _project(tape, x, y, stride)
    return ops.relu(tape, y)


def basic_block(tape: Tape, x: Shape, width: int, stride: int) -> Shape:
    """Two convolutions 3 wide, each normalized; the sum with x keeps nothing."""
    y = ops.relu(tape, _normalized(tape, x, width, kernel=3, stride=stride))
    y = _normalized(tape, y, width, kernel=3)
    _project(tape, x, y, stride)
    return ops.relu(tape, y)


def convnext(batch: int, depths=(3, 3, 9, 3)) -> Tape:
    """ConvNeXt: depthwise convolution, layer normalization, two linear layers, gain and chance.

    All blocks but the first leave their branch out by chance: one float an image is kept.
    """
    tape, widths = Tape(), (96, 192, 384, 768)
    x = ops.convolution(tape, tape.new(batch, *IMAGE), widths[0], kernel=4, stride=4)
    x = _channels_first(ops.layer_norm(tape, _channels_last(x)))
    is_first = True
    for stage, (depth, width) in enumerate(zip(depths, widths, strict=True)):
        if stage:
            x = _channels_first(ops.layer_norm(tape, _channels_last(x)))
            x = ops.convolution(tape, x, width, kernel=2, stride=2)
        for _ in range(depth):
            y = ops.convolution(tape, x, width, kernel=7, padding=3)
            y = ops.layer_norm(tape, _channels_last(y))
            y = ops.linear(tape, ops.gelu(tape, ops.linear(tape, y, 4 * width)), width)
            tape.keep("gain", y)
            if not is_first:
                tape.keep("dropout", tape.new(batch, 1, 1, 1))
            x, is_first = tape.new(*x.sides), False
    x = ops.layer_norm(tape, tape.new(batch, 1, 1, widths[-1]))
    ops.cross_entropy(tape, ops.linear(tape, x.view(batch, widths[-1]), N_CLASSES))
    return tape


class Transformer(NamedTuple):
    """Sizes of a transformer. Without `n_kv_heads` every head has keys and values of its own."""

    n_layers: int
    width: int
    n_heads: int
    inner_width: int
    n_words: int = 0
    n_kv_heads: int | None = None


VIT_B_16 = Transformer(12, 768, 12, 3072)
BERT_BASE = Transformer(12, 768, 12, 3072, 30_522)
GPT2 = Transformer(12, 768, 12, 3072, 50_257)
LLAMA_TOY = Transformer(8, 512, 8, 1376, 32_000)


def vit(batch: int, sizes: Transformer = VIT_B_16, patch: int = 16) -> Tape:
    """Vision transformer: patches and a class token through pre-normalized layers."""
    tape = Tape()
    x = ops.convolution(tape, tape.new(batch, *IMAGE), sizes.width, kernel=patch, stride=patch)
    x = tape.new(batch, 1 + x.sides[2] * x.sides[3], sizes.width)
    for _ in range(sizes.n_layers):
        x = prenorm_layer(tape, x, sizes, is_fused=True, activation=ops.gelu)
    y = ops.layer_norm(tape, x)
    first = y.view(batch, sizes.width)  # a view of the class token keeps all tokens
    ops.cross_entropy(tape, ops.linear(tape, first, N_CLASSES))
    return tape


def gpt2(batch: int, length: int, sizes: Transformer = GPT2, *, is_fused: bool = True) -> Tape:
    """GPT-2: token and position tables, pre-normalized layers, GELU written out."""
    tape = Tape()
    x, _ = ops.embedding(tape, batch, length, sizes.width)
    ops.embedding(tape, 1, length, sizes.width)
    for _ in range(sizes.n_layers):
        x = prenorm_layer(tape, x, sizes, is_fused, activation=ops.gelu_written_out)
    _predict_next(tape, ops.layer_norm(tape, x), sizes.n_words)
    return tape


def bert(batch: int, length: int, sizes: Transformer = BERT_BASE, *, is_fused: bool = True) -> Tape:
    """BERT with its masked-word head; the words to find are the words given, as in a test."""
    tape = Tape()
    x, words = ops.embedding(tape, batch, length, sizes.width)
    ops.embedding(tape, 1, length, sizes.width)  # of the first or second sentence
    x = ops.layer_norm(tape, x)
    for _ in range(sizes.n_layers):
        q, k, v = (_heads(ops.linear(tape, x, sizes.width), sizes.n_heads) for _ in range(3))
        y = ops.linear(tape, ops.attention(tape, q, k, v, is_fused=is_fused), sizes.width)
        x = ops.layer_norm(tape, tape.new(*y.sides))
        y = ops.linear(tape, x, sizes.inner_width)
        y = ops.linear(tape, ops.gelu(tape, y), sizes.width)
        x = ops.layer_norm(tape, tape.new(*y.sides))
    x = ops.layer_norm(tape, ops.gelu(tape, ops.linear(tape, x, sizes.width)))
    ops.cross_entropy(tape, ops.linear(tape, x, sizes.n_words), words)
    return tape


def llama(
    batch: int, length: int, sizes: Transformer = LLAMA_TOY, *, is_fused: bool = False
) -> Tape:
    """Llama: rotated queries and keys, RMS normalization written out, a gated inner layer.

    Attention written out repeats the keys and values that several heads share; where all heads of
    one sequence share one, the repetition is a view. The fused kernel repeats nothing.
    """
    tape = Tape()
    x, _ = ops.embedding(tape, batch, length, sizes.width)
    head_width, n_kv_heads = sizes.width // sizes.n_heads, sizes.n_kv_heads or sizes.n_heads
    if not is_fused and (batch, n_kv_heads) != (1, 1):
        n_kv_heads = sizes.n_heads
    angles = [tape.new(1, length, head_width) for _ in range(2)]  # cosines and sines, for all
    for _ in range(sizes.n_layers):
        tape.keep("linear", ops.rms_norm_written_out(tape, x))  # for queries, keys and values
        tape.keep("rotation", *angles)
        q = tape.new(batch, sizes.n_heads, length, head_width)
        k, v = (tape.new(batch, n_kv_heads, length, head_width) for _ in range(2))
        y = ops.attention(tape, q, k, v, is_fused=is_fused)
        x = tape.new(*ops.linear(tape, y, sizes.width).sides)
        y = ops.rms_norm_written_out(tape, x)
        gate, up = (ops.linear(tape, y, sizes.inner_width) for _ in range(2))
        x = tape.new(*ops.linear(tape, ops.silu_gate(tape, gate, up), sizes.width).sides)
    _predict_next(tape, ops.rms_norm_written_out(tape, x), sizes.n_words)
    return tape


def prenorm_layer(tape, x: Shape, sizes: Transformer, is_fused: bool, activation) -> Shape:
    """One layer of a pre-normalized transformer: x + attention, then x + inner layer."""
    batch, length, width = x.sides
    heads = (batch, sizes.n_heads, length, width // sizes.n_heads)
    qkv = ops.linear(tape, ops.layer_norm(tape, x), 3 * width)
    y = ops.attention(tape, *(qkv.view(*heads) for _ in range(3)), is_fused=is_fused)
    x = tape.new(*ops.linear(tape, y, width).sides)
    y = ops.linear(tape, ops.layer_norm(tape, x), sizes.inner_width)
    return tape.new(*ops.linear(tape, activation(tape, y), width).sides)


def _predict_next(tape: Tape, x: Shape, n_words: int):
    """Logits and loss. Targets are shifted by one: of one sequence a view of a longer array."""
    batch, length, _ = x.sides
    longer = tape.new(batch, length + 1, bytes_per_number=8)
    targets = longer.view(length) if batch == 1 else None
    ops.cross_entropy(tape, ops.linear(tape, x, n_words), targets)


def _normalized(tape: Tape, x: Shape, channels: int, kernel: int, stride: int = 1) -> Shape:
    return ops.batch_norm(
        tape, ops.convolution(tape, x, channels, kernel, stride, padding=kernel // 2)
    )


def _project(tape: Tape, x: Shape, y: Shape, stride: int):
    """Where x has another shape than y it is projected before the sum."""
    if x.sides != y.sides:
        _normalized(tape, x, y.sides[1], kernel=1, stride=stride)


def _heads(x: Shape, n_heads: int) -> Shape:
    batch, length, width = x.sides
    return x.view(batch, n_heads, length, width // n_heads)


def _flat(x: Shape) -> Shape:
    return x.view(x.sides[0], prod(x.sides[1:]))


def _channels_last(x: Shape) -> Shape:
    n, channels, *size = x.sides
    return x.view(n, *size, channels)


def _channels_first(x: Shape) -> Shape:
    n, *size, channels = x.sides
    return x.view(n, channels, *size)
