"""The files of a command: their digest, which two people agreed on, and whether others could have changed them."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

MOST_FILES: Final = 50_000
MOST_BYTES: Final = 2 * 1024**3
PLACE: Final = "{package}"
"""Stands for the package's folder in a command and in its environment."""
_PIECE: Final = 1024 * 1024
_PROGRAMS: Final = ("/usr/", "/bin/")
"""Where programs lie that the operating system's own packages keep."""


class PackageRefused(Exception):
    """The files are not what was agreed on, or cannot be what a command is pinned to."""


def digest(folder: str) -> str:
    """Return the SHA-256 of a folder in hex: of each path, whether it can be run, and its bytes or where it points.

    Two folders with the same files have one digest, wherever they lie, of whichever owner. Raises PackageRefused for
    a folder that is not there, that others may write to, or that holds too much or something else than files.
    """
    root = Path(folder)
    if not root.is_absolute() or root.is_symlink() or not root.is_dir():
        raise PackageRefused(f"{folder} is no folder.")
    total, size = hashlib.sha256(), 0
    for number, path in enumerate(_sorted(root)):
        found = path.lstat()
        _check(path, found)
        size += found.st_size
        if number >= MOST_FILES or size > MOST_BYTES:
            raise PackageRefused(f"{folder} holds too much to be checked before each start.")
        total.update(_line(str(path.relative_to(root)), path, found))
    return total.hexdigest()


def check(folder: str, expected: str) -> None:
    """Refuse files that are others than those agreed on. Raises PackageRefused."""
    found = digest(folder)
    if found != expected:
        raise PackageRefused(f"The files below {folder} are not those that were agreed on: their digest is {found}.")


def filled(text: str, folder: str) -> str:
    """Return a part of a command, or a value of its environment, with the package's folder in its place."""
    return text.replace(PLACE, folder)


def is_program(path: str) -> bool:
    """Whether a command may begin with this: a file of the package, or one of the operating system."""
    parts = path.split("/")
    is_plain = ".." not in parts and "" not in parts[1:]
    return is_plain and path.startswith((f"{PLACE}/", *_PROGRAMS))


def _sorted(root: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(root):
        folders.sort()
        _check(Path(place), Path(place).lstat())
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        yield from (Path(place) / name for name in sorted([*files, *links]))


def _check(path: Path, found: os.stat_result) -> None:
    if stat.S_ISLNK(found.st_mode):
        return
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PackageRefused(f"{path} can be written to by others than its owner.")
    if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
        raise PackageRefused(f"{path} is neither a file nor a folder.")


def _line(name: str, path: Path, found: os.stat_result) -> bytes:
    is_link = stat.S_ISLNK(found.st_mode)
    kind = "link" if is_link else "program" if found.st_mode & stat.S_IXUSR else "file"
    content = hashlib.sha256(os.fsencode(path.readlink())).hexdigest() if is_link else _content(path)
    return f"{kind} {content} {name.encode(errors='surrogateescape').hex()}\n".encode()


def _content(path: Path) -> str:
    content = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                content.update(piece)
    except OSError as problem:
        raise PackageRefused(str(problem)) from problem
    return content.hexdigest()
