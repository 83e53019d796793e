r"""Exact worst cases by performance estimation: PEPit asks a solver for the worst function.

k      number of steps            m = 1/10, M = L = 1: curvatures of the class of functions
sigma  root of the mean square of the noise

What k steps do depends on a function only through its values and gradients at the points visited.
A theorem on interpolation says which finite lists of values and gradients belong to some function
of the class; the search for the worst list is a semidefinite program, and its value is the worst
case over all functions of the class in all dimensions. Each result is in the units of the bench of
the same theorem. Reference: Drori and Teboulle (2014), Taylor, Hendrickx and Glineur (2017).
"""

import warnings

import numpy as np

from dlcourse.convergence import heavy_ball, nesterov, stochastic
from dlcourse.convergence.worst_cases import KAPPA
from dlcourse.optim import GrowingMomentum

QUADRATIC = "SmoothStronglyConvexQuadraticFunction"
# An interior point method, stopped where all processors still agree that it has converged.
SOLVER = {"solver": "CLARABEL", "tol_gap_abs": 1e-7, "tol_gap_rel": 1e-7, "tol_feas": 1e-7}


def least_squares(k) -> float:
    """Largest distance after k steps of gradient descent, over all quadratics."""
    pep, f, x, star = _problem_around(QUADRATIC, mu=1 / KAPPA, L=1.0)
    for _ in range(k):
        x = x - f.gradient(x)
    return np.sqrt(_worst(pep, (x - star) ** 2))


def descent(step) -> float:
    """Largest change of f in one step, over all smooth f, for a gradient of length 1."""
    pep, f, x = _problem("SmoothFunction", L=1.0)
    gradient, value = f.oracle(x)
    pep.set_initial_condition(gradient**2 == 1)
    return _worst(pep, f(x - step * gradient) - value)


def stationary(k) -> float:
    """Largest of the smallest gradient norms of k points, over all smooth f of gap at most 1."""
    pep, f, x = _problem("SmoothFunction", L=1.0)
    pep.set_initial_condition(f(x) <= 1)
    squares = []
    for _ in range(k):
        gradient, value = f.oracle(x)
        pep.add_constraint(value >= gradient**2 / 2)  # one more step would end above the minimum 0
        squares.append(gradient**2)
        x = x - gradient
    return np.sqrt(_worst(pep, *squares))


def convex(k, step=1.0) -> float:
    """Largest gap after k steps of gradient descent, over all smooth convex f."""
    pep, f, x, star = _problem_around("SmoothConvexFunction", L=1.0)
    for _ in range(k):
        x = x - step * f.gradient(x)
    return _worst(pep, f(x) - f(star))


def strongly_convex(k) -> float:
    """Largest gap after k steps of gradient descent, as a share of the first gap."""
    pep, f, x = _problem("SmoothStronglyConvexFunction", mu=1 / KAPPA, L=1.0)
    star = f.stationary_point()
    pep.set_initial_condition(f(x) - f(star) <= 1)
    for _ in range(k):
        x = x - f.gradient(x)
    return _worst(pep, f(x) - f(star))


def best_heavy_ball(k, kappa=KAPPA, class_name=QUADRATIC) -> float:
    """Largest distance after k steps with the parameters that are optimal for quadratics.

    Over all quadratics; or over the functions of another class, such as
    `"SmoothStronglyConvexFunction"`.
    """
    alpha, beta = heavy_ball.optimal_parameters(1 / kappa, 1.0)
    pep, f, x, star = _problem_around(class_name, mu=1 / kappa, L=1.0)
    before = x
    for _ in range(k):
        x, before = x - alpha * f.gradient(x) + beta * (x - before), x
    return np.sqrt(_worst(pep, (x - star) ** 2))


def nesterov_convex(k) -> float:
    """Largest gap of Nesterov's k-th point with growing momentum, over all smooth convex f."""
    pep, f, x, star = _problem_around("SmoothConvexFunction", L=1.0)
    x = _nesterov_point(f, x, k, GrowingMomentum())
    return _worst(pep, f(x) - f(star))


def nesterov_strong(k) -> float:
    """Largest gap of Nesterov's k-th point with constant momentum, from a start of energy 1."""
    m = 1 / KAPPA
    pep, f, x = _problem("SmoothStronglyConvexFunction", mu=m, L=1.0)
    star = f.stationary_point()
    pep.set_initial_condition(f(x) - f(star) + m / 2 * (x - star) ** 2 <= 1)
    beta = nesterov.constant_momentum(m, 1.0)
    x = _nesterov_point(f, x, k, lambda _: beta)
    return _worst(pep, f(x) - f(star))


def contraction(share) -> float:
    """Largest distance left by one exact step, a `share` of the longest one allowed."""
    m = 1 / KAPPA
    pep, f, x, star = _problem_around("SmoothStronglyConvexFunction", mu=m, L=1.0)
    x = x - share * stochastic.longest_step(m, 1.0) * f.gradient(x)
    return np.sqrt(_worst(pep, (x - star) ** 2))


def constant_step(k, sigma) -> float:
    """Largest mean squared distance after k noisy steps of size 1/M."""
    return _tree(lambda _: 1.0, k, sigma)


def decaying_step(k, sigma) -> float:
    """Largest mean squared distance after k noisy steps of the decaying schedule."""
    return _tree(stochastic.decaying_schedule(1 / KAPPA, 1.0), k, sigma)


def _tree(schedule, k, sigma):
    """All noise of two equally likely values: the points after k steps are the leaves of a tree."""
    pep, f, x, star = _problem_around("SmoothStronglyConvexFunction", mu=1 / KAPPA, L=1.0)
    nodes = [x]
    for step in range(k):
        children = []
        for node in nodes:
            gradient, noise = f.gradient(node), _pepit().Point()
            pep.add_constraint(noise**2 <= sigma**2)
            children += [node - schedule(step) * (gradient + sign * noise) for sign in (1, -1)]
        nodes = children
    return _worst(pep, sum((node - star) ** 2 for node in nodes) / len(nodes))


def _nesterov_point(f, x, k, momentum):
    ahead = x
    for step in range(1, k + 1):
        x, before = ahead - f.gradient(ahead), x
        ahead = x + momentum(step) * (x - before)
    return x


def _problem(class_name, **constants):
    """An empty program, an unknown function of a class of PEPit, and a start."""
    pep = _pepit().PEP()
    function_class = getattr(_pepit().functions, class_name)
    return pep, pep.declare_function(function_class, **constants), pep.set_initial_point()


def _problem_around(class_name, **constants):
    """The same with a minimizer, from which the start is at most 1 away."""
    pep, f, x = _problem(class_name, **constants)
    star = f.stationary_point()
    pep.set_initial_condition((x - star) ** 2 <= 1)
    return pep, f, x, star


def _worst(pep, *metrics):
    """The value of the program: the largest that the smallest of the metrics can be."""
    for metric in metrics:
        pep.set_performance_metric(metric)
    return float(pep.solve(verbose=0, wrapper="cvxpy", **SOLVER))


def _pepit():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # compiling PEPit warns of escapes in its docstrings
        try:
            import PEPit
            import PEPit.functions
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "The exact worst cases need PEPit. Run `pip install dlcourse[theorems]` in a "
                "terminal, then restart the kernel."
            ) from error
    return PEPit
