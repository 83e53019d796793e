"""The formulas that docstrings show, evaluated with the operations' own arguments."""

import numpy as np
import scipy.special

from dlcourse import autograd
from dlcourse.autograd.elementwise import logistic
from dlcourse.autograd.rules import taylor
from dlcourse.autograd.tensor import Tensor


def pulled_back(operation, *arrays, rng):
    """The result of an operation, a random gradient of it, and what that gives each array."""
    tensors = [Tensor(array) for array in arrays]
    y = operation(*tensors)
    y_bar = rng.normal(size=y.shape)
    (y * y_bar).sum().backward()
    return y.data, y_bar, *(x.grad for x in tensors)


def test_a_complex_step_misses_the_curvature_by_its_square(displayed, rng):
    x, v, h = rng.normal(size=3), rng.normal(size=3), 0.3
    names = {
        "H v": autograd.hessian_vector_product(lambda x: (x**4).sum(), x, v),
        r"\operatorname{Im}": np.imag,
        r"\nabla f": lambda x: 4 * x**3,
        "O(h^2)": 4 * h**2 * v**3,
        **{"x": x, "i": 1j, "h": h, "v": v},
    }
    assert displayed("dlcourse.autograd.derivatives.hessian_vector_product").holds(names)


def test_at_a_complex_point_an_operation_gives_two_terms_of_its_series(displayed):
    a, h = 0.7, 1.3
    found = taylor(np.tanh, lambda x, y: 1 - y**2, np.asarray(a + 1j * h))
    names = {"f(a + i h)": found, "f": np.tanh, "f'": lambda x: 1 / np.cosh(x) ** 2}
    shown = displayed("dlcourse.autograd.rules.taylor")
    assert shown.holds(names | {"a": a, "i": 1j, "h": h})


def test_the_sigmoid_is_written_with_exponentials_that_cannot_overflow(displayed):
    for x in (-2.3, 1.7):
        names = {r"\sigma": logistic, "x": x}
        assert displayed("dlcourse.autograd.elementwise.logistic").holds(names)


def test_the_slope_of_the_sigmoid_is_made_of_its_value(displayed):
    x = Tensor(1.7)
    y = autograd.sigmoid(x)
    y.backward()
    names = {r"\sigma(x)": y.data, r"\sigma": y.data, r"\sigma'": x.grad, "x": x.data}
    assert displayed("dlcourse.autograd.elementwise.sigmoid").holds(names)


def test_the_gradients_of_a_product_are_products_with_the_other_factor(displayed, rng):
    x, y = rng.normal(size=(4, 3)), rng.normal(size=(3, 2))
    _, z_bar, x_bar, y_bar = pulled_back(autograd.matmul, x, y, rng=rng)
    names = {r"\bar x": x_bar, r"\bar y": y_bar, r"\bar z": z_bar, "x": x, "y": y}
    assert displayed("dlcourse.autograd.matrices.matmul").holds(names)


def test_an_affine_map_sends_back_two_products_and_a_sum(displayed, rng):
    x, W, b = rng.normal(size=(4, 3)), rng.normal(size=(3, 2)), rng.normal(size=2)
    y, y_bar, x_bar, W_bar, b_bar = pulled_back(autograd.affine, x, W, b, rng=rng)
    names = {"x": x, "W": W, "b": np.tile(b, (4, 1)), "y": y, r"1^\top": np.ones((1, 4))}
    names |= {r"\bar x": x_bar, r"\bar W": W_bar, r"\bar b": b_bar[None], r"\bar y": y_bar}
    assert displayed("dlcourse.autograd.matrices.affine").holds(names)


def test_a_gradient_is_the_sum_of_what_all_results_send_back(displayed, rng):
    x, A, c = Tensor(rng.normal(size=3)), rng.normal(size=(4, 3)), rng.normal(size=3)
    first, second = A @ x, x * x
    (first.sin().sum() + (second * c).sum()).backward()
    sent = [np.cos(A @ x.data), c]
    names = {
        r"\bar x": x.grad[:, None],
        "J": [A, np.diag(2 * x.data)],
        r"\bar y": [y_bar[:, None] for y_bar in sent],
        "j": range(2),
    }
    assert displayed("dlcourse.autograd.tensor.Tensor.backward").holds(names)


def test_the_losses_are_the_means_that_they_say_with_their_gradients(displayed, rng):
    n, y_hat, y = 5, rng.normal(size=5), rng.normal(size=5)
    loss, gradient = autograd.value_and_gradient(lambda x: autograd.mean_squared_error(x, y))(y_hat)
    names = {r"\ell": loss, r"\nabla_{\hat y} \ell": gradient, r"\hat y": y_hat, "y": y}
    shown = displayed("dlcourse.autograd.objectives.mean_squared_error")
    assert shown.holds(names | {"n": n, "i": range(n)})

    z, y = y_hat, np.array([0.0, 1, 1, 0, 1])
    loss, gradient = autograd.value_and_gradient(lambda z: autograd.binary_cross_entropy(z, y))(z)
    names = {r"\ell": loss, r"\nabla_z \ell": gradient, "z": z, "y": y}
    shown = displayed("dlcourse.autograd.objectives.binary_cross_entropy")
    assert shown.holds(names | {r"\sigma": scipy.special.expit, "n": n, "i": range(n)})


def test_the_softmax_loss_is_the_mean_surprise_at_the_labels(displayed, rng):
    n, z, y = 4, Tensor(rng.normal(size=(4, 3))), np.array([2, 0, 1, 2])
    loss = autograd.softmax_cross_entropy(z, y)
    loss.backward()
    names = {
        r"\ell": loss.data,
        r"\nabla_z \ell": z.grad,
        r"\operatorname{lse}": scipy.special.logsumexp,
        r"\operatorname{softmax}": lambda z: scipy.special.softmax(z, axis=1),
        r"\operatorname{onehot}": lambda y: np.eye(3)[y],
        **{"z": z.data, "y": y, "n": n, "i": range(n)},
    }
    assert displayed("dlcourse.autograd.objectives.softmax_cross_entropy").holds(names)


def test_the_logarithm_of_summed_exponentials_has_the_softmax_as_gradient(displayed, rng):
    x = rng.normal(size=4)
    names = {
        r"\operatorname{lse}": lambda x: autograd.logsumexp(x).data,
        r"\nabla\operatorname{lse}": lambda x: autograd.gradient(autograd.logsumexp, x),
        r"\operatorname{softmax}": scipy.special.softmax,
        **{"x": x, "m": x.max(), "j": range(4)},
    }
    assert displayed("dlcourse.autograd.reductions.logsumexp").holds(names)


def test_the_softmax_and_its_logarithm_send_back_what_sums_to_zero(displayed, rng):
    x = rng.normal(size=4)
    s, s_bar, x_bar = pulled_back(autograd.softmax, x, rng=rng)
    names = {"s": s, r"\bar s": s_bar, "x": x, r"\bar x": x_bar, "j": range(4)}
    for i in range(4):
        assert displayed("dlcourse.autograd.reductions.softmax").holds(names | {"i": i})

    logs, logs_bar, x_bar = pulled_back(autograd.log_softmax, x, rng=rng)
    names = {r"\ell": logs, r"\bar \ell": logs_bar, "x": x, r"\bar x": x_bar, "s": s}
    names |= {r"\operatorname{lse}": scipy.special.logsumexp, "j": range(4)}
    for i in range(4):
        assert displayed("dlcourse.autograd.reductions.log_softmax").holds(names | {"i": i})


def test_standardizing_takes_mean_and_part_along_the_result_out_of_the_gradient(displayed, rng):
    n, x, epsilon = 5, rng.normal(size=(5, 1)), 0.1
    z, z_bar, x_bar = pulled_back(lambda x: autograd.standardize(x, 0, epsilon)[0], x, rng=rng)
    columns = {"x": x, r"\bar x": x_bar, "z": z, r"\bar z": z_bar}
    names = {name: column[:, 0] for name, column in columns.items()}
    names |= {r"\mu": x.mean(), "v": x.var(), r"\epsilon": epsilon, "n": n, "j": range(n)}
    for i in range(n):
        assert displayed("dlcourse.autograd.regularizers.standardize").holds(names | {"i": i})


def test_what_dropout_keeps_is_divided_by_the_share_kept(displayed, rng):
    x, p = rng.normal(size=6), 0.3
    y = autograd.dropout(Tensor(x), p, np.random.default_rng(7)).data
    names = {"y": y, "x": x, "p": p, "m": (np.random.default_rng(7).random(6) >= p).astype(float)}
    for i in range(6):
        assert displayed("dlcourse.autograd.regularizers.dropout").holds(names | {"i": i})
