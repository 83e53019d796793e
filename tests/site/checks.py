"""What can be wrong with a page of the site. Each check returns the faults it found, as sentences.

site     folder of the built site          address   URL of a page, http or file
page     a page opened in the browser      document  a page read as a file
"""

import contextlib
import re
from collections import Counter
from html.parser import HTMLParser
from urllib.parse import unquote, urljoin, urlsplit

MIN_TOUCH_PIXELS = 24
MIN_ALT_LENGTH = 15  # a shorter text cannot say what a figure shows
FILE_NAME = re.compile(r"\.(png|jpe?g|gif|svg|webp)$", re.IGNORECASE)
CSS_URL = re.compile(r"""url\(\s*['"]?([^'")]+)""")
LOADED = {"script", "img", "source", "iframe", "video", "audio", "embed", "input"}
LOADED_LINKS = {"stylesheet", "icon", "preload", "modulepreload", "manifest", "preconnect"}


class Document(HTMLParser):
    """Ids, addresses and head of one page."""

    def __init__(self, path):
        super().__init__()
        self.ids, self.addresses, self.loaded = [], [], []
        self.lang = self.description = None
        self.title = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        if "id" in named:
            self.ids.append(named["id"])
        if tag == "html":
            self.lang = named.get("lang")
        if tag == "meta" and named.get("name") == "description":
            self.description = named.get("content")
        is_loaded = tag in LOADED or LOADED_LINKS & set(named.get("rel", "").split())
        for address in filter(None, (named.get("href"), named.get("src"))):
            self.addresses.append(address)
            if is_loaded:
                self.loaded.append(address)

    def handle_data(self, data):
        if self.get_starttag_text() == "<title>" and not self.title:
            self.title = data.strip()


def pages(site):
    """Paths of all pages, relative to the site."""
    return sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html"))


def is_elsewhere(address):
    return bool(urlsplit(address).netloc)


def head(document):
    """A page says its language, its title and what it is about."""
    wanted = {"lang": 2, "title": 5, "description": 20}
    return [
        f"The page has no {name} worth the name: {getattr(document, name)!r}."
        for name, least in wanted.items()
        if len(getattr(document, name) or "") < least
    ]


def ids(document):
    """An id names one element."""
    repeated = [name for name, count in Counter(document.ids).items() if count > 1]
    return [f"The id {name!r} names several elements." for name in repeated]


def links(site):
    """Addresses inside the site lead to a file, and to an id in it; nothing loads elsewhere."""
    documents = {name: Document(site / name) for name in pages(site)}
    faults = []
    for name, document in documents.items():
        here = f"http://site/{name}"
        faults += [f"{name} loads {x}." for x in document.loaded if is_elsewhere(x)]
        for address in document.addresses:
            target = urlsplit(urljoin(here, address))
            if target.scheme != "http" or target.netloc != "site":
                continue
            file, anchor = unquote(target.path).lstrip("/"), unquote(target.fragment)
            if not (site / file).is_file():
                faults.append(f"{name} links to {address}, and there is no such file.")
            elif anchor and file in documents and anchor not in documents[file].ids:
                faults.append(f"{name} links to {address}, and {file} has no such id.")
    return faults


def stylesheets(site):
    """What a stylesheet loads is there, and on this site."""
    faults = []
    for sheet in site.rglob("*.css"):
        for address in CSS_URL.findall(sheet.read_text(encoding="utf-8")):
            if is_elsewhere(address):
                faults.append(f"{sheet.name} loads {address}.")
            elif not address.startswith(("data:", "#")):
                if not (sheet.parent / urlsplit(address).path).is_file():
                    faults.append(f"{sheet.name} loads {address}, and there is no such file.")
    return faults


@contextlib.contextmanager
def watch(page, origin):
    """A list that fills with the faults of what the page says and asks for in the meantime."""
    faults = []

    def asked(request):
        if not request.url.startswith((origin, "data:", "blob:")):
            faults.append(f"The page asks another origin: {request.url}.")

    def said(message):
        if message.type in {"error", "warning"}:
            faults.append(f"Console {message.type}: {message.text}")

    def failed(request):
        faults.append(f"Not loaded: {request.url}.")

    def broke(error):
        faults.append(f"Error in a script: {error}")

    heard = {"request": asked, "requestfailed": failed, "console": said, "pageerror": broke}
    for event, listener in heard.items():
        page.on(event, listener)
    yield faults
    for event, listener in heard.items():
        page.remove_listener(event, listener)


MATHEMATICS = r"""() => {
  const faults = [];
  const all = document.querySelectorAll(".math");
  all.forEach((math) => {
    if (math.querySelectorAll(".katex-html").length !== 1)
      faults.push(`Not typeset: ${math.textContent.slice(0, 80)}`);
    else if (math.querySelector(".katex-html").getBoundingClientRect().width === 0
             && math.checkVisibility())
      faults.push(`Typeset, yet not drawn: ${math.textContent.slice(0, 80)}`);
  });
  const drawn = document.querySelectorAll(".katex").length;
  if (drawn !== all.length) faults.push(`${all.length} formulas, ${drawn} typeset.`);
  document.querySelectorAll(".katex-error").forEach(
    (error) => faults.push(`KaTeX refused: ${error.textContent.slice(0, 80)}`));
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode;
    if (/\$\$|\\\(|\\\[|\\begin\{/.test(text.data)
        && !text.parentElement.closest("pre, code, script, style, .katex"))
      faults.push(`TeX in the text: ${text.data.trim().slice(0, 80)}`);
  }
  return faults;
}"""


def mathematics(page):
    """All mathematics is typeset and drawn, and none is left as TeX."""
    return page.evaluate(MATHEMATICS)


OVERFLOW = """() => {
  const faults = [], width = document.documentElement.clientWidth;
  const wide = document.scrollingElement.scrollWidth;
  if (wide > innerWidth) faults.push(`The page is ${wide} pixels wide, the screen ${innerWidth}.`);
  const scrolls = (element) => ["auto", "scroll"].includes(getComputedStyle(element).overflowX);
  document.querySelectorAll("div.math").forEach((math) => {
    const box = math.querySelector(".katex-display") ?? math;
    if (box.scrollWidth > box.clientWidth && !scrolls(box))
      faults.push(`An equation leaves its box: ${math.id}`);
    for (const part of [math, ...math.querySelectorAll(".eqno")])
      if (part.getBoundingClientRect().right > width + 1)
        faults.push(`An equation or its number is out of sight: ${math.id}`);
  });
  const parts = "main :is(p, li, td, pre, table, svg, img, span.math)";
  document.querySelectorAll(parts).forEach((part) => {
    if (part.getBoundingClientRect().right <= width + 1) return;
    for (let box = part; box; box = box.parentElement) if (scrolls(box)) return;
    if (part.checkVisibility())
      faults.push(`Out of sight: ${part.tagName} ${part.textContent.slice(0, 60)}`);
  });
  return faults;
}"""


def overflow(page):
    """Nothing is wider than the screen but what scrolls in a box of its own."""
    return page.evaluate(OVERFLOW)


FIGURES = """() => ({
  labels: [...document.querySelectorAll("svg[role=img]")].map((svg) => svg.ariaLabel ?? ""),
  bare: [...document.querySelectorAll("main svg:not([role=img], [aria-hidden=true])")]
    .filter((svg) => !svg.closest("button, .katex"))
    .map((svg) => svg.outerHTML.slice(0, 80)),
  icons: [...document.querySelectorAll("[class*='fa-']")]
    .filter((icon) => ["none", "normal"].includes(getComputedStyle(icon, "::before").content))
    .map((icon) => icon.className),
  images: [...document.querySelectorAll("img")]
    .map((img) => [img.getAttribute("src"), img.getAttribute("alt"), Boolean(img.closest("main"))]),
})"""


def figures(page):
    """Figures have a text that says what they show, icons a drawing; ornament may be bare."""
    found = page.evaluate(FIGURES)
    faults = [f"A drawing without role and label: {start}" for start in found["bare"]]
    faults += [f"An icon without its drawing: {name}" for name in found["icons"]]
    for label in found["labels"]:
        if len(label.strip()) < MIN_ALT_LENGTH:
            faults.append(f"The label of a drawing says too little: {label!r}.")
    for source, alt, is_content in found["images"]:
        if alt is None:
            faults.append(f"The image {source} has no alt.")
        elif FILE_NAME.search(alt):
            faults.append(f"The alt of the image {source} is a file name: {alt!r}.")
        elif is_content and len(alt.strip()) < MIN_ALT_LENGTH:
            faults.append(f"The alt of the image {source} says too little: {alt!r}.")
    return faults


BADGES = """() => [...document.querySelectorAll("a.checked")].map((badge) => {
  const box = badge.getBoundingClientRect();
  return [badge.getAttribute("href"), Math.min(box.width, box.height), box.right - innerWidth];
})"""


def badges(page):
    """Badges of statements are large enough to touch, and in sight."""
    faults = []
    for address, size, beyond in page.evaluate(BADGES):
        if size < MIN_TOUCH_PIXELS:
            faults.append(f"The badge to {address} is {size:.0f} pixels small.")
        if beyond > 0:
            faults.append(f"The badge to {address} is out of sight.")
    return faults


UNREACHED = """() => [...document.querySelectorAll(
    "main :is(pre, .katex-display, .output, .pst-scrollable-table-container)")]
  .filter((box) => box.scrollWidth > box.clientWidth && box.tabIndex !== 0
          && ["auto", "scroll"].includes(getComputedStyle(box).overflowX))
  .map((box) => box.textContent.trim().slice(0, 60))"""


def keyboard(page):
    """What is too wide can be scrolled by the keyboard."""
    return [f"The keyboard does not reach: {start}" for start in page.evaluate(UNREACHED)]
