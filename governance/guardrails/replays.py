"""Replay a proposed guardrail over the calls that were allowed in the last days, a part at a time.

Each part is a transaction that also records the progress. A worker that is killed loses its current part and nothing
else; of two workers the second finds the row locked and leaves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from audit import bodies
from audit.actions import Action
from audit.models import Event
from entitlements.agents.models import Agent
from entitlements.catalog.models import Tool
from entitlements.decisions.snapshot import ToolFacts
from entitlements.guardrails import terms as guardrail_terms
from entitlements.guardrails.recorded_calls import RecordedCall, RecordedSession, would_change
from entitlements.guardrails.rules import Guardrail
from entitlements.sessions.models import Session
from entitlements.strict import known_uuid
from entitlements.words import Action as ToolAction
from entitlements.words import Risk, ToolState
from governance.guardrails.models import GuardrailProposal

AT_ONCE: Final = 5_000
MOST_NAMED: Final = 50
_BY: Final = ("agents", "tools", "people")
Replay = GuardrailProposal.Replay


@dataclass(frozen=True, slots=True)
class _Read:
    """One recorded call, by the names of things."""

    at: datetime
    agents: tuple[str, ...]
    person: str
    session: str
    tool: tuple[str, str]
    numbers: Mapping[str, float]


def unfinished() -> list[UUID]:
    """Return the proposals whose replay was asked for and has not finished, the oldest first."""
    rows = GuardrailProposal.objects.filter(replay_state=Replay.RUNNING)
    return list(rows.order_by("replay_asked_at").values_list("pk", flat=True))


@transaction.atomic
def advance(key: UUID) -> bool:
    """Replay the next part, and say whether another follows."""
    row = GuardrailProposal.objects.select_for_update(skip_locked=True).filter(pk=key).first()
    if row is None or row.replay_state != Replay.RUNNING or row.replay_asked_at is None:
        return False
    found = row.replay or _begun(row)
    part = _part(row, found)
    stored = (row.key, row.name, 0, row.effect, "enforce", _json(row), row.max_age)
    rules = guardrail_terms.compile_all([stored])
    for read, would in _judged(rules[0], part):
        found["unknown"] += would is None
        found["changed"] += would is True
        if would:
            for word, name in zip(_BY, (read.agents[0], "/".join(read.tool), read.person), strict=True):
                if name:
                    found[word][name] = found[word].get(name, 0) + 1
    found["done"] += len(part)
    is_over = len(part) < AT_ONCE
    if part:
        found["cursor"] = [part[-1][0].isoformat(), str(part[-1][1])]
    if is_over:
        found["calls"] = found["done"]
        row.replay_state = Replay.FINISHED
    row.replay = _finished(found) if is_over else found
    row.save(update_fields=["replay", "replay_state"])
    return not is_over


def _json(row: GuardrailProposal) -> str:
    return guardrail_terms.written(row.conditions)


def _begun(row: GuardrailProposal) -> dict[str, Any]:
    return {
        "calls": _calls(row).count(),
        **dict.fromkeys(("done", "changed", "unknown"), 0),
        **{word: {} for word in _BY},
        "cursor": None,
    }


def _finished(found: dict[str, Any]) -> dict[str, Any]:
    """Keep the names that were met most, and how many there were."""
    counts = {word: Counter(found[word]) for word in _BY}
    most = {word: dict(counts[word].most_common(MOST_NAMED)) for word in _BY}
    return {**found, **most, "named": {word: len(counts[word]) for word in _BY}, "cursor": None}


def _calls(row: GuardrailProposal) -> Any:  # noqa: ANN401 - a query set of events
    asked = row.replay_asked_at
    assert asked is not None  # noqa: S101 - for the type checker: the caller looked
    since = asked - timedelta(days=row.replay_days)
    return Event.objects.filter(action=Action.CALL_ALLOWED, at__gte=since, at__lt=asked)


def _part(row: GuardrailProposal, found: Mapping[str, Any]) -> list[tuple[datetime, UUID, str]]:
    rows = _calls(row)
    if found["cursor"]:
        at, uuid = datetime.fromisoformat(found["cursor"][0]), UUID(found["cursor"][1])
        rows = rows.filter(Q(at__gt=at) | Q(at=at, uuid__gt=uuid))
    return list(rows.order_by("at", "uuid").values_list("at", "uuid", "body")[:AT_ONCE])


def _judged(rule: Guardrail, part: Iterable[tuple[datetime, UUID, str]]) -> Iterable[tuple[_Read, bool | None]]:
    reads = [_read(at, bodies.parse(body)) for at, _, body in part]
    kinds = dict(Agent.objects.filter(slug__in={*chain(*(read.agents for read in reads))}).values_list("slug", "kind"))
    tools, sessions = _tools(reads), _sessions(reads)
    for read in reads:
        known = RecordedCall(
            at=read.at.timestamp(),
            tool=tools.get(read.tool),
            kinds=tuple(kinds.get(agent, "") for agent in read.agents),
            numbers=read.numbers,
            session=sessions.get(read.session),
            is_session_known=not read.session or read.session in sessions,
        )
        yield read, would_change(rule, known)


def _read(at: datetime, body: dict[str, Any]) -> _Read:
    links: dict[str, list[str]] = {}
    for link in body["links"]:
        kind, _, name = link.partition(":")
        links.setdefault(kind, []).append(name)
    system, _, tool = (links.get("tool") or ["/"])[0].partition("/")
    acting = str(body["actor"]).removeprefix("agent:")
    behind = [agent for agent in links.get("agent", []) if agent != acting]
    return _Read(
        at=at,
        agents=(acting, *behind),
        person=str(body["on_behalf_of"] or "").removeprefix("person:"),
        session=str(body["session"] or ""),
        tool=(system, tool),
        numbers=body["detail"].get("measured", {}),
    )


def _tools(reads: Iterable[_Read]) -> dict[tuple[str, str], ToolFacts]:
    rows = Tool.objects.filter(name__in={read.tool[1] for read in reads}, system__slug__in={r.tool[0] for r in reads})
    columns = rows.values_list("system__slug", "name", "action", "risk", "data_class")
    return {
        (system, name): ToolFacts(
            system, name, ToolState.APPROVED, "", "", ToolAction(action), Risk(risk), data_class=data_class
        )
        for system, name, action, risk, data_class in columns
    }


def _sessions(reads: Iterable[_Read]) -> dict[str, RecordedSession]:
    ids = {key for read in reads if (key := known_uuid(read.session)) is not None}
    rows = Session.objects.filter(pk__in=ids).values_list("pk", "auth_time", "started_at", "labels")
    return {
        str(key): RecordedSession((signed_in or started).timestamp(), frozenset(labels))
        for key, signed_in, started, labels in rows
    }
