"""The built site, served on this machine and opened in one browser per test process.

The site is the one that `make test` has built from the outputs that passed; `DLCOURSE_SITE=folder`
names another one. `DLCOURSE_SCREENSHOTS=folder` keeps a picture of each page in each look.
"""

import contextlib
import os
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import sync_playwright

from tools.browser import launch

ROOT = Path(__file__).resolve().parents[2]
SITE = Path(os.environ.get("DLCOURSE_SITE", ROOT / "_build/tested/_build/html")).resolve()
SCREENSHOTS = os.environ.get("DLCOURSE_SCREENSHOTS")
PATIENCE = 120_000  # milliseconds: what comes late on a busy machine is no fault


class SilentHandler(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        """Say nothing: what is missing is a fault that a test reports."""


@contextlib.contextmanager
def serving(folder):
    """Address of a server for the folder, on a port of its own."""
    handler = partial(SilentHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def site():
    if not (SITE / "index.html").exists():
        pytest.fail(f"No site in {SITE}. Build it and test it: make test.", pytrace=False)
    return SITE


@pytest.fixture(scope="session")
def host(site):
    with serving(site) as address:
        yield address


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def context(browser):
    """One visitor per test process, who keeps what all pages load."""
    with browser.new_context() as context:
        context.set_default_timeout(PATIENCE)
        yield context


@pytest.fixture(scope="session")
def tab(context):
    """A new tab takes the browser as long as most pages do, so all tests share one."""
    return context.new_page()


@pytest.fixture
def open_page(tab):
    """A function that gives the tab, empty, of a width in a theme."""

    def open_page(theme="light", width=1280):
        tab.goto("about:blank")
        tab.emulate_media(color_scheme=theme)
        tab.set_viewport_size({"width": width, "height": 900})
        return tab

    return open_page


@pytest.fixture
def new_visitor(browser):
    """A function that gives the page of a visitor who was never here, with options of their own."""
    with contextlib.ExitStack() as visitors:

        def new_visitor(**options):
            context = visitors.enter_context(browser.new_context(**options))
            context.set_default_timeout(PATIENCE)
            return context.new_page()

        yield new_visitor
