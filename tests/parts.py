"""Which tests run when: `make test`, `make full`, and before a landing what its files touch.

`parts.toml` divides what `make test` leaves out into parts, each with the files that it is about. Of the tests that are
dear by `times.toml`, and of the rows of walks over everything, `make test` runs a quarter; the quarters take turns.
Continuous integration calls `python -m tests.parts` last: it runs what the changed files touch, dear tests and parts,
then a quarter of the other parts. So each of them runs once in four landings.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tomllib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Final

import pytest

from tests import again

TABLE: Final = Path(__file__).with_name("parts.toml")
TIMES: Final = Path(__file__).with_name("times.toml")
ROOT: Final = TABLE.parents[1]
FLOORS: Final = ("audit", "entitlements", "governance", "templates/console")
QUARTERS: Final = 4
WHOLE: Final = "MANDATE_TEST_WHOLE"
CHANGED: Final = "MANDATE_TEST_CHANGED"
"""The files that a landing changes, one a line, while the dear tests that they touch run."""
ARCHITECTURE: Final = "tests/architecture/"
"""What judges every file, each time."""
CPU_SECONDS: Final = 240
"""What the parts of one landing may take together, beside `make test`; what is over is printed as `NOT RUN`."""


@dataclass(frozen=True, slots=True)
class Part:
    """Tests that `make test` leaves out, the files they are about, and their CPU seconds when last measured."""

    name: str
    tests: tuple[str, ...]
    files: tuple[str, ...]
    seconds: int

    def has(self, test: str) -> bool:
        """Whether a test, named by its id, belongs to this part."""
        return test.startswith(self.tests)

    def is_about(self, files: Iterable[str]) -> bool:
        """Whether it is about any of these files, or one of them is its own."""
        return any(name.startswith((*self.files, *self.tests)) for name in files)


@dataclass(frozen=True, slots=True)
class Table:
    """What `parts.toml` says."""

    turn: int
    landings: tuple[str, ...]
    """The commits of the last four landings, the newest last."""
    smoke: tuple[str, ...]
    """The tests of parts that `make test` runs all the same."""
    parts: tuple[Part, ...]

    def is_left_out(self, test: str) -> bool:
        """Whether `make test` leaves a test out."""
        return not test.startswith(self.smoke) and any(part.has(test) for part in self.parts)

    def due(self) -> list[Part]:
        """Return the parts in the order in which their turn comes, those of this landing's quarter first."""
        ages = {part: (number - self.turn) % QUARTERS for number, part in enumerate(self.parts)}
        return sorted(self.parts, key=ages.__getitem__)


@cache
def table() -> Table:
    """Read the table."""
    read = tomllib.loads(TABLE.read_text())
    parts = (
        Part(name, tuple(each["tests"]), tuple(chain.from_iterable(map(paths, each["files"]))), each["seconds"])
        for name, each in read["parts"].items()
    )
    return Table(read["turn"], tuple(read["landings"]), tuple(read["smoke"]), tuple(parts))


def paths(name: str) -> list[str]:
    """Return where a room stands, on each floor and with its templates; a path is itself."""
    if "/" in name or (ROOT / name).is_file():
        return [name]
    return [f"{floor}/{name}{end}" for floor in FLOORS for end in ("/", ".")]


# --------------------------------------------------------------------------------------------- what pytest is told


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run be of everything, or of named parts; without either, and without a path, it is that of `make test`."""
    parser.addoption("--full", action="store_true", help="run all parts of tests/parts.toml as well")
    parser.addoption("--part", action="append", default=[], help="run this part of tests/parts.toml alone")
    parser.addoption("--touched", action="store_true", help="run the dear tests that a landing's files touch, alone")


def mark_whole(config: pytest.Config) -> None:
    """Note for this process and its workers whether the run is the whole of `make test`."""
    if not hasattr(config, "workerinput"):
        is_whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
        is_narrow = config.option.full or config.option.part or config.option.touched
        os.environ[WHOLE] = "1" if is_whole and not is_narrow else ""


def is_whole() -> bool:
    """Return whether this run is the whole of `make test`."""
    return bool(os.environ.get(WHOLE))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the modules of which nothing runs."""
    name = collection_path.relative_to(ROOT).as_posix() if collection_path.is_relative_to(ROOT) else ""
    if not name.endswith(".py"):
        return None
    if config.option.part:
        return not any(test.startswith(name) or name.startswith(test) for test in _named(config)) or None
    if not is_whole():
        return None
    is_smoke = any(test.startswith(name) for test in table().smoke)
    return (not is_smoke and table().is_left_out(name)) or None


def deselect(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests that this run is not about."""
    if config.option.part:
        kept = [item for item in items if item.nodeid.startswith(_named(config))]
    elif is_whole():
        kept = [item for item in items if not is_left_out(item.nodeid)]
    elif config.option.touched:
        kept = [
            item for item in items if is_walk(item.nodeid) or (is_dear(item.nodeid) and not is_left_out(item.nodeid))
        ]
    else:
        return
    left = set(items).difference(kept)
    config.hook.pytest_deselected(items=[item for item in items if item in left])
    items[:] = kept


def is_left_out(test: str) -> bool:
    """Whether this run leaves a test out, named by its id."""
    return table().is_left_out(test) or (is_dear(test) and not has_turn(test, about(test)))


def _named(config: pytest.Config) -> tuple[str, ...]:
    return tuple(test for part in table().parts if part.name in config.option.part for test in part.tests)


# ----------------------------------------------------------------------------------------- what is dear takes turns


def function(test: str) -> str:
    """Return the name of a test without that of its row."""
    return test.partition("[")[0]


@cache
def times() -> dict[str, float]:
    """Return the CPU seconds of each test that takes long, all its rows together."""
    seconds: dict[str, float] = tomllib.loads(TIMES.read_text())["seconds"]
    return seconds


@cache
def _walks() -> tuple[str, ...]:
    return tuple(tomllib.loads(TIMES.read_text())["walks"])


def seconds(tests: Collection[str]) -> float:
    """Return the CPU seconds of the tests of one module; where none was measured, a share of what its part takes."""
    known = sum(times().get(test, 0.0) for test in tests)
    return known or sum(part.seconds / len(part.tests) for part in table().parts if part.has(min(tests)))


def is_walk(test: str) -> bool:
    """Whether a test walks over rows of which each asks for its turn; it always runs."""
    return test.startswith(_walks())


def is_dear(test: str) -> bool:
    """Whether a test, named by its id, takes turns."""
    return function(test) in times() and not test.startswith((*_walks(), *table().smoke, ARCHITECTURE))


def has_turn(name: str, files: Collection[str]) -> bool:
    """Return whether this run looks at a dear test or at a row of a walk.

    `name` stays the same from run to run; `files` are those that it is about, none if it is about all. A run of named
    tests, of parts or of everything leaves nothing out.
    """
    is_now = (_number(name) - table().turn) % QUARTERS == 0
    if is_whole():
        return is_now
    if CHANGED in os.environ:
        changed = os.environ[CHANGED].splitlines()
        return not is_now and (not files or any(each.startswith(tuple(files)) for each in changed))
    return True


def _number(name: str) -> int:
    return hashlib.sha256(name.encode()).digest()[-1]


def about(test: str) -> tuple[str, ...]:
    """Return the files that a test is about, by the rooms that its folders are named for; none if it is about all."""
    module = test.partition("::")[0]
    rooms = tuple(path for name in module.split("/")[1:-1] for path in _rooms(name))
    return (module, *rooms) if rooms else ()


def of_module(name: str) -> tuple[str, ...]:
    """Return the files of the room in which a module of the product stands."""
    return _rooms(name.split(".")[1])


@cache
def _rooms(name: str) -> tuple[str, ...]:
    return tuple(path for path in paths(name) if (ROOT / path).exists() or (ROOT / f"{path}py").exists())


# -------------------------------------------------------------------------------------------------- before a landing


def changed_since(commit: str) -> list[str]:
    """Return the files that differ from a commit."""
    listed = subprocess.run(
        ["git", "diff", "--name-only", "--no-renames", commit, "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return listed.stdout.splitlines()


def chosen(of: Table, changed: Collection[str]) -> tuple[list[Part], list[Part], list[Part]]:
    """Return the parts that the changed files touch, those whose turn it is, and those for which there is no time."""
    touched = [part for part in of.due() if part.is_about(changed)]
    turn = [part for part in of.due()[: -(-len(of.parts) // QUARTERS)] if part not in touched]
    left, seconds = [], 0
    for part in [*touched, *turn]:
        seconds += part.seconds
        if seconds > CPU_SECONDS:
            left.append(part)
            seconds -= part.seconds
    return [part for part in touched if part not in left], [part for part in turn if part not in left], left


def run(parts: Sequence[Part]) -> set[str]:
    """Run parts, what failed once more alone; returns the tests that failed twice, or the parts' names if it broke."""
    return _run([option for part in parts for option in ("--part", part.name)])


def _run(options: Sequence[str]) -> set[str]:
    command = [sys.executable, "-m", "pytest", "-n", os.environ.get("WORKERS", "3"), "--dist", "worksteal"]
    for line in ([*command, "-m", "not soak", *options], [sys.executable, "-m", again.__name__]):
        if subprocess.run(line, cwd=ROOT, check=False).returncode == 0:
            return set()
    return set(again.FAILED.read_text().splitlines()) if again.FAILED.exists() else {*options} - {"--part"}


def run_touched(changed: Collection[str]) -> set[str]:
    """Run the dear tests that had no turn in `make test` and that the changed files touch; returns as `run` does."""
    modules = {test.partition("::")[0] for test in (*times(), *_walks())}
    os.environ[CHANGED] = "\n".join(changed)
    try:
        return _run(["--touched", *sorted(modules)])
    finally:
        del os.environ[CHANGED]


def main() -> int:
    """Run what belongs to this landing. Returns 1 if a part is red that its files touch."""
    of = table()
    base = os.environ.get("CI_BASE") or of.landings[-1]
    changed = changed_since(base)
    touched, turn, left = chosen(of, changed)
    print("parts that the changed files touch:", *(part.name for part in touched))
    print("parts whose turn it is:", *(part.name for part in turn))
    for part in left:
        print("NOT RUN", part.name)
    red = run_touched(changed) | (run(touched) if touched else set())
    rotation = run(turn) if turn else set()
    recent = changed_since(of.landings[0])
    for part in turn:
        if found := {test for test in rotation if test == part.name or part.has(test)}:
            red |= found if part.is_about(recent) else set()
            print("ROTATION RED", part.name, *sorted(found))
    for test in sorted(red):
        print("RED", test)
    return int(bool(red))


if __name__ == "__main__":
    sys.exit(main())
