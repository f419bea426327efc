"""Writes files so that each is either complete or unchanged, even after a crash.

A file is written under a temporary name, flushed to the disk and renamed; then its folder is flushed as well.
"""

import hashlib
import json
import os
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from .errors import DataError, NeutralError

PARTIAL = ".partial"
DIGEST = "digest"
# what the content of a file that was not written here, or that has changed, can raise
DAMAGE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError, SyntaxError)
# the same of compressed files, where encryption is a RuntimeError, and unknown compression one of its kind
ARCHIVE_DAMAGE = (*DAMAGE, OSError, EOFError, MemoryError, RuntimeError, BadZipFile, zlib.error)
LONGEST_NAME = 120  # bytes of a part of a file name; file systems take 255 for all parts together


class WriteError(NeutralError, OSError):
    """A file could not be written. A file that existed before is unchanged."""


def replace(path: Path, write: Callable[[Path], object]) -> str:
    """Write a file under a temporary name beside it, and rename that file when it is complete.

    Args:
        path: The file to create or to replace.
        write: A function that writes the content to the temporary path, its argument.

    Returns:
        The SHA-256 of the content, hexadecimal.

    Raises:
        WriteError: The disk is full, or writing is not allowed.
    """
    partial = path.with_name(path.name + PARTIAL)
    with writing(path):
        try:
            write(partial)
            with partial.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                os.fsync(file.fileno())
            os.replace(partial, path)
            sync_folder(path.parent)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    return digest


def write_text(path: Path, text: str) -> str:
    """Write a text file in UTF-8 with `replace`, and return its SHA-256.

    Raises:
        WriteError: The disk is full, or writing is not allowed.
    """
    return replace(path, lambda partial: _write(partial, text))


def file_name(text: str) -> str:
    """Return text as a part of a file name, which cannot leave the folder and differs for different texts.

    Letters, digits, `-`, `_`, `+` and inner dots are kept. Any other character becomes `%` and
    the hexadecimal digits of its bytes in UTF-8, as in a web address. Long text ends in its SHA-256.
    """
    name = re.sub(r"[^A-Za-z0-9_.+-]|^\.|\.$", _percent, text) or "%"
    if len(name) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{name[: LONGEST_NAME - 33]}%{digest[:32]}"


def _percent(character: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in character.group().encode("utf-8", "surrogatepass"))


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an error of the operating system into a message that names the file and the remedy.

    Raises:
        WriteError: The body of the `with` statement raised an `OSError`.
    """
    try:
        yield
    except WriteError:
        raise
    except OSError as error:
        cause = os.strerror(error.errno) if error.errno else str(error)
        raise WriteError(
            f"cannot write {path}: {cause}. Files that were complete before are intact. Free disk space or "
            "allow writing there, and try again."
        ) from error


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return content for a JSON file with its own SHA-256 under the key `DIGEST`; see `check_seal`."""
    return {**content, DIGEST: _digest(content)}


def check_seal(path: Path, content: Mapping[str, Any], required: bool = False) -> None:
    """Refuse the content of a file that has changed since `sealed` made it.

    Args:
        path: The file, for the message.
        content: Its content.
        required: Whether content without a digest is refused too. Older formats have none.

    Raises:
        DataError: The digest is not that of the content, or is required and missing.
    """
    if (required or DIGEST in content) and not _is_whole(content):
        raise DataError(
            f"{path}: is damaged: its content is not that of its SHA-256. Restore the file from a copy, or "
            "move it away and write it again."
        )


def _is_whole(content: Mapping[str, Any]) -> bool:
    """Whether content has its own digest; content that is nested too deeply to be written has none."""
    try:
        return content.get(DIGEST) == _digest(content)
    except RecursionError:
        return False


def _digest(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of content apart from its digest, whatever the layout and order of its text."""
    plain = {key: value for key, value in content.items() if key != DIGEST}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def append_line(path: Path, line: str) -> None:
    """Append a line to a text file.

    Raises:
        WriteError: The disk is full, or writing is not allowed.
    """
    with writing(path), path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Flush a folder to the disk, so that a rename in it survives a crash.

    Nothing is done on systems that do not allow a folder to be opened.
    """
    try:
        handle = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
