"""Defines the command `neutral demo`."""

from pathlib import Path

import typer

from . import options


def demo(out: options.OutFolder = Path("neutral-demo")) -> None:
    """Calibrate four models to twelve real Deribit snapshots, and write a page of tables and figures."""
    options.start_jax()
    from ..workflow.progress import doing, shown

    with doing("loading the rest of the package"):
        from ..workflow.demo import demonstrate

    with shown() as progress:
        demonstration = demonstrate(out, progress)
    print(f"{demonstration.summary}\n{demonstration.page}")
    raise typer.Exit(0 if demonstration.summary.complete else 1)
