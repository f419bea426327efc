"""Files that are whole or not there, also after a crash: temporary name, fsync, rename, fsync of folder."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import NeutralError

PARTIAL = ".partial"


class WriteError(NeutralError, OSError):
    """A file could not be written; what was there before is still there."""


def replace(path: Path, write: Callable[[Path], None]) -> str:
    """Write a file through a temporary one beside it.

    Args:
        path: File to make or to replace.
        write: Called with the temporary path; writes the content there.

    Returns:
        The SHA-256 of the content, hexadecimal.

    Raises:
        WriteError: the disk is full, or writing is not allowed.
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
    """Write a text file as `replace` does; its SHA-256."""
    return replace(path, lambda partial: _write(partial, text))


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the operating system says about a write into one line that names the file and the way on."""
    try:
        yield
    except WriteError:
        raise
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        raise WriteError(
            f"cannot write {path}: {why}. What was committed before is kept; "
            "once there is room, the same command goes on from there."
        ) from error


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def append_line(path: Path, line: str) -> None:
    """Add a line to a text file."""
    with writing(path), path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Make a rename in a folder last; a system whose folders cannot be opened does without."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
