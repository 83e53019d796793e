"""What a notebook reports about itself, checked and cut to size whatever it sends."""

from dataclasses import dataclass

from dlcourse.grading.sandbox import values
from dlcourse.grading.sandbox.failures import BadValue, ProtocolError
from dlcourse.grading.sandbox.limits import Limits
from dlcourse.grading.sandbox.proxy import CellError, CellOutcome

MAX_NAME_CHARACTERS = 200
MAX_MESSAGE_CHARACTERS = 3000
MAX_PIXELS_A_SIDE = 4000  # a picture of a few bytes can fill the memory of who looks at it
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Room:
    """What the cells to come may still print and draw."""

    output_bytes: int
    plot_bytes: int
    plot_pixels: int
    n_plots: int

    @staticmethod
    def of(limits: Limits) -> "Room":
        return Room(limits.output_bytes, limits.plot_bytes, limits.plot_pixels, limits.n_plots)

    def after(self, outcome: CellOutcome) -> "Room":
        """What is left when a cell has taken its part."""
        plots = outcome.plots
        return Room(
            max(0, self.output_bytes - len(outcome.stdout) - len(outcome.stderr)),
            max(0, self.plot_bytes - sum(map(len, plots))),
            max(0, self.plot_pixels - sum(map(pixels, plots))),
            max(0, self.n_plots - len(plots)),
        )


def outcome(message: dict, room: Room) -> CellOutcome:
    """The outcome of a cell that a frame reports; ProtocolError if it reports none."""
    most = room.output_bytes + 100  # the note on what was cut
    stdout, stderr = (_clean(message.get(name), most) for name in ("stdout", "stderr"))
    error = message.get("error")
    if error is not None:
        error = CellError(*described(error))
    return CellOutcome(stdout, stderr, error, _plots(message.get("plots"), room))


def described(error) -> tuple[str, str]:
    """Name and message of an exception; raises ProtocolError for anything else."""
    if type(error) is not list or len(error) != 2:
        raise ProtocolError("An exception is written as its name and message.")
    return _clean(error[0], MAX_NAME_CHARACTERS), _clean(error[1], MAX_MESSAGE_CHARACTERS)


def names(found) -> list[str]:
    """Names of the functions that can be called; raises ProtocolError for anything else."""
    if type(found) is not list or not all(type(name) is str for name in found):
        raise ProtocolError("The names of functions are a list of texts.")
    return [name for name in found if len(name) <= MAX_NAME_CHARACTERS]


def _clean(text, n_characters):
    if type(text) is not str:
        raise ProtocolError("Output is text.")
    return text[:n_characters].encode(errors="replace").decode()


def _plots(plots, room):
    """The pictures there is room for, in bytes, in pixels and in number."""
    pictures, n_bytes, n_pixels = [], room.plot_bytes, room.plot_pixels
    for plot in plots if type(plots) is list else []:
        try:
            data = values.decode(plot)
        except BadValue as error:
            raise ProtocolError(str(error)) from None
        n_bytes -= len(data) if type(data) is bytes else n_bytes + 1
        if n_bytes < 0:
            break
        picture = plain_picture(data)
        n_pixels -= pixels(picture)
        if picture and n_pixels >= 0 and len(pictures) < room.n_plots:
            pictures.append(picture)
    return tuple(pictures)


def pixels(picture: bytes) -> int:
    """Width times height of a plain picture; 0 if it is none."""
    return int.from_bytes(picture[16:20], "big") * int.from_bytes(picture[20:24], "big")


def plain_picture(data: bytes) -> bytes:
    """`data` as a PNG of sensible size with one image in it and nothing else, or no bytes at all.

    Chunks that are not needed are left out: texts and colour profiles unfold to any size, and an
    animation holds any number of images.
    """
    if not data.startswith(PNG):
        return b""
    kept, place = {b"IHDR": [], b"PLTE": [], b"tRNS": [], b"IDAT": [], b"IEND": []}, len(PNG)
    while place < len(data) and not kept[b"IEND"]:
        end = place + 12 + int.from_bytes(data[place : place + 4], "big")
        kept.get(data[place + 4 : place + 8], []).append(data[place:end])
        place = end
    picture = PNG + b"".join(chunk for chunks in kept.values() for chunk in chunks)
    sides = int.from_bytes(picture[16:20], "big"), int.from_bytes(picture[20:24], "big")
    is_one = len(kept[b"IHDR"]) == 1 and all(0 < side <= MAX_PIXELS_A_SIDE for side in sides)
    return picture if is_one else b""
