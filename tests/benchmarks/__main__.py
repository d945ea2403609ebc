"""Measure ours beside its anchors, in one interleaved run. `make bench ARGS="--quick tokens"`; for a quiet machine."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence

from tests.benchmarks import (
    budgets,
    gateway,
    idle,
    issue,
    lists,
    measure,
    processes,
    renewals,
    reviews,
    revoke,
    stage,
    tokens,
    workers,
)

BENCHES = ("decision", "gateway", "budgets", "tokens", "revoke", "lists", "reviews", "workers", "renewals")
ALONE = ("idle",)
"""Run only where it is named: it takes eight minutes and needs the machine for itself."""
FLEET = 100_000
CEDAR, PLAIN = "cedarpy", "policy, plain grant"


def decide(count: int) -> None:
    """Measure decisions in process, under the Python that has cedarpy if there is one."""
    python = str(processes.ANCHORS) if processes.ANCHORS.exists() else sys.executable
    command = [python, "-m", "tests.benchmarks.decision", str(count)]
    done = subprocess.run(command, cwd=processes.ROOT, check=True, capture_output=True, text=True)
    found: dict[str, list[float]] = json.loads(done.stdout)
    rows = [
        (
            name,
            measure.microseconds(p50),
            measure.microseconds(p99),
            measure.ratio(found[CEDAR][0], p50) if CEDAR in found else "-",
        )
        for name, (p50, p99) in found.items()
    ]
    measure.table("Decision in process", ("", "p50", "p99", "times as fast as cedarpy"), rows)
    print(*(line for line in done.stderr.splitlines() if " together: " in line), sep="\n")
    if CEDAR not in found:
        measure.missing(CEDAR, "not installed; see requirements/bench.in")


def main() -> None:
    """Read the command line and run what it selects."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "benches", nargs="*", choices=[[], *BENCHES, *ALONE], default=[], metavar="|".join((*BENCHES, *ALONE))
    )
    parser.add_argument("--quick", action="store_true", help="the short form; the numbers are rough")
    parser.add_argument("--smoke", action="store_true", help="only see that everything still runs")
    options = parser.parse_args()
    chosen = options.benches or BENCHES
    scale = 0.0 if options.smoke else 0.04 if options.quick else 1.0
    measure.machine()
    if "decision" in chosen:
        decide(int(200_000 * scale) or 10)
    if "reviews" in chosen:
        with stage.ready() as ready:  # its fleet is another
            reviews.run(ready, int(reviews.AGENTS * scale) or 40, rounds=8 if scale == 1 else 4)
    if "tokens" in chosen:
        with stage.ready() as ready:  # its company has names of its own
            issue.run(ready, calls=int(5_000 * scale) or 3, revocations=int(200 * scale) or 3)
    if "idle" in chosen:
        idle.run(scale)
    if {*chosen} - {"decision", "reviews", *ALONE}:
        with stage.ready() as ready:
            small_company(ready, chosen, scale)


def small_company(ready: stage.Stage, chosen: Sequence[str], scale: float) -> None:
    """Run those of the chosen benches that ask one small company."""
    made = ready.make("tokens")
    rounds = 5 if scale == 1 else 2
    if "gateway" in chosen:
        count = int(5_000 * scale) or 3
        gateway.run(ready, made, count=count, rounds=rounds, is_quick=scale < 1, is_smoke=not scale)
    if "budgets" in chosen:
        budgets.run(ready, made, count=int(2_000 * scale) or 3, rounds=rounds)
    if "revoke" in chosen:
        revoke.run(ready, made, count=int(200 * scale) or 3)
    if "lists" in chosen:
        lists.run(ready, int(FLEET * scale) or 40, rounds=4 * rounds, every=1 if scale else 12)
    if "tokens" in chosen:
        tokens.run(ready, made, count=int(400 * scale) or 3, rounds=rounds)
    if "workers" in chosen:
        workers.run(ready, made, count=int(2_000 * scale) or 3, rounds=rounds)
    if "renewals" in chosen:
        agents, within = int(5_000 * scale) or 20, renewals.WITHIN if scale else 0.2
        renewals.run(ready, made, agents=agents, rounds=2 if scale else 1, within=within)


if __name__ == "__main__":
    main()
