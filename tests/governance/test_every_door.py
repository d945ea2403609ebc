"""Separation of duties by every door: what the verb refuses, the page, the API and the bulk form refuse as well."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from audit import clock
from entitlements.models import Grant, Person
from governance import approvals, delegations, requests
from governance.models import AccessRequest, Approval
from governance.narrowing import Narrowing
from tests.entitlements.api import client as api
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.governance.test_approvals import FORBIDDEN
from tests.governance.test_delegations import CONFLICTS, leave

pytestmark = pytest.mark.django_db
type Door = Callable[[AccessRequest, Person, int], None]


def by_page(request: AccessRequest, person: Person, version: int) -> None:
    form = {"verb": "approve", "version": str(version), "tool": ["now"], "reason": "Seen."}
    visits.as_(person).post(f"/requests/{request.pk}/", form)


def by_api(request: AccessRequest, person: Person, version: int) -> None:
    api.of(person).post(
        f"/api/v1/requests/{request.pk}/approve", {"reason": "Seen."}, headers={"If-Match": f'"{version}"'}
    )


def by_bulk(request: AccessRequest, person: Person, version: int) -> None:
    item = {"id": str(request.pk), "etag": f'"{version}"'}
    api.of(person).post("/api/v1/requests/approve", {"items": [item], "reason": "Seen."})


DOORS: list[Door] = [by_page, by_api, by_bulk]
HIDDEN = "not_found"
"""What is nobody's business is not there: by the API and on pages a stranger finds no request to be refused."""


@pytest.fixture
def company() -> Company:
    return companies.found()


def goes_through(door: Door, request: AccessRequest, person: Person, version: int | None = None) -> str:
    """Try to approve; return the code of the refusal, or the state that it led to."""
    before = len(visits.refusals())
    request.refresh_from_db()
    door(request, person, request.version if version is None else version)
    said = [code for _who, code in visits.refusals()[before:]]
    assert len(said) <= 1
    request.refresh_from_db()
    return said[0] if said else request.state


def as_seen(request: AccessRequest, person: Person, code: str) -> str:
    """Return the code that somebody is refused with: what they may not see is not there for them."""
    return code if requests.visible_to(person).filter(pk=request.pk).exists() else HIDDEN


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("case", "code"), [row[1:] for row in FORBIDDEN], ids=[row[0] for row in FORBIDDEN])
def test_whoever_may_not_answer_may_not_by_any_door(
    company: Company, case: Callable[[Company], tuple[AccessRequest, Person]], code: str, door: Door
) -> None:
    request, person = case(company)
    assert goes_through(door, request, person) == as_seen(request, person, code)
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
    assert goes_through(door, request, person) == as_seen(request, person, code)
    nothing_happened(request)


@pytest.mark.parametrize("door", DOORS)
def test_a_place_that_was_lent_on_opens_no_door(company: Company, door: Door) -> None:
    leave(company.sofia, company.mallory)
    leave(company.mallory, company.bob)
    with pytest.raises(delegations.DelegationInRing):
        leave(company.bob, company.sofia)
    request = company.ask()
    assert goes_through(door, request, company.bob) == as_seen(request, company.bob, "not_an_approver")
    nothing_happened(request)


@pytest.mark.parametrize("door", DOORS)
def test_what_was_read_before_it_changed_is_not_what_is_approved(company: Company, door: Door) -> None:
    request = company.ask("now", "convert")
    read = request.version
    requests.narrow(request.pk, company.otto, Narrowing(frozenset({"now"}), {}, None), expected_version=None, reason="")
    assert goes_through(door, request, company.sofia, read) == "in_approval"
    nothing_happened(request)
    assert goes_through(door, request, company.sofia) == "approved"


@pytest.mark.parametrize("door", DOORS)
def test_nothing_is_approved_after_its_deadline(
    company: Company, door: Door, at: Callable[[timedelta], object]
) -> None:
    request = company.ask()
    at(request.answer_by - clock.now() + timedelta(seconds=1))
    assert goes_through(door, request, company.sofia) == "request_expired"
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
    assert goes_through(door, request, company.sofia) == "request_decided"
    assert Grant.objects.count() == held == (ended == "approve")


@pytest.mark.parametrize("door", DOORS)
def test_a_second_account_is_no_second_person(company: Company, door: Door) -> None:
    """Sofia is asked; she has the address of otto, who asked, or of sam, who answered another stage."""
    Person.objects.filter(login="otto").update(email="Human@Example.com")
    Person.objects.filter(login="sofia").update(email="human@example.com")
    assert goes_through(door, company.ask(), company.sofia) == "own_approval"
    Person.objects.filter(login="otto").update(email="otto@example.com")
    Person.objects.filter(login="sam").update(email="human@example.com")
    risky = company.ask("remove")
    approvals.approve(risky.pk, by=company.sam)
    assert goes_through(door, risky, company.sofia) == "already_answered"
    assert not Grant.objects.exists()
