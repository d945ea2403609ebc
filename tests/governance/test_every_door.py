"""Separation of duties by every door: what the verb refuses, the page, the API and the bulk form refuse as well."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db.models import QuerySet

from audit import clock
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from governance.approvals import approvals
from governance.approvals.models import Approval
from governance.eligibility.narrowing import Narrowing
from governance.requests import requests
from governance.requests.models import AccessRequest, RequestLine
from tests import shared
from tests.entitlements.api import client as api
from tests.governance import companies
from tests.governance.approvals.test_approvals import FORBIDDEN
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.governance.out_of_office.test_delegations import CONFLICTS, leave

pytestmark = pytest.mark.django_db
type Door = Callable[[AccessRequest, Person, int, str], str]
"""Answers a request that was read at a version: "approve" or "deny"; returns the code that it was refused with."""


def by_page(request: AccessRequest, person: Person, version: int, act: str = "approve") -> str:
    form = {"verb": act, "version": str(version), "tool": [line.tool.name for line in kept(request)], "reason": "Seen."}
    answer = visits.as_(person).post(f"/requests/{request.pk}/", form)
    return str(answer.context["problem"].code) if answer.context else ""


def by_api(request: AccessRequest, person: Person, version: int, act: str = "approve") -> str:
    tag = {"If-Match": f'"{version}"'}
    answer = api.of(person).post(f"/api/v1/requests/{request.pk}/{act}", {"reason": "Seen."}, headers=tag)
    return str(answer.json().get("code", ""))


def by_bulk(request: AccessRequest, person: Person, version: int, act: str = "approve") -> str:
    item = {"id": str(request.pk), "etag": f'"{version}"'}
    answer = api.of(person).post(f"/api/v1/requests/{act}", {"items": [item], "reason": "Seen."})
    return str(answer.json()["results"][0]["code"] or "")


DOORS: list[Door] = [by_page, by_api, by_bulk]
HIDDEN = "not_found"
"""What is nobody's business is not there: by the API and on pages a stranger finds no request to be refused."""


made_world, company = shared.world(companies.found)


def kept(request: AccessRequest) -> QuerySet[RequestLine]:
    return request.lines.filter(kept=True).select_related("tool")


def goes_through(
    door: Door, request: AccessRequest, person: Person, version: int | None = None, act: str = "approve"
) -> str:
    """Try to answer; return the code of the refusal, or the state that it led to.

    The record has each refusal once, but what was only outdated.
    """
    before = len(visits.refusals())
    request.refresh_from_db()
    code = door(request, person, request.version if version is None else version, act)
    recorded = [code for _who, code in visits.refusals()[before:]]
    request.refresh_from_db()
    assert recorded == [each for each in [code] if each not in {"", "stale"}]
    return code or request.state


def as_seen(request: AccessRequest, person: Person, code: str) -> str:
    """Return the code that somebody is refused with: what they may not see is not there for them."""
    return code if requests.visible_to(person).filter(pk=request.pk).exists() else HIDDEN


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("case", "code"), [row[1:] for row in FORBIDDEN], ids=[row[0] for row in FORBIDDEN])
def test_whoever_may_not_answer_may_not_by_any_door(
    company: Company, case: Callable[[Company], tuple[AccessRequest, Person]], code: str, door: Door
) -> None:
    request, person = case(company)
    for act in ("approve", "deny"):
        assert goes_through(door, request, person, act=act) == as_seen(request, person, code)
    nothing_happened(request)


def nothing_happened(request: AccessRequest) -> None:
    request.refresh_from_db()
    assert request.state == AccessRequest.State.IN_APPROVAL
    assert not Approval.objects.exclude(answer=Approval.Answer.WAITING).exists()
    assert not Grant.objects.exists()


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("delegate", "delegator", "code", "ask"), [row[1:] for row in CONFLICTS], ids=[row[0] for row in CONFLICTS]
)
def test_a_place_that_was_left_to_the_wrong_person_opens_no_door(
    company: Company, delegate: str, delegator: str, code: str, ask: dict[str, str], door: Door
) -> None:
    leave(company.named(delegator), company.named(delegate))
    request = company.ask(by=company.named(ask["by"]))
    person = company.named(delegate)
    for act in ("approve", "deny"):
        assert goes_through(door, request, person, act=act) == as_seen(request, person, code)
    nothing_happened(request)


@pytest.mark.parametrize("door", DOORS)
def test_a_place_that_was_lent_on_opens_no_door(company: Company, door: Door) -> None:
    leave(company.sofia, company.mallory)
    leave(company.mallory, company.bob)
    request = company.ask()
    assert goes_through(door, request, company.bob) == as_seen(request, company.bob, "not_an_approver")
    nothing_happened(request)


def test_no_door_closes_a_ring_of_places(company: Company) -> None:
    leave(company.sofia, company.mallory)
    leave(company.mallory, company.bob)
    now, form = clock.now(), "%Y-%m-%dT%H:%M"
    asked = {"delegate": "sofia", "reason": "on leave", "starts_at": f"{now:{form}}"}
    asked["ends_at"] = f"{now + timedelta(hours=2):{form}}"
    assert "out_of_office_in_ring" in visits.text(visits.as_(company.bob).post("/settings/delegations/", asked))
    sent = {**asked, "starts_at": f"{asked['starts_at']}Z", "ends_at": f"{asked['ends_at']}Z"}
    assert (
        api.proven(company.bob).post("/api/v1/out-of-office-delegates", sent).json()["code"] == "out_of_office_in_ring"
    )


@pytest.mark.parametrize("door", DOORS)
def test_what_was_read_before_it_changed_is_not_what_is_answered(company: Company, door: Door) -> None:
    request = company.ask("now", "convert")
    read = request.version
    requests.narrow(request.pk, company.otto, Narrowing(frozenset({"now"}), {}, None), expected_version=None, reason="")
    for act in ("approve", "deny"):
        assert goes_through(door, request, company.sofia, read, act) == "stale"
    nothing_happened(request)
    assert goes_through(door, request, company.sofia) == "approved"


def edit_by_page(request: AccessRequest, person: Person) -> None:
    form = {"version": str(request.version), "tool": ["wipe"], "reason": "More of it.", "lasts": "3600"}
    assert visits.as_(person).post(f"/requests/{request.pk}/edit/", form).status_code == 302


def edit_by_api(request: AccessRequest, person: Person) -> None:
    tag, body = {"If-Match": f'"{request.version}"'}, {"tools": ["wipe"], "reason": "More of it."}
    assert api.of(person).patch(f"/api/v1/requests/{request.pk}", body, headers=tag).status_code == 200


@pytest.mark.usefixtures("proven")
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("edit", [edit_by_page, edit_by_api])
def test_what_was_approved_before_an_edit_counts_for_nothing_after_it(
    company: Company, door: Door, edit: Callable[[AccessRequest, Person], None]
) -> None:
    request = company.ask("remove")
    assert goes_through(door, request, company.sofia) == "in_approval"
    read = request.version
    edit(request, company.otto)
    assert goes_through(door, request, company.sam, read) == "stale"
    assert [goes_through(door, request, who) for who in (company.sam, company.resa)] == ["in_approval"] * 2
    assert not Grant.objects.exists()
    assert goes_through(door, request, company.sofia) == "approved"


@pytest.fixture
def proven(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every token come with a fresh proof, as what weighs much asks for."""
    monkeypatch.setattr(api, "of", api.proven)


@pytest.mark.parametrize("door", DOORS)
def test_nothing_is_answered_after_its_deadline(
    company: Company, door: Door, at: Callable[[timedelta], object]
) -> None:
    request = company.ask()
    at(request.answer_by - clock.now() + timedelta(seconds=1))
    for act in ("approve", "deny"):
        assert goes_through(door, request, company.sofia, act=act) == "request_expired"
    assert not Grant.objects.exists()


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("ended", ["approve", "deny", "cancel"])
def test_what_was_answered_is_answered_once(company: Company, door: Door, ended: str) -> None:
    request = company.ask()
    if ended == "cancel":
        requests.cancel(request.pk, company.otto, expected_version=None, reason="Not needed.")
    else:
        getattr(approvals, ended)(request.pk, by=company.sofia, reason="Seen.")
    held = Grant.objects.count()
    for act in ("approve", "deny"):
        assert goes_through(door, request, company.sofia, act=act) == "request_decided"
    assert Grant.objects.count() == held == (ended == "approve")


@pytest.mark.parametrize("door", DOORS)
def test_a_second_account_is_no_second_person(company: Company, door: Door) -> None:
    """Sofia is asked; she has the address of otto, who asked, or of sam, who answered another stage."""
    Person.objects.filter(login="otto").update(email="Human@Example.com")
    Person.objects.filter(login="sofia").update(email="human@example.com")
    assert goes_through(door, company.ask(), company.sofia) == "self_approval"
    Person.objects.filter(login="otto").update(email="otto@example.com")
    Person.objects.filter(login="sam").update(email="human@example.com")
    risky = company.ask("remove")
    approvals.approve(risky.pk, by=company.sam)
    assert goes_through(door, risky, company.sofia) == "already_answered"
    assert not Grant.objects.exists()
