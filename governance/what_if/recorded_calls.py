"""What the audit log says of allowed calls, read a part at a time: the one reader for replays."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import Q

from audit import bodies
from audit.actions import Action
from audit.bodies import Members
from audit.models import Event
from entitlements.decisions.snapshot import Chain

AT_ONCE: Final = 5_000

type Place = tuple[str, str]
"""Where reading goes on: after the event of this time and id."""


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """What the log says of a call: who called what in which session, under which grants, with which numbers.

    `behind` are the agents of a delegation chain, the nearest first, each with its client; None where the log does not
    tell. `at` is in epoch seconds.
    """

    agent: str
    client: str | None
    person: str | None
    system: str
    tool: str
    grants: tuple[str, ...] = ()
    version: str | None = None
    behind: Chain | None = ()
    measured: tuple[tuple[str, float], ...] = ()
    at: float = 0.0
    session: str = ""


def read(
    links: Collection[str] | None, since: datetime, until: datetime, after: Place | None
) -> tuple[list[RecordedCall], Place | None]:
    """Return the next allowed calls that name one of some links, or all with None, and where to go on, if at all."""
    rows = Event.objects.filter(action=Action.CALL_ALLOWED, at__gte=since, at__lt=until)
    if links is not None:
        rows = rows.filter(links__overlap=list(links))
    if after is not None:
        at, uuid = datetime.fromisoformat(after[0]), UUID(after[1])
        rows = rows.filter(at__gte=at).filter(Q(at__gt=at) | Q(uuid__gt=uuid))
    part = list(rows.order_by("at", "uuid").values_list("at", "uuid", "body")[:AT_ONCE])
    found = (_call(at, bodies.members(body)) for at, _, body in part)
    place = (part[-1][0].isoformat(), str(part[-1][1])) if len(part) == AT_ONCE else None
    return [call for call in found if call is not None], place


def chain(agent: str, agents: Collection[str], detail: Members) -> Chain | None:
    """Return the agents behind one, as an event says that names `agents`; None where it says no order or no clients."""
    names, clients = detail.texts("chain"), detail.texts("chain_clients")
    if len(names) != len(clients) or {agent, *names} != {agent, *agents}:
        return None
    return tuple(zip(names, clients, strict=True))


def _call(at: datetime, body: Members) -> RecordedCall | None:
    """Read one event; None for one that names no tool, as only calls of other things do."""
    links, detail = bodies.by_kind(body.texts("links")), body.part("detail")
    kind, _, agent = body.text("actor").partition(":")
    if kind != "agent" or "tool" not in links:
        return None
    system, _, tool = links["tool"][0].partition("/")
    return RecordedCall(
        agent,
        links.get("client", [None])[0],
        body.text("on_behalf_of").partition(":")[2] or None,
        system,
        tool,
        tuple(links.get("grant", ())),
        detail.text("version") or None,
        chain(agent, links.get("agent", ()), detail),
        tuple(detail.part("measured").numbers().items()),
        at.timestamp(),
        body.text("session"),
    )
