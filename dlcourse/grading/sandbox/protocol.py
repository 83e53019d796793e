"""Frames on one UNIX socket: four bytes of length, then that many bytes of JSON.

Nothing here trusts the other end. A frame has a largest size and a largest number of items, its
length costs no memory before the bytes arrive, and the whole frame shares one deadline, so that
a reply of one byte a second gains no time. What a frame may say is checked by `values`.
"""

import json
import os
import re
import select
import socket
from collections.abc import Callable

from dlcourse.grading.sandbox.failures import ProtocolError

MAX_FRAME_BYTES = 16 * 2**20
MAX_ITEMS = 100_000
MAX_DIGITS = 400  # an integer of n digits costs n**2 operations to read
_CHUNK_BYTES = 2**16
# Possessive, and content with a text that never closes: linear in whatever is sent.
_TEXT = re.compile(rb'"(?:[^"\\]++|\\.?)*+(?:"|\Z)', re.DOTALL)


def pack(message: dict) -> bytes:
    """The frame of `message`; raises ValueError if it is larger than any reader would take."""
    body = json.dumps(message, separators=(",", ":")).encode()
    if len(body) > MAX_FRAME_BYTES or _n_items(body) > MAX_ITEMS:
        raise ValueError(
            f"a message may have {MAX_FRAME_BYTES} bytes and {MAX_ITEMS} items "
            f"(an array is one item), got {len(body)} and {_n_items(body)}"
        )
    return len(body).to_bytes(4, "big") + body


def unpack(body: bytes) -> dict:
    """The message of a frame's body; raises ProtocolError for anything else."""
    if _n_items(body) > MAX_ITEMS:
        raise ProtocolError(f"The frame has more than {MAX_ITEMS} items.")
    try:
        message = json.loads(body, parse_int=_integer)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"The frame is not JSON: {type(error).__name__}.") from None
    if type(message) is not dict:
        raise ProtocolError("The frame is not an object.")
    return message


def _n_items(body):
    """How many items the frame could hold; commas inside texts count only if that decides."""
    if (n_items := _n_separators(body)) <= MAX_ITEMS:
        return n_items
    return _n_separators(_TEXT.sub(b"", body))


def _n_separators(body):
    return body.count(b",") + body.count(b"[") + body.count(b"{")


def _integer(digits):
    if len(digits) > MAX_DIGITS:
        raise ValueError("too many digits")
    return int(digits)


def frame_length(header: bytes) -> int:
    """Length that the four bytes `header` announce; raises ProtocolError if no frame is so long."""
    length = int.from_bytes(header, "big")
    if length > MAX_FRAME_BYTES:
        raise ProtocolError(f"A frame may have {MAX_FRAME_BYTES} bytes, got {length}.")
    return length


class Channel:
    """The grader's end. `patience()` says how many seconds to wait before asking it again.

    It raises when the time is over, whatever has arrived by then; so the caller decides what
    time means (CPU seconds, wall-clock seconds or both), and no stream of bytes can extend it.
    """

    def __init__(self, connection: socket.socket):
        connection.setblocking(False)
        self.connection = connection

    def send(self, message: dict, patience: Callable[[], float]):
        """Send one frame; EOFError if the other end is closed."""
        data = memoryview(pack(message))
        while data:
            self._wait(select.POLLOUT, patience)
            try:
                data = data[self.connection.send(data) :]
            except BlockingIOError:
                continue
            except OSError:
                raise EOFError("The other end is closed.") from None

    def receive(self, patience: Callable[[], float]) -> dict:
        """The next frame; EOFError if the other end closes before it is whole."""
        length = frame_length(self._read(4, patience))
        return unpack(self._read(length, patience))

    def has_unread(self) -> bool:
        """Whether something has arrived, or the other end has closed."""
        return bool(self._poll(select.POLLIN, 0.0))

    def close(self):
        self.connection.close()

    def _read(self, n_bytes, patience):
        data = bytearray()
        while len(data) < n_bytes:
            self._wait(select.POLLIN, patience)
            try:
                chunk = self.connection.recv(min(n_bytes - len(data), _CHUNK_BYTES))
            except BlockingIOError:
                continue
            except OSError:
                chunk = b""
            if not chunk:
                raise EOFError("The other end is closed.")
            data += chunk
        return bytes(data)

    def _wait(self, event, patience):
        while not self._poll(event, patience()):
            pass
        patience()  # a stream that never pauses is still on the clock

    def _poll(self, event, seconds):
        poller = select.poll()
        poller.register(self.connection, event)
        return poller.poll(seconds * 1000)


class Pipe:
    """The notebook's end: plain blocking reads and writes, so that it needs no socket calls."""

    def __init__(self, descriptor: int):
        self.descriptor = descriptor

    def send(self, message: dict):
        data = memoryview(pack(message))
        while data:
            data = data[os.write(self.descriptor, data) :]

    def receive(self) -> dict:
        return unpack(self._read(frame_length(self._read(4))))

    def _read(self, n_bytes):
        data = bytearray()
        while len(data) < n_bytes:
            chunk = os.read(self.descriptor, n_bytes - len(data))
            if not chunk:
                raise EOFError("The grader has closed.")
            data += chunk
        return bytes(data)
