import os
import runpy
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import nbformat
import pytest
from bs4 import BeautifulSoup

from tests import ROOT

EXTENSIONS = ROOT / "book" / "_ext"
REPOSITORY = runpy.run_path(str(EXTENSIONS / "repository.py"))
CONFIG = """
title: A book
only_build_toc_files: true
execute: {{execute_notebooks: "off"}}
sphinx: {{local_extensions: {{repository: {extensions}}}}}
"""


@pytest.mark.parametrize(
    "remote",
    [
        "https://example.org/owner/name",
        "https://example.org/owner/name.git",
        "https://example.org/owner/name/\n",
        "http://example.org/owner/name",
        "https://user:secret@example.org/owner/name.git",
        "git@example.org:owner/name.git",
        "ssh://git@example.org/owner/name.git",
    ],
)
def test_a_remote_on_the_web_becomes_the_address_that_a_reader_opens(remote):
    assert REPOSITORY["readable_address"](remote) == "https://example.org/owner/name"


@pytest.mark.parametrize(
    "remote",
    ["", "/srv/git/name.git", "../name", "file:///srv/git/name", "https://localhost/owner/name"],
)
def test_a_remote_that_no_reader_can_open_is_no_address(remote):
    assert REPOSITORY["readable_address"](remote) is None


def test_the_environment_goes_before_the_remote(monkeypatch):
    monkeypatch.setenv("DLCOURSE_REPOSITORY", "https://example.org/owner/name")
    assert REPOSITORY["find_repository"]() == "https://example.org/owner/name"


def build(folder, repository):
    """The page of a book with one notebook, built as if it came from a repository."""
    (folder / "_config.yml").write_text(CONFIG.format(extensions=EXTENSIONS))
    (folder / "_toc.yml").write_text("format: jb-book\nroot: page\n")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# A page")])
    nbformat.write(notebook, folder / "page.ipynb")
    run = subprocess.run(
        [Path(sys.executable).with_name("jupyter-book"), "build", folder, "-W", "-n"],
        env=os.environ | {"DLCOURSE_REPOSITORY": repository},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    page = BeautifulSoup((folder / "_build/html/page.html").read_text(), "html.parser")
    return {link.get_text(strip=True): link["href"] for link in page.select("a.dropdown-item")}


def test_a_known_repository_gives_three_launch_buttons(tmp_path):
    links = build(tmp_path, "https://github.com/example/example")
    colab, binder, lab = (urlsplit(links[name]) for name in ("Colab", "Binder", "JupyterLab"))
    assert colab.netloc == "colab.research.google.com"
    assert colab.path.startswith("/github/example/example/blob/")
    assert colab.path.endswith("/page.ipynb")
    assert binder.netloc == lab.netloc == "mybinder.org"
    assert binder.path == lab.path
    assert binder.path.startswith("/v2/gh/example/example/")
    assert parse_qs(binder.query) == {"urlpath": ["tree/page.ipynb"]}
    assert parse_qs(lab.query) == {"urlpath": ["lab/tree/page.ipynb"]}


def test_without_a_repository_no_page_has_a_button_or_an_address(tmp_path):
    links = build(tmp_path, "/srv/git/name.git")
    assert not any(urlsplit(address).netloc for address in links.values())
