"""What all live figures share: drawn once in Python, then computed anew in the reader's browser.

The HTML holds everything, so that one stored output works on the site, from a file, in JupyterLab
and in Colab, and is the same at every run. It asks for nothing over the network.
"""

import hashlib
import html
import json
from collections.abc import Mapping
from pathlib import Path

ACCENT = "#0075fc"  # the first color of the figures, whose room this one does not know


class LiveFigure:
    """A figure with a control that the reader moves; the page itself computes what follows.

    `body` is HTML with the first state already drawn, so the figure is there before its script
    runs, and where none may run. `module` is the file of an ES module; its
    function `show(root, parameters)` gives life to the element `root` that holds `body`.
    `data` holds what was drawn, `alt` says what the figure shows.
    """

    def __init__(self, module: Path, body: str, parameters: Mapping, data: Mapping, alt: str):
        self.source = module.read_text(encoding="utf-8")
        self.body, self.parameters, self.data, self.alt = body, dict(parameters), dict(data), alt

    def __repr__(self):
        return f"Live figure: {self.alt}"

    def _repr_html_(self):
        # A name made from the content: no counter or chance that a second run would change. The
        # script brings every figure of that name to life that is not alive yet, so one shown
        # twice works twice. A module script has its own scope, so figures share no variables.
        parameters = json.dumps(self.parameters).replace("<", r"\u003c")
        content = self.source + parameters + self.body
        name = hashlib.sha256(content.encode()).hexdigest()[:8]
        return f"""<figure class="dl-live" data-live="{name}" style="margin:1rem 0;max-width:40rem">
{self.body}
</figure>
<script type="module">
{self.source}
for (const root of document.querySelectorAll('[data-live="{name}"]:not([data-ready])')) {{
  root.dataset.ready = "";
  show(root, {parameters});
}}
</script>"""


def svg(content, size, alt):
    """One `<svg>` element of `size` (width, height) that shrinks and grows with the page."""
    return (
        f'<svg viewBox="0 0 {size[0]} {size[1]}" role="img" aria-label="{html.escape(alt)}" '
        f'style="display:block;width:100%;height:auto;margin-bottom:.5rem" fill="none" '
        f'stroke="currentColor">{content}</svg>'
    )


def slider(label, percent, maximum, readout, mark):
    """A slider over 1, 2, ..., `maximum` percent; below it `readout`, and `mark` under the 100.

    It stays disabled until the script takes over.
    """
    # The middle of the thumb travels from 8 px after the left end to 8 px before the right one.
    beyond = f"calc(8px - .5em + (100% - 16px)*{(maximum - 100) / (maximum - 1):.4f})"
    # Without data-lm-suppress-shortcuts JupyterLab takes the arrow keys for itself.
    return f"""<label style="display:block">{label}
<input type="range" min="1" max="{maximum}" value="{percent}" disabled autocomplete="off" \
style="display:block;width:100%;height:24px;margin:0;accent-color:{ACCENT}" \
data-lm-suppress-shortcuts></label>
<div style="position:relative"><output aria-live="off">{readout}</output>
<span aria-hidden="true" style="position:absolute;right:{beyond}">{mark} \u25b2</span></div>"""
