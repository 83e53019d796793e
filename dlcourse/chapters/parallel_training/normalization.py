r"""Batch normalization under data parallelism: whose mean, whose variance?

m_r, s2_r  mean and variance of shard r, by feature      m, s2  those of all rows
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist
from jaxtyping import Float

from dlcourse import _checks
from dlcourse.parallel.workers import Group

Array = np.ndarray
EPSILON = 1e-5  # PyTorch's default, added to a variance before the root


def pooled_variance(means: Float[Array, "P p"], variances: Float[Array, "P p"]):
    r"""Variance of all rows (p,) from the means and variances of equal shards.

    .. displayed:: eq-parallel-batch-norm

    All variances divide by the number of rows.

    >>> pooled_variance(np.array([[0.0], [2.0]]), np.array([[1.0], [1.0]]))
    array([2.])
    """
    return variances.mean(axis=0) + means.var(axis=0)


def normalize_alone(X: Float[Array, "n p"]) -> Float[Array, "rows p"]:
    """This worker's shard as `torch.nn.BatchNorm1d` makes it, by the statistics of the shard."""
    shard = _shard(X)
    layer = torch.nn.BatchNorm1d(shard.shape[1], eps=EPSILON, affine=False).double()
    return layer(shard).numpy()


def normalize_together(X: Float[Array, "n p"]) -> Float[Array, "rows p"]:
    """This worker's shard, by the statistics of all shards: everybody gets 2 p numbers of each.

    Means and variances travel, not sums of squares: the difference of two large sums would leave
    nothing of a variance that is small beside the mean.
    """
    shard = _shard(X)
    own = torch.stack([shard.mean(0), shard.var(0, correction=0)])
    everybodys = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(everybodys, own)
    means, variances = torch.stack(everybodys, dim=1).numpy()
    variance = pooled_variance(means, variances)
    return (shard.numpy() - means.mean(axis=0)) / np.sqrt(variance + EPSILON)


def _shard(X):
    _check_even(X, dist.get_world_size())
    return torch.from_numpy(X).tensor_split(dist.get_world_size())[dist.get_rank()]


def _check_even(X, n_workers):
    if len(X) % n_workers:
        raise ValueError(
            f"The {len(X)} rows of `X` must divide evenly among {n_workers} workers, or the mean "
            f"of their means is not that of the rows. Use {len(X) - len(X) % n_workers} of them."
        )


@dataclass(frozen=True)
class Normalized:
    """All rows after batch normalization: by one process, by shards, by shards that share."""

    whole: Float[Array, "n p"]
    alone: Float[Array, "n p"]
    together: Float[Array, "n p"]
    variance_ratio: float  # mean over shards and features of s2_r, relative to s2

    @property
    def off(self) -> float:
        """Largest difference of an entry that separate statistics make."""
        return float(np.abs(self.alone - self.whole).max())

    @property
    def shared_is_whole(self) -> bool:
        return bool(np.allclose(self.together, self.whole, rtol=0, atol=1e-12))

    def __repr__(self):
        return (
            f"statistics of the shard: an entry is off by up to {self.off:.3f}\n"
            f"variances of the shards, relative to all rows: {self.variance_ratio:.3f}\n"
            f"statistics shared: those of one process to 1e-12: {self.shared_is_whole}"
        )


def compare_batch_norm(group: Group, X: Float[Array, "n p"]) -> Normalized:
    """Normalize the rows of one batch in one process and in a group, with equal shards.

    Raises `ValueError` unless `X` is a matrix whose rows divide evenly among the workers.
    """
    X = _checks.design_matrix(X)
    _check_even(X, group.n_workers)
    shards = X.reshape(group.n_workers, -1, X.shape[1])
    return Normalized(
        whole=(X - X.mean(axis=0)) / np.sqrt(X.var(axis=0) + EPSILON),
        alone=np.concatenate(group.run(normalize_alone, X)),
        together=np.concatenate(group.run(normalize_together, X)),
        variance_ratio=float((shards.var(axis=1).mean(axis=0) / X.var(axis=0)).mean()),
    )
