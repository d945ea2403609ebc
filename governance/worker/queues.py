"""The queues of tasks, by urgency, and how many threads of each worker are a queue's own: a table, and nothing else.

A sweep that hangs holds the threads of sweeps, and a person's import those of people's work. A revocation whose caller
went away waits for neither.
"""

from __future__ import annotations

from typing import Final

URGENT, SEALING, PEOPLE, SWEEPS = "urgent", "sealing", "people", "sweeps"
OWN_THREADS: Final = {URGENT: 1, SEALING: 1, PEOPLE: 2}
"""Threads of each worker that take tasks of one queue alone; sweeps have as many as `--concurrency` says."""
LATE_SECONDS: Final = {URGENT: 10.0, SEALING: 300.0, PEOPLE: 300.0, SWEEPS: 600.0}
"""A queue whose oldest message has waited for longer is behind (`governance/worker/backlog.py`)."""
TASKS: Final = {
    URGENT: (
        "entitlements.tasks.expire_grants",
        "entitlements.tasks.settle_revocations",
        "entitlements.tasks.end_agents",
        "entitlements.tasks.rotate_signing_keys",
    ),
    SEALING: ("governance.tasks.seal_evidence",),
    PEOPLE: (
        "entitlements.tasks.discover_agents",
        "entitlements.tasks.discover_tools",
        "entitlements.tasks.run_import",
        "governance.tasks.read_what_if",
        "governance.tasks.stage_campaign",
    ),
}
"""The tasks of each queue; every other task is a sweep."""
ALL: Final = (*OWN_THREADS, SWEEPS)
ROUTES: Final = {task: queue for queue, tasks in TASKS.items() for task in tasks}


def of(task: str) -> str:
    """Return the queue of a task."""
    return ROUTES.get(task, SWEEPS)
