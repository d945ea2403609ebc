"""Where checkpoints are published: places that a person who can rewrite the database cannot rewrite."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, Final, Protocol

_TAIL: Final = 64 * 1024


class Anchor(Protocol):
    """A place for notes. Raises OSError while it is out of reach."""

    is_readable: ClassVar[bool]

    def last(self) -> str:
        """The newest note that it has, or nothing."""

    def notes(self) -> Iterator[str]:
        """Return its notes, the newest first."""

    def publish(self, note: str) -> None:
        """Add a note, durably."""

    def beside(self, name: str) -> "Anchor":
        """Return the place of other notes beside these."""


@dataclass(slots=True)
class File:
    """An append-only file, best on another machine's disk. Notes follow each other, an empty line after each."""

    path: Path
    is_readable: ClassVar[bool] = True

    def last(self) -> str:
        """Read the last whole note; what a crash left half written after it is not one."""
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - _TAIL))
                tail = file.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return ""
        return next(reversed(split(tail)), "")

    def notes(self) -> Iterator[str]:
        """Read the whole file. Raises OSError, UnicodeDecodeError."""
        return reversed(split(self.path.read_text("utf-8")))

    def beside(self, name: str) -> "File":
        """Name a file in the same folder: this one's name with another ending."""
        return File(self.path.with_name(f"{self.path.name}.{name}"))

    def publish(self, note: str) -> None:
        """Append and flush to the disk. A half-written note before it is closed off by its own empty line."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            size = os.fstat(descriptor).st_size
            torn = size > 0 and os.pread(descriptor, 2, max(0, size - 2)) != b"\n\n"
            data = memoryview((("\n\n\n" if torn else "") + note + "\n").encode())
            while data:
                data = data[os.write(descriptor, data) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def split(text: str) -> list[str]:
    """Take the notes out of a file of them: body, empty line, signature lines, empty line."""
    blocks = [block for block in text.split("\n\n") if block.strip("\n")]
    notes: list[str] = []
    for body, signatures in pairwise(blocks):
        if signatures.startswith("\u2014 ") and not body.startswith("\u2014 "):
            notes.append(f"{body.strip(chr(10))}\n\n{signatures.strip(chr(10))}\n")
    return notes


@dataclass(slots=True)
class Elsewhere:
    """The anchors beside the file: the floors above know how to reach them."""

    by: Callable[[], Iterable[Anchor]] = tuple


ELSEWHERE: Final = Elsewhere()


def places(file: str) -> list[Anchor]:
    """Return every anchor of this installation, the file first."""
    return [File(Path(file)), *ELSEWHERE.by()]
