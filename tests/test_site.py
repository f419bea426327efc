"""The site that `make docs` builds: its inventory, its search, its pages in a browser.

Without a site in `site/` the tests are skipped.
"""

import re
import zlib
from pathlib import Path
from urllib.parse import quote_plus

import pytest

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "site"
FILES = [path.relative_to(SITE) for path in sorted(SITE.rglob("*.html"))]
PAGES = [path.as_posix() for path in FILES if path.parts[0] != "_static"]
PUBLIC = (ROOT / "tests" / "public_names.txt").read_text(encoding="utf-8").split("\n")
OTHERS = [
    "neutral.options.american.price",
    "neutral.market.implied_forwards",
    "neutral.diagnostics.Identifiability",
    "neutral.ml.sample_cube",
    "neutral.plot.smile",
    "neutral.workflow.run",
    "neutral.Heston.feller_ratio",
    "neutral.Greeks.delta",
]
SEARCHES = {
    "greeks pandas": "tables.html#prices-on-your-index",
    "dataframe": "tables.html#columns",
    "dividends": "forwards.html",
    "fix a parameter": "calibration.html#recipes-losses-priors",
    "neutral.calibrate": "reference/calibration.html#neutral.calibrate",
}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (SITE / "objects.inv").exists(), reason="no site: run `make docs`"),
]


def inventory() -> dict[str, str]:
    """Names of the inventory, each with its page and anchor."""
    packed = (SITE / "objects.inv").read_bytes().split(b"\n", 4)[4]
    entry = re.compile(r"^(\S+) py:\w+ \S+ (\S+) ", re.MULTILINE)
    found = entry.findall(zlib.decompress(packed).decode())
    return {name: place.replace("$", name) for name, place in found}


def test_every_public_name_is_in_the_inventory():
    names = [f"neutral.{line.partition('(')[0]}" for line in PUBLIC if line]
    found = inventory()
    assert len(names) > 100
    assert not [name for name in (*names, *OTHERS) if name not in found]


def test_the_inventory_leads_to_anchors():
    texts = {page: (SITE / page).read_text(encoding="utf-8") for page in PAGES}
    places = [place.split("#") for place in inventory().values()]
    assert len(places) > 500
    assert not [f"{page}#{anchor}" for page, anchor in places if f'id="{anchor}"' not in texts[page]]


def test_signatures_have_types():
    text = re.sub(r"<[^>]+>", "", (SITE / "reference" / "pricing.html").read_text(encoding="utf-8"))
    for line in ("model: AbstractFourierModel", "strike: ArrayLike | None = None"):
        assert line in text


def test_no_page_names_another_host():
    pattern = re.compile(r"""<(?:script|link|img|iframe)[^>]*(?:src|href)=["']?(?:https?:)?//[^>]*>""")
    faults = {page: pattern.findall((SITE / page).read_text(encoding="utf-8")) for page in PAGES}
    assert not {page: found for page, found in faults.items() if found}


@pytest.mark.parametrize("query", SEARCHES)
def test_search_leads_to_the_right_page(query, browser):
    page = browser.new_page()
    page.goto(f"{(SITE / 'search.html').as_uri()}?q={quote_plus(query)}")
    first = page.locator("ul.search li > a").first
    address = first.get_attribute("href", timeout=10_000)
    page.close()
    path, _, anchor = address.partition("#")
    found = path.partition("?")[0].removeprefix(f"{SITE.as_uri()}/") + (f"#{anchor}" if anchor else "")
    assert found == SEARCHES[query]


@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (400, "dark")])
def test_pages_open_whole_and_ask_for_nothing_from_outside(width, scheme, browser):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    faults = []
    page.on("console", lambda message: message.type in ("error", "warning") and faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda x: x.url.startswith(("file:", "data:")) or faults.append(x.url))
    shown = [name for name in PAGES if name not in ("search.html", "genindex.html", "py-modindex.html")]
    assert len(shown) > 30
    for name in shown:
        page.goto((SITE / name).as_uri())
        if page.locator(".math").count():
            page.wait_for_selector(".katex")
        broken = page.locator(".katex-error").count()
        wide = page.evaluate("document.documentElement.scrollWidth")
        faults += [f"{name}: {broken} formulas"] * (broken > 0) + [f"{name}: {wide} px"] * (wide > width)
    context.close()
    assert not faults
