"""Tutorials and playbooks are true: they run from top to bottom, and quote the configurations exactly."""

import contextlib
import io
import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import jax
import pytest

typer = pytest.importorskip("typer")

from neutral import cli  # noqa: E402 - without typer this file is skipped

ROOT = Path(__file__).resolve().parent.parent
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
PLAYBOOKS = sorted((ROOT / "docs" / "playbooks").glob("*.md"))
PAGES = [*TUTORIALS, *PLAYBOOKS]
SECTIONS = (
    "Objective",
    "Prerequisites",
    "Workflow",
    "Gates",
    "Rollback",
    "Monitoring",
    "Success criteria",
)


def blocks(page: Path) -> Iterator[tuple[int, str, str]]:
    """Line number, language and text of each block of code."""
    text = page.read_text(encoding="utf-8")
    for block in re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield text.count("\n", 0, block.start(2)), block[1], block[2]


def commands(text: str) -> Iterator[tuple[list[str], str, int]]:
    """Arguments, the file of the output or "", and the exit code of each command of a block."""
    for line in text.splitlines():
        if not line.startswith("neutral "):
            continue
        command, _, code = line.partition("# exit code")
        words, _, output = command.partition(" > ")
        yield shlex.split(words)[1:], output.strip(), int(code or 0)


def run(arguments: list[str], output: str, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["neutral", *arguments])
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), pytest.raises(SystemExit) as stop:
        cli.main()
    assert (stop.value.code or 0) == code, printed.getvalue()
    if output:
        Path(output).write_text(printed.getvalue(), encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pages_run_from_top_to_bottom(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "__main__"}
    ran = 0
    for line, language, text in blocks(page):
        if language == "python":
            with jax.numpy_rank_promotion("allow"):  # as a user runs it
                exec(compile("\n" * line + text, str(page), "exec"), namespace)
        elif language == "sh":
            for command in commands(text):
                run(*command, monkeypatch)
        ran += language in ("python", "sh")
    assert ran


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_and_their_options_exist(page):
    root = typer.main.get_command(cli.app)
    for _, language, text in blocks(page):
        for arguments, _, _ in commands(text) if language in ("sh", "text") else ():
            name, *rest = arguments
            context = root.commands[name].make_context(name, [], resilient_parsing=True)
            root.commands[name].make_parser(context).parse_args(rest)


@pytest.mark.parametrize("page", PLAYBOOKS, ids=lambda page: page.stem)
def test_playbooks_have_every_section(page):
    text = page.read_text(encoding="utf-8")
    found = re.findall(r"^## (.+)$|^\*\*(.+)\.\*\* ", text, re.MULTILINE)
    titles = [heading or bold for heading, bold in found if (heading or bold) in SECTIONS]
    assert titles == list(SECTIONS)


def test_playbooks_quote_the_configurations_as_they_are(tmp_path):
    written = runpy.run_path(str(ROOT / ".ci" / "playbooks.py"))["written"]
    quoting = [page for page in PLAYBOOKS if "<!-- begin: " in page.read_text(encoding="utf-8")]
    assert len(quoting) >= 4
    for page in quoting:
        text = page.read_text(encoding="utf-8")
        assert written(text) == text, f"{page.name} is out of date: run python .ci/playbooks.py"
    changed = quoting[0].read_text(encoding="utf-8").replace("min_", "least_")
    assert written(changed) != changed


def test_every_limit_of_a_playbook_is_on_its_page():
    from neutral.workflow.pipeline.config import load_pipeline_config
    from neutral.workflow.pipeline.run import SETS

    for name in ("heston_index", "svcj_deribit"):
        text = (ROOT / "docs" / "playbooks" / f"{name}.md").read_text(encoding="utf-8")
        config = load_pipeline_config(name)
        limits = [limit for limit in config.limits if limit.set in (*SETS.values(), *config.gates.playbooks)]
        assert len(limits) > 20
        for limit in limits:
            row = next(line for line in text.splitlines() if f"| {limit.name} | `{limit.measure}` |" in line)
            assert all(f"{end:g}" in row for end in limit.of(config.application)), row
            assert f"| {limit.otherwise} | {limit.meaning} |" in row


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_to_headings_that_exist(page):
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text(encoding="utf-8")):
        path, _, heading = target.partition("#")
        text = (page.parent / path if path else page).resolve().read_text(encoding="utf-8")
        slugs = {
            re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", title.strip().lower()))
            for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        }
        assert not heading or heading in slugs, f"{page.name}: {target}"
