"""Whether everything still works: each page of the console, each list of the API, and each job that takes nothing."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any

from django.test import Client

from entitlements import tasks as entitlement_tasks
from entitlements.people.models import Person
from governance import tasks as governance_tasks
from governance.console import matrix
from governance.reviews.usage import usage
from tests.entitlements.api import client as api
from tests.governance.console import addresses, visits

LISTS = ("agents", "audit-events", "campaigns", "grants", "requests", "people", "systems", "tools", "right-sizing")
OUTWARD = frozenset(
    {
        *("discover_all", "discover_system", "poll_security_events", "post_chat_messages", "post_webhooks"),
        *("compare_definitions", "watch_documents", "push_security_events"),
    }
)
"""Jobs that ask other programs."""


def failures(world: addresses.World, person: Person) -> list[str]:
    """Return what does not work for a person with every role: addresses with their status, jobs with their error."""
    return [*pages(world, visits.as_(person)), *_lists(person), *_jobs()]


def pages(world: addresses.World, browser: Client) -> Iterator[str]:
    """Yield the addresses of the console that fail in a browser."""
    browser.raise_request_exception = False
    for name, route in addresses.own().items():
        if (name, "GET") in matrix.PAGES:
            answer = browser.get(world.address(route))
            if answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
                yield f"{name}: {answer.status_code}"


def _lists(person: Person) -> Iterator[str]:
    for name in LISTS:
        answer = api.of(person).get(f"/api/v1/{name}")
        if answer.status_code != HTTPStatus.OK:
            yield f"/api/v1/{name}: {answer.content!r}"


def _jobs() -> Iterator[str]:
    jobs: list[tuple[str, Callable[[], Any]]] = [("roll_up", usage.roll_up)]
    for module in (entitlement_tasks, governance_tasks):
        for name, job in vars(module).items():
            mine = hasattr(job, "delay") and name not in OUTWARD
            if mine and not inspect.signature(job.run).parameters:
                jobs.append((name, job))
    for name, job in jobs:
        try:
            job()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what this looks for
            yield f"{name}: {error!r}"
