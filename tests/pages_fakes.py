"""A page with every kind of block, for tests of templates and of what a browser makes of them."""

import numpy as np

from neutral.workflow.pages import blocks, charts

NASTY = "</script><script>alert(1)</script>\"'& <b>"


def chart(title: str = "Smiles", **options) -> charts.Chart:
    series = [
        charts.Series(
            "bid to ask", x=[-0.1, 0.1], style="bars", colour=charts.QUIET, low=[20, 19], high=[22, 21]
        ),
        charts.Series("model", [21.0, np.nan], x=[-0.1, 0.1], notes=[title, title]),
    ]
    view = charts.View([charts.Panel(series, title)], label=title, forward=100.0, t=0.25)
    return charts.Chart(
        title=title,
        caption=title,
        alt=title,
        x=charts.Axis("log-moneyness", "moneyness"),
        y=charts.Axis("volatility, %", unit=" %"),
        views=[view, view],
        **options,
    )


def solid() -> charts.Chart:
    years = np.geomspace(0.02, 1.0, 6)
    moneyness = np.linspace(-2.0, 2.0, 9)
    grid = charts.Grid(
        label="one",
        moneyness=moneyness,
        years=years,
        vols=20.0 + moneyness[None] ** 2 + 0.0 * years[:, None],
        at_the_money=np.full(6, 20.0),
        forwards=np.full(6, 100.0),
        ticks=[(0.02, "2026-01-01"), (1.0, "2027-01-01")],
    )
    axes = {"x": charts.Axis("moneyness", "moneyness"), "y": charts.Axis("maturity")}
    return charts.Chart(title="Surface", caption="A surface.", alt="A surface.", grids=[grid], **axes)


def page(text: str = "plain") -> blocks.Page:
    values = [("b", 2.0), ("a", 10.0), ("c", np.nan), (text, 1.0)]
    table = blocks.table(
        ["name", "value"], [[name, blocks.number(x, ".1f")] for name, x in values], (0,), text, stacked=True
    )
    heat = blocks.HeatMap(
        title=text,
        caption=text,
        alt=text,
        corner="",
        rows=[text],
        columns=["x", "y"],
        values=np.array([[-0.5, np.nan]]),
        form=".1f",
        most=1.0,
    )
    body = [
        blocks.Tiles([(text, text)]),
        blocks.Items([text]),
        blocks.Heading(text),
        table,
        blocks.Group([heat, blocks.Fold(text, [blocks.Text(text)])]),
    ]
    sections = [
        blocks.Section(text, body, "first", outcome="warn"),
        blocks.Section("Surface", [solid()], "second"),
    ]
    return blocks.Page(text, text, [blocks.Text(text, "lead")], sections, [chart(text)])
