"""The side of the workers: meet the others, then answer calls until nobody asks any more."""

import linecache
import multiprocessing
import os
import pickle
import shutil
import signal
import socket
import sys
import threading
import traceback
from datetime import timedelta
from multiprocessing import connection

import cloudpickle
import torch
import torch.distributed as dist

# How gloo complains at a worker whose partner is gone: never the first thing that went wrong.
LOST_A_PARTNER = ("Connection closed by peer", "Connection reset by peer", "Broken pipe")


def serve(asked, rank, size, folder, timeout_seconds):
    """What a worker does all its life: answer calls until the connection is closed."""
    _write_to(folder / f"{rank}.log")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is for the process that asks
    threading.Thread(target=_leave_with_parent, args=(folder,), daemon=True).start()
    try:
        _join(rank, size, folder, timeout_seconds)
        answer = ("result", None)
    except Exception:
        answer = ("error", traceback.format_exc())
    while True:
        try:
            asked.send_bytes(_packed(answer))
            message = asked.recv_bytes()
        except (EOFError, OSError):
            break
        answer = _answer(message)
    if dist.is_initialized():
        dist.destroy_process_group()


def _answer(message):
    """What a call gave: a result, an error, or the complaint of one who lost a partner."""
    try:
        function, arguments, cells = pickle.loads(message)
        linecache.cache.update(cells)
        return "result", function(*arguments)
    except SystemExit as leaving:
        _leave(leaving.code)
    except BaseException as error:
        inside = error.__traceback__.tb_next  # without this frame
        words = "".join(traceback.format_exception(error.with_traceback(inside)))
        return "complaint" if any(phrase in words for phrase in LOST_A_PARTNER) else "error", words


def _leave(code):
    """End at once with the exit code of `sys.exit(code)`: partners should not have to wait."""
    if not isinstance(code, int | None):
        print(code, file=sys.stderr)
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit((code or 0) & 0xFF)


def _packed(answer):
    """The answer as bytes; one that cannot travel becomes the failure that says so."""
    try:
        return cloudpickle.dumps(answer)
    except Exception as error:
        words = (
            f"the result, of type `{type(answer[1]).__name__}`, cannot be copied to the process "
            f"that asked: {error}. Return arrays, numbers or text."
        )
        return pickle.dumps(("error", words))


def _write_to(path):
    """Send what this process prints, from Python or from C++, to a file."""
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.dup2(log, 1)
    os.dup2(log, 2)


def _leave_with_parent(folder):
    """End, wherever this worker hangs, when nobody is left to ask it."""
    connection.wait([multiprocessing.parent_process().sentinel])
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


def _join(rank, size, folder, timeout_seconds):
    """Meet the others: each writes its address to a file, since a port may be taken."""
    loopback = {"lo", "lo0"} & {name for _, name in socket.if_nameindex()}
    if loopback:
        os.environ["GLOO_SOCKET_IFNAME"] = loopback.pop()
    torch.set_num_threads(1)
    store = dist.FileStore(str(folder / "addresses"), size)
    timeout = timedelta(seconds=timeout_seconds)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=size, timeout=timeout)
