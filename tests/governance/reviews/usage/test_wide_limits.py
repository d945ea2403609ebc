"""Limits far above the largest number used: proposed where it is certain, replayed, and lowered by a person alone."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, connections, transaction
from hypothesis import given
from hypothesis import settings as trying
from hypothesis import strategies as st

from audit.actions import Action
from audit.export import timeline
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.grants import grants
from entitlements.grants.models import Grant
from governance.reviews.decisions import submission
from governance.reviews.decisions.models import Draft, ReviewDecision
from governance.reviews.usage import right_sizing, tighter_limits
from governance.reviews.usage.right_sizing import UsedMeanwhile
from governance.reviews.usage.tighter_limits import Tightening
from tests import make, seeds, waits
from tests.entitlements.api import client
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.governance.reviews import worlds
from tests.governance.reviews.usage.test_right_sizing import OLD, YOUNG, held, proposed, used
from tests.governance.reviews.usage.test_usage import call

pytestmark = pytest.mark.django_db

TO_1000 = {"now": {"amount": 1_000}}
UNUSED = ["convert", "remove", "wipe"]


def paying(company: Company, most: float = 10_000, *, age: timedelta = OLD) -> Grant:
    """Give access of which one tool is limited to an amount, and was called with some far below it."""
    grant = held(company, age=age)
    grant.lines.filter(tool__name="now").update(limits={"amount": {"max": most}, "to": {"equals": "x"}})
    for amount in (12.5, 420, 80):
        call(grant, amount=amount)
    return grant


def limit(grant: Grant) -> object:
    return grant.lines.get(tool__name="now").limits["amount"]["max"]


def test_a_limit_far_above_its_use_is_proposed_lower_with_its_numbers_and_its_replay() -> None:
    company = companies.found()
    grant = paying(company)
    paying(company, 1_500)
    paying(company, age=YOUNG)
    for name in UNUSED:
        for each in Grant.objects.exclude(pk=grant.pk):
            used(each, name)

    [told] = proposed().values()

    assert (told.grant, told.drop, told.keep) == (grant, ("convert", "remove", "wipe"), ("now",))
    assert list(right_sizing.oversized(Grant.objects.all())) == [grant], "the database goes by the same rule"
    assert told.tighten == (Tightening("now", "amount", 10_000, 420, 3, 1_000),)
    assert (told.replay.calls, told.replay.denied, told.replay.undecided) == (3, 0, 0)


def test_a_limit_alone_is_reason_enough_to_be_listed_and_calls_without_its_number_are_none() -> None:
    company = companies.found()
    grant, unsure = paying(company), paying(company)
    for each in (grant, unsure):
        for name in UNUSED:
            used(each, name)
    call(unsure)  # before there was a bound, or without the argument: what was asked then is not known
    assert list(proposed()) == list(right_sizing.oversized(Grant.objects.all())) == [grant]


@trying(max_examples=seeds.cases(2_000, short=200))
@given(st.one_of(st.integers(1, 2**53), st.floats(min_value=1e-6, max_value=1e15).map(lambda n: round(n, 6) or 1e-6)))
def test_the_database_rounds_as_the_rule_does(most: tighter_limits.Figure) -> None:
    least = 2 * Decimal(str(most))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {right_sizing.ROUNDED.format(least='%s::numeric')}", [least])
        assert cursor.fetchone() == (Decimal(str(tighter_limits.bound(most, 10**20))),)


@pytest.mark.parametrize(
    ("drop", "tighten", "left"),
    [
        ([], TO_1000, ["convert", "now", "remove", "wipe"]),
        (UNUSED, {}, ["now"]),
        (UNUSED, TO_1000, ["now"]),
        (["wipe"], {"now": {"amount": 2_500.5}}, ["convert", "now", "remove"]),
    ],
)
def test_tools_go_limits_are_lowered_or_both_in_one_event(drop: list[str], tighten: Any, left: list[str]) -> None:  # noqa: ANN401
    company = companies.found()
    grant = paying(company)

    right_sizing.apply(grant, drop, tighten, by=company.sofia, reason="far above its use")

    assert sorted(grant.lines.values_list("tool__name", flat=True)) == left
    most = tighten["now"]["amount"] if tighten else 10_000
    assert grant.lines.get(tool__name="now").limits == {"amount": {"max": most}, "to": {"equals": "x"}}
    event = timeline.of("grant", str(grant.pk)).get(action=Action.GRANT_REDUCED)
    assert (event.actor, event.reason, event.detail["dropped"]) == ("person:sofia", "far above its use", sorted(drop))
    assert set(event.detail["tightened"]) == set(tighten)


@pytest.mark.parametrize(
    "tighten",
    [
        {"now": {"amount": 500}},  # less headroom than is proposed
        {"now": {"amount": 10_000}},  # what holds
        {"now": {"amount": 50_000}},
        {"now": {"to": 5}},
        {"convert": {"amount": 1_000}},
        {"gone": {"amount": 1_000}},
        {"now": {"amount": float("nan")}},
        {},
    ],
)
def test_what_is_not_proposed_is_refused_whole(tighten: Any) -> None:  # noqa: ANN401
    company = companies.found()
    grant = paying(company)
    with pytest.raises(UsedMeanwhile) as refused:
        right_sizing.apply(grant, ["now"] if not tighten else UNUSED, tighten, by=company.sofia, reason="r")
    assert refused.value.detail["tighten"] == [{"tool": "now", "argument": "amount", "proposed": 1_000}]
    assert (limit(grant), grant.lines.count()) == (10_000, 4)


def test_a_larger_number_used_meanwhile_is_refused_and_a_smaller_one_is_not() -> None:
    company = companies.found()
    grant = paying(company)
    call(grant, amount=501)
    with pytest.raises(UsedMeanwhile):
        right_sizing.apply(grant, [], TO_1000, by=company.sofia, reason="r")
    right_sizing.apply(grant, [], {"now": {"amount": 2_000}}, by=company.sofia, reason="r")
    assert limit(grant) == 2_000
    other = paying(company)
    call(other, amount=500)
    right_sizing.apply(other, [], TO_1000, by=company.sofia, reason="r")
    assert limit(other) == 1_000


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("meanwhile", ["a call", "a lower limit"])
def test_what_happens_while_it_waits_for_the_grant_counts(meanwhile: str) -> None:
    company = companies.found()
    grant = paying(company)
    is_held, codes = threading.Event(), []

    def hold() -> None:
        try:
            with transaction.atomic():
                locks.exclusive((Lock.GRANT, grant.pk))
                is_held.set()
                waits.until(a_lock_is_waited_for)
                if meanwhile == "a call":
                    call(grant, amount=4_000)
                else:
                    kept = {line.tool.name: line.limits for line in grant.lines.select_related("tool")}
                    kept["now"] = {**kept["now"], "amount": {"max": 900}}
                    grants.reduce(grant.pk, kept, by=company.sam.principal, reason="r")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as other:
        running = other.submit(hold)
        assert is_held.wait(waits.SECONDS)
        try:
            right_sizing.apply(grant, [], TO_1000, by=company.sofia, reason="r")
        except UsedMeanwhile as refusal:
            codes.append(refusal.code)
        running.result()
    assert codes == ["right_sizing_outdated"]
    assert limit(grant) == (10_000 if meanwhile == "a call" else 900)


def a_lock_is_waited_for() -> bool:
    """Return whether another transaction waits for the lock that this one holds."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        return bool(cursor.fetchone() != (0,))


@pytest.mark.django_db(transaction=True)
def test_over_the_api_a_limit_is_told_and_lowered_by_those_who_answer_for_it() -> None:
    company = companies.found()
    grant = paying(company)
    address, sent = f"/api/v1/grants/{grant.pk}/right-size", {"tighten": TO_1000, "reason": "far above its use"}
    sofia = client.of(company.sofia)
    [told] = sofia.get("/api/v1/right-sizing").json()["results"]
    assert told["tighten"] == [
        {"tool": "now", "argument": "amount", "limit": 10_000, "most": 420, "calls": 3, "proposed": 1_000}
    ]
    assert (told["replay"]["would_be_denied"], told["replay"]["undecided"], told["replay"]["calls"]) == (0, 0, 3)
    assert client.of(company.mallory).post(address, sent).status_code == 404
    assert client.of(grant.subjects.get().person).post(address, sent).status_code == 403
    assert client.of(make.person(roles=["auditor"])).post(address, sent).status_code == 403
    assert sofia.post(address, {**sent, "tighten": {"now": {"amount": "much"}}}).status_code == 400
    assert sofia.post(address, {"reason": "nothing"}).json()["code"] == "right_sizing_outdated"
    assert limit(grant) == 10_000
    lines = {line["tool"]: line["limits"] for line in sofia.post(address, sent).json()["lines"]}
    assert (lines["now"]["amount"], len(lines)) == ({"max": 1_000}, 4)
    assert type(limit(grant)) is int


def test_on_the_page_limits_alone_tools_alone_or_both_are_one_press() -> None:
    company = companies.found()
    grant = paying(company)
    sofia, address = visits.as_(company.sofia), f"/grants/{grant.pk}/right-size/"
    page = visits.text(sofia.get("/right-sizing/"))
    assert "Largest used in 90 days: 420 in 3 calls; limit: 10,000; proposed: 1,000." in page
    assert "0 of 3 calls would have been denied." in page
    for words in ("Do both", "Remove 3 unused tools", "Lower 1 limit"):
        assert f">{words}<" in page
    sent = {"tool": "now", "argument": "amount", "most": "1000"}
    auditor = visits.as_(make.person(roles=["auditor"]))
    assert "Lower 1 limit" not in visits.text(auditor.get("/right-sizing/"))
    assert auditor.post(address, {**sent, "do": "tighten"}).status_code == 403
    for wrong in ("1e999999999", "much", "-", "NaN"):
        assert sofia.post(address, {**sent, "most": wrong, "do": "tighten"}).status_code in (400, 409, 422), wrong
    assert sofia.post(address, {**sent, "argument": ["amount", "to"], "do": "tighten"}).status_code in (400, 422)
    assert limit(grant) == 10_000

    assert sofia.post(address, {**sent, "drop": UNUSED, "do": "tighten"}).status_code == 302
    assert (limit(grant), grant.lines.count()) == (1_000, 4)
    assert sofia.post(address, {**sent, "drop": UNUSED, "do": "drop"}).status_code == 302
    assert (limit(grant), grant.lines.count()) == (1_000, 1)
    both = paying(company)
    assert sofia.post(f"/grants/{both.pk}/right-size/", {**sent, "drop": UNUSED}).status_code == 302
    assert (limit(both), both.lines.count()) == (1_000, 1)
    assert "No access is larger than its use" in visits.text(sofia.get("/right-sizing/"))


def test_beside_an_item_a_lower_limit_is_offered_and_drafted_with_every_tool_kept() -> None:
    company = companies.found()
    grant = paying(company)
    item = worlds.item(worlds.campaign(company))
    line = item.lines.get(tool__name="now")
    sofia, address = visits.as_(company.sofia), f"/reviews/q4/items/{item.pk}/"
    page = visits.text(sofia.get(address, secure=True))
    assert "Largest used in 90 days: 420 in 3 calls; limit: 10,000; proposed: 1,000." in page
    assert f'name="lower:{line.pk}:amount" value="1000"' in page
    assert "With the offered lower limits: 0 of 3 calls would have been denied." in page
    assert "lower:" not in visits.text(visits.as_(company.ana).get(address, secure=True)), "it is not hers to answer"

    kept = {"keep": [each.pk for each in item.lines.all()], "reason": "risk"}
    ticked = {f"lower:{line.pk}:amount": "1000"}
    wrong = sofia.post(f"{address}narrow/", kept | {f"lower:{line.pk}:amount": "much"}, secure=True)
    assert wrong.status_code == 400
    assert sofia.post(f"{address}narrow/", kept | ticked, secure=True).status_code == 302
    assert Draft.objects.get().limits == {str(line.pk): {"amount": {"max": 1_000}, "to": {"equals": "x"}}}
    page = visits.text(sofia.get(address, secure=True))
    assert "lower:" not in page, "as drafted the limit is near its use"
    assert "Your draft: 0 of 3 calls would have been denied." in page
    submission.submit(item.campaign.pk, by=company.sofia, via=ReviewDecision.Via.UI)
    assert (limit(grant), grant.lines.count()) == (1_000, 4)


def test_beside_an_item_that_is_too_young_no_lower_limit_is_offered() -> None:
    company = companies.found()
    paying(company, age=YOUNG)
    item = worlds.item(worlds.campaign(company))
    page = visits.text(visits.as_(company.sofia).get(f"/reviews/q4/items/{item.pk}/", secure=True))
    assert "amount was 12.5 to 420" in page
    assert "lower:" not in page


def test_what_is_written_into_the_field_of_a_limit_wins_over_the_tick_beside_it() -> None:
    company = companies.found()
    schema = {"type": "object", "properties": {"amount": {"type": "number"}}, "required": ["amount"]}
    pay = make.tool(company.system, "pay", definition={"name": "pay", "inputSchema": schema})
    grant = held(company, make.entitlement(company.system, pay, limits={"pay": {"amount": {"max": 10_000}}}))
    call(grant, "pay", amount=420)
    item = worlds.item(worlds.campaign(company))
    line = item.lines.get()
    field, lines = f"limit:{line.pk}:amount", [line.pk]
    sent = {
        "keep": lines,
        "reason": "risk",
        f"lower:{line.pk}:amount": "1000",
        f"{field}:min": "",
        f"{field}:max": "700",
    }
    sofia = visits.as_(company.sofia)
    assert sofia.post(f"/reviews/q4/items/{item.pk}/narrow/", sent, secure=True).status_code == 302
    assert Draft.objects.get().limits[str(line.pk)]["amount"] == {"max": 700}
