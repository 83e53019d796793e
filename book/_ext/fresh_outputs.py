"""Build the site from the notebooks that a test run has just executed and found right.

With `DLCOURSE_EXECUTED=folder` each chapter is read from `folder/<stem>.ipynb`; without it, from
the book itself. A chapter that the folder lacks is an error: a tested site has no untested page.
"""

import os
from pathlib import Path

from sphinx.errors import ExtensionError


def read_executed(app, docname, source):
    folder = os.environ.get("DLCOURSE_EXECUTED")
    path = Path(app.env.doc2path(docname))
    if folder is None or path.suffix != ".ipynb":
        return
    executed = Path(folder) / path.name
    if not executed.exists():
        raise ExtensionError(
            f"{path.name} was not executed: {executed} is missing. Run `make test`."
        )
    source[0] = executed.read_text(encoding="utf-8")


def setup(app):
    app.connect("source-read", read_executed, priority=0)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
