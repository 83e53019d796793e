"""Score the built site with Lighthouse: `python benchmarks/lighthouse.py [folder of the site]`.

The landing page and each chapter are loaded as a first visitor would load them, on a desktop and on
a phone with a slow network, from a server that compresses and allows caching as web hosts do.
Prints the median of three runs. Needs Node's `npx` and a Chromium, and says so where one is
missing.
"""

import gzip
import json
import os
import shutil
import statistics
import subprocess
import sys
from functools import cache
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

ROOT = Path(__file__).resolve().parents[1]
LIGHTHOUSE = "lighthouse@12.8.2"  # 13 wants a newer Node than Debian has
BROWSERS = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"]
CHROME_FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)
DEVICES = {"desktop": ["--preset=desktop"], "phone": []}  # a phone is Lighthouse's default
CATEGORIES = ["performance", "accessibility", "best-practices", "seo"]
N_RUNS = 3


class CompressingHandler(SimpleHTTPRequestHandler):
    """Files with gzip and a year of caching, as a web host sends them."""

    protocol_version = "HTTP/1.1"  # connections stay open, as they do on a web host

    def do_GET(self):
        path = Path(self.translate_path(self.path))
        path = path / "index.html" if path.is_dir() else path
        if not path.is_file():
            self.send_error(404)
            return
        body = compressed(path)
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(path))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "public, max-age=31536000")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        """Stay silent: the table is the output."""


@cache
def compressed(path):
    return gzip.compress(path.read_bytes())


def serve(site):
    """Address of a server for the folder, which runs until this process ends."""

    def handler(*arguments):
        return CompressingHandler(*arguments, directory=site)

    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def find_programs():
    """`npx` and a Chromium, or an end that says what to install."""
    npx = shutil.which("npx")
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if npx is None:
        sys.exit("Lighthouse runs on Node, and `npx` is missing: apt-get install nodejs npm.")
    if browser is None:
        sys.exit("Lighthouse drives a Chromium, and none was found: apt-get install chromium.")
    return npx, browser


def run_lighthouse(address, options):
    """Lighthouse's report on one visit, as a dictionary."""
    npx, browser = find_programs()
    command = [npx, "--yes", LIGHTHOUSE, address, "--output=json", "--quiet"]
    command += [f"--chrome-flags={CHROME_FLAGS}", *options]
    environment = os.environ | {"CHROME_PATH": browser}
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"Lighthouse failed on {address}:\n{run.stderr[-2000:]}")
    return json.loads(run.stdout)


def measure(address, options):
    """Medians over the runs: the four scores out of 100, and the kilobytes sent."""
    reports = [run_lighthouse(address, options) for _ in range(N_RUNS)]
    columns = [[100 * r["categories"][name]["score"] for r in reports] for name in CATEGORIES]
    columns.append([r["audits"]["total-byte-weight"]["numericValue"] / 1024 for r in reports])
    return [statistics.median(column) for column in columns]


def pages(site):
    """The landing page and every chapter, as paths on the site."""
    chapters = sorted(path.stem for path in (site / "_sources/book").glob("*.ipynb"))
    return [f"book/{stem}.html" for stem in ["index", *chapters]]


if __name__ == "__main__":
    site = Path(sys.argv[1] if sys.argv[1:] else ROOT / "_build/html").resolve()
    if not (site / "book/index.html").exists():
        sys.exit(f"No site in {site}. Build it first: make book.")
    find_programs()
    print(f"{'page':30}{'device':10}" + "".join(f"{name:>16}" for name in [*CATEGORIES, "KB"]))
    host = serve(site)
    for page in pages(site):
        for device, options in DEVICES.items():
            scores = measure(f"{host}/{page}", options)
            print(f"{page:30}{device:10}" + "".join(f"{x:16.0f}" for x in scores), flush=True)
