"""What an operation keeps until the backward pass, byte for byte.

A gradient needs values of the forward pass: of `x @ W` it needs x, of a maximum which entry won.
Automatic differentiation keeps those arrays, and together they are the activation memory of a
training step. Here a network is run without numbers: each function takes the arrays' shapes,
notes on a `Tape` what PyTorch keeps, and returns the shape of its result. An array that two
operations keep counts once, and so do views of one array; weights are counted elsewhere.

tape  where the kept arrays are noted       x  a `Shape`, the batch first, images (b, c, height, w)
"""

from dataclasses import dataclass
from math import prod

from dlcourse.tables import PrintsTable, Table


@dataclass(frozen=True, eq=False)
class Shape:
    """An array without its numbers. `of` is the array that it is a view of."""

    sides: tuple[int, ...]
    bytes_per_number: int
    of: "Shape | None" = None

    @property
    def stored(self) -> "Shape":
        """The array that holds the numbers."""
        return self if self.of is None else self.of.stored

    @property
    def n_bytes(self) -> int:
        return prod(self.sides) * self.bytes_per_number

    def view(self, *sides: int) -> "Shape":
        """The same numbers, or a part of them, under another shape."""
        return Shape(sides, self.bytes_per_number, self)


class Tape(PrintsTable):
    """The arrays kept by the operations run so far.

    `bytes_per_number` is 4 for float32 and 2 for 16-bit types. `mask_bytes` is what dropout keeps
    of an entry: PyTorch keeps a float on a CPU and one byte on a GPU.
    """

    def __init__(self, bytes_per_number: int = 4, mask_bytes: int = 4):
        self.bytes_per_number, self.mask_bytes = bytes_per_number, mask_bytes
        self.kept: dict[Shape, str] = {}

    def new(self, *sides: int, bytes_per_number: int | None = None) -> Shape:
        """An array of this shape that nothing keeps yet."""
        return Shape(sides, bytes_per_number or self.bytes_per_number)

    def keep(self, operation: str, *arrays: Shape):
        """Note that `operation` keeps these arrays; what is kept already costs nothing more."""
        for array in arrays:
            self.kept.setdefault(array.stored, operation)

    @property
    def n_bytes(self) -> int:
        """Bytes kept from the forward to the backward pass."""
        return sum(array.n_bytes for array in self.kept)

    def by_operation(self) -> dict[str, int]:
        """Bytes by the operation that was the first to keep them, largest first."""
        sums: dict[str, int] = {}
        for array, operation in self.kept.items():
            sums[operation] = sums.get(operation, 0) + array.n_bytes
        return dict(sorted(sums.items(), key=lambda pair: -pair[1]))

    def table(self):
        sums = self.by_operation()
        rows = {**sums, "together": self.n_bytes}
        return Table(
            {
                "kept by": list(rows),
                "bytes": list(rows.values()),
                "share": [f"{100 * n / self.n_bytes:.1f} %" for n in rows.values()],
            }
        )


def linear(tape: Tape, x: Shape, width: int) -> Shape:
    """x W + b keeps x, for the gradient of W."""
    tape.keep("linear", x)
    return tape.new(*x.sides[:-1], width)


def convolution(tape, x: Shape, channels: int, kernel: int, stride=1, padding=0) -> Shape:
    """A convolution keeps its input, whatever its groups."""
    tape.keep("convolution", x)
    n, _, *size = x.sides
    return tape.new(n, channels, *(_slid(side, kernel, stride, padding) for side in size))


def relu(tape: Tape, x: Shape) -> Shape:
    """max(x, 0) keeps its result: where that is zero, so is the derivative."""
    y = tape.new(*x.sides)
    tape.keep("activation", y)
    return y


def gelu(tape: Tape, x: Shape) -> Shape:
    """x Phi(x) in one kernel keeps x; so does tanh's approximation in one kernel."""
    tape.keep("activation", x)
    return tape.new(*x.sides)


def gelu_written_out(tape: Tape, x: Shape) -> Shape:
    """0.5 x (1 + tanh(...)) as five operations, as GPT-2 has it, keeps four arrays.

    They are x for its cube, tanh(...) for its own derivative, and both factors of the product.
    """
    tape.keep("activation", x, *(tape.new(*x.sides) for _ in range(3)))
    return tape.new(*x.sides)


def silu_gate(tape: Tape, gate: Shape, up: Shape) -> Shape:
    """silu(gate) * up keeps gate, and the two factors of the product."""
    tape.keep("activation", gate, tape.new(*gate.sides), up)
    return tape.new(*up.sides)


def layer_norm(tape: Tape, x: Shape) -> Shape:
    """Layer normalization keeps x and, of each row, mean and scale in float32."""
    row = (*x.sides[:-1], 1)
    tape.keep("normalization", x, *(tape.new(*row, bytes_per_number=4) for _ in range(2)))
    return tape.new(*x.sides)


def rms_norm_written_out(tape: Tape, x: Shape) -> Shape:
    """gain * (x * scale) as two products, as Llama has it, keeps x, the scales and x * scale."""
    scale = tape.new(*x.sides[:-1], 1, bytes_per_number=4)
    tape.keep("normalization", x, scale, tape.new(*x.sides))
    return tape.new(*x.sides)


def batch_norm(tape: Tape, x: Shape) -> Shape:
    """Batch normalization keeps x and, of each channel, mean and scale of the batch in float32."""
    channel = x.sides[1]
    tape.keep("normalization", x, *(tape.new(channel, bytes_per_number=4) for _ in range(2)))
    return tape.new(*x.sides)


def max_pool(tape: Tape, x: Shape, kernel: int, stride: int, padding: int = 0) -> Shape:
    """Maximum pooling keeps x and, of each result, the place of the maximum in eight bytes."""
    n, channels, *size = x.sides
    y = tape.new(n, channels, *(_slid(side, kernel, stride, padding) for side in size))
    tape.keep("pooling", x, tape.new(*y.sides, bytes_per_number=8))
    return y


def adaptive_average_pool(tape: Tape, x: Shape, size: int) -> Shape:
    """Averages over a grid of size by size windows keep x; one window is a mean: nothing kept."""
    if size > 1:
        tape.keep("pooling", x)
    return tape.new(*x.sides[:2], size, size)


def dropout(tape: Tape, x: Shape) -> Shape:
    """Dropout keeps its mask."""
    tape.keep("dropout", tape.new(*x.sides, bytes_per_number=tape.mask_bytes))
    return tape.new(*x.sides)


def embedding(tape: Tape, batch: int, length: int, width: int) -> tuple[Shape, Shape]:
    """A look-up in a table keeps the indices, eight bytes each. Returns rows and indices."""
    indices = tape.new(batch, length, bytes_per_number=8)
    tape.keep("embedding", indices)
    return tape.new(batch, length, width), indices


def attention(tape: Tape, q: Shape, k: Shape, v: Shape, *, is_fused: bool, dropped=False) -> Shape:
    """softmax(q k') v with heads (batch, heads, length, width of a head); merged in the result.

    Written out it keeps q, k, v and the matrix of weights, length times length a head; with
    dropout also the mask and the weights that remain. Fused into one kernel (FlashAttention) it
    keeps q, k, v, its result and one float32 a row: the weights are computed again.
    Reference: Dao, Fu, Ermon, Rudra and Ré (2022).
    """
    batch, heads, length, width = q.sides
    y = tape.new(batch, length, heads * width)
    tape.keep("attention", q, k, v)
    if is_fused:
        tape.keep("attention", y, tape.new(batch, heads, length, bytes_per_number=4))
        return y
    weights = tape.new(batch, heads, length, k.sides[2])
    tape.keep("attention", weights)
    if dropped:
        tape.keep("attention", dropout(tape, weights))
    return y


def cross_entropy(tape: Tape, logits: Shape, targets: Shape | None = None) -> None:
    """The loss keeps log-probabilities, the classes and one number, the sum of their weights."""
    n_rows = prod(logits.sides[:-1])
    classes = targets or tape.new(n_rows, bytes_per_number=8)
    tape.keep("loss", tape.new(*logits.sides), classes, tape.new(1))


def _slid(side: int, kernel: int, stride: int, padding: int) -> int:
    return (side + 2 * padding - kernel) // stride + 1
