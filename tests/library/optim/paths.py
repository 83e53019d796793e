"""Paths of our optimizers and of PyTorch's, under one sequence of gradients, and its rates."""

import numpy as np
import torch

from dlcourse.optim import walk

N_STEPS = 200


def noisy_bowl(rng, shape):
    """gradient(k, x) of a bowl with curvatures 0.1 to 10, plus noise that depends on k alone."""
    curvature = np.exp(rng.uniform(np.log(0.1), np.log(10), size=shape))
    noise = 0.1 * rng.normal(size=(N_STEPS, *shape))
    return lambda k, x: curvature * x + noise[k]


def path(optimizer, x, gradient, n_steps=N_STEPS):
    """`walk` of as many steps as all paths here."""
    return walk(optimizer, x, gradient, n_steps)


def torch_path(make, x, gradient, *, schedule=None, n_steps=N_STEPS):
    """Points visited by the optimizer that `make([parameter])` builds; rates from `schedule`."""
    parameter = torch.nn.Parameter(torch.tensor(x))
    optimizer, points = make([parameter]), [x]
    for k in range(n_steps):
        if schedule is not None:
            optimizer.param_groups[0]["lr"] = float(schedule(k))
        parameter.grad = torch.tensor(gradient(k, points[-1]))
        optimizer.step()
        points.append(parameter.detach().numpy().copy())
    return np.stack(points)


def torch_rates(make, first, n_steps):
    """The rates of the steps under the scheduler of PyTorch that `make(optimizer)` builds."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=first)
    scheduler, rates = make(optimizer), []
    for _ in range(n_steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates
