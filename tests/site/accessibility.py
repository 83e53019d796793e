"""Accessibility of a page, as axe judges it: all rules, and colors once for each look."""

from axe_playwright_python.base import AXE_SCRIPT

# axe needs long for ten thousand elements, and most of them are alike. So formulas, repeated
# tokens and drawings are shortened, and colors are measured where they can differ.
SHORTEN = """() => {
  const formulas = [...document.querySelectorAll(".katex")];
  const widths = formulas.map((formula) => formula.getBoundingClientRect().width);
  formulas.forEach((formula, index) => {
    const word = document.createElement("span");
    word.style.cssText = `display: inline-block; width: ${widths[index]}px`;
    word.dataset.shortened = "";
    word.textContent = "formula";
    formula.replaceChildren(word);
  });
  document.querySelectorAll("pre, dt.sig").forEach((code) => {
    const met = new Set();
    code.querySelectorAll("span[class]").forEach((token) => {
      if (met.has(token.className)) token.replaceWith(token.textContent);
      met.add(token.className);
    });
  });
  document.querySelectorAll("svg[role=img]").forEach((drawing) => drawing.replaceChildren());
}"""

# Elements look alike whose ancestors have the same tags, classes and backgrounds, and whose text
# has the same color and size. What axe has passed of a look in one place, it need not see again:
# here or on another page. Of each other look three are tried, since one may lie where axe cannot
# see it. Links are told from the text around them by their look as well.
MARK = """(passed) => {
  const digest = (look) => {
    let [one, other] = [1, 2];
    for (let index = 0; index < look.length; index++) {
      one = Math.imul(one ^ look.charCodeAt(index), 2654435761);
      other = Math.imul(other ^ look.charCodeAt(index), 1597334677);
    }
    return `${one ^ (other >>> 15)},${other ^ (one >>> 13)}`;
  };
  const known = new Set(passed), tried = new Map();
  globalThis.looks = new Map();
  document.querySelectorAll("html, body, body *").forEach((element) => {
    const style = getComputedStyle(element);
    const look = digest([looks.get(element.parentElement), element.tagName, element.className,
      element.matches("[data-shortened]") ? "" : element.getAttribute("style"),
      element.matches(":disabled, [aria-disabled=true]"), style.color, style.backgroundColor,
      style.backgroundImage, style.fontSize, style.fontWeight, style.fontStyle, style.fontFamily,
      style.opacity, style.textShadow, style.position, style.textDecorationLine,
      style.borderBottom].join("|"));
    looks.set(element, look);
    element.removeAttribute("data-measure");
    const measured = [];
    const says = element.matches("input, select, textarea")
      || [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (says && !known.has(`color-contrast ${look}`)
        && element.checkVisibility({visibilityProperty: true})) {
      tried.set(look, (tried.get(look) ?? 0) + 1);
      if (tried.get(look) <= 3) measured.push("color-contrast");
    }
    if (element.matches("a[href]") && !known.has(`link-in-text-block ${look}`))
      measured.push("link-in-text-block");
    if (measured.length) element.dataset.measure = measured.join(" ");
  });
}"""
# The results as axe has them inside: to write an address for each element takes it long.
AXE = """async (selectors) => {
  axe.addReporter("inside", (results, options, callback) => callback(results));
  axe.configure({rules: Object.entries(selectors).map(([id, selector]) => ({id, selector}))});
  const results = await axe.run(document, {reporter: "inside", preload: false});
  return {
    violations: results.flatMap((rule) => rule.violations.map(
      ({node}) => `axe ${rule.id}: ${rule.help}, at ${node.source.slice(0, 120)}`)),
    passed: results.filter((rule) => rule.id in selectors).flatMap((rule) => rule.passes.map(
      ({node}) => `${rule.id} ${globalThis.looks?.get(node.element)}`)),
  };
}"""
OF_COLORS = {"color-contrast": "*", "link-in-text-block": "a[href]"}  # rule: what it measures


class Accessibility:
    """A check for violations of the rules that axe knows. Call it last: it shortens the page.

    It remembers the looks whose colors have passed, so that each is measured once for all pages.
    """

    __name__ = "accessibility"  # as a report names the check

    def __init__(self):
        self.passed = set()

    def __call__(self, page):
        page.evaluate(SHORTEN)
        page.evaluate(MARK, sorted(self.passed))
        found = ask_axe(page, {rule: f"[data-measure~={rule}]" for rule in OF_COLORS})
        self.passed.update(found["passed"])
        return found["violations"]


def violations(page):
    """What axe finds on the page as it is."""
    return ask_axe(page, OF_COLORS)["violations"]


def ask_axe(page, selectors):
    """The `violations`, and the rules of colors and looks that `passed`, of what is selected."""
    page.evaluate(AXE_SCRIPT)
    return page.evaluate(AXE, selectors)
