r"""Muon: momentum made orthogonal, for the hidden matrices of a network.

x     matrix (*runs, in, out)     velocity  the gradients so far, older ones faded, like x
grad  gradient at x               k         steps taken, a 0-d array

Only hidden matrices go to Muon. Embeddings, the output layer, gains and biases go to AdamW:
`muon_for_hidden` in `dlcourse.optim.partition`. A matrix has a row for each input, as in
`dlcourse.nn`; PyTorch stores the transpose, and Muon moves a transpose to the transposed place.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from dlcourse import _checks
from dlcourse.optim._inplace import advance, check_update, number_at
from dlcourse.optim._settings import (
    check_learning_rate,
    check_one_beta,
    check_step,
)

Array = np.ndarray
Matrix = Float[Array, "*runs rows columns"]


def newton_schulz(G: Matrix, n_iterations=5) -> Matrix:
    r"""Nearly the orthogonal factor :math:`U V^\top` of :math:`G = U S V^\top`, without an SVD.

    .. displayed:: eq-newton-schulz-start, eq-newton-schulz

    Each iteration sends every singular value s to :math:`a s + b s^3 + c s^5` and leaves U and V
    alone. With a, b, c = 3.4445, -4.7750, 2.0315 five of them bring all but the smallest to about
    0.7 to 1.2: the steep start was bought with never reaching 1. Below a norm of 1e-7 the matrix is
    taken as noise, and not scaled up to norm one. PyTorch does the same in bfloat16, with two to
    three digits; the original adds 1e-7 to the norm. Raises `ValueError` unless `G` is a matrix of
    numbers.
    Reference: Jordan et al. (2024).

    >>> newton_schulz(np.diag([3.0, -1.0])).round(2)
    array([[ 0.75,  0.  ],
           [ 0.  , -1.13]])
    """
    G = _matrix(G, "G")
    a, b, c = 3.4445, -4.7750, 2.0315
    if G.shape[-2] > G.shape[-1]:  # the smaller side makes the smaller A
        return _transpose(newton_schulz(_transpose(G), n_iterations))
    X = G / np.maximum(np.linalg.norm(G, axis=(-2, -1), keepdims=True), 1e-7)
    for _ in range(n_iterations):
        A = X @ _transpose(X)
        # A is its own transpose: BLAS sees from `A @ A.T` that half of the product is enough.
        X = a * X + (b * A + c * (A @ _transpose(A))) @ X
    return X


def jordan_scale(n_inputs, n_outputs):
    r""":math:`\sqrt{\max(1, n_{\mathrm{out}} / n_{\mathrm{in}})}`, as Muon began.

    With it a layer that widens changes its outputs, in root mean square, as a square one does.
    Reference: Jordan et al. (2024). Book: eq. `eq-muon-jordan`.

    >>> float(jordan_scale(10, 40)), float(jordan_scale(40, 10))
    (2.0, 1.0)
    """
    return np.sqrt(max(1.0, n_outputs / n_inputs))


def moonlight_scale(n_inputs, n_outputs):
    r""":math:`0.2 \sqrt{\max(n_{\mathrm{in}}, n_{\mathrm{out}})}`, for steps the size of AdamW's.

    The entries of a full-rank orthogonal matrix have root mean square
    :math:`1 / \sqrt{\max(n_{\mathrm{in}}, n_{\mathrm{out}})}`. Scaled, it is 0.2, about that of
    AdamW's steps: AdamW's rate and weight decay can be kept.
    Reference: Liu et al. (2025), eq. 4. Book: eq. `eq-muon-moonlight`.

    >>> float(moonlight_scale(100, 25))
    2.0
    """
    return 0.2 * np.sqrt(max(n_inputs, n_outputs))


class MuonState(NamedTuple):
    """What Muon remembers."""

    velocity: Matrix
    k: Int[Array, ""]  # steps taken


@dataclass(frozen=True)
class Muon:
    r"""Momentum whose matrix is made orthogonal, so that each direction gets a step of one size.

    .. displayed:: eq-muon-velocity, eq-muon-step

    W is the matrix x, NS is `newton_schulz`. `scale(n_inputs, n_outputs)` is the r of the matrix:
    `jordan_scale` (PyTorch's "original") or `moonlight_scale` (its "match_rms_adamw").
    `weight_decay` is :math:`\lambda`; as in PyTorch and Moonlight r does not multiply it. PyTorch
    averages gradients instead of adding them up; Newton-Schulz forgets the factor
    :math:`1 - \beta` between the two. Raises `ValueError` for a negative `weight_decay`, and where
    it starts from no matrix of finite floats.
    Reference: Jordan et al. (2024), Liu et al. (2025). Book: algorithm `alg-muon`.

    >>> optimizer = Muon(learning_rate=0.1)
    >>> x, grad = np.zeros((2, 2)), np.diag([3.0, -1.0])
    >>> optimizer.step(x, grad, optimizer.init(x))[0].round(3)
    array([[-0.075,  0.   ],
           [ 0.   ,  0.113]])
    """

    learning_rate: float | Callable = 0.02
    beta: float = 0.95
    weight_decay: float = 0.0
    scale: Callable = jordan_scale

    def __post_init__(self):
        check_learning_rate(self.learning_rate)
        check_one_beta(self.beta)
        _checks.not_negative(self.weight_decay, "weight_decay")

    def init(self, x: Matrix) -> MuonState:
        x = _matrix(_checks.floats(x, "x"), "x")
        return MuonState(velocity=np.zeros_like(x), k=np.array(0))

    def step(self, x: Matrix, grad: Matrix, state: MuonState):
        """The next point and state."""
        x, grad = check_step(x, grad, state.velocity)
        alpha = number_at(self.learning_rate, int(state.k), x, grad)
        velocity = self.beta * state.velocity + grad
        direction = newton_schulz(grad + self.beta * velocity)
        shrunk = (1 - alpha * self.weight_decay) * x
        x = shrunk - alpha * float(self.scale(*x.shape[-2:])) * direction
        return x, MuonState(velocity, np.array(state.k + 1))

    def update(self, x: Matrix, grad: Matrix, state: MuonState) -> None:
        """The same step in place. Newton-Schulz makes some matrices of the shape of x."""
        check_update(x, grad, state.velocity)
        alpha, velocity = number_at(self.learning_rate, int(state.k), x, grad), state.velocity
        velocity *= self.beta
        velocity += grad
        direction = newton_schulz(grad + self.beta * velocity)
        direction *= alpha * float(self.scale(*x.shape[-2:]))
        x *= 1 - alpha * self.weight_decay
        x -= direction
        advance(state.k)


def qk_clip(W_q: Matrix, W_k: Matrix, largest_logit: float, threshold=100.0):
    r"""Query and key weights of one head, scaled so that its largest logit becomes `threshold`.

    .. displayed:: eq-qk-clip, eq-qk-clip-weights

    `largest_logit` is the :math:`S_{\max}` seen in the forward pass, `threshold` is :math:`\tau`; a
    head below it is left alone. With Muon's step this is MuonClip. Raises `ValueError` unless both
    are numbers and `threshold` is positive.
    Reference: Kimi Team (2025).

    >>> qk_clip(np.eye(2), np.eye(2), largest_logit=400.0)[0]
    array([[0.5, 0. ],
           [0. , 0.5]])
    """
    _checks.positive(threshold, "threshold")
    if not _checks.is_number(largest_logit):
        raise ValueError(
            f"`largest_logit` must be one finite number, got {largest_logit!r}. "
            "Use the largest of the head's scores, `scores.max()`."
        )
    W_q, W_k = _checks.as_floats(W_q, "W_q"), _checks.as_floats(W_k, "W_k")
    root = min(1.0, threshold / largest_logit) ** 0.5 if largest_logit > 0 else 1.0
    return root * W_q, root * W_k


def _matrix(x, name):
    if np.ndim(x) < 2:
        raise ValueError(
            f"Muon moves matrices (in, out), got `{name}` of shape {np.shape(x)}. "
            "Use AdamW for vectors, and `muon_for_hidden` for the flat vector of a network."
        )
    is_float = isinstance(x, np.ndarray) and x.dtype.kind == "f"  # a subclass may count products
    return x if is_float else _checks.as_floats(x, name)


def _transpose(X):
    return np.swapaxes(X, -2, -1)
