"""Write the gates and settings that playbooks in docs/playbooks/ quote, from the configurations in configs/.

`python .ci/playbooks.py` rewrites what lies between the markers; with `--check` it only fails where a page is
out of date. `<!-- begin: gates of NAME -->` begins a table of the limits of a configuration of the pipeline,
and `<!-- begin: settings of NAME: SECTION, ... -->` quotes sections of a configuration.
"""

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

from neutral.workflow.pipeline.run import SETS

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = ROOT / "configs"
PAGES = ROOT / "docs" / "playbooks"
QUOTED = re.compile(
    r"(<!-- begin: (?P<what>gates|settings) of (?P<name>\w+)(?:: (?P<sections>[\w, ]+))? -->\n)"
    r".*?(<!-- end -->\n)",
    re.DOTALL,
)
STAGES = {limits: stage for stage, limits in SETS.items()}  # from set to stage
RULES = {
    "below": "below {}",
    "at_most": "at most {}",
    "above": "above {}",
    "at_least": "at least {}",
    "between": "{} to {}",
}


def gates_of(name: str) -> str:
    """The table of the limits of a configuration, for the use of its fits that it names."""
    config = tomllib.loads((CONFIGS / f"{name}.toml").read_text(encoding="utf-8"))
    limits = tomllib.loads((CONFIGS / "gates.toml").read_text(encoding="utf-8"))["gate"]
    sets = STAGES | {playbook: playbook for playbook in config["gates"]["playbooks"]}
    rows = [
        f"| {sets[gate['set']]} | {gate['name']} | `{gate['measure']}` "
        f"| {limit_of(gate, config['application'])} | {gate['otherwise']} | {gate['meaning']} |"
        for gate in limits
        if gate["set"] in sets
    ]
    header = "| stage or set | gate | measurement | limit | otherwise | what a violation means |"
    return "\n".join(["", header, "| --- | --- | --- | --- | --- | --- |", *rows, "", ""])


def limit_of(gate: dict[str, Any], application: str) -> str:
    """The limit of a gate in words; where it depends on the use, also those of the other uses."""
    rule = next(rule for rule in RULES if rule in gate)
    by_use = gate[rule] if isinstance(gate[rule], dict) else {application: gate[rule]}
    ends = by_use[application] if isinstance(by_use[application], list) else [by_use[application]]
    others = [f"{use} {value:g}" for use, value in by_use.items() if use != application]
    return RULES[rule].format(*(f"{end:g}" for end in ends)) + (f" ({', '.join(others)})" if others else "")


def settings_of(name: str, sections: list[str]) -> str:
    """Sections of a configuration, as the file has them."""
    text = (CONFIGS / f"{name}.toml").read_text(encoding="utf-8")
    parts = re.split(r"^(?=(?:# )?\[)", text, flags=re.MULTILINE)
    chosen = [part.rstrip() for section in sections for part in parts if part.startswith(f"[{section}]")]
    if len(chosen) != len(sections):
        raise SystemExit(f"{name}.toml lacks one of the sections {', '.join(sections)}")
    return "\n".join(["", "```toml", "\n\n".join(chosen), "```", "", ""])


def written(page: str) -> str:
    """A page with its quotations as the configurations have them."""

    def quotation(match: re.Match[str]) -> str:
        if match["what"] == "gates":
            return match[1] + gates_of(match["name"]) + match[5]
        return match[1] + settings_of(match["name"], match["sections"].split(", ")) + match[5]

    return QUOTED.sub(quotation, page)


def main(*arguments: str) -> int:
    """Rewrite the pages, or with `--check` return 1 where one is out of date."""
    outdated = 0
    for path in sorted(PAGES.glob("*.md")):
        page = path.read_text(encoding="utf-8")
        new = written(page)
        if new == page:
            continue
        outdated = 1
        if "--check" in arguments:
            print(f"{path.relative_to(ROOT)} is out of date: run python .ci/playbooks.py", file=sys.stderr)
        else:
            path.write_text(new, encoding="utf-8")
    return outdated if "--check" in arguments else 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
