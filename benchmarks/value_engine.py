"""The scalar engine against micrograd, on a step of micrograd's own demo: a net on two moons.

2-16-16-1 units, 100 points, hinge loss with a penalty, gradient descent. Both start from the same
weights and must end at the same ones. `python benchmarks/value_engine.py`
"""

import importlib.util
import random
from math import cos, pi, sin

from pairs import in_own_environment, ratio, table

from dlcourse.autograd.value import Value, dot

N_POINTS, SIZES, PENALTY = 100, (2, 16, 16, 1), 1e-4
LEARNING_RATE = 1e-5  # so that every step timed is like the first: well-sorted points cost nothing


def moons():
    """Points of two half circles that reach into each other, and their sides, -1 or 1."""
    draw = random.Random(0)
    points, sides = [], []
    for i in range(N_POINTS):
        side, angle = (1, -1)[i % 2], pi * draw.random()
        x, y = (cos(angle), sin(angle)) if side == 1 else (1 - cos(angle), 0.5 - sin(angle))
        points.append([x + draw.gauss(0, 0.1), y + draw.gauss(0, 0.1)])
        sides.append(side)
    return points, sides


def hinge_step(scores, sides, parameters):
    """The end of the step, the same text for both engines."""
    losses = [(1 + -side * score).relu() for side, score in zip(sides, scores, strict=True)]
    loss = sum(losses) * (1.0 / len(losses)) + PENALTY * sum(p * p for p in parameters)
    loss.backward()
    for p in parameters:
        p.data -= LEARNING_RATE * p.grad


def engine(weights):
    points, sides = moons()
    draws = iter(weights)
    layers = [
        [([Value(next(draws)) for _ in range(n_in)], Value(0.0)) for _ in range(n_out)]
        for n_in, n_out in zip(SIZES[:-1], SIZES[1:], strict=True)
    ]
    parameters = [p for layer in layers for w, b in layer for p in (*w, b)]

    def score(point):
        x = [Value(number) for number in point]
        for layer in layers[:-1]:
            x = [dot(w, x, b).relu() for w, b in layer]
        w, b = layers[-1][0]
        return dot(w, x, b)

    return lambda: hinge_step([score(point) for point in points], sides, parameters), parameters


def micrograd(weights):
    from micrograd import engine, nn

    points, sides = moons()
    model = nn.MLP(SIZES[0], list(SIZES[1:]))
    draws = iter(weights)
    for layer in model.layers:
        for neuron in layer.neurons:
            for w in neuron.w:
                w.data = next(draws)
    parameters = model.parameters()

    def step():
        scores = [model(list(map(engine.Value, point))) for point in points]
        model.zero_grad()
        hinge_step(scores, sides, parameters)

    return step, parameters


def main():
    if importlib.util.find_spec("micrograd") is None:
        return in_own_environment(__file__, "micrograd")
    draw = random.Random(1)
    weights = [draw.uniform(-1, 1) for _ in range(2 * 16 + 16 * 16 + 16)]
    (ours, p), (theirs, q) = engine(weights), micrograd(weights)
    for _ in range(3):
        ours()
        theirs()
    assert all(abs(a.data - b.data) < 1e-12 for a, b in zip(p, q, strict=True))
    rows = [("demo step, 2-16-16-1, 100 points", "micrograd", ratio(ours, theirs, 15), 0.08)]
    table("The scalar engine", rows)


if __name__ == "__main__":
    main()
