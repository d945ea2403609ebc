"""No event makes a reader of the audit log fail: what cannot be read is empty, what cannot be linked is text.

One event of every action, each with another hostile body, is written into one company, and everything that reads the
log reads all of them. A module that reads events and has no row in `READERS` fails the second test.
"""

from __future__ import annotations

import json
import random
import re
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import pytest
from django.db import connection, transaction
from django.test import Client
from rest_framework.test import APIClient

from audit import bodies, clock, stream
from audit.actions import Action
from audit.context import Principal
from audit.models import Event
from entitlements.access import caller as callers
from entitlements.catalog import move
from entitlements.conflicts import independence
from entitlements.drift import detect, findings, replay, rules
from entitlements.event_streams import transmit
from entitlements.grants.models import Grant
from governance.audit_log.queries import filters
from governance.decisions import history
from governance.decisions.api import ExplanationSerializer
from governance.decisions.queries import why
from governance.decoys import follow
from governance.guardrails import observed
from governance.notices import listener, notifiers
from governance.operations import invariants, metrics
from governance.requests import denied_calls
from governance.reviews.campaigns.models import Campaign
from governance.reviews.event_triggered import triggers
from governance.reviews.evidence import record as evidence_record
from governance.reviews.pack import description, reperformance
from governance.reviews.pack_tables import past_grants, past_things, period, tables
from governance.reviews.usage import replay as usage_replay
from governance.reviews.usage import usage
from governance.risk import detectors
from governance.webhooks import webhooks
from governance.what_if import past_sessions, recorded_calls, what_if
from tests import seeds
from tests.audit.log_readers import ENVELOPE, KINDS, LONG, MEMBERS, READ_BY, READS, ROOT, SOURCES
from tests.entitlements.api import client as api
from tests.governance import companies
from tests.governance.console import visits
from tests.governance.reviews import worlds


@dataclass
class World:
    """A company with access, a request, a review and an endpoint; who reads; what exists; and the events to be read."""

    company: companies.Company
    campaign: Campaign
    grant: Grant
    keys: Mapping[str, tuple[str, ...]]
    plausible: Mapping[str, tuple[object, ...]]
    """What members of a detail really say, by name: what stands there leads a reader on."""
    browser: Client
    script: APIClient
    events: list[Event] = field(default_factory=list)

    @property
    def decisions(self) -> list[UUID]:
        return [event.uuid for event in self.of(*filters.DECISIONS) if not event.code][:6]

    def of(self, *actions: str) -> list[Event]:
        return [event for event in self.events if event.action in actions]


@pytest.fixture
def world(db: None) -> World:  # noqa: ARG001
    company, campaign = worlds.reviewed()
    request, grant = company.ask("now", people=[company.bob]), Grant.objects.get(agent=company.bot)
    webhooks.make(
        "ops", url="https://93.184.215.14/", form="standard", events=webhooks.EVENTS, by=company.ana.principal
    )
    keys = {
        "agent": (company.bot.slug,),
        "person": ("alice", "otto"),
        "system": (company.system.slug,),
        "tool": ("clock/now", "clock", "/now", "clock/", "/", "git_add"),
        "grant": (str(grant.pk),),
        "campaign": (campaign.slug,),
        "item": (str(worlds.item(campaign).pk),),
        "entitlement": (company.use.scope,),
        "request": (str(request.pk),),
    }
    plausible = {
        "tool": ("now", "convert"),
        "lines": ({"now": {}}, {"now": None}),
        "measured": ({"amount": 5},),
        "guardrails": ([{"mode": "observe", "version": 1}],),
        "to": ("otto", {"model": "m", "source": "attested"}),
        "from": ("sofia", {"model": "n"}),
        "changed": (["manager", "department"], ["keys"]),
        "manager": ({"from": "mona", "to": "sam"},),
        "response": ("review",),
        "kind": ("impossible_travel", "decoy_touched"),
        "expires_at": ("2099-01-01T00:00:00+00:00",),
        "starts_at": ("2026-01-01T00:00:00+00:00",),
        "state": ("quarantined", "approved"),
    }
    return World(company, campaign, grant, keys, plausible, visits.as_(company.ana), api.of(company.ana))


VALUES: Final[list[Any]] = [
    *(None, True, 0, -1, 2.5, 2**53, 1e308, 10**500, "", "a/b", "not-a-uuid", "Ünï/cödé", LONG, "a\x00b", "..", "%2e"),
    *([], {}, [None], [{}], [[]], [1, "a"], {"from": 1, "to": 2}, {"from": None, "to": []}, {"a": {"b": 1}}),
    *({"items": 7}, {"items": [1]}, {"keys": 1, "get": 2, "text": 3}),
    *({"amount": 10**400}, {"now": 7}, [{"mode": "observe", "version": "x"}]),
    *([{"mode": "observe", "version": 10**12}], "observe", "approved", "2026-13-01T00:00:00", "2026-01-01"),
    *("0001-01-01T00:00:00+14:00", "2026-01-01T00:00:00Z", str(UUID(int=7))),
]
WHOLE: Final = (
    *("", "{", "null", "[]", "1", "{}", '"text"', '{"links": 7}', "[" * 2000, '{"detail": {"tool": "\\ud800"}}'),
    '{"actor": "agent:research-bot", "detail": {"tool": "now", "measured": {"amount": ' + "9" * 5000 + "}}}",
)
"""Bodies that are no JSON, or no object."""


def _body(world: World, chance: random.Random) -> tuple[dict[str, Any], list[str]]:
    """Return what an event says, and its links: members are missing or of any kind, keys exist or are odd."""

    def any_of(*plausible: object) -> object:
        return chance.choice(plausible) if plausible and chance.random() < 0.5 else chance.choice(VALUES)

    keys, links = world.keys, []
    for kind in (*chance.sample(KINDS, 5), *chance.sample(sorted(keys), 6)):
        key = any_of(*keys.get(kind, (str(uuid4()),)))
        links.append(f"{kind}:{key if isinstance(key, str) else ''}".replace("\x00", ""))
    detail = {name: any_of(*world.plausible.get(name, ())) for name in (*MEMBERS, "items") if chance.random() < 0.8}
    body = {name: any_of("x") for name in ENVELOPE if chance.random() < 0.8}
    body |= {
        "actor": any_of("agent:research-bot", "person:alice", "client:x"),
        "on_behalf_of": any_of("person:alice", None),
        "code": any_of("", "no_grant"),
        "outcome": any_of("success", "failure"),
        "links": any_of(links) if chance.random() < 0.3 else links,
        "detail": any_of(detail) if chance.random() < 0.3 else detail,
    }
    return body, links


def write(world: World, chance: random.Random) -> None:
    """Write two events of every action, and of one of another release, each with another body; seal them."""
    now, producer = clock.now(), uuid4()
    world.events = []
    for number, action in enumerate([*Action, "other.release"] * 2):
        body, links = _body(world, chance)
        written = json.dumps(body, ensure_ascii=chance.random() < 0.5, sort_keys=True, separators=(",", ":"))
        world.events.append(
            Event(
                at=now + timedelta(milliseconds=number), uuid=uuid4(), action=str(action), links=sorted({*links}),
                trace=chance.choice(["", "a" * 32, "b" * 300]), producer=producer, sequence=number + 1,
                body=written if chance.random() < 0.95 else chance.choice(WHOLE),
            )
        )  # fmt: skip
    Event.objects.bulk_create(world.events)
    with connection.cursor() as cursor:  # the sealer's work, in this transaction: the table hides the real one
        cursor.execute("CREATE TEMP TABLE IF NOT EXISTS leaves (LIKE public.leaves) ON COMMIT DROP")
        cursor.execute("TRUNCATE leaves")
        cursor.execute(
            "INSERT INTO leaves SELECT row_number() OVER (ORDER BY at, sequence) - 1, at, uuid,"
            " sha256(convert_to(body, 'UTF8')), producer, sequence FROM events"
        )


def each(read: Callable[[Event], object], *actions: str) -> Callable[[World], list[str]]:
    """Return a reader of single events, which goes on after one that fails."""

    def reader(world: World) -> list[str]:
        failed: list[str] = []
        for event in world.of(*actions) if actions else world.events:
            try:
                with transaction.atomic():
                    read(event)
            except Exception as why:  # noqa: BLE001 - whatever it is
                failed.append(f"{event.action}: {_where(why)}")
        return failed

    return reader


def once(*reads: Callable[[World], object]) -> Callable[[World], list[str]]:
    """Return a reader of all events at once, in parts that fail alone."""

    def reader(world: World) -> list[str]:
        failed: list[str] = []
        for read in reads:
            try:
                with transaction.atomic():
                    read(world)
            except Exception as why:  # noqa: BLE001 - whatever it is
                failed.append(_where(why))
        return failed

    return reader


def _where(why: Exception) -> str:
    frames = [each for each in traceback.extract_tb(why.__traceback__) if f"{ROOT}/" in each.filename]
    frame = next((each for each in reversed(frames) if ".venv" not in each.filename), None)
    place = f"{Path(frame.filename).relative_to(ROOT)}:{frame.lineno} {frame.line}" if frame else ""
    return f"{type(why).__name__}: {str(why)[:200]!r} at {place}"


def page(*addresses: str) -> Callable[[World], list[str]]:
    """Return a reader of pages, lists and exports, followed to the end."""

    def get(address: str) -> Callable[[World], object]:
        def read(world: World) -> None:
            begin = where = address.format(world=world)
            while where:
                answer = (world.script if begin.startswith("/api/") else world.browser).get(where)
                body = answer.getvalue().decode()
                assert answer.status_code == 200, (where, answer.status_code, body[:300])
                if begin.startswith("/api/"):
                    after = json.loads(body)["next"] if answer["Content-Type"] == "application/json" else None
                    where = f"{begin}&cursor={after}" if after else ""
                else:
                    found = _FOLLOWING.search(body)
                    where = unescape(found[1]) if found else ""

        return read

    return once(*map(get, addresses))


_FOLLOWING: Final = re.compile(r'rel="next"[^>]* href="([^"]+)"')


def _replayed(_world: World) -> None:
    calls, _after = recorded_calls.read(None, clock.now() - timedelta(days=1), clock.now() + timedelta(days=1), None)
    past_sessions.read(calls, clock.now() - timedelta(days=1))


def _what_if(world: World) -> None:
    change = {"kind": "grant", "grant": str(world.grant.pk), "tools": ["now"]}
    row = what_if.begin(change, 1, by=callers.of(world.company.ana))
    while what_if.advance(row.pk):
        pass
    row.refresh_from_db()
    assert row.state == "finished", row.failure


def _past(world: World) -> None:
    links = [link for event in world.events for link in event.links]
    moments = clock.now() - timedelta(days=1), clock.now() + timedelta(days=1)
    for moment in moments:
        past = history.read(links, moment)
        for link in {*links[:50], *(f"{kind}:{key}" for kind, keys in world.keys.items() for key in keys)}:
            past.is_on(link, now=True), past.agent(link, "active"), past.tool(link, "approved", "low")
            past.office(link, "owner", None), past.owner_until(link)
        history.grants([str(world.grant.pk), "x"], moment)
        history.gone_lines("clock", "now", moment)
        history.members(["g"], {}, moment)


def _at(days: int) -> datetime:
    return clock.now() + timedelta(days=days)


def _listened(read: Callable[[], int], cursor: str) -> Callable[[World], object]:
    def run(world: World) -> None:  # noqa: ARG001
        stream.begin(cursor, lambda: 0)
        while read():
            pass

    return run


def _tables(world: World) -> None:
    for table in (*tables.TABLES.values(), *period.TABLES.values()):
        json.dumps([*table.rows(world.campaign)])


def _invariant(invariant: invariants.Invariant) -> Callable[[World], object]:
    """`check` begins a transaction of its own, which would see none of this."""

    def read(world: World) -> None:  # noqa: ARG001
        values: dict[str, Any] = {"now": _at(1), "since": _at(-1), "skew": invariants.SKEW}
        with connection.cursor() as cursor:
            cursor.execute(invariants._BODY.sub(lambda match: bodies.as_jsonb(match[1]), invariant.query), values)

    return read


def _explained(event: Event) -> None:
    with suppress(why.NotADecision):
        of = {"caller": callers.of(Grant.objects.latest("created_at").agent.sponsor)}
        json.dumps(ExplanationSerializer(why.explain(why.find(event.uuid)), context=of).data, default=str)


def _noticed(event: Event) -> None:
    for message in notifiers.NOTIFIERS[Action(event.action)](event):
        listener._queue(message, event)


def _as_of(kind: str) -> Callable[[datetime], object]:
    return lambda moment: past_things.as_of(kind, moment)


def _drifted(detector: rules.Detector) -> Callable[[World], object]:
    return lambda _world: replay.run(detector, 28)


def _cut(world: World) -> None:
    usage_replay.of_grant(world.grant, ["now"], {"convert": {"timezone": {"one_of": ["Europe/Paris"]}}})
    usage.of_lines([world.grant.pk], _at(1))


def _evidence(world: World) -> None:
    json.dumps(description.scope(world.campaign))
    assert "".join(evidence_record.evidence(world.campaign).as_json())
    for terms in past_grants.as_of(_at(0)).values():
        reperformance._chosen(reperformance.COMPARED, reperformance._as_packed(terms))


def _second_persons(world: World) -> None:
    for link in world.events[0].links:
        independence.stopped_by(link, Action.AGENT_SUSPENDED, Action.AGENT_RESTORED)
    independence.behind(Principal.parse("client:x"))
    with suppress(independence.SecondPersonNeeded):
        independence.check_start("agent:research-bot", Action.AGENT_SUSPENDED, world.company.ana.principal, kind="x")
    move.unchanged(world.company.system)


def _of_moments(read: Callable[[datetime], object]) -> Callable[[World], object]:
    return lambda _world: [read(_at(-1)), read(_at(1))]


READERS: Final[Mapping[str, Callable[[World], list[str]]]] = {
    "audit log": page("/audit/?sort=at&columns=at,action,detail,actor,links,code,trace,reason,source,request_id"),
    "filters": page(
        "/audit/?actor=alice",  # shown as usual, and the others briefly
        *(f"/audit/?columns=at&{narrowed}" for narrowed in ("lane=admin", "outcome=success", "code=no_grant")),
        *(f"/audit/?columns=at&{narrowed}" for narrowed in ("agent=research-bot", "system=clock", "ticket=any", "q=a")),
    ),
    "exports": page("/audit/?export=csv", "/audit/?export=jsonl", "/api/v1/audit/export"),
    "API": page("/api/v1/audit-events?limit=200", "/api/v1/audit-events?about=agent:research-bot&limit=200"),
    "timelines": page(
        *("/agents/research-bot/?tab=timeline", "/systems/clock/?tab=timeline", "/grants/{world.grant.pk}/"),
        *("/requests/{world.keys[request][0]}/", "/audit/?about=trace:" + "a" * 32, "/audit/restored/"),
    ),
    "reviews": page("/reviews/q4/items/{world.keys[item][0]}/", "/reviews/q4/"),
    "decisions": each(_explained, *filters.DECISIONS),
    "decision pages": lambda world: page(*(f"/decisions/why/?evaluation={key}" for key in world.decisions))(world),
    "notices": each(_noticed, *notifiers.NOTIFIERS),
    "webhooks": each(webhooks.queue, *webhooks.EVENTS),
    "event-triggered reviews": each(lambda event: triggers._HANDLERS[Action(event.action)](event), *triggers._HANDLERS),
    "drift": each(lambda event: [*findings.in_events([event])]),
    "security event streams": each(lambda event: transmit._put([event])),
    "risk": each(lambda event: [*detectors._single([event]), *detectors._bursts([event])]),
    "decoys": each(follow._follow, Action.DECOY_TOUCHED),
    "denied calls": each(denied_calls._denied_call_of),
    "past": once(_past, _of_moments(past_grants.as_of), *map(_of_moments, map(_as_of, past_things.KINDS))),
    "evidence": once(_tables, _evidence),
    "replay": once(_replayed, _what_if, _cut),
    "second persons": once(_second_persons),
    "sealed log": once(
        _listened(listener.listen, listener.CURSOR),
        _listened(detectors.listen, detectors.CURSOR),
        _listened(detect.listen, detect.CURSOR),
        _listened(usage.roll_up, usage.CURSOR),
        _listened(observed.roll_up, observed.CURSOR),
        _listened(triggers.listen, triggers.CURSOR),
        _listened(transmit.listen, transmit.CURSOR),
    ),
    "drift over days": once(*map(_drifted, rules.DETECTORS)),
    "numbers": once(lambda _world: metrics._rows(metrics._EVENTS, [_at(-1)]), *map(_invariant, invariants.ALL)),
    "set-up": page("/settings/setup/"),
}


@pytest.mark.parametrize("part", range(seeds.cases(8, short=1)))
def test_no_body_makes_a_reader_fail(world: World, part: int) -> None:
    write(world, seeds.chance(part))
    failed = {name: found for name, read in READERS.items() if (found := read(world))}
    assert not failed, "\n".join(f"{name}: {why}" for name, found in failed.items() for why in sorted({*found}))


def test_every_module_that_reads_events_has_a_reader_here() -> None:
    assert {name for name, text in SOURCES.items() if READS.search(text)} == READ_BY.keys()
    assert {reader for reader in READ_BY.values() if " " not in reader} <= READERS.keys()
