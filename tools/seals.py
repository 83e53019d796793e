"""Words under seal: what no test can evaluate is kept as it was read, and a change shows itself.

A page's words are sealed in `tests/book/seals/`, one sentence a line. Displays stand there too,
also those that a test evaluates: two changes may hide each other from the numbers. An inline
formula that repeats an evaluated display names it, so that a change of the one shows in the other.
A chapter's seal has the comments of its code besides, and the words of its figures and claims, and
each room of the package has a seal of its docstrings. The tests fail where page and seal differ.
`make seal` shows the difference and seals the page as it is: look at what it shows.
"""

import difflib
import functools
import json
import re
from pathlib import Path

import yaml

from tools import statements
from tools.formula.docstrings import docstrings
from tools.formula.lexer import RELATIONS, tokens

ROOT = Path(__file__).resolve().parents[1]
FOLDER = Path("tests", "book", "seals")
DISPLAYS = FOLDER / "displays.yml"
SENTENCE = re.compile(r"(?<=[^\d\s.][.!?])\s+(?=[^\s\d])")
COST = re.compile(  # tools/chapters.py writes it
    r"^\*\*Cost\*\* about \d+ minutes to read, \d+ s to run on one core\.$", re.MULTILINE
)
DATA = ("errata.yml", "slides.yml", "references.bib")  # of the book, which its pages show
NO_BOOK = {"dlcourse.cli", "dlcourse.grading"}  # they state nothing of what the book teaches
COMMENT = re.compile(r"(?:^ *|  )# .*$", re.MULTILINE)
SPOKEN = re.compile(  # in an output
    r'aria-label="([^"]*)"|<figcaption>(.*?)</figcaption>|<li>(.*?)</li>', re.DOTALL
)
KEPT = re.compile(r"\s*(?:[:`|#]|[-*+] |\d+\. )")  # a line that begins like this stands alone
FORMULA = re.compile(r"(?<![\\$])\$(?!\$)(?P<tex>[^$]+?)(?<!\\)\$(?!\$)")


@functools.cache
def displays(root=ROOT):
    """What `displays.yml` lists: displays `sealed`, `survivors` among mutants, `one_sided`."""
    path = Path(root, DISPLAYS)
    found = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {part: found.get(part) or {} for part in ("sealed", "survivors", "one_sided")}


def sources(root=ROOT):
    """What a reader reads, by the name of its seal: pages, data that pages show, docstrings."""
    found = {}
    for path, text in statements.pages(root).items():
        name = path.removeprefix("book/").replace("/", "-").rpartition(".")[0]
        is_chapter = path.endswith(".ipynb")
        found[name] = text + (spoken(Path(root, path)) if is_chapter else "")
    for path in (Path(root, "book", name) for name in DATA):
        if path.exists():
            found[path.name] = path.read_text(encoding="utf-8")
    for name, text in docstrings(root):
        room = ".".join(name.split(".")[:2])
        if text and "._" not in name and room not in NO_BOOK:  # the private is not shown
            found[room] = f"{found.get(room, '')}# {name}\n\n{text}\n\n"
    return found


def spoken(path):
    """The words of a chapter beside its text, cell by cell.

    Comments in code; captions, texts and claims in outputs; tags that take a cell off the page.
    """
    found = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        tags = cell["metadata"].get("tags", [])
        found += [f"[{tag}]" for tag in tags if tag.startswith("remove")]
        if cell["cell_type"] == "code":
            found += [comment.strip() for comment in COMMENT.findall("".join(cell["source"]))]
        for output in cell.get("outputs", []):
            html = "".join(output.get("data", {}).get("text/html", ""))
            found += ["".join(groups) for groups in SPOKEN.findall(html)]
    return "".join(f"\n\n{words}" for words in found)


def words(text, evaluated):
    """The words of a page; `evaluated` has the tokens of the displays that a test evaluates."""
    text = FORMULA.sub(lambda m: m[0] + _repeated(m["tex"], evaluated), COST.sub("", text))
    return "".join(f"{line}\n" for block in re.split(r"\n\s*\n", text) for line in _lines(block))


def _repeated(tex, evaluated):
    """` [eq-name]` behind a formula that repeats a display, or a part of it that states something.

    A name and its number, such as `k = 1`, is a setting and repeats nothing.
    """
    ts = tokens(tex)
    if len(ts) < 5 or not RELATIONS & set(ts):
        return ""
    asked = f" {' '.join(ts)} "
    label = next((name for name, shown in evaluated.items() if asked in shown), None)
    return f" [{label}]" if label else ""


def _lines(block):
    lines = []
    for line in block.splitlines():
        if lines and not KEPT.match(line) and not KEPT.match(lines[-1]):
            lines[-1] += " " + line.strip()
        elif line.strip():
            lines.append(" ".join(line.split()))
    return [sentence for line in lines for sentence in SENTENCE.split(line)] + [""]


def evaluated(root=ROOT):
    """label -> tokens of the displays that are not sealed."""
    shown, sealed = statements.equations(root), displays(root)["sealed"]
    return {k: f" {' '.join(tokens(tex))} " for k, tex in shown.items() if k not in sealed}


def pages_now(root):
    """name -> words of each page as it is."""
    shown = evaluated(root)
    return {name: words(text, shown) for name, text in sources(root).items()}


def differences(root=ROOT):
    """name -> difference between its seal and the page, of all that differ."""
    return _differences(pages_now(root), root)


def _differences(pages, root):
    found = {}
    kept = {path.stem: path for path in Path(root, FOLDER).glob("*.txt")}
    for name in sorted(pages.keys() | kept.keys()):
        sealed = kept[name].read_text(encoding="utf-8") if name in kept else ""
        if sealed != pages.get(name, ""):
            lines = sealed.splitlines(), pages.get(name, "").splitlines()
            said = difflib.unified_diff(*lines, f"sealed {name}", f"{name} as it is", "", "", 0, "")
            found[name] = "\n".join(said)
    return found


def seal(root=ROOT):
    """Seal every page as it is now, and return what differed."""
    pages = pages_now(root)
    found = _differences(pages, root)
    Path(root, FOLDER).mkdir(parents=True, exist_ok=True)
    for name in found:
        path = Path(root, FOLDER, f"{name}.txt")
        if name in pages:
            path.write_text(pages[name], encoding="utf-8")
        else:
            path.unlink()
    return found


if __name__ == "__main__":
    print("\n\n".join(seal().values()) or "Every page is as it was sealed.")
