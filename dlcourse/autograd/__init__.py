"""The engine: reverse-mode differentiation of NumPy code, and its capture and replay.

Read it in this order: `value` (scalars, a page), `tensor` (arrays), `elementwise` and the other
operations (a few lines each), `capture`, `derivatives`.
"""

from dlcourse.autograd import methods  # noqa: F401  gives `Tensor` its operators
from dlcourse.autograd.capture import Capture, Captured, launch
from dlcourse.autograd.derivatives import (
    derivative_along,
    gradient,
    hessian,
    hessian_vector_product,
    value_and_gradient,
)
from dlcourse.autograd.drawing import graphviz
from dlcourse.autograd.elementwise import (
    absolute,
    add,
    divide,
    exp,
    log,
    maximum,
    minimum,
    multiply,
    negative,
    power,
    relu,
    sigmoid,
    softplus,
    sqrt,
    square,
    subtract,
    tanh,
    where,
)
from dlcourse.autograd.matrices import affine, affine_relu, matmul
from dlcourse.autograd.objectives import (
    binary_cross_entropy,
    mean_squared_error,
    softmax_cross_entropy,
)
from dlcourse.autograd.reductions import log_softmax, logsumexp, max, mean, softmax, sum
from dlcourse.autograd.regularizers import dropout, standardize
from dlcourse.autograd.shapes import concatenate, pick, reshape, stack, transpose
from dlcourse.autograd.tensor import Tensor
from dlcourse.autograd.value import Value

__all__ = [
    "Capture",
    "Captured",
    "Tensor",
    "Value",
    "absolute",
    "add",
    "affine",
    "affine_relu",
    "binary_cross_entropy",
    "concatenate",
    "derivative_along",
    "divide",
    "dropout",
    "exp",
    "gradient",
    "graphviz",
    "hessian",
    "hessian_vector_product",
    "launch",
    "log",
    "log_softmax",
    "logsumexp",
    "matmul",
    "max",
    "maximum",
    "mean",
    "mean_squared_error",
    "minimum",
    "multiply",
    "negative",
    "pick",
    "power",
    "relu",
    "reshape",
    "sigmoid",
    "softmax",
    "softmax_cross_entropy",
    "softplus",
    "sqrt",
    "square",
    "stack",
    "standardize",
    "subtract",
    "sum",
    "tanh",
    "transpose",
    "value_and_gradient",
    "where",
]
