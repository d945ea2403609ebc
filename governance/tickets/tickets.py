"""The actions on ticket references: change what is recognised, and check one that is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from django.db import transaction

from audit import clock, log
from audit.actions import Action
from entitlements.errors import DomainError
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.people.models import Person, Role
from entitlements.proposals.in_force import may
from governance.tickets.models import TicketPolicy

from . import rules
from .rules import Pattern

MAY: Final = (Role.ADMIN,)
"""Who changes the settings of ticket references."""
Place = TicketPolicy.Place
Need = TicketPolicy.Need
UNTICKETED: Final = frozenset({"everything"})
"""Targets whose revocation never waits for a ticket: the kill switch."""


class TicketMissing(DomainError):
    """A ticket reference is required here. Give the reference of the ticket that this belongs to."""

    code, status = "ticket_missing", HTTPStatus.UNPROCESSABLE_ENTITY


class TicketNotRecognised(DomainError):
    """The ticket reference matches none of the patterns that are set, or no ticket is asked for here."""

    code, status = "ticket_not_recognised", HTTPStatus.UNPROCESSABLE_ENTITY


class TicketPolicyUnusable(DomainError):
    """The settings cannot be used. See `field`.

    A pattern is made of characters, classes and quantifiers, without groups; a link begins with https:// and holds
    {ticket}; and where a ticket is asked for, there is a pattern.
    """

    code, status = "ticket_policy_unusable", HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True)
class Settings:
    """What is in force: the patterns, and what each place needs."""

    patterns: tuple[Pattern, ...] = ()
    needs: Mapping[str, str] | None = None

    def need(self, place: str) -> str:
        """Return what a place needs: nothing while there is no pattern."""
        return (self.needs or {}).get(place, Need.NEVER) if self.patterns else Need.NEVER


def current() -> Settings:
    """Return the settings in force: none before an administrator made any."""
    row = TicketPolicy.objects.order_by("-number").first()
    return Settings() if row is None else Settings(rules.read(row.patterns), row.needs)


def check(place: str, ticket: str) -> str:
    """Return a ticket reference as it is kept, empty for none. Raises TicketMissing, TicketNotRecognised."""
    given, now = ticket.strip(), current()
    need = now.need(place)
    if not given:
        if need == Need.REQUIRED:
            raise TicketMissing
        return ""
    if need == Need.NEVER or rules.find(now.patterns, given) is None:
        raise TicketNotRecognised
    return given


def check_revocation(target_type: str, ticket: str) -> str | None:
    """Check the ticket of a suspension or revocation; None where none is asked for. Raises as `check`.

    The kill switch may have one and needs none.
    """
    if not ticket.strip() and (target_type in UNTICKETED or current().need(Place.REVOCATION) == Need.NEVER):
        return None
    return check(Place.REVOCATION, ticket)


def links(ticket: str) -> list[str]:
    """Return the link by which the audit log finds all that belongs to a ticket."""
    return [f"ticket:{ticket}"] if ticket else []


def again(place: str, given: str, before: str) -> str:
    """Return what something that repeats an earlier thing begins with: its own ticket, else the earlier one.

    The earlier one is kept only while it is still recognised.
    """
    now = current()
    keeps = before and now.need(place) != Need.NEVER and rules.find(now.patterns, before) is not None
    return given.strip() or (before if keeps else "")


@transaction.atomic
def change(patterns: Sequence[Mapping[str, str]], needs: Mapping[str, str], *, by: Person, reason: str) -> TicketPolicy:
    """Put other settings in force. What has a ticket already keeps it.

    Raises Forbidden unless an administrator does it, ReasonRequired, TicketPolicyUnusable.
    """
    may(by, reason, MAY)
    wanted = rules.read(patterns)
    kept = {place.value: needs.get(place.value, Need.NEVER.value) for place in Place}
    _check_usable(wanted, kept)
    locks.exclusive((Lock.REQUEST, "ticket-policy"))
    last = TicketPolicy.objects.order_by("-number").values_list("number", flat=True).first() or 0
    written = [pattern.as_json() for pattern in wanted]
    row = TicketPolicy.objects.create(number=last + 1, patterns=written, needs=kept, made_by=by, made_at=clock.now())
    log.record(
        Action.TICKET_POLICY_CHANGED,
        about=[f"ticket_policy:{row.number}"],
        by=by.principal,
        reason=reason,
        detail={"patterns": written, "needs": kept},
    )
    return row


def _check_usable(patterns: Sequence[Pattern], needs: Mapping[str, str]) -> None:
    if len(patterns) > rules.MOST_PATTERNS or len({each.name for each in patterns}) != len(patterns):
        raise TicketPolicyUnusable(field="patterns")
    for pattern in patterns:
        if not pattern.name.strip() or len(pattern.name) > rules.LONGEST_NAME:
            raise TicketPolicyUnusable(field="name", name=pattern.name[: rules.LONGEST_NAME])
        if not rules.is_safe(pattern.expression):
            raise TicketPolicyUnusable(field="expression", name=pattern.name)
        if not rules.is_link(pattern.link):
            raise TicketPolicyUnusable(field="link", name=pattern.name)
    if set(needs.values()) - set(Need.values) or (Need.REQUIRED in needs.values() and not patterns):
        raise TicketPolicyUnusable(field="needs")
