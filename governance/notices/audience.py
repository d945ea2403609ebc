"""What one event tells some people, and what the events about requests and access have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.utils.translation import gettext as _

from audit.models import Event
from entitlements.people.models import Person
from governance.notices.models import Kind


@dataclass(frozen=True, slots=True)
class Told:
    """What one event tells some people. Without `dedupe` it is this event, and nothing else, that is told once."""

    kind: Kind
    people: Iterable[Person | None]
    about: str
    sentence: str
    url: str
    urgent: bool = False
    dedupe: str = ""


type Teller = Callable[[Event], Iterable[Told]]


def key(event: Event, kind: str) -> str:
    """Return the first thing of a kind that an event is about; a key that is nothing's when it is about none."""
    return next((link.partition(":")[2] for link in event.about if link.startswith(f"{kind}:")), "-")


def review_begins(name: str) -> str:
    """Say to a reviewer that a review began."""
    return _("A review waits for you: %(name)s.") % {"name": name}
