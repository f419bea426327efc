"""How results are shown: as tables of pandas, as summaries in text, HTML and LaTeX, and as figures."""
