"""What a notebook reports about itself, checked and cut to size whatever it sends."""

from dlcourse.grading.sandbox import values
from dlcourse.grading.sandbox.failures import BadValue, ProtocolError
from dlcourse.grading.sandbox.limits import Limits
from dlcourse.grading.sandbox.proxy import CellError, CellOutcome

MAX_NAME_CHARACTERS = 200
MAX_MESSAGE_CHARACTERS = 3000
MAX_PIXELS_A_SIDE = 4000  # a picture of a few bytes can fill the memory of who looks at it
PNG = b"\x89PNG\r\n\x1a\n"


def outcome(message: dict, limits: Limits) -> CellOutcome:
    """The outcome of a cell that a frame reports; ProtocolError if it reports none."""
    room = limits.output_bytes + 100  # the note on what was cut
    stdout, stderr = (_clean(message.get(name), room) for name in ("stdout", "stderr"))
    error = message.get("error")
    if error is not None:
        error = CellError(*described(error))
    return CellOutcome(stdout, stderr, error, _plots(message.get("plots"), limits.plot_bytes))


def described(error) -> tuple[str, str]:
    """Name and message of an exception."""
    if type(error) is not list or len(error) != 2:
        raise ProtocolError("An exception is written as its name and message.")
    return _clean(error[0], MAX_NAME_CHARACTERS), _clean(error[1], MAX_MESSAGE_CHARACTERS)


def names(found) -> list[str]:
    """Names of the functions that can be called."""
    if type(found) is not list or not all(type(name) is str for name in found):
        raise ProtocolError("The names of functions are a list of texts.")
    return [name for name in found if len(name) <= MAX_NAME_CHARACTERS]


def _clean(text, n_characters):
    if type(text) is not str:
        raise ProtocolError("Output is text.")
    return text[:n_characters].encode(errors="replace").decode()


def _plots(plots, room):
    pictures = []
    for plot in plots if type(plots) is list else []:
        try:
            picture = values.decode(plot)
        except BadValue as error:
            raise ProtocolError(str(error)) from None
        room -= len(picture) if type(picture) is bytes else room + 1
        if room < 0:
            break
        if _is_picture(picture):
            pictures.append(picture)
    return tuple(pictures)


def _is_picture(data):
    """Whether `data` begins as a PNG of sensible size does: signature, length, IHDR, sides."""
    sides = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    is_png = data.startswith(PNG) and data[12:16] == b"IHDR"
    return is_png and all(0 < side <= MAX_PIXELS_A_SIDE for side in sides)
