"""What if: the denials that a replay predicts are those that the same calls get once the change is really made."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any
from unittest import mock

import pytest

from audit import clock, context, log
from audit.actions import Action
from audit.context import SYSTEM, Principal
from entitlements.access import caller as callers
from entitlements.budgets import budgets
from entitlements.budgets.budgets import What
from entitlements.budgets.models import BudgetUse
from entitlements.catalog.models import Tool
from entitlements.clients.models import Client
from entitlements.decisions import facts, policy
from entitlements.decisions.limits import LimitMalformed
from entitlements.decisions.snapshot import Call
from entitlements.decisions.verdicts import Verdict
from entitlements.errors import DomainError, NotFound
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.people import people
from entitlements.people.models import Person
from governance.what_if import replay, what_if
from governance.what_if.change import ChangeMalformed
from governance.what_if.changes import KINDS
from governance.what_if.models import WhatIf
from tests import make
from tests.governance.decisions import fleets
from tests.governance.decisions.fleets import Fleet

pytestmark = pytest.mark.django_db


@dataclass
class Traffic:
    """Calls that were made through the decision function, and recorded as the gateway records them."""

    fleet: Fleet
    made: list[Call] = field(default_factory=list)

    def play(self, calls: int) -> None:
        """Make calls; those that are allowed are recorded."""
        clients = list(Client.objects.filter(agent__in=self.fleet.agents).select_related("agent").order_by("pk"))
        for _call in range(calls):
            dice, client = self.fleet.dice, self.fleet.dice.choice(clients)
            assert client.agent is not None
            person = dice.choice([*(each.login for each in self.fleet.people), None])
            arguments = dice.choice([{}, {"amount": dice.randint(1, 120)}])
            call = Call(
                client.agent.slug, client.client_id, person, "ledger", dice.choice(self.fleet.tools).name, arguments
            )
            self.make(call)

    def make(self, call: Call) -> None:
        """Make a call; one that is allowed is recorded."""
        if (verdict := decided(call)).allowed:
            self.made.append(call)
            record(call, verdict)

    def really(self) -> tuple[Counter[tuple[str, str, str]], int]:
        """Make the same calls again, and count the denials by agent, tool and code, and the others."""
        verdicts = [(call, decided(call)) for call in self.made]
        denied = Counter(
            (call.agent, f"ledger/{call.tool}", verdict.code.value) for call, verdict in verdicts if not verdict.allowed
        )
        return denied, sum(verdict.allowed for _, verdict in verdicts)


def decided(call: Call) -> Verdict:
    people = [(each.login, each.is_active) for each in Person.objects.filter(login=call.person or "")]
    known = facts.load(call.agent, call.system, people)
    assert known is not None
    return policy.decide(call, known, clock.now().timestamp())


def record(call: Call, verdict: Verdict) -> None:
    links = [f"client:{call.client}", f"grant:{verdict.grant}", "system:ledger", f"tool:ledger/{call.tool}"]
    detail: dict[str, Any] = {"method": "tools/call", "tool": call.tool, "version": verdict.tool_version}
    if verdict.measured:
        detail["measured"] = verdict.measured
    person = Principal("person", call.person) if call.person else None
    with context.acting(on_behalf_of=person):
        log.record(Action.CALL_ALLOWED, by=Principal("agent", call.agent), about=links, detail=detail)


def predicted(change: Mapping[str, Any], days: int = 3) -> WhatIf:
    row = what_if.begin(change, days, by=callers.of(make.analyst()))
    while what_if.advance(row.pk):
        pass
    row.refresh_from_db()
    assert (row.state, row.percent) == ("finished", 100), row.failure
    return row


def as_counter(row: WhatIf) -> Counter[tuple[str, str, str]]:
    return Counter({(each["agent"], each["tool"], each["code"]): each["calls"] for each in row.result["by"]})


@pytest.fixture
def traffic() -> Traffic:
    traffic = Traffic(fleets.found(random.Random(7)))  # noqa: S311 - the same each time
    traffic.play(160)
    assert len(traffic.made) > 20
    return traffic


def busiest(traffic: Traffic, **where: object) -> Grant:
    """Return the grant under which most calls were made."""
    held: Counter[str] = Counter()
    for call in traffic.made:
        held[str(decided(call).grant)] += 1
    return next(
        grant for key, _ in held.most_common() if (grant := Grant.objects.filter(pk=key, **where).first()) is not None
    )


def _revoke(grant: Grant, _end: datetime) -> None:
    grants.revoke(grant.pk, by=SYSTEM, reason="really")


def _narrow(grant: Grant, _end: datetime) -> None:
    held = {line.tool.name: line.limits for line in grant.lines.select_related("tool")}
    grants.reduce(grant.pk, {name: cap for name, cap in held.items() if name == "book"}, by=SYSTEM, reason="really")


def _end(grant: Grant, end: datetime) -> None:
    held = {line.tool.name: line.limits for line in grant.lines.select_related("tool")}
    grants.reduce(grant.pk, held, expires_at=end, by=SYSTEM, reason="really")


@pytest.mark.parametrize(
    ("fields", "really"), [({"revoke": True}, _revoke), ({"tools": ["book"]}, _narrow), ({"ends_at": ...}, _end)]
)
def test_a_changed_grant_denies_what_was_predicted(
    traffic: Traffic, fields: dict[str, Any], really: Callable[[Grant, datetime], None]
) -> None:
    grant, ends = busiest(traffic, entitlement__scope="ledger:all"), clock.now() + timedelta(hours=2)
    change = {"kind": "grant", "grant": str(grant.pk), **fields}
    if "ends_at" in fields:
        change["ends_at"] = ends.isoformat()
    row = predicted(change)
    really(grant, ends)
    then = ends if "ends_at" in fields else clock.now()
    with mock.patch.object(clock, "now", return_value=then):
        denied, _allowed = traffic.really()
    of_agent = Counter({key: count for key, count in denied.items() if key[0] == grant.agent.slug})
    assert as_counter(row) == of_agent
    assert row.result["denied"] == sum(of_agent.values()) > 0
    assert row.result["unknown"] == 0
    assert row.result["calls"] == sum(call.agent == grant.agent.slug for call in traffic.made)


def _tighten(grants_: list[Grant], caps: Mapping[str, Any]) -> None:
    for grant in grants_:
        held = {line.tool.name: line.limits for line in grant.lines.select_related("tool")}
        grants.reduce(grant.pk, {**held, "pay": caps}, by=SYSTEM, reason="really")


LOWER = {"amount": {"max": 50}}


@pytest.fixture
def bounded() -> Traffic:
    """Payments by two agents for two people, up to a limit; the second agent pays without one for the second person."""
    fleet = fleets.found(random.Random(7), grants_=0)  # noqa: S311 - as above
    (wide, few), (one, other) = fleet.entitlements, fleet.agents[1:3]
    alice, bob = fleet.people[:2]
    fleet.grants += [make.grant(agent, wide, people=[alice, bob]) for agent in (one, other)]
    fleet.grants.append(make.grant(other, few, people=[bob]))
    traffic = Traffic(fleet)
    for agent, person, amount in product((one, other), (alice, bob), (10, 50, 60, 100, 101)):
        client = f"{agent.slug}-client"
        traffic.make(Call(agent.slug, client, person.login, "ledger", "pay", {"amount": amount}))
    assert len(traffic.made) == 17
    return traffic


def test_lower_limits_deny_what_was_predicted_on_a_grant_and_on_all_grants_of_an_entitlement(bounded: Traffic) -> None:
    one, other, _free = bounded.fleet.grants
    on_one = predicted({"kind": "limits", "grant": str(one.pk), "tool": "pay", "limits": LOWER})
    same = predicted({"kind": "grant", "grant": str(one.pk), "limits": {"pay": LOWER}})
    _tighten([one], LOWER)
    assert as_counter(on_one) == as_counter(same) == bounded.really()[0] != Counter()
    on_all = predicted({"kind": "limits", "entitlement": "ledger:all", "tool": "pay", "limits": LOWER})
    assert {agent for agent, _, _ in as_counter(on_all)} == {other.agent.slug}
    _tighten([other], LOWER)
    denied, _allowed = bounded.really()
    assert as_counter(on_all) + as_counter(on_one) == denied
    assert on_all.result["denied_anyway"] == on_one.result["denied"] == 4
    assert on_one.result["unknown"] == 0
    assert on_all.result["unknown"] == 4, "the grant was reduced since, so which limits held is not known"


def test_what_the_log_does_not_hold_is_unknown_and_never_harmless(bounded: Traffic) -> None:
    named = {**LOWER, "to": {"equals": "bank", "optional": True}}
    row = predicted({"kind": "limits", "entitlement": "ledger:all", "tool": "pay", "limits": named})
    _tighten(bounded.fleet.grants[:2], named)
    denied, _allowed = bounded.really()
    assert as_counter(row) == denied, "the numbers alone deny these"
    assert row.result["unknown"] == 6, "what lies below the numbers may still go elsewhere"
    assert sum(denied.values()) <= row.result["denied"] + row.result["unknown"]


def test_a_call_of_which_the_log_does_not_tell_enough_is_unknown_and_one_that_cannot_pass_now_is_no_news(
    bounded: Traffic,
) -> None:
    grant, agent = bounded.fleet.grants[0], bounded.fleet.agents[1]
    tool = Tool.objects.get(system=bounded.fleet.system, name="book")
    enough = [f"client:{agent.slug}-client", f"grant:{grant.pk}", "system:ledger", "tool:ledger/book"]
    chain = {"chain": ["bot-5"], "chain_clients": ["bot-5-client"]}
    calls: list[tuple[list[str], object]] = [
        (enough, tool.approved_id),
        ([link for link in enough if not link.startswith("client:")], tool.approved_id),
        ([*enough, "agent:bot-5"], tool.approved_id),
        (enough, "another definition"),
        ([*enough, f"agent:{agent.slug}"], tool.approved_id),
    ]
    for person in bounded.fleet.people[:2]:
        for links, version in calls:
            for told in ({}, chain) if "agent:bot-5" in links else ({},):
                with context.acting(on_behalf_of=person.principal):
                    detail = {"tool": "book", "version": str(version), **told}
                    log.record(Action.CALL_ALLOWED, by=agent.principal, about=links, detail=detail)
    people.disable(bounded.fleet.people[1], by=SYSTEM, reason="left")
    row = predicted({"kind": "grant", "grant": str(grant.pk), "tools": ["pay"]})
    assert as_counter(row) == {(agent.slug, "ledger/book", "no_grant"): 2}
    assert row.result["unknown"] == 2 + 1 + 2, "also where the log names agents behind and not in which order"
    assert row.result["denied_anyway"] == 5 + 4, "the agent behind does not permit the one before it"


def test_calls_that_a_budget_denies_now_are_denied_anyway_and_the_next_grant_counts(bounded: Traffic) -> None:
    one, other, free = bounded.fleet.grants
    change = {"kind": "limits", "entitlement": "ledger:all", "tool": "pay", "limits": LOWER}
    before = predicted(change)
    assert before.result["over_budget"] == before.result["denied_anyway"] == 0

    def use_up(window: timedelta | None = None, **target: Any) -> None:  # noqa: ANN401 - what it is for
        row = budgets.set_budget(What("calls", Decimal(1), window), by=make.analyst(), reason="A bound.", **target)
        BudgetUse.objects.filter(budget=row).update(taken=1)

    use_up(timedelta(hours=1), agent=other.agent.slug)
    assert as_counter(predicted(change)) == as_counter(before), "a rate begins anew within the hour"
    use_up(grant=other.pk)
    row = predicted(change)
    of_bob = sum(
        call.agent == other.agent.slug and call.person == bounded.fleet.people[1].login for call in bounded.made
    )
    assert row.result["over_budget"] == row.result["denied_anyway"] == 9 - of_bob > 0
    use_up(agent=one.agent.slug)
    assert predicted(change).result["over_budget"] == 8 + 9 - of_bob
    use_up(grant=free.pk)
    assert predicted(change).result["over_budget"] == len(bounded.made)


def test_a_replay_of_what_is_gone_fails_and_says_so() -> None:
    grant = make.grant(of=make.entitlement(system := make.system(), make.tool(system, "one"), make.tool(system, "two")))
    change = {"kind": "grant", "grant": str(grant.pk), "tools": ["two"]}
    row = what_if.begin(change, 1, by=callers.of(make.analyst()))
    grants.reduce(grant.pk, {"one": {}}, by=SYSTEM, reason="really")
    assert not what_if.advance(row.pk)
    row.refresh_from_db()
    assert (row.state, what_if.unfinished()) == ("failed", [])
    assert row.failure


def test_a_worker_that_dies_repeats_its_day_and_counts_no_call_twice(traffic: Traffic) -> None:
    grant = busiest(traffic)
    row = what_if.begin({"kind": "grant", "grant": str(grant.pk), "revoke": True}, 2, by=callers.of(make.analyst()))
    assert (row.state, row.percent) == ("waiting", 0)
    assert what_if.advance(row.pk)
    with pytest.raises(ZeroDivisionError), mock.patch.object(replay.Tally, "add", side_effect=ZeroDivisionError):
        what_if.advance(row.pk)
    row.refresh_from_db()
    assert (row.state, row.percent) == ("running", 50)
    assert what_if.unfinished() == [row.pk]
    assert not what_if.advance(row.pk)
    row.refresh_from_db()
    assert row.result["calls"] == sum(call.agent == grant.agent.slug for call in traffic.made)
    assert what_if.unfinished() == []
    assert not what_if.advance(row.pk)


@pytest.mark.parametrize("change", [None, {}, {"kind": "x"}, *({"kind": kind} for kind in KINDS)])
def test_a_change_that_is_none_is_refused(change: Any) -> None:  # noqa: ANN401 - any JSON
    with pytest.raises(ChangeMalformed):
        what_if.begin(change, 3, by=callers.of(make.analyst()))


def test_what_cannot_be_replayed_is_refused() -> None:
    ana, grant = callers.of(make.analyst()), make.grant()
    revoke = {"kind": "grant", "grant": str(grant.pk), "revoke": True}
    tool = grant.lines.get().tool.name
    refused: list[tuple[Any, int, type[DomainError]]] = [
        (revoke, 0, what_if.BadDays),
        (revoke, 91, what_if.BadDays),
        ({**revoke, "grant": "0"}, 3, NotFound),
        ({**revoke, "more": 1}, 3, ChangeMalformed),
        ({**revoke, "revoke": "yes"}, 3, ChangeMalformed),
        ({**revoke, "tools": ["nothing"]}, 3, ChangeMalformed),
        ({**revoke, "revoke": False}, 3, ChangeMalformed),
        ({**revoke, "ends_at": "2020-01-01"}, 3, ChangeMalformed),
        ({**revoke, "ends_at": "2020-01-01T00:00:00Z"}, 3, ChangeMalformed),
        ({"kind": "limits", "grant": str(grant.pk), "tool": tool, "limits": {"a": 1}}, 3, LimitMalformed),
        ({"kind": "limits", "grant": str(grant.pk), "tool": "nothing", "limits": {}}, 3, ChangeMalformed),
        ({"kind": "limits", "tool": tool, "limits": {}}, 3, ChangeMalformed),
        ({"kind": "limits", "entitlement": "no:such", "tool": tool, "limits": {}}, 3, NotFound),
    ]
    for change, days, error in refused:
        with pytest.raises(error):
            what_if.begin(change, days, by=ana)
    for _number in range(what_if.MOST_WAITING):
        what_if.begin(revoke, 1, by=ana)
    with pytest.raises(what_if.TooManyWaiting):
        what_if.begin(revoke, 1, by=ana)
    grants.revoke(grant.pk, by=SYSTEM, reason="really")
    with pytest.raises(ChangeMalformed):
        what_if.begin(revoke, 1, by=callers.of(make.analyst()))
