"""Pages stand alone: structure, size, escaping, the chart library and what happens without Jinja2."""

import hashlib
import json
import sys

import numpy as np
import pytest
from page_structure import checked
from pages_fakes import NASTY, chart, page

from neutral.errors import NeutralError
from neutral.workflow.pages import blocks, charts, render


def test_a_page_is_whole_and_alone():
    structure = checked(render.html(page()))
    assert structure.ids == ["content", "first", "second", "plotly"]
    assert structure.scripts == 4, "two charts, the library and the script"
    assert [one["title"] for one in structure.data] == ["plain", "Surface"]


def test_no_name_from_a_file_is_markup():
    text = render.html(page(NASTY))
    structure = checked(text)
    assert structure.scripts == 4 and NASTY not in text and "alert(1)</script>" not in text
    assert structure.data[0]["title"] == NASTY, "the chart has the name as it is"


def test_a_page_without_charts_has_no_library():
    text = render.html(blocks.Page("title", "note", [blocks.Text("none")], []))
    assert "plotly.js" not in text and len(text) < 60_000
    checked(text)


def test_every_picture_has_a_caption_and_an_alternative_text():
    text = render.html(page("words"))
    assert text.count("<figcaption>words</figcaption>") == 2 and "<figcaption>A surface.</figcaption>" in text
    assert text.count('aria-roledescription="chart"') == 2 and '<p class="alt">A surface.</p>' in text


def test_numbers_of_charts_are_json_with_null_for_nan():
    content = json.loads(chart().content())
    model = content["views"][0]["panels"][0]["series"][1]
    assert model["y"] == [21, None] and model["x"] == [-0.1, 0.1]
    assert json.loads(charts.safe_json({"a": [1.23456789, np.float64(np.inf), np.bool_(True), None]})) == {
        "a": [1.2346, None, True, None]
    }
    assert "<" not in charts.safe_json([NASTY]) and json.loads(charts.safe_json([NASTY])) == [NASTY]


def test_the_library_is_the_published_file():
    folder = render.HERE / "assets"
    stated = json.loads((folder / "plotly-gl3d.json").read_text())
    content = (folder / render.LIBRARY).read_bytes()
    assert hashlib.sha256(content).hexdigest() == stated["sha256"]
    assert f"v{stated['version']}".encode() in content[:200]
    assert "MIT License" in (folder / "plotly-gl3d.LICENSE").read_text()
    text = content.decode()
    assert "</script" not in text and "<!--" not in text, "either would end the element around it"


def test_a_damaged_library_is_refused(monkeypatch, tmp_path):
    assets = tmp_path / "assets"
    assets.mkdir()
    for source in (render.HERE / "assets").iterdir():
        (assets / source.name).write_bytes(source.read_bytes()[:1000])
    monkeypatch.setattr(render, "HERE", tmp_path)
    monkeypatch.setattr(render, "_asset", lambda name: '{"sha256": "0"}')
    with pytest.raises(NeutralError, match="is damaged; install neutral again"):
        render._library.__wrapped__()


def test_without_jinja2_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    render._environment.cache_clear()
    with pytest.raises(NeutralError, match=r"neutral\[cli\]"):
        render.check_installed()


def test_a_page_that_is_too_large_draws_less(monkeypatch):
    monkeypatch.setattr(render, "LIMIT", 4_000)
    monkeypatch.setattr(render, "html", lambda page: "x" * 1_000 * len(page.answer))
    made = render.within_limit(lambda n: blocks.Page("", "", [blocks.Text("")] * n, []), 12)
    assert len(made.answer) == 3


def test_heat_maps_bound_their_colours():
    heat = blocks.HeatMap("", "", "", "", ["r"], ["x", "y", "z"], np.array([[-9.0, 0.2, np.nan]]), ".1f", 0.5)
    assert heat.cells() == [[("-9.0", -1.0, False), ("0.2", 0.4, False), ("", 0.0, False)]]
