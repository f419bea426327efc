"""Writes messages for a terminal: no sentence twice, options in place of arguments, no control characters."""

import ast
import re
import shlex
from collections.abc import Mapping

SENTENCE = re.compile(r"(?<=\.) (?=[A-Z])")  # where one ends and the next one begins
ALSO_AS_OPTION = re.compile(r"columns=\{[^{}]*\} or (?=--columns )")
ARGUMENT = re.compile(r"columns=(\{[^{}]*\})")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class Once:
    """Shortens messages: a sentence that an earlier message had is left out of the next ones."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def __call__(self, message: str) -> str:
        """Return a message without the sentences that were told before."""
        new = [sentence for sentence in SENTENCE.split(message) if sentence not in self._told]
        self._told.update(new)
        return " ".join(new)


def printable(text: object) -> str:
    r"""Return a text as one line, in which what would move the cursor is written like \x1b or \n."""
    return CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), str(text))


def for_command_line(text: object) -> str:
    """Return a text for a terminal: arguments of functions are options there; lines stay lines."""
    lines = ARGUMENT.sub(_as_options, ALSO_AS_OPTION.sub("", str(text))).split("\n")
    return "\n".join(map(printable, lines))


def _as_options(match: re.Match[str]) -> str:
    """Write the argument `columns` as options; a text that is no mapping stays as it is."""
    try:
        columns: Mapping[str, str | list[str]] = ast.literal_eval(match[1])
        pairs = [(name, each) for name, x in columns.items() for each in ([x] if isinstance(x, str) else x)]
    except (ValueError, SyntaxError, TypeError, AttributeError):
        return match[0]
    return " ".join(f"--columns {shlex.quote(f'{name}={column}')}" for name, column in pairs)
