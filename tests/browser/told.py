"""What the record says of each step that somebody takes at a screen: who did what to what, and why."""

from __future__ import annotations

from audit.actions import Action
from audit.export import timeline
from audit.models import Event

type Said = tuple[str, str, str, str]
"""Actor, event, object and reason; an object that ends in a colon is any of its kind."""


class Record:
    """The record from now on; what is said of one step is not said again of the next."""

    def __init__(self) -> None:
        self._seen = set(Event.objects.values_list("uuid", flat=True))

    def says(self, *expected: Said) -> None:
        """See that just this happened since, in this order; signing in aside."""
        new = Event.objects.exclude(uuid__in=self._seen).exclude(action=Action.PERSON_SIGNED_IN)
        found = list(new.order_by(*timeline.ORDER))
        self._seen |= {each.uuid for each in found}
        told = "\n".join(f"{each.actor} {each.action} {each.about} {each.reason!r}" for each in found)
        assert len(found) == len(expected), told
        assert all(map(_is, found, expected)), told


def _is(event: Event, said: Said) -> bool:
    actor, action, thing, reason = said
    is_it = any(link == thing or (thing.endswith(":") and link.startswith(thing)) for link in event.about)
    acted = event.actor.removeprefix("person:")
    return (acted, str(event.action), event.reason) == (actor, action, reason) and is_it
