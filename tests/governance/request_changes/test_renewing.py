"""Renewing access without a gap and never for more, and asking again after a no."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client

from audit import clock
from audit.context import SYSTEM
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.people import people
from governance.approvals import approvals
from governance.approvals import rules as approval_rules
from governance.eligibility import eligibility, narrowing
from governance.eligibility.narrowing import Narrowing
from governance.request_changes import renewal
from governance.requests import requests
from governance.requests.models import AccessRequest
from tests import make, shared
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits

pytestmark = pytest.mark.django_db
WEEK = timedelta(days=7)


made_world, company = shared.world(companies.found)


def held(company: Company, *tools: str) -> Grant:
    """Let the agent hold these tools for alice, for eight hours."""
    asked = company.ask(*tools)
    approvals.approve(asked.pk, by=company.sofia)
    return Grant.objects.get(request_id=asked.pk)


def renew(company: Company, grant: Grant, **what: Any) -> AccessRequest:  # noqa: ANN401
    return renewal.renew(grant.pk, **{"by": company.otto, "lasts": WEEK, "reason": "still needed", **what})


def test_the_last_answer_ends_the_old_grant_and_begins_the_new_one_in_one_step(company: Company, freeze: Any) -> None:  # noqa: ANN401
    old = held(company, "now", "convert")
    asked = renew(company, old)
    assert (asked.renews, asked.risk, companies.waiting(asked)) == (old, "medium", {"sponsor": ["sofia"]})
    assert Grant.objects.get(ended_at=None) == old

    after = approvals.approve(asked.pk, by=company.sofia)

    new = Grant.objects.get(ended_at=None)
    old.refresh_from_db()
    assert (new.pk, new.starts_at, new.expires_at) == (after.grant_id, freeze, freeze + WEEK)
    assert (old.state, old.ended_at) == ("revoked", freeze)
    assert {line.tool.name: line.limits for line in new.lines.all()} == {
        line.tool.name: line.limits for line in old.lines.all()
    }
    assert [subject.person for subject in new.subjects.all()] == [company.alice]


def test_it_takes_less_and_never_more(company: Company) -> None:
    old = held(company, "now", "convert")
    with pytest.raises(narrowing.Wider):
        renew(company, old, what=Narrowing(frozenset({"now", "remove"})))
    asked = renew(company, old, what=Narrowing(frozenset({"now"})))
    assert [line.tool.name for line in asked.lines.all()] == ["now"]


def test_a_tool_that_may_no_longer_be_asked_for_is_left_out(company: Company) -> None:
    old = held(company, "now", "convert")
    company.system.tools.filter(name="convert").update(state="quarantined")
    assert [line.tool.name for line in renew(company, old).lines.all()] == ["now"]


def test_only_access_in_force_that_ends_soon_is_renewed_and_by_one_request_at_a_time(company: Company) -> None:
    late = make.grant(company.bot, company.use, people=[company.bob], lasts=timedelta(days=15))
    with pytest.raises(renewal.NotRenewable):
        renew(company, late)
    old = held(company, "now")
    first = renew(company, old)
    assert not renewal.may_renew(old)
    with pytest.raises(renewal.RenewedAlready):
        renew(company, old)
    with pytest.raises(IntegrityError, match="one_request_at_a_time"), transaction.atomic():
        AccessRequest.objects.create(
            **{
                field: getattr(first, field)
                for field in ("agent", "entitlement", "asked_lasts", "lasts", "reason", "risk", "asked_at", "answer_by")
            },
            renews=old,
        )
    requests.cancel(first.pk, company.otto)
    renew(company, old)
    grants.suspend(old.pk, by=SYSTEM, reason="odd")
    with pytest.raises(renewal.NotRenewable):
        renew(company, old)


@pytest.mark.parametrize("stop", [grants.suspend, grants.revoke])
def test_access_that_was_stopped_meanwhile_is_not_renewed(company: Company, stop: Any) -> None:  # noqa: ANN401
    old = held(company, "now")
    asked = renew(company, old)
    stop(old.pk, by=SYSTEM, reason="odd")
    with pytest.raises(approval_rules.StoppedSince):
        approvals.approve(asked.pk, by=company.sofia)
    assert AccessRequest.objects.get(pk=asked.pk).state == "in_approval"
    assert not Grant.objects.filter(state="active").exists()


def test_access_that_ended_by_itself_meanwhile_goes_on(company: Company) -> None:
    old = held(company, "now")
    asked = renew(company, old)
    Grant.objects.filter(pk=old.pk).update(
        state="expired", starts_at=clock.now() - WEEK, expires_at=clock.now(), ended_at=clock.now(), end_reason="x"
    )
    assert approvals.approve(asked.pk, by=company.sofia).state == "approved"


def test_nobody_renews_for_an_agent_that_they_do_not_answer_for_nor_approves_their_own(company: Company) -> None:
    old = held(company, "now")
    with pytest.raises(Exception, match="cannot request access"):
        renew(company, old, by=company.mallory)
    asked = renew(company, old, by=company.sofia)
    with pytest.raises(approval_rules.SelfApproval):
        approvals.approve(asked.pk, by=company.sofia)


def test_what_was_denied_is_asked_for_again_as_it_was_asked_then(company: Company) -> None:
    asked = company.ask("now", "convert")
    with pytest.raises(eligibility.MayNotRequest):
        renewal.ask_again(asked.pk, by=company.mallory, reason="please")
    with pytest.raises(renewal.StillOpen):
        renewal.ask_again(asked.pk, by=company.otto, reason="please")
    requests.narrow(asked.pk, company.otto, Narrowing(frozenset({"now"})))
    approvals.deny(asked.pk, by=company.sofia, reason="not now")
    again = renewal.ask_again(asked.pk, by=company.otto, reason="now it is")
    assert sorted(line.tool.name for line in again.lines.all()) == ["convert", "now"]
    assert (again.state, again.lasts, list(again.people.all())) == ("in_approval", asked.asked_lasts, [company.alice])
    with pytest.raises(IntegrityError, match="never deleted"), transaction.atomic():
        AccessRequest.objects.filter(pk=asked.pk)._raw_delete("default")


def test_both_are_done_on_the_pages(company: Company) -> None:
    old = held(company, "now")
    otto = visits.as_(company.otto)
    assert "Request renewal" in visits.text(otto.get(f"/grants/{old.pk}/"))
    said = {"lasts": "3600", "reason": "still needed"}
    page = otto.post(f"/grants/{old.pk}/renew/", said, follow=True)
    assert "Renews this access without a gap" in visits.text(page)
    asked = AccessRequest.objects.get(renews=old)
    approvals.deny(asked.pk, by=company.sofia, reason="no")
    assert "Request again" in visits.text(otto.get(f"/requests/{asked.pk}/"))
    assert visits.as_(company.mallory).post(f"/requests/{asked.pk}/again/", said).status_code == 404
    shown = visits.text(visits.as_(company.rob).get(f"/requests/{asked.pk}/"))
    assert ("Approvals" in shown, "Request again" in shown) == (True, False)
    otto.post(f"/requests/{asked.pk}/again/", said)
    again = AccessRequest.objects.get(state="in_approval", reason="still needed")
    assert again.renews == old


def test_both_are_done_over_the_api(company: Company) -> None:
    old = held(company, "now")
    script = make_script(company)
    body = {"lasts": "PT1H", "reason": "still needed"}
    made = script.post(f"/api/v1/grants/{old.pk}/renew", body, content_type="application/json")
    assert (made.status_code, made.json()["renews"]) == (201, str(old.pk))
    twice = script.post(f"/api/v1/grants/{old.pk}/renew", body, content_type="application/json")
    assert (twice.status_code, twice.json()["code"]) == (409, "renewal_waits")
    asked = made.json()["id"]
    script.post(f"/api/v1/requests/{asked}/cancel", {}, content_type="application/json")
    again = script.post(f"/api/v1/requests/{asked}/again", {"reason": "x"}, content_type="application/json")
    assert (again.status_code, again.json()["lasts"]) == (201, "PT1H")


def make_script(company: Company) -> Any:  # noqa: ANN401 - a caller of the API
    token = people.make_api_token(company.otto, "test", by=SYSTEM)
    return Client(headers={"Authorization": f"Bearer {token}"})
