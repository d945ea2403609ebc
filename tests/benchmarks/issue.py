"""`issue_token_v3` alone: calls per core-second, and how long a grant takes to be revoked under sixteen issuers.

Each issuer is a process with one connection, and shares the lock of every grant that is revoked meanwhile, which no
real one does: the revoker waits for all sixteen each time. CPU time is the caller's and its backend's.
"""

from __future__ import annotations

from typing import Any

from tests.benchmarks import measure
from tests.benchmarks.measure import Times
from tests.benchmarks.stage import Stage


def run(stage: Stage, *, calls: int, revocations: int) -> None:
    """Measure and print."""
    found: dict[str, Any] = stage.make("issue", str(calls), str(revocations))
    rows = [(name, f"{each:,.0f}") for name, each in found["calls"].items()]
    measure.table("issue_token_v3, one connection, prepared, a session and no claim", ("", ""), rows)
    table = {name: Times(seconds) for name, seconds in found["revoked"].items()}
    measure.table(
        f"Revoking a grant, {revocations} times",
        ("", "p50", "p99", "longest"),
        [(name, *(measure.milliseconds(t.at(share)) for share in (0.5, 0.99, 1.0))) for name, t in table.items()],
    )
