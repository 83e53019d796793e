"""One line that says what goes on, so that nothing is silent for long."""

import sys
import threading
import time

IN_TERMINAL_SECONDS, ELSEWHERE_SECONDS = 0.5, 4.0


class Progress:
    """Shows `now` on standard error while the block runs: a terminal's last line, or new lines."""

    def __init__(self, stream=None):
        self.stream = stream or sys.stderr
        self.now, self._since = "", time.monotonic()
        self._width, self._is_over = 0, threading.Event()
        self._teller = threading.Thread(target=self._tell, daemon=True)

    def __call__(self, now: str):
        """From now on this goes on."""
        if now != self.now:
            self.now, self._since = now, time.monotonic()

    def __enter__(self) -> "Progress":
        self._teller.start()
        return self

    def __exit__(self, *_):
        self._is_over.set()
        self._teller.join()
        if self._width:
            self._write("\r" + " " * self._width + "\r")

    def _tell(self):
        in_terminal = self.stream.isatty()
        while not self._is_over.wait(IN_TERMINAL_SECONDS if in_terminal else ELSEWHERE_SECONDS):
            line = f"{self.now}, {time.monotonic() - self._since:.0f} s"
            if in_terminal:
                self._write("\r" + line.ljust(self._width))
                self._width = max(self._width, len(line))
            else:
                self._write(f"{line}\n")

    def _write(self, text):
        self.stream.write(text)
        self.stream.flush()
