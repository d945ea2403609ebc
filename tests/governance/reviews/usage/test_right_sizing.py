"""What is larger than its use: proposed where it is certain, with its replay, and taken away by a person alone."""

from __future__ import annotations

from datetime import timedelta

import pytest

from audit import clock
from audit.actions import Action
from audit.export import timeline
from entitlements.catalog.models import Entitlement, Tool
from entitlements.grants.models import Grant
from governance.requests.models import AccessRequest
from governance.reviews.usage import replay as replay_actions
from governance.reviews.usage import right_sizing
from governance.reviews.usage.models import UsageDay
from governance.reviews.usage.right_sizing import UsedMeanwhile
from tests import make
from tests.entitlements.api import client
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits

pytestmark = pytest.mark.django_db

OLD, YOUNG, LONG = timedelta(days=100), timedelta(days=80), timedelta(days=200)


def held(company: Company, of: Entitlement | None = None, *, age: timedelta = OLD) -> Grant:
    """Give research-bot access of some age, for somebody new."""
    of = of or company.use
    Entitlement.objects.filter(pk=of.pk).update(longest=LONG)
    of.refresh_from_db()
    return make.grant(company.bot, of, people=[make.person()], lasts=LONG, starts_at=clock.now() - age)


def used(grant: Grant, name: str, calls: int = 5, days: int = 3) -> None:
    tool, at = Tool.objects.get(system=grant.entitlement.system, name=name), clock.now() - timedelta(days=days)
    row = {"agent": grant.agent, "grant": grant, "tool": tool, "day": at.date(), "denied": 0}
    UsageDay.objects.create(**row, calls=calls, last_at=at)


def proposed() -> dict[Grant, right_sizing.Proposal]:
    return {each.grant: each for each in right_sizing.proposals(right_sizing.oversized(Grant.objects.order_by("pk")))}


def test_only_what_is_certainly_unused_is_proposed() -> None:
    company = companies.found()
    some, none, all_of_it, young = held(company), held(company), held(company), held(company, age=YOUNG)
    native = held(company, make.entitlement(make.system("native", kind="mcp", owner=company.sam)))
    used(some, "now", 40)
    used(some, "convert", 2, days=95)
    for tool in ("now", "convert", "remove", "wipe"):
        used(all_of_it, tool)
    used(young, "now")

    found = proposed()

    assert set(found) == {some, none}, (all_of_it, young, native)
    assert (found[some].drop, found[some].keep) == (("convert", "remove", "wipe"), ("now",))
    assert (found[some].replay.denied, found[some].replay.calls, found[some].replay.full) == (0, 40, True)
    assert found[none].is_whole


def test_what_a_renewal_goes_on_from_counts_as_its_age_and_its_use() -> None:
    company = companies.found()
    before = held(company)
    used(before, "remove", 7)
    Grant.objects.filter(pk=before.pk).update(state="expired", ended_at=clock.now(), end_reason="its time has passed")
    asked = company.ask("now")
    now = make.grant(company.bot, company.use, people=[company.bob])
    Grant.objects.filter(pk=now.pk).update(request_id=asked.pk)
    AccessRequest.objects.filter(pk=asked.pk).update(renews=before)
    [told] = proposed().values()
    assert (told.grant, told.keep) == (now, ("remove",))
    replay = replay_actions.of_grant(now, ["remove"], {})
    assert (replay.calls, replay.denied, replay.full) == (7, 7, True)


def test_a_person_lets_it_go_and_what_was_used_meanwhile_stays() -> None:
    company = companies.found()
    grant = held(company)
    used(grant, "now")
    used(grant, "wipe", 1, days=0)
    with pytest.raises(UsedMeanwhile):
        right_sizing.apply(grant, ["remove", "wipe"], by=company.sofia, reason="unused")

    right_sizing.apply(grant, ["convert", "remove"], by=company.sofia, reason="unused")

    assert sorted(grant.lines.values_list("tool__name", flat=True)) == ["now", "wipe"]
    event = timeline.of("grant", str(grant.pk)).get(action=Action.GRANT_REDUCED)
    assert (event.actor, event.detail["dropped"]) == ("person:sofia", ["convert", "remove"])
    assert proposed() == {}
    whole = held(company)
    right_sizing.apply(whole, ["now", "convert", "remove", "wipe"], by=company.sofia, reason="unused")
    whole.refresh_from_db()
    assert whole.state == "revoked"


@pytest.mark.django_db(transaction=True)
def test_over_the_api_whoever_sees_it_reads_it_and_those_who_answer_let_it_go() -> None:
    company = companies.found()
    grant = held(company)
    used(grant, "now", 4500)
    sofia, address = client.of(company.sofia), f"/api/v1/grants/{grant.pk}/right-size"
    [told] = sofia.get("/api/v1/right-sizing").json()["results"]
    assert (told["agent"], told["drop"], told["keep"]) == ("research-bot", ["convert", "remove", "wipe"], ["now"])
    assert (told["replay"]["would_be_denied"], told["replay"]["calls"]) == (0, 4500)
    assert client.of(company.mallory).get("/api/v1/right-sizing").json()["results"] == []
    served = client.of(grant.subjects.get().person)
    assert served.post(address, {"drop": ["wipe"], "reason": "unused"}).status_code in (403, 404)
    assert sofia.post(address, {"drop": ["now"], "reason": "unused"}).json()["code"] == "right_sizing_outdated"
    done = sofia.post(address, {"drop": told["drop"], "reason": "unused"})
    assert [line["tool"] for line in done.json()["lines"]] == ["now"]


def test_the_use_of_a_grant_is_told_by_tool_and_day_and_what_cannot_be_told_is_said() -> None:
    company = companies.found()
    grant = held(company)
    used(grant, "now", 4500)
    address = f"/api/v1/grants/{grant.pk}/use"
    assert client.of(company.mallory).get(address).status_code == 404
    told = client.of(company.sofia).get(address).json()
    lines = {line["tool"]: line for line in told["lines"]}
    assert (lines["now"]["calls"], lines["now"]["grade"], lines["now"]["full_window"]) == (4500, "A", True)
    assert (lines["wipe"]["calls"], lines["wipe"]["last_call_at"]) == (0, None)
    assert [(day["tool"], day["calls"], day["people"]) for day in told["days"]] == [("now", 4500, 0)]
    assert told["arguments"] == "bounded_numbers"


def test_on_the_page_one_press_lets_it_go_for_those_who_may() -> None:
    company = companies.found()
    grant = held(company)
    used(grant, "now", 4500)
    sofia = visits.as_(company.sofia)
    page = visits.text(sofia.get("/right-sizing/"))
    assert "0 of 4500 calls would have been denied." in page
    assert "Remove 3 unused tools" in page
    auditor = visits.as_(make.person(roles=["auditor"]))
    assert "Remove 3 unused tools" not in visits.text(auditor.get("/right-sizing/"))
    sent = {"drop": ["convert", "remove", "wipe"]}
    assert auditor.post(f"/grants/{grant.pk}/right-size/", sent).status_code == 403
    assert sofia.post(f"/grants/{grant.pk}/right-size/", sent).status_code == 302
    assert "No access is larger than its use" in visits.text(sofia.get("/right-sizing/"))
