"""The message that an event causes, and helpers that read an event."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.utils.translation import gettext as _

from audit.models import Event
from entitlements.people.models import Person
from governance.notices.models import Kind


@dataclass(frozen=True, slots=True)
class Message:
    """One message to some people about an event. Without `dedupe` the message is unique to this event.

    With `waits` the people must decide something, so the chat services that are connected carry it as well.
    """

    kind: Kind
    people: Iterable[Person | None]
    about: str
    sentence: str
    url: str
    urgent: bool = False
    dedupe: str = ""
    waits: bool = False


type Notifier = Callable[[Event], Iterable[Message]]


def key(event: Event, kind: str) -> str:
    """Return the key of the first link of a kind in an event's `about`; "-", which no row has, without one."""
    return event.key(kind) or "-"


def review_begins(name: str) -> str:
    """Return the sentence that tells a reviewer that a review waits for them."""
    return _("Access review for you: %(name)s.") % {"name": name}
