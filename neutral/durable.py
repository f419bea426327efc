"""Files that are either complete or absent, also after a crash.

A file is written under a temporary name, flushed to the disk, renamed, and its folder is flushed too.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import NeutralError

PARTIAL = ".partial"


class WriteError(NeutralError, OSError):
    """A file could not be written; what was there before is still there."""


def replace(path: Path, write: Callable[[Path], object]) -> str:
    """Write a file through a temporary one beside it.

    Args:
        path: The file to create or to replace.
        write: Writes the content to the temporary path that it is called with.

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
    """Write a text file with `replace` and return its SHA-256."""
    return replace(path, lambda partial: _write(partial, text))


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an error of the operating system into one line that names the file and the remedy."""
    try:
        yield
    except WriteError:
        raise
    except OSError as error:
        cause = os.strerror(error.errno) if error.errno else str(error)
        raise WriteError(
            f"cannot write {path}: {cause}. What was committed before is kept; "
            "once there is room, the same command continues from there."
        ) from error


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def append_line(path: Path, line: str) -> None:
    """Add a line to the end of a text file."""
    with writing(path), path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Flush a folder to the disk, so that a rename in it survives a crash.

    Where the system does not let a folder be opened, nothing is done.
    """
    try:
        handle = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
