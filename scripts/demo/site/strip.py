"""The strip of steps: what the record says has happened since the visit began, and what comes next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import DatabaseError
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from audit.actions import Action
from audit.export.timeline import ORDER
from audit.models import Event
from scripts.demo.data import cast
from scripts.demo.story import visit as visits
from scripts.demo.story.stage import AGENT, SYSTEM, USER

OUTCOME: Final = "visit_outcome"
"""Where a session keeps the outcome of the last button, until the next page shows it."""
_MOST: Final = 5000
_ACTIONS: Final = (
    Action.APPROVAL_GIVEN,
    Action.APPROVAL_DENIED,
    Action.CALL_ALLOWED,
    Action.CALL_DENIED,
    Action.TOKEN_REFUSED,
    Action.REVOCATION_COMMITTED,
    Action.REVOCATION_SETTLED,
    Action.REVIEW_DECIDED,
    Action.AUDIT_LOG_EXPORTED,
)
_AGENT: Final = f"agent:{AGENT}"
_STOPPABLE: Final = frozenset(
    {_AGENT, f"client:{AGENT}", f"system:{SYSTEM}", f"tool:{SYSTEM}/{visits.TOOL}", f"person:{USER}"}
)
_FIRST: Final = {each.login: each.first for each in cast.PEOPLE}


@dataclass(slots=True)
class Progress:
    """What the record holds of the visit."""

    approved: bool = False
    turned_down: bool = False
    called: bool = False
    stopped: bool = False
    denied: bool = False
    reviewed: bool = False
    verified: bool = False
    grant: str = ""
    receipt: str = ""
    stops: set[str] = field(default_factory=set)

    def take(self, event: Event, visit: visits.Visit) -> None:
        """Take in one event, in the order of the record."""
        links = set(event.links)
        match event.action:
            case Action.APPROVAL_GIVEN if f"request:{visit.request}" in links:
                self.grant = next((link for link in links if link.startswith("grant:")), "")
                self.approved = bool(self.grant)
            case Action.APPROVAL_DENIED if f"request:{visit.request}" in links:
                self.turned_down = True
            case Action.CALL_ALLOWED if _AGENT in links:
                self.called = True
            case Action.CALL_DENIED | Action.TOKEN_REFUSED if _AGENT in links:
                self.denied = self.denied or self.stopped
            case Action.REVIEW_DECIDED if f"campaign:{visit.review}" in links:
                self.reviewed = True
            case Action.AUDIT_LOG_EXPORTED:
                self.verified = True
            case Action.REVOCATION_COMMITTED | Action.REVOCATION_SETTLED:
                self._stop(event, set(event.about))

    def _stop(self, event: Event, links: set[str]) -> None:
        """Take in a stop. It counts when it reaches the agent of the visit, or everything, and has its receipt."""
        stop = next((link for link in links if link.startswith("revocation:")), "")
        if event.action == Action.REVOCATION_SETTLED:
            if stop in self.stops:
                self.stopped, self.receipt = True, stop.partition(":")[2]
        elif links & {*_STOPPABLE, self.grant} or links == {stop}:
            self.stops.add(stop)


@dataclass(frozen=True, slots=True)
class Step:
    """One step: whose card to use, and either a page to go to or a button of the visit."""

    number: int
    title: str
    who: str
    says: str
    label: str
    done: bool
    address: str = ""
    button: str = ""

    @property
    def first(self) -> str:
        """Return the first name of whose card to use."""
        return _FIRST[self.who]

    @property
    def switches(self) -> bool:
        """Whether it is done as this person; a call is always made by an agent."""
        return self.who != USER

    @property
    def whose(self) -> str:
        """Say whose step it is."""
        return f"as {self.first}" if self.switches else f"{self.first}'s agent"


@dataclass(frozen=True, slots=True)
class Strip:
    """What the strip shows on a page."""

    steps: list[Step]
    outcome: Mapping[str, Any] | None
    person: str
    here: str

    @property
    def next(self) -> Step | None:
        """Return the first step that is not done."""
        return next((step for step in self.steps if not step.done), None)

    @property
    def done(self) -> int:
        """Count what is done."""
        return sum(step.done for step in self.steps)


def visit(request: HttpRequest) -> dict[str, Any]:
    """Add to every template the cards of the cast, and for a signed-in person the strip."""
    return {"cards": cast.PEOPLE, "visit": SimpleLazyObject(lambda: _strip(request))}


def _strip(request: HttpRequest) -> Strip | None:
    if not request.user.is_authenticated:
        return None
    try:
        begun = visits.read(visits.folder())
        progress = seen(begun)
    except (FileNotFoundError, DatabaseError):  # the story is still being played; a page about an outage has no strip
        return None
    outcome = request.session.pop(OUTCOME, None)
    address = request.get_full_path() if request.method == "GET" else "/"  # a page that answers a form has no address
    return Strip(steps(begun, progress), outcome, _FIRST.get(request.user.login, request.user.name), address)


def seen(begun: visits.Visit) -> Progress:
    """Read from the record what has happened since the visit began."""
    progress = Progress()
    events = Event.objects.filter(at__gte=begun.began, action__in=_ACTIONS)
    for event in events.order_by(*ORDER)[:_MOST]:
        progress.take(event, begun)
    return progress


def steps(begun: visits.Visit, progress: Progress) -> list[Step]:
    """Return the steps with their ticks."""
    request_text = "Otto requests 8 hours of the clock for Alice's travel helper. Untick a tool, then approve."
    if progress.turned_down:
        request_text = "The request was denied, so no access was given. Reset the story to make the request again."
    calls = "A real MCP client signs in for Alice and asks the clock for the time in Paris, through the gateway."
    again = "The same client calls again with the token it still has. The call does not reach the clock."
    kept = "Keep the access that Sofia's agents still need and revoke the rest, which ends at once."
    record = "Export the audit log, and check it against checkpoints that were published elsewhere."
    review = f"/reviews/{begun.review}/" + ("" if progress.reviewed else "work/")
    request = f"/requests/{begun.request}/"
    return [
        Step(1, "Narrow and approve", "sofia", request_text, "Otto's request", progress.approved, request),
        Step(2, "Run the call", USER, calls, "Run the call", progress.called, button="/visit/call/"),
        _stop(progress),
        Step(4, "See the call denied", USER, again, "Call again", progress.denied, button="/visit/call/"),
        Step(5, "Review", "sofia", kept, "The review", progress.reviewed, review),
        Step(6, "Verify the audit log", "audrey", record, "Verify it", progress.verified, button="/visit/verify/"),
    ]


def _stop(progress: Progress) -> Step:
    """Lead to the stop of the access that was given, then to its receipt."""
    says = "Revoke the access with a reason. The receipt says which gateway enforced it, and after how long."
    grant = progress.grant.partition(":")[2]
    address = f"/stop/grant/{grant}/" if grant else f"/agents/{AGENT}/"
    if progress.stopped:
        address = f"/stop/receipts/{progress.receipt}/"
    label = "The receipt" if progress.stopped else "Revoke it"
    return Step(3, "Revoke, read the receipt", "ana", says, label, progress.stopped, address)
