"""Which events of the audit log a caller may read, as a reader of the log or as one whom they concern."""

from __future__ import annotations

from audit.models import Event
from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.api import record
from entitlements.errors import Malformed, NotFound
from entitlements.people.role_limits import NOTHING
from entitlements.strict import known_uuid
from governance.decisions.queries import why


class BadEvaluation(Malformed):
    """`evaluation` must be the id of an evaluation, a UUID."""

    code = "evaluation_malformed"


def find(caller: Caller, evaluation: str) -> Event:
    """Return the event of a decision: for readers of the audit log within their limits, else of what the caller sees.

    Raises BadEvaluation, NotFound, NotADecision.
    """
    if (key := known_uuid(evaluation)) is None:
        raise BadEvaluation
    event = why.find(key)
    if not reads(caller, event):
        raise NotFound
    return event


def reads(caller: Caller, event: Event) -> bool:
    """Whether a caller may read an event: as a reader of the audit log, or because they see what it is about."""
    rows = Event.objects.filter(pk=event.pk)
    if (caller.is_script or caller.reach(*visibility.READERS) != NOTHING) and (
        visibility.log_events(caller, rows).exists()
    ):
        return True
    named = [link.partition(":") for link in (event.actor, event.on_behalf_of, *event.about)]
    is_own = str(caller.principal) in (event.actor, event.on_behalf_of)
    is_seen = is_own or any(record.sees(caller, kind, key) for kind, _, key in named)
    return is_seen and visibility.events(caller, rows).exists()
