"""A trace as a waterfall: its events as bars by time, each until the next one; what led to an event, what followed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from audit.export import timeline
from audit.models import Event
from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.api import paging

from . import names
from .events import TimelineEntry, entries, unsealed

MOST: Final = 100
"""Events of a trace that one page lays out."""
_AROUND: Final = 8
_WIDE: Final = 1000
_THINNEST: Final = 6
_AGREED: Final = "sign_in.agreed"
_SIGNED_IN: Final = "person.signed_in"
_PLACE_OF: Final = "trace"
"""What the cursors of traces are for: no cursor of another list names a place here."""
_TOOK: Final = "milliseconds"
"""Where the end of a call says how long its system took."""
_STEPS: Final = {
    "person.signed_in": gettext_lazy("Sign-in"),
    "sign_in": gettext_lazy("Sign-in"),
    "session": gettext_lazy("Sign-in"),
    "request": gettext_lazy("Request"),
    "request_access": gettext_lazy("Request"),
    "approval": gettext_lazy("Approval"),
    "grant": gettext_lazy("Approval"),
    "token": gettext_lazy("Token"),
    "token_family": gettext_lazy("Token"),
    "tool_list": gettext_lazy("List"),
    "call.allowed": gettext_lazy("Call"),
    "call.denied": gettext_lazy("Call"),
    "evaluation": gettext_lazy("Call"),
    "call": gettext_lazy("Upstream"),
}
"""What an event is in the way from a sign-in to a system, by its name or its subject: a call that is allowed or denied
is one with its decision, and how it ended is the upstream's part."""
_UNITS: Final = ((86_400_000, 3_600_000, "d", "h"), (3_600_000, 60_000, "h", "min"), (60_000, 1000, "min", "s"))
_SECOND: Final = 1000


@dataclass(frozen=True, slots=True)
class Step:
    """One event: its part, when it came after the first, how long it took, and its bar in a drawing 1,000 wide.

    What a system answered began when it was called. Every other event lasts until the next, and the last has no length.
    """

    entry: TimelineEntry
    part: Any
    after_ms: int
    lasts_ms: int | None
    x: int
    width: int

    @property
    def after(self) -> str:
        """When it came, in words."""
        return _spoken(self.after_ms)

    @property
    def lasts(self) -> str:
        """How long it took, in words; empty for the last."""
        return "" if self.lasts_ms is None else _spoken(self.lasts_ms)


@dataclass(frozen=True, slots=True)
class Waterfall:
    """One page of a trace. `next` is where the one after it begins; empty on the last. `is_first` on the first.

    `sign_ins` are those of browser sessions, in traces of their own, from which a sign-in of this trace went on.
    """

    steps: list[Step]
    next: str
    is_first: bool
    sign_ins: list[Event]


def waterfall(rows: QuerySet[Event], caller: Caller, begins: str = "") -> Waterfall:
    """Lay out the events of a trace that the caller may read, from where the page before ended. Raises BadCursor."""
    after = unsealed(begins, _PLACE_OF) if begins else None
    found, first = timeline.page(rows, after=after, limit=MOST + 1), timeline.page(rows, limit=1)
    shown = found[:MOST]
    laid_out = steps(entries(shown, caller), first[0]) if shown else []
    following = paging.seal(_PLACE_OF, timeline.place(shown[-1])) if found[MOST:] else ""
    agreed = [event for event in shown if event.action == _AGREED]
    named = {link.partition(":")[2] for event in agreed for link in event.about if link.startswith("trace:")}
    elsewhere = Event.objects.filter(trace__in=named, action=_SIGNED_IN)
    sign_ins = timeline.page(visibility.log_events(caller, elsewhere)) if named else []
    return Waterfall(laid_out, following, after is None, sign_ins)


def steps(shown: Sequence[TimelineEntry], first: Event) -> list[Step]:
    """Lay out events in their order, as of the first of their trace; the last has no length."""
    ends = [_ms(first, entry.event) for entry in shown]
    until_next: list[int | None] = [later - sooner for sooner, later in pairwise(ends)]
    until_next.append(None)
    return [_step(entry, end, length, ends) for entry, end, length in zip(shown, ends, until_next, strict=True)]


def _step(entry: TimelineEntry, end: int, until_next: int | None, ends: Sequence[int]) -> Step:
    took, left = entry.event.detail.get(_TOOK), ends[0]
    begin, length = (max(end - took, left), took) if isinstance(took, int) else (end, until_next)
    whole = max(ends[-1] - left, 1)
    x = min(_WIDE * (begin - left) // whole, _WIDE - _THINNEST)
    return Step(entry, _part(entry), begin, length, x, max(min(_WIDE * (length or 0) // whole, _WIDE - x), _THINNEST))


def _part(entry: TimelineEntry) -> Any:  # noqa: ANN401 - a lazy translation
    action = entry.event.action
    return _STEPS.get(action) or _STEPS.get(action.partition(".")[0]) or entry.lane_name


def _spoken(milliseconds: int) -> str:
    """Return a length of time in at most two units."""
    if milliseconds < _SECOND:
        return _("%(n)d ms") % {"n": milliseconds}
    for large, small, unit, smaller in _UNITS:
        if milliseconds >= large:
            return f"{milliseconds // large} {unit} {milliseconds % large // small} {smaller}"
    return _("%(n).1f s") % {"n": milliseconds / _SECOND}


def _ms(first: Event, later: Event) -> int:
    return round((later.at - first.at).total_seconds() * 1000)


def event(link: str) -> QuerySet[Event]:
    """Return the one event of a link "event:uuid"."""
    key = link.partition(":")[2]
    return Event.objects.filter(uuid=key) if names.is_uuid(key) else Event.objects.none()


def before_and_after(event: Event, caller: Caller) -> tuple[list[Event], list[Event]]:
    """Return what led to an event and what followed: of its trace, else of the first thing that it is about."""
    link = f"trace:{event.trace}" if event.trace else next(iter(event.about), event.actor)
    rows, place = visibility.log_events(caller, timeline.about(link)), timeline.place(event)
    before = timeline.page(rows, after=place, limit=_AROUND, newest_first=True)
    return before[::-1], timeline.page(rows, after=place, limit=_AROUND)
