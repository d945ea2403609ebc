"""SoD violations that a review item takes part in, as its pages show them, and the people who give exceptions."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from entitlements.people.models import Person, Role
from governance.reviews.items import violations
from governance.reviews.items.models import ReviewItem
from governance.sod.check import PolicyViolation


@dataclass(frozen=True, slots=True)
class Violation:
    """An SoD violation that an item takes part in: the policy, the exception that covers it, and where to ask for one.

    `is_own`: the reader gave the exception, so it does not count for their own answer.
    """

    policy: str
    sentence: str
    agent: str
    link: str
    form: str
    is_covered: bool
    is_own: bool
    given_by: str = ""
    until: datetime | None = None


def security() -> list[Person]:
    """Return the people who may give an exception, by name."""
    return list(Person.objects.holding(Role.SECURITY).filter(is_active=True).order_by("name"))


def describe(item: ReviewItem, known: PolicyViolation, accounts: Collection[int]) -> Violation:
    """Return a violation as the page shows it to a reader with these accounts."""
    exception = known.exception
    return Violation(
        policy=known.rule.name,
        sentence=known.rule.sentence,
        agent=known.agent.name,
        link=violations.link(item),
        form=f"/sod-policies/{known.rule.pk}/?agent={known.agent.slug}",
        is_covered=exception is not None,
        is_own=exception is not None and exception.given_by_id in accounts,
        given_by=exception.given_by.name if exception else "",
        until=exception.expires_at if exception else None,
    )
