r"""Queries, keys and logits of attention heads, and the clip that bounds the logits.

X     tokens, one a row (n, width)
W_q   query weights of each head (heads, width, d), and W_k those of its keys: the content part
W_qr  query weights of each head (heads, width, d_r), and W_kr (width, d_r): the rotary part

In multi-head latent attention all heads share the rotary keys `W_kr`. The positions, which turn
the rotary parts, change no factor of the clip and are left out here, and so is the compression
of the content part.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from dlcourse.optim.muon import qk_clip
from dlcourse.tables import PrintsTable, Table

Array = np.ndarray


class Heads(NamedTuple):
    """The weights that make queries and keys."""

    W_q: Float[Array, "heads width d"]
    W_k: Float[Array, "heads width d"]
    W_qr: Float[Array, "heads width d_r"]
    W_kr: Float[Array, "width d_r"]

    def logits(self, X: Float[Array, "n width"]) -> Float[Array, "heads n n"]:
        r"""How much token i attends to token j, before the softmax; queries and keys are rows.

        .. math:: S_{ij} = \frac{q_i k_j^\top + q^R_i (k^R_j)^\top}{\sqrt{d + d_R}}

        R marks the part that turns with the position; d and d_R are the lengths of the parts.
        Book: eq. `eq-qk-logits`.
        """
        content = (X @ self.W_q) @ np.swapaxes(X @ self.W_k, -1, -2)
        rotary = (X @ self.W_qr) @ (X @ self.W_kr).T
        return (content + rotary) / np.sqrt(self.W_q.shape[-1] + self.W_qr.shape[-1])

    def largest_logits(self, X: Float[Array, "n width"]) -> Float[Array, " heads"]:
        return self.logits(X).max(axis=(1, 2))

    def clipped(self, largest_logits: Float[Array, " heads"], threshold=100.0) -> "Heads":
        r"""The heads after a clip: each above the threshold is scaled down to it.

        Content queries and keys take the root of gamma each, rotary queries all of it. Rotary keys
        stay as they are: to scale them would change every other head.
        Reference: Kimi Team (2025). Book: eq. `eq-qk-clip-latent`.
        """
        pairs = [
            qk_clip(*head, largest, threshold)
            for *head, largest in zip(self.W_q, self.W_k, largest_logits, strict=True)
        ]
        W_q, W_k = (np.stack(weights) for weights in zip(*pairs, strict=True))
        gamma = clip_factor(largest_logits, threshold)[:, None, None]
        return Heads(W_q, W_k, gamma * self.W_qr, self.W_kr)


def clip_factor(largest_logits: Float[Array, " heads"], threshold=100.0) -> Float[Array, " heads"]:
    r"""What the logits of each head are multiplied by.

    .. displayed:: eq-qk-clip

    `threshold` is :math:`\tau`.

    >>> clip_factor(np.array([400.0, 50.0]))
    array([0.25, 1.  ])
    """
    return threshold / np.maximum(largest_logits, threshold)


def toy_heads(X: Float[Array, "n width"], largest_logits, rng, d=16, d_rotary=8) -> Heads:
    """Random heads whose queries are scaled such that their largest logits on X are as given.

    >>> X = np.random.default_rng(0).normal(size=(10, 32))
    >>> toy_heads(X, [1444.0, 60.0], np.random.default_rng(1)).largest_logits(X).round(6)
    array([1444.,   60.])
    """
    wanted, width = np.asarray(largest_logits, float), X.shape[1]
    shapes = [(len(wanted), width, d), (len(wanted), width, d), (len(wanted), width, d_rotary)]
    heads = Heads(*(rng.normal(size=shape) for shape in shapes), rng.normal(size=(width, d_rotary)))
    scale = (wanted / heads.largest_logits(X))[:, None, None]
    return heads._replace(W_q=scale * heads.W_q, W_qr=scale * heads.W_qr)


class Clipping(PrintsTable):
    """Largest logits of each head before and after one clip."""

    def __init__(self, heads: Heads, X: Float[Array, "n width"], threshold=100.0):
        self.before = heads.largest_logits(X)
        self.gamma = clip_factor(self.before, threshold)
        self.heads = heads.clipped(self.before, threshold)
        self.after = self.heads.largest_logits(X)

    def table(self):
        return Table(
            {
                "head": list(range(1, len(self.before) + 1)),
                "largest logit": self.before,
                "γ": self.gamma,
                "after the clip": self.after,
            }
        )
