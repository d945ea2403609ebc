from __future__ import annotations

from datetime import timedelta

import pytest

from audit import clock
from audit.actions import Action
from entitlements.catalog.models import Tool
from entitlements.grants.models import Grant
from governance.reviews.decisions import submission
from governance.reviews.items.answer import Answer
from governance.reviews.usage import replay
from governance.reviews.usage.models import UsageDay
from governance.reviews.usage.replay import UnknownLine
from tests import make
from tests.entitlements.api import client
from tests.governance.console import visits
from tests.governance.reviews import worlds
from tests.governance.reviews.usage import test_usage

pytestmark = pytest.mark.django_db

URL = "/api/v1/simulate/reduction"


def used(grant: Grant, name: str, calls: int, days: int = 1) -> None:
    tool, at = Tool.objects.get(system=grant.entitlement.system, name=name), clock.now() - timedelta(days=days)
    row = {"agent": grant.agent, "grant": grant, "tool": tool, "day": at.date()}
    UsageDay.objects.create(**row, calls=calls, denied=2, last_at=at)


def test_a_cut_denies_the_calls_of_the_dropped_tools_and_only_those_that_nothing_else_covers() -> None:
    company, grant = worlds.found()
    used(grant, "now", 4400)
    used(grant, "convert", 100)
    used(grant, "convert", 999, days=95)

    nothing = replay.of_grant(grant, ["remove", "wipe"], {})
    assert (nothing.calls, nothing.denied, nothing.visible) == (4500, 0, True)
    some = replay.of_grant(grant, ["convert", "wipe"], {})
    assert (some.denied, dict(some.tools)) == (100, {"convert": 100, "wipe": 0})

    convert = Tool.objects.get(name="convert")
    other = make.grant(company.bot, make.entitlement(company.system, convert), people=[company.bob])
    assert replay.of_grant(grant, ["convert"], {}).denied == 100, "for other people is no cover"
    make.grant(company.bot, make.entitlement(company.system, convert), people=[company.alice])
    covered = replay.of_grant(grant, ["convert"], {})
    assert (covered.denied, covered.covered) == (0, ("convert",))
    assert other.pk != grant.pk


def test_tighter_limits_on_what_the_record_does_not_keep_are_not_decided() -> None:
    _, grant = worlds.found()
    used(grant, "now", 7)
    used(grant, "convert", 5)
    same = grant.lines.get(tool__name="convert").limits
    assert replay.of_grant(grant, [], {"convert": same}).undecided == 0
    tighter = replay.of_grant(grant, [], {"convert": {"timezone": {"one_of": ["Europe/Paris"]}}})
    assert (tighter.calls, tighter.denied, tighter.undecided) == (12, 0, 5)
    with pytest.raises(UnknownLine):
        replay.of_grant(grant, ["nothing"], {})


def test_a_tighter_bound_is_replayed_on_the_numbers_of_recorded_calls() -> None:
    company, grant = worlds.found()
    bounded = {"amount": {"max": 100}}
    grant.lines.filter(tool__name="now").update(limits=bounded)
    for amount in (10, 50, 50, 99):
        test_usage.call(grant, amount=amount)
    test_usage.call(grant)  # before there was a bound
    test_usage.call(grant, action=Action.CALL_DENIED, amount=900)

    lower = replay.of_grant(grant, [], {"now": {"amount": {"max": 50}}})
    assert (lower.calls, lower.denied, lower.undecided, dict(lower.tools)) == (5, 1, 1, {"now": 1})
    both = replay.of_grant(grant, [], {"now": {"amount": {"max": 50}, "to": {"equals": "x"}}})
    assert (both.denied, both.undecided) == (1, 4)
    assert replay.of_grant(grant, [], {"now": bounded}).undecided == 0
    other = make.grant(
        company.bot, make.entitlement(company.system, grant.lines.get(tool__name="now").tool), people=[company.alice]
    )
    beside = replay.of_grant(grant, [], {"now": {"amount": {"max": 50}}})
    assert (beside.denied, beside.undecided) == (0, 2), "another access may let it pass"
    Grant.objects.filter(pk=other.pk).update(state=Grant.State.SUSPENDED)

    item = worlds.item(worlds.campaign(company))
    lines = {line.tool.name: line.pk for line in item.lines.filter(grant=grant).select_related("tool")}
    kept, caps = tuple(lines.values()), {lines["now"]: {"amount": {"max": 10}}}
    tighter = Answer("reduce", "risk", kept=kept, limits=caps)
    submission.save_draft(item.pk, tighter, by=company.sofia, rev=0)
    sofia = visits.as_(company.sofia)
    says = "3 of 5 calls would have been denied; 1 more cannot be determined"
    assert says in visits.text(sofia.get("/reviews/q4/submit/", secure=True))
    assert f"Your draft: {says}" in visits.text(sofia.get(f"/reviews/q4/items/{item.pk}/", secure=True))


def test_an_item_is_replayed_over_the_lines_it_would_keep() -> None:
    company, grant = worlds.found()
    used(grant, "now", 7)
    used(grant, "convert", 5)
    item = worlds.item(worlds.campaign(company))
    lines = {line.tool.name: line for line in item.lines.select_related("tool")}
    told = replay.of_lines(lines.values(), [lines["now"].pk])
    assert (told.calls, told.denied) == (12, 5)
    grant.lines.get(tool__name="convert").delete()
    assert replay.of_lines(lines.values(), [lines["now"].pk]).denied == 0


@pytest.mark.django_db(transaction=True)
def test_whoever_sees_a_grant_may_ask_and_nothing_is_claimed_where_nothing_is_seen() -> None:
    company, grant = worlds.found()
    used(grant, "convert", 5)
    blind = make.grant(company.bot, make.entitlement(make.system("native", kind="mcp", owner=company.sam)))
    asked = {"grant": str(grant.pk), "drop": ["convert"]}
    assert client.of(company.mallory).post(URL, asked).status_code == 404
    told = client.of(company.sofia).post(URL, asked).json()
    assert (told["calls"], told["would_be_denied"], told["full_window"]) == (5, 5, False)
    unseen = client.of(company.ana).post(URL, {"grant": str(blind.pk)}).json()
    assert (unseen["visible"], unseen["calls"], unseen["would_be_denied"]) == (False, None, None)
