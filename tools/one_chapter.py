"""What holds one chapter, as arguments of pytest: `python tools/one_chapter.py adam`.

Its notebook, its own tests, the form of its text, and each test elsewhere that proves a label which
the chapter states. Found by reading, so that nothing else is imported.
"""

import sys
from pathlib import Path

from tools import proofs, statements

ROOT = Path(__file__).resolve().parents[1]
FORM = [
    "test_figure_claims",
    "test_numbers_in_prose",
    "test_seals",
    "test_slide_map",
    "test_statements",
]


def arguments(stem, root=ROOT):
    """Files and names of tests, as pytest takes them."""
    page, own = f"book/{stem}.ipynb", f"tests/chapters/{stem}"
    if not Path(root, page).is_file():
        chapters = ", ".join(sorted(path.stem for path in Path(root, "book").glob("*.ipynb")))
        raise SystemExit(f"`CHAPTER` must be one of {chapters}, got {stem!r}.")
    labels = {statement.label for statement in statements.read(root)[page]}
    proving = {
        marker.test
        for marker in proofs.markers(root)
        if labels & set(marker.labels) and not marker.test.startswith(own)
    }
    form = [f"tests/book/{name}.py" for name in FORM]
    return [page, *([own] if Path(root, own).is_dir() else []), *form, *sorted(proving)]


if __name__ == "__main__":
    print(*arguments(sys.argv[1] if len(sys.argv) > 1 else ""), sep="\n")
