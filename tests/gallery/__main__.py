"""Runs the tasks of the gallery, and writes what they show into its pages.

`python -m gallery [PAGE ...]`, with `tests` on the path (`make gallery`), writes the output of each task
below it, draws its picture, and writes the list of `index.md`.
"""

import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .tasks import FOLDER, PAGES, STYLE, Task, indexed, read, run, tasks

WIDTH = 800  # pixels of a picture
COLOURS = 160


def main(*pages: str) -> None:
    """Run the tasks of pages and write what they show."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams.update(STYLE)
    for page in pages or PAGES:
        for task in read(page):
            with _in_new_folder():
                shown = run(task)
            if task.picture:
                draw(shown.value, task, FOLDER / "images" / task.picture[0])
            _write(task, shown.text)
            print(f"{page}.md: {task.title}")
    (FOLDER / "index.md").write_text(indexed(tasks()), encoding="utf-8")


def draw(figure: Any, task: Task, path: Path) -> None:
    """Write a figure as a small PNG that names the code it was drawn by."""
    from PIL import Image, PngImagePlugin

    raw = io.BytesIO()
    figure.savefig(raw, dpi=WIDTH / figure.get_size_inches()[0])
    image = Image.open(raw).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    note = PngImagePlugin.PngInfo()
    note.add_text("Source", task.digest)
    image.save(path, optimize=True, pnginfo=note)


def _write(task: Task, text: str) -> None:
    """Put the output of a task in the place of the one that its page has."""
    path = FOLDER / f"{task.page}.md"
    page = path.read_text(encoding="utf-8")
    fence = '```python title="Task"\n' + task.code + "```\n"
    output = '\n```text title="Output"\n{}```\n'
    before = fence + (output.format(task.output) if task.output else "")
    after = fence + (output.format(text) if text else "")
    if page.count(before) != 1:
        raise SystemExit(f"{path.name}: the code of {task.title!r} is not there once; make it different.")
    path.write_text(page.replace(before, after), encoding="utf-8")


@contextlib.contextmanager
def _in_new_folder() -> Iterator[None]:
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(here)


if __name__ == "__main__":
    main(*sys.argv[1:])
