// Typesets the equations of a page with the copy of KaTeX beside this file; loaded on pages with equations only.
(function () {
  const folder = new URL("katex/", document.currentScript.src);
  const style = document.createElement("link");
  style.rel = "stylesheet";
  style.href = new URL("katex.min.css", folder);
  const script = document.createElement("script");
  script.src = new URL("katex.min.js", folder);
  script.onload = function () {
    for (const element of document.querySelectorAll(".math")) {
      const source = element.textContent.trim().replace(/^\\[([]|\\[)\]]$/g, "");
      katex.render(source, element, { displayMode: element.tagName === "DIV", throwOnError: false });
    }
  };
  document.head.append(style, script);
})();
