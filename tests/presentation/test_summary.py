"""Summaries as text, HTML and LaTeX."""

import copy
import pickle

from neutral.presentation.summary import Summary, Table, number, pairs, percent

TABLE = Table((("kappa", "1.5", "<0.1"), ("sigma_v", "0.25", "5 % & more")), ("parameter", "value", "note"))
SUMMARY = Summary("Heston & Co", [TABLE], ["A note with 5 % of_it."])


def test_text_has_aligned_columns():
    lines = SUMMARY.splitlines()
    assert lines[2:5] == [
        "parameter   value         note",
        "kappa         1.5         <0.1",
        "sigma_v      0.25   5 % & more",
    ]
    assert lines[1] == lines[5] == "=" * 30 and lines[-1] == "A note with 5 % of_it."
    assert repr(SUMMARY) == str(SUMMARY) == SUMMARY.as_text() and isinstance(SUMMARY, str)


def test_html_and_latex_escape_what_they_must():
    html = SUMMARY._repr_html_()
    assert "Heston &amp; Co" in html and "&lt;0.1" in html and "<th" in html and html.count("<tr>") == 3
    latex = SUMMARY.as_latex()
    assert r"\begin{tabular}{lrr}" in latex and r"sigma\_v & 0.25 & 5 \% \& more \\" in latex
    assert r"Heston \& Co" in latex and r"\textless{}0.1" in latex and r"\midrule" in latex
    assert latex.count(r"\toprule") == latex.count(r"\bottomrule") == 1


def test_copies_keep_their_tables():
    for other in (copy.copy(SUMMARY), pickle.loads(pickle.dumps(SUMMARY))):
        assert other == SUMMARY and other.tables == (TABLE,) and other.notes == SUMMARY.notes


def test_pairs_and_numbers():
    assert pairs([("a", "1"), ("b", "2"), ("c", "3")]).rows == (("a", "1", "c", "3"), ("b", "2", "", ""))
    assert (number(float("nan")), number(0.123456), percent(0.1234), percent(float("nan"))) == (
        "-",
        "0.1235",
        "12.3 %",
        "-",
    )
    assert Summary("empty", notes=["nothing"]) == "empty\nnothing"
