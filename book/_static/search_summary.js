// Under each page that a search finds, the words around what was found; functions come last.
// Sphinx would fetch the page for them, which a page opened from a folder may not do.
{
  const query = new URLSearchParams(location.search).get("q") ?? "";
  const [, stems, , words] = Search._parseQuery(query);
  const IN_TITLE = 100, A_FUNCTION = -100; // more than any two pages differ by
  Scorer.score = ([, title, , description, score]) =>
    description ? score + A_FUNCTION
      : title.toLowerCase().includes(query.toLowerCase()) ? score + IN_TITLE : score;
  Search.htmlToText = (text) => text; // PAGE_TEXTS are plain text already

  const addSummary = (item) => {
    const link = item.querySelector("a");
    if (/^(\d+\. )?(.+) > \2$/.test(link.textContent)) return item.remove(); // the page once more
    const text = PAGE_TEXTS[link.getAttribute("href").split(/\.html|#/)[0]] ?? "";
    if (item.querySelector(":scope > span")) return; // a function, which its description follows
    if ([...stems].some((stem) => text.toLowerCase().includes(stem)))
      item.append(Search.makeSearchSummary(text, stems, ""));
    words.forEach((word) => _highlightText(item, word, "highlighted"));
  };
  new MutationObserver((changes) => {
    const added = changes.flatMap((change) => [...change.addedNodes]);
    added.filter((node) => node.matches?.("ul.search > li")).forEach(addSummary);
  }).observe(document.getElementById("search-results"), { childList: true, subtree: true });
}
