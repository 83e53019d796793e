"""The convergence theorems as functions, and experiments that hold them against instances."""

from dlcourse.convergence import heavy_ball, nesterov, stochastic
from dlcourse.convergence.bench import Bench, bench_convex, bench_descent, bench_strongly_convex
from dlcourse.convergence.gradient_descent import (
    convex_bound,
    convex_worst_case,
    descent_bound,
    least_squares_bound,
    linear_bound,
    n_steps_needed,
    stationary_bound,
    worst_function,
)
from dlcourse.convergence.problems import (
    Problem,
    least_squares_problem,
    random_problem,
    zigzag_bowl,
)

__all__ = [
    "Bench",
    "Problem",
    "bench_convex",
    "bench_descent",
    "bench_strongly_convex",
    "convex_bound",
    "convex_worst_case",
    "descent_bound",
    "heavy_ball",
    "least_squares_bound",
    "least_squares_problem",
    "linear_bound",
    "n_steps_needed",
    "nesterov",
    "random_problem",
    "stationary_bound",
    "stochastic",
    "worst_function",
    "zigzag_bowl",
]
