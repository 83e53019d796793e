"""The displays of the docstrings, evaluated with the functions' own arguments."""

from dlcourse.chapters.stochastic_gradients.descent import batch_gradient


def test_a_batch_gradient_is_the_mean_over_the_rows_of_its_run(displayed, rng):
    X, y, beta = rng.normal(size=(9, 3)), rng.normal(size=9), rng.normal(size=(2, 3))
    rows = rng.integers(9, size=(2, 4))
    for run, gradient in enumerate(batch_gradient(X, y, beta, rows)):
        names = {"g": gradient[:, None], r"\mathcal{B}": rows[run], "B": 4, "y": y}
        names |= {"x": X[:, :, None], r"\beta": beta[run][:, None]}
        assert displayed("dlcourse.chapters.stochastic_gradients.descent.batch_gradient").holds(
            names
        )
