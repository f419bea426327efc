"""Writes files so that each is either complete or unchanged, even after a crash.

A file is written under a temporary name, flushed to the disk and renamed; then its folder is flushed as well.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import NeutralError

PARTIAL = ".partial"


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
