"""How everything is measured: turns taken in one run, medians, percentiles and ratios, printed as one table."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Times:
    """What one contender took: seconds of single operations, and its servers' core-seconds for `counted` of them.

    `database` are the core-seconds of PostgreSQL meanwhile, zero where they were not asked for.
    """

    seconds: list[float] = field(default_factory=list)
    cpu: float = 0.0
    counted: int = 0
    database: float = 0.0
    rounds: list[float] = field(default_factory=list)
    rounds_with_database: list[float] = field(default_factory=list)

    def add(self, other: Times) -> None:
        """Take in another turn."""
        self.seconds += other.seconds
        self.cpu += other.cpu
        self.counted += other.counted
        if other.cpu:
            self.rounds.append(other.counted / other.cpu)
        if other.database:
            self.rounds_with_database.append(other.counted / (other.cpu + other.database))

    def at(self, share: float) -> float:
        """Return the time in seconds that this share of the operations stayed within."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    @property
    def per_core_second(self) -> float:
        """Return operations for each core-second of the servers: the median of the turns."""
        return statistics.median(self.rounds) if self.rounds else 0.0

    @property
    def with_database(self) -> float:
        """Return operations for each core-second of the servers and PostgreSQL: the median of the turns."""
        return statistics.median(self.rounds_with_database) if self.rounds_with_database else 0.0


def interleaved(contenders: Mapping[str, Callable[[], Times]], rounds: int) -> dict[str, Times]:
    """Let each take its turn, again and again: A B A B, so that what else the machine does falls on all of them."""
    total = {name: Times() for name in contenders}
    for _ in range(rounds):
        for name, turn in contenders.items():
            total[name].add(turn())
    return total


def loop(operation: Callable[[], object], count: int) -> Times:
    """Time single operations in this process, less what reading the clock takes."""
    clock = time.perf_counter_ns
    empty = min(-(clock() - clock()) for _ in range(1000))
    taken = []
    for _ in range(count):
        begun = clock()
        operation()
        taken.append(clock() - begun)
    return Times([max(each - empty, 0) / 1e9 for each in taken])


# ------------------------------------------------------------------------------------------------------- saying it


def machine() -> None:
    """Say on what machine this is, and how busy it is with other things: with load above one, only ratios count."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    name = models[0].partition(":")[2].strip() if models else platform.machine()
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"{os.cpu_count()} cores ({name}), {platform.system()}, Python {platform.python_version()}; load {load}")


def ratio(ours: float, theirs: float) -> str:
    """Say how many times `theirs` fits into `ours`."""
    return f"{ours / theirs:,.2f}x" if theirs else "-"


def microseconds(seconds: float) -> str:
    """Say a time shorter than a millisecond or so."""
    return f"{seconds * 1e6:,.2f} µs"


def milliseconds(seconds: float) -> str:
    """Say a time of milliseconds."""
    return f"{seconds * 1e3:,.2f} ms"


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table."""
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]
    print(f"\n{title}")
    for row in (head, ["-" * width for width in widths], *rows):
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        print("  " + "  ".join(cells).rstrip())


def missing(what: str, why: str) -> None:
    """Say that an anchor is not measured; a table without it would look complete."""
    print(f"  MISSING: {what}: {why}", flush=True)


def served(title: str, found: Mapping[str, Times]) -> None:
    """Print what servers did; the first is ours, and each ratio says how many times as much we do per core-second.

    Where PostgreSQL's time was measured, the same stands beside it with that time counted on both sides.
    """
    ours = next(iter(found.values()))
    counted = ours.with_database > 0
    rows = [
        (
            name,
            milliseconds(times.at(0.5)),
            milliseconds(times.at(0.99)),
            f"{times.per_core_second:,.0f}",
            ratio(ours.per_core_second, times.per_core_second),
            *((f"{times.with_database:,.0f}", ratio(ours.with_database, times.with_database)) if counted else ()),
        )
        for name, times in found.items()
    ]
    more = ("with PostgreSQL's", "ours / theirs") if counted else ()
    table(title, ("", "p50", "p99", "per core-second", "ours / theirs", *more), rows)
