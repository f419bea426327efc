"""The tasks of the pages in docs/gallery: read, run, listed."""

import ast
import contextlib
import hashlib
import io
import re
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "gallery"
PAGES = ("prices", "fits", "surfaces", "many")
MOST_LINES = 3
STYLE = {"font.size": 14.0}  # of matplotlib: readable on a phone too
BEGIN = "<!-- begin: written by `make gallery` -->\n"
END = "<!-- end: written by `make gallery` -->\n"
_SECTION = re.compile(r"^## (.+)\n", re.MULTILINE)
_BLOCK = r"^```{0}\n(.*?)^```$"
_PICTURE = re.compile(r"^!\[(.+)\]\(images/([\w.]+\.png)\)$", re.MULTILINE)


class Task(NamedTuple):
    """One task of a page.

    Attributes:
        page: Name of the page, without suffix.
        title: Heading of the task.
        sentence: What it is for.
        start: Python that begins the page: the imports.
        data: Python that makes the data of the task; "" where it needs none.
        code: Python of the task itself.
        output: What the page says that the task shows.
        picture: File name and alternative text of its picture, or None.
    """

    page: str
    title: str
    sentence: str
    start: str
    data: str
    code: str
    output: str
    picture: tuple[str, str] | None

    @property
    def anchor(self) -> str:
        """The address of its heading in the page, as Markdown makes it."""
        return re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", self.title).strip().lower())

    @property
    def digest(self) -> str:
        """A hash of the code that draws the picture, which the picture keeps."""
        return hashlib.sha256("\n".join([self.start, self.data, self.code]).encode()).hexdigest()[:16]


class Shown(NamedTuple):
    """What a task leaves: its names, the text that it shows, and the value of its last line."""

    names: dict[str, Any]
    text: str
    value: Any


def read(page: str) -> list[Task]:
    """Read the tasks of a page."""
    parts = _SECTION.split((FOLDER / f"{page}.md").read_text(encoding="utf-8"))
    start = _block(parts[0], "python")
    return [_task(page, start, *pair) for pair in zip(parts[1::2], parts[2::2], strict=True)]


def tasks() -> list[Task]:
    """Read all tasks."""
    return [task for page in PAGES for task in read(page)]


def run(task: Task) -> Shown:
    """Run a task as a notebook would: what it prints, then the value of its last line."""
    names: dict[str, Any] = {"__name__": "__main__"}
    where = f"{task.page}.md, {task.title}"
    exec(compile(task.start + task.data, where, "exec"), names)
    body = ast.parse(task.code)
    last = body.body.pop() if isinstance(body.body[-1], ast.Expr) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(body, where, "exec"), names)
        value = eval(compile(ast.Expression(last.value), where, "eval"), names) if last else None
    text = printed.getvalue()
    if value is not None and task.picture is None:
        text += f"{value!r}\n"
    return Shown(names, re.sub(r" +$", "", text, flags=re.MULTILINE), value)


def index_list(every: list[Task]) -> str:
    """Write the pictures and the list of tasks of `index.md`."""
    lines = []
    for task in every:
        if task.picture:
            name, alternative = task.picture
            lines.append(f"[![{alternative}](images/{name})]({task.page}.md#{task.anchor})")
    for page in PAGES:
        heading = (FOLDER / f"{page}.md").read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        lines += [f"\n## [{heading}]({page}.md)\n", "| task | what it gives |", "| --- | --- |"]
        lines += [
            f"| [{task.title}]({page}.md#{task.anchor}) | {task.sentence} |"
            for task in every
            if task.page == page
        ]
    return "\n".join(lines) + "\n"


def indexed(every: list[Task]) -> str:
    """The text of `index.md` with the list of these tasks."""
    text = (FOLDER / "index.md").read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + index_list(every) + END + rest.partition(END)[2]


def _block(text: str, info: str) -> str:
    found = re.search(_BLOCK.format(re.escape(info)), text, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


def _task(page: str, start: str, title: str, text: str) -> Task:
    picture = _PICTURE.search(text)
    return Task(
        page=page,
        title=title,
        sentence=" ".join(text.strip().partition("\n\n")[0].split()),
        start=start,
        data=_block(text, 'python title="Data"'),
        code=_block(text, 'python title="Task"'),
        output=_block(text, 'text title="Output"'),
        picture=(picture[2], picture[1]) if picture else None,
    )
