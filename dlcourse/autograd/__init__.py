"""The engine: reverse-mode differentiation of NumPy code, and its capture and replay.

Read it in this order: `value` (scalars, a page), `tensor` (arrays), `rules` and `elementwise`
(from a rule in plain NumPy to an operation), the other operations, `derivatives`; then, for speed,
`capture`, `recorded` and `replay`.
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
    clip,
    cos,
    divide,
    exp,
    log,
    log1p,
    maximum,
    minimum,
    multiply,
    negative,
    power,
    relu,
    sigmoid,
    sin,
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
from dlcourse.autograd.reductions import (
    argmax,
    argmin,
    log_softmax,
    logsumexp,
    max,
    mean,
    min,
    softmax,
    std,
    sum,
    var,
)
from dlcourse.autograd.regularizers import dropout, standardize
from dlcourse.autograd.rules import operation
from dlcourse.autograd.shapes import (
    concatenate,
    flatten,
    pick,
    reshape,
    squeeze,
    stack,
    transpose,
)
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
    "argmax",
    "argmin",
    "binary_cross_entropy",
    "clip",
    "concatenate",
    "cos",
    "derivative_along",
    "divide",
    "dropout",
    "exp",
    "flatten",
    "gradient",
    "graphviz",
    "hessian",
    "hessian_vector_product",
    "launch",
    "log",
    "log1p",
    "log_softmax",
    "logsumexp",
    "matmul",
    "max",
    "maximum",
    "mean",
    "mean_squared_error",
    "min",
    "minimum",
    "multiply",
    "negative",
    "operation",
    "pick",
    "power",
    "relu",
    "reshape",
    "sigmoid",
    "sin",
    "softmax",
    "softmax_cross_entropy",
    "softplus",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "standardize",
    "std",
    "subtract",
    "sum",
    "tanh",
    "transpose",
    "value_and_gradient",
    "var",
    "where",
]
