// Order of search results: that of Sphinx, and first the pages of those tasks of "How to" that have all words of the query.
var Scorer = {
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,

  words(text) {
    const found = text.toLowerCase().match(/[\p{L}\p{N}_]+/gu) || [];
    return found.filter((word) => !stopwords.has(word)).map((word) => new Stemmer().stemWord(word));
  },

  score(result) {
    const [page, , , , score, , kind] = result;
    const query = Scorer.words(new URLSearchParams(location.search).get("q") || "");
    if (kind !== SearchResultKind.text || !query.length) return score;
    for (const [task, target, anchor] of TASKS) {
      const known = new Set(Scorer.words(task));
      if (target === page && query.every((word) => known.has(word))) {
        result[2] = anchor;
        return score + 100;
      }
    }
    return score;
  },
};
