"""The warm process that every submission is a fork of. Runs inside the sandbox, started by `host`.

It imports what homework needs once, and from then on only forks. It never runs a line of a
submission, and it never sees a test, an answer or a mark.
"""

import gc
import json
import os
import platform
import socket
import sys
import threading
from dataclasses import replace

import matplotlib
import numpy as np

from dlcourse.grading.sandbox.inside import cells, confine, kernel, landlock, seccomp
from dlcourse.grading.sandbox.inside.withheld import withhold
from dlcourse.grading.sandbox.limits import Limits
from dlcourse.grading.sandbox.protocol import Pipe

REFUSED = 97  # exit status of a fork that could not be confined


def warm_up(with_torch: bool):
    """Import now what a fork shall not have to, and leave no thread behind that it would miss.

    Raises `RuntimeError` if there is one."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.show = lambda *args, **kwargs: None
    figure = pyplot.figure()
    figure.add_subplot().plot([0, 1], label="warm")
    figure.canvas.draw()  # finds the fonts
    pyplot.close(figure)
    np.linalg.lstsq(np.eye(2), np.ones(2), rcond=None)
    np.random.default_rng(0).normal(size=2)
    seccomp.numbers(platform.machine())
    if with_torch:
        _warm_up_torch()
    if threading.active_count() > 1:
        raise RuntimeError("The zygote has threads, which a fork would lose.")
    gc.collect()
    gc.freeze()


def _warm_up_torch():
    import torch

    torch.set_num_threads(1)
    parameter = torch.nn.Parameter(torch.ones(2))
    parameter.grad = torch.ones(2)  # set by hand: backward() starts threads, which no fork survives
    torch.optim.SGD([parameter], lr=0.1).step()
    torch.nn.functional.linear(torch.ones(1, 2), torch.ones(2, 2))


def confinement_of(settings: dict) -> confine.Confinement:
    """How the forks are confined; what Landlock allows is prepared here, once for all of them."""
    ruleset = None
    if settings["isolation"] == "landlock":
        ruleset = landlock.ruleset(settings["readable"], settings["listable"], [os.devnull])
    limits = Limits(**settings["limits"])
    of_each_fork = {"address_space_bytes": 0, "n_other_threads": 0}  # until the host says them
    about = settings["isolation"], limits, settings["user"], ruleset
    return confine.Confinement(*about, **of_each_fork)


def spawn(confinement: confine.Confinement, channel: int) -> tuple[int, int]:
    """Fork a confined process that serves `channel`; its pid here and a descriptor of it."""
    own = os.pidfd_open(os.getpid())
    nested = confinement.isolation == "bubblewrap"
    try:
        if nested:
            kernel.unshare(kernel.CLONE_NEWPID)  # for the children to come, not for this process
        pid = os.fork()
        if pid == 0:
            _serve(confinement, channel)
        if nested:
            kernel.enter_namespace(own, kernel.CLONE_NEWPID)
    finally:
        os.close(own)
    return pid, os.pidfd_open(pid)


def _serve(confinement, channel):
    status = REFUSED
    try:
        confine.enter(confinement, channel)
        pipe = Pipe(confine.CHANNEL)
        pipe.send({"ready": os.getpid()})
        status = 0
        cells.serve(pipe)
    except EOFError:
        pass
    except BaseException as error:
        if status == REFUSED:
            Pipe(confine.CHANNEL).send({"refused": cells.described(error)})
    finally:
        os._exit(status)


def main(control: int):
    """Answer the host on the socket `control` until it hangs up; its settings come on stdin."""
    host, settings = socket.socket(fileno=control), json.load(sys.stdin)
    try:
        withhold(settings["withheld"])
        warm_up(settings["with_torch"])
        confinement = confinement_of(settings)
    except Exception as error:
        host.send(json.dumps({"failed": f"{type(error).__name__}: {error}"}).encode())
        raise
    own = os.pidfd_open(os.getpid())
    socket.send_fds(host, [json.dumps({"warm": os.getpid()}).encode()], [own])
    os.close(own)
    while True:
        data, descriptors, _, _ = socket.recv_fds(host, 2**16, 1)
        if not data:
            return
        order = json.loads(data)
        if "spawn" in order:
            pid, handle = spawn(replace(confinement, **order["spawn"]), descriptors[0])
            os.close(descriptors[0])
            socket.send_fds(host, [json.dumps({"pid": pid}).encode()], [handle])
            os.close(handle)
        else:
            _, status = os.waitpid(order["reap"], 0)
            host.send(json.dumps({"status": status}).encode())


if __name__ == "__main__":
    main(int(sys.argv[1]))
