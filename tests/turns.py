"""The dearest tests take turns: `make test` runs a third of them, chosen by the `turn` of `parts.toml`.

`times.toml` has what takes long. What a landing's files touch runs before it lands, whatever the turn (`tests.parts`);
`make full` and a run that names its tests leave nothing out. The rows of a test take turns one by one.
"""

from __future__ import annotations

import os
import tomllib
import zlib
from collections.abc import Collection, Iterable
from functools import cache
from pathlib import Path
from typing import Any, Final

from tests import parts

TIMES: Final = Path(__file__).with_name("times.toml")
THIRDS: Final = 3
TURN: Final = "TURN"
"""Another turn than that of `parts.toml`, to run what it leaves out."""
CHANGED: Final = "MANDATE_TEST_CHANGED"
"""The files that a landing changes, one a line, while its tests run before it."""


def has_turn(name: str, about: Collection[str] = ()) -> bool:
    """Return whether this run looks at a row, named for good; `about` are the files of the product behind it, if known."""
    if parts.is_whole():
        return _is_of_this_third(name)
    if CHANGED in os.environ:
        return not _is_of_this_third(name) and is_touched(about, changed())
    return True


def is_left_out(test: str) -> bool:
    """Whether a run leaves a test out, named by its id, because it is dear and has no turn."""
    return is_dear(test) and not has_turn(test, about(test))


def is_dear(test: str) -> bool:
    """Whether a test takes turns. What walks over everything looks at its rows by turn instead, and always runs."""
    return test.partition("[")[0] in _read()["seconds"] and not is_walk(test)


def is_walk(test: str) -> bool:
    """Whether a test asks `has_turn` itself."""
    return test.startswith(tuple(_read()["walks"]))


def about(test: str) -> tuple[str, ...]:
    """Return the files that a test is about, by the room that its folder is named for; none if it is about all."""
    module = test.partition("::")[0]
    rooms = [path for name in module.split("/")[2:-1] for path in _rooms(name)]
    return (module, *rooms) if rooms else ()


def of_module(name: str) -> tuple[str, ...]:
    """Return the files of the room in which a module of the product stands."""
    return _rooms(name.split(".")[1])


def is_touched(files: Collection[str], by: Iterable[str]) -> bool:
    """Return whether a change of files concerns what is about these; what is about none is about all."""
    return not files or any(name.startswith(tuple(files)) for name in by)


def changed() -> list[str]:
    """Return the files that the landing changes."""
    return os.environ[CHANGED].splitlines()


@cache
def _rooms(name: str) -> tuple[str, ...]:
    return tuple(path for path in parts.paths(name) if (parts.ROOT / path).exists() or (parts.ROOT / f"{path}py").exists())


@cache
def _read() -> dict[str, Any]:
    return tomllib.loads(TIMES.read_text())


@cache
def _turn() -> int:
    return int(os.environ.get(TURN) or parts.table().turn)


def _is_of_this_third(name: str) -> bool:
    return zlib.crc32(name.encode()) % THIRDS == _turn() % THIRDS
