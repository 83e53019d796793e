"""The Chromium that opens the pages. `python tools/browser.py` ends with 0 where one starts.

The set-up and the tests both ask here, so that the tests open the browser that was set up.
"""

import shutil
import sys

from playwright.sync_api import Error, sync_playwright

ON_THE_PATH = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"]
START_SECONDS = 120  # a busy machine needs ten; what does not answer in this time never will
# As root and in containers there is no sandbox; and the browser itself asks for nothing.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def candidates():
    """Options that lead Playwright to a browser: on the path, its own, Chrome where Chrome lies."""
    on_the_path = filter(None, map(shutil.which, ON_THE_PATH))
    return [*({"executable_path": program} for program in on_the_path), {}, {"channel": "chrome"}]


def launch(playwright):
    """The first browser that opens a page; RuntimeError with what each one said if none does.

    To be there is not enough: Ubuntu's `chromium` is a stub that wants snap, and Playwright's
    download lacks the system's libraries on a bare machine.
    """
    said = []
    for options in candidates():
        try:
            browser = playwright.chromium.launch(
                args=FLAGS, timeout=1000 * START_SECONDS, **options
            )
            browser.new_page().close()
            return browser
        except Error as error:
            said.append(f"{next(iter(options.values()), 'of Playwright')}: {error.message.strip()}")
    raise RuntimeError("No Chromium starts.\n" + "\n".join(said))


if __name__ == "__main__":
    with sync_playwright() as playwright:
        try:
            launch(playwright).close()
        except RuntimeError as refusal:
            sys.exit(str(refusal))
