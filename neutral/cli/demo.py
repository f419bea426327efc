"""Defines the command `neutral demo`."""

from pathlib import Path

import typer

from . import interrupts, options

EXAMPLES = """Examples:

neutral demo

neutral demo --out first-results"""


def demo(out: options.OutFolder = Path("neutral-demo")) -> None:
    """Calibrate four models to twelve real Deribit snapshots, and write tables, and a page of figures."""
    from ..workflow.extras import require

    require(["tables", "page"])
    with interrupts.interruptible("finished blocks are stored, and the same command continues the run."):
        options.start_jax()
        from ..workflow.progress import doing, shown

        with doing("loading the rest of the package"):
            from ..workflow.demo import demonstrate
        with shown() as progress:
            demonstration = demonstrate(out, progress)
    options.show(demonstration.summary)
    options.print_files([*demonstration.tables, demonstration.page])
    raise typer.Exit(options.USABLE if demonstration.summary.usable else options.PARTLY_USABLE)
