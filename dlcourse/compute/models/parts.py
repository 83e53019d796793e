r"""What networks are made of: the parameters and the FLOPs of one part.

FLOPs     floating-point operations; a multiply-add is two of them
part      one kind of layer at one size, with its parameters and the FLOPs of its forward pass
load      what passes through: `batch` sequences of `length` tokens

Counted are the products that sum over an index: matrix products and convolutions. Biases,
activations, norms, softmax and look-ups are not counted; they are of lower order.
"""

from dataclasses import dataclass, replace


def product_flops(rows: int, inner: int, columns: int) -> int:
    """FLOPs of a matrix product (rows, inner) times (inner, columns).

    A multiply-add for each entry of the result and each place of the inner axis.

    >>> product_flops(2, 3, 4)
    48
    """
    return 2 * rows * inner * columns


def linear_params(n_in: int, n_out: int, bias: bool = True) -> int:
    """Parameters of y = x W + b."""
    return n_in * n_out + bias * n_out


def convolution_params(channels: tuple[int, int], area: int, groups: int, bias: bool) -> int:
    """Parameters of a convolution from channels[0] to channels[1] with a kernel of `area` cells."""
    n_in, n_out = channels
    return n_in // groups * n_out * area + bias * n_out


def convolution_flops(positions: int, channels: tuple[int, int], area: int, groups: int) -> int:
    r"""FLOPs of a convolution: one product of its kernel at each position of the output.

    Each of the `groups` joins only its own share of the channels, so that all g groups together
    cost a g-th of a full convolution, at n positions of the output and a cells of the kernel:

    .. math:: 2 n a \, c_{\text{in}} c_{\text{out}} / g
    """
    n_in, n_out = channels
    return product_flops(positions, n_in // groups * area, n_out)


def attention_flops(n_heads: int, head_widths: int, lengths: tuple[int, int]) -> int:
    r"""FLOPs of scores and of their sum over values, each query with every key.

    `head_widths` is the width of a key plus that of a value; `lengths` counts queries and keys.

    .. math:: 2 h (d_k + d_v) \, n_q n_k
    """
    n_queries, n_keys = lengths
    return product_flops(n_heads * n_queries, head_widths, n_keys)


def causal_attention_flops(n_heads: int, head_widths: int, length: int, window: int | None = None):
    r"""FLOPs of attention that looks back only: half of the square of the length.

    .. math:: 2 h (d_k + d_v) \left( S w - \tfrac12 w^2 \right)

    S is the length and w the window; without one, or with a longer one, w is S. The diagonal, a
    fraction 1/S, is cut in half with the square. `head_widths` is the sum of the two widths.
    Reference: Narayanan et al. (2021), DeepSeek-AI (2024).
    """
    reach = min(window or length, length)
    return n_heads * head_widths * reach * (2 * length - reach)


@dataclass(frozen=True)
class Load:
    """`batch` sequences of `length` tokens; cross-attention reads `memory` tokens of another.

    Raises `ValueError` unless they are whole numbers, 1 or more.
    """

    length: int = 1
    batch: int = 1
    memory: int = 0
    is_causal: bool = False  # count what a causal mask leaves over, where the model has one

    def __post_init__(self):
        for name, value in [("sequence_length", self.length), ("batch", self.batch)]:
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(
                    f"`{name}` must be a whole number of at least 1, got {value!r}. "
                    "Counts are exact integers: give tokens a sequence, and sequences a step."
                )

    @property
    def tokens(self) -> int:
        return self.batch * self.length


@dataclass(frozen=True)
class Part:
    """Parameters and forward FLOPs of one part of a network, under one load."""

    name: str
    params: int = 0
    forward_flops: int = 0
    idle_params: int = 0  # of experts that a token does not meet
    is_embedding: bool = False  # a table that is looked up
    reads_data: bool = False  # its input is data or a constant, which takes no gradient

    @property
    def train_step_flops(self) -> int:
        """Forward, gradient of the weights, and gradient of the input unless that is data.

        Each of the two gradients is a product of the same size as the forward one.
        """
        return self.forward_flops * (2 if self.reads_data else 3)

    def times(self, n: int) -> "Part":
        """`n` such parts, each with parameters of its own."""
        return replace(
            self,
            params=n * self.params,
            forward_flops=n * self.forward_flops,
            idle_params=n * self.idle_params,
        )

    def shared(self, n: int) -> "Part":
        """One such part that is passed `n` times."""
        return replace(self, forward_flops=n * self.forward_flops)
