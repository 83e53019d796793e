"""Read what was handed in: bytes that may be anything.

Nothing of a submission is trusted or run here. Whatever the bytes are, the answer is a record: the
cells of a notebook, or what is wrong with it, in words for the student.
"""

import hashlib
import json
import re
from dataclasses import dataclass

from dlcourse.grading.sandbox.inside.magics import pieces, plain_python

SIZE_LIMIT_BYTES = 10_000_000
CODE_LIMIT_CHARACTERS = 1_000_000
CELL_LIMIT = 2_000
LONGEST_NAME = 80  # of a module, dots included
IMPORT = re.compile(
    r"(?:^|[;:])[ \t]*+(?:from[ \t]++([\w.]++)[ \t]++import\b[ \t]*+(\([^)]{0,5000}\)?|[^\n;]*+)"
    r"|import[ \t]++([^\n;]++))",
    re.MULTILINE,
)
IMPORTED = re.compile(r"([\w.]++|\*)(?:\s++as\s++\w++)?")
NAMED = re.compile(r"homework='(\w{1,80})'")  # in the cell that loads the checks

OK = "ok"
TOO_LARGE = "too large"
EMPTY = "empty"
NOT_A_NOTEBOOK = "not a notebook"
OTHER_FORMAT = "unknown notebook format"
WRONG_HOMEWORK = "wrong homework"


@dataclass(frozen=True)
class Submission:
    """One hand-in as it was read: `status` is "ok", or one of the refusals above."""

    digest: str  # SHA-256 of the bytes
    status: str
    message: str  # why it is refused, and the cure
    cells: tuple[str, ...] = ()  # sources of the code cells, in order

    @property
    def is_gradable(self) -> bool:
        return self.status == OK


def read(data: bytes, homework: str = "", functions: tuple[str, ...] = ()) -> Submission:
    """The submission in `data`; never raises, whatever the bytes are.

    With `homework` a notebook of another one is refused. One that does not say which it is passes
    if it defines one of `functions`.
    """
    digest = hashlib.sha256(data).hexdigest()
    status, message, notebook = _notebook(data)
    if status != OK:
        return Submission(digest, status, message)
    cells = _code_cells(notebook)
    status, message = _refusal(notebook, cells, homework, functions)
    return Submission(digest, status, message, cells if status == OK else ())


def homework_of(data: bytes) -> str:
    """Name of the homework that a notebook says it is, or "" where it says nothing."""
    status, _, notebook = _notebook(data)
    return _claimed(notebook, _code_cells(notebook)) if status == OK else ""


def imports(cells) -> set[str]:
    """Dotted names that cells import, each part of a from-import included, or hold as a string.

    They are looked for in the text: what Python's parser takes for hostile code, in time and in
    memory, has no limit that could be relied on, and nothing of a submission is parsed here.
    """
    names = set()
    for source in cells:
        code, texts = _without_texts(plain_python(source))
        names |= {text for text in texts if re.fullmatch(r"[\w.]{3,80}", text)}
        for module, parts, plain in IMPORT.findall(code):
            items = (plain or parts.strip("()")).split(",")
            found = [name for item in items if (name := IMPORTED.fullmatch(item.strip()))]
            prefix = f"{module[:LONGEST_NAME]}." if module else ""
            names |= {f"{prefix}{name[1][:LONGEST_NAME]}" for name in found}
            names |= {module[:LONGEST_NAME]} - {""}
    return names


def _without_texts(source):
    """(code, texts): a cell on long lines, without comments; what stood between quotes apart."""
    code, texts = [], []
    for kind, text in pieces(source):
        if kind == "text":
            texts.append(text.strip("\"'"))
        elif kind != "comment":
            code.append(" " if kind == "continued" else text)
    return "".join(code), texts


def imports_of(cells, modules) -> list[str]:
    """Those of `modules` that cells import, themselves or a part of them."""
    found = imports(cells)
    return [m for m in modules if any(name == m or name.startswith(f"{m}.") for name in found)]


def _notebook(data):
    """(status, message, notebook): the notebook as nested lists and dicts if the status is ok."""
    if len(data) > SIZE_LIMIT_BYTES:
        limit = f"{SIZE_LIMIT_BYTES / 1e6:.0f} MB"
        return TOO_LARGE, f"The file has more than {limit}. Clear its outputs and save it.", None
    if not data.strip():
        return EMPTY, "The file is empty. Save the notebook and hand it in again.", None
    cure = "Hand in the .ipynb file that Jupyter saves."
    try:
        notebook = json.loads(data)
    except RecursionError:
        return NOT_A_NOTEBOOK, f"The file is nested too deeply for a notebook. {cure}", None
    except ValueError:
        return NOT_A_NOTEBOOK, f"The file is not JSON, as notebooks are. {cure}", None
    if not isinstance(notebook, dict) or not isinstance(_cells(notebook), list):
        return NOT_A_NOTEBOOK, f"The file is JSON, but holds no cells. {cure}", None
    version = notebook.get("nbformat", 4)
    if version not in (2, 3, 4):
        message = f"Notebook format {str(version)[:20]} is unknown here. Save it as format 4."
        return OTHER_FORMAT, message, None
    if len(_cells(notebook)) > CELL_LIMIT:
        return TOO_LARGE, f"The notebook has more than {CELL_LIMIT:,} cells. Delete some.", None
    return OK, "", notebook


def _cells(notebook):
    """Cells of any format: those of formats 2 and 3 lie in worksheets."""
    if "worksheets" not in notebook:
        return notebook.get("cells")
    sheets = notebook["worksheets"]
    if not isinstance(sheets, list):
        return None
    found = [sheet.get("cells") for sheet in sheets if isinstance(sheet, dict)]
    return [cell for cells in found if isinstance(cells, list) for cell in cells]


def _code_cells(notebook):
    cells = (cell for cell in _cells(notebook) if isinstance(cell, dict))
    return tuple(
        _text(cell.get("source", cell.get("input")))
        for cell in cells
        if cell.get("cell_type") == "code"
    )


def _text(source):
    """The source as text that can be written as UTF-8."""
    lines = source if isinstance(source, list) else [source]
    text = "".join(line for line in lines if isinstance(line, str))
    return text.encode(errors="replace").decode()


def _refusal(notebook, cells, homework, functions):
    if sum(map(len, cells)) > CODE_LIMIT_CHARACTERS:
        limit = f"{CODE_LIMIT_CHARACTERS:,} characters"
        return TOO_LARGE, f"The code has more than {limit}. Keep data out of it."
    if not any(source.strip() for source in cells):
        return EMPTY, "The notebook has no code. Hand in the one with your answers."
    claimed = _claimed(notebook, cells)
    if homework and claimed and claimed != homework:
        return WRONG_HOMEWORK, f"This is the notebook of {claimed}, asked for is {homework}."
    defined = "\n".join(cells)
    if homework and not claimed and not any(f"def {name}(" in defined for name in functions):
        message = f"It does not say that it is {homework}, and defines none of its functions."
        return WRONG_HOMEWORK, message
    return OK, ""


def _claimed(notebook, cells):
    metadata = notebook.get("metadata")
    about = metadata.get("dlcourse") if isinstance(metadata, dict) else None
    name = about.get("homework") if isinstance(about, dict) else None
    if isinstance(name, str):
        return _text(name)[:80]
    match = NAMED.search("\n".join(cells))  # Colab may drop the metadata
    return match[1] if match else ""
