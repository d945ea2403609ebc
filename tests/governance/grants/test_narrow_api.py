"""A grant is narrowed over the API from the version that was read, and never widened."""

from __future__ import annotations

from typing import Any

import pytest

from audit.actions import Action
from audit.models import Event
from entitlements.grants import grants
from entitlements.grants.models import Grant
from tests import make, shared
from tests.entitlements.api import client
from tests.governance import companies

pytestmark = pytest.mark.django_db


def _held() -> companies.Company:
    company = companies.found()
    make.grant(company.bot, company.use, people=[company.alice])
    return company


made_world, company = shared.world(_held)


def _narrow(login: str, company: companies.Company, body: dict[str, Any], version: int | None = 1) -> Any:  # noqa: ANN401
    headers: dict[str, Any] = {} if version is None else {"HTTP_IF_MATCH": f'"{version}"'}
    address = f"/api/v1/grants/{Grant.objects.get().pk}/narrow"
    return client.of(company.named(login)).post(address, {"reason": "Too much.", **body}, format="json", **headers)


@pytest.mark.parametrize("login", ["ana", "resa", "sofia", "otto", "sam"])
def test_whoever_may_revoke_a_grant_narrows_it(company: companies.Company, login: str) -> None:
    cap = {"convert": {"timezone": {"one_of": ["Europe/Rome"]}}}

    answer = _narrow(login, company, {"tools": ["now", "convert"], "limits": cap, "lasts": "PT1H"})

    assert answer.status_code == 200, answer.json()
    assert {line["tool"]: line["limits"] for line in answer.json()["lines"]} == {"now": {}, **cap}
    grant, event = Grant.objects.get(), Event.objects.get(action=Action.GRANT_REDUCED)
    assert 3590 < (grant.expires_at - event.at).total_seconds() <= 3600
    assert (event.actor, event.reason, answer["ETag"]) == (f"person:{login}", "Too much.", '"2"')
    assert set(event.detail["dropped"]) == {"remove", "wipe"}


@pytest.mark.parametrize(
    ("login", "body", "version", "code"),
    [
        ("bob", {"tools": ["now"]}, 1, "not_found"),
        ("alice", {"tools": ["now"]}, 1, "forbidden"),
        ("ana", {"tools": ["now"]}, 7, "stale"),
        ("ana", {"tools": ["now"]}, None, "precondition_required"),
        ("ana", {"tools": ["now"], "reason": " "}, 1, "invalid"),
        ("ana", {"tools": []}, 1, "nothing_left"),
        ("ana", {"tools": ["later"]}, 1, "not_narrower"),
        ("ana", {"lasts": "P9D"}, 1, "not_narrower"),
        ("ana", {"limits": {"convert": {"timezone": {"one_of": ["Asia/Tokyo"]}}}}, 1, "not_narrower"),
        ("ana", {}, 1, "grant_not_narrower"),
    ],
)
def test_what_is_refused_changes_nothing(
    company: companies.Company, login: str, body: dict[str, Any], version: int | None, code: str
) -> None:
    assert _narrow(login, company, body, version).json()["code"] == code
    assert Grant.objects.get().version == 1


def test_an_ended_grant_is_not_narrowed(company: companies.Company) -> None:
    grants.revoke(Grant.objects.get().pk, by=company.ana.principal, reason="Over.")
    assert _narrow("ana", company, {"tools": ["now"]}, version=2).json()["code"] == "grant_already_ended"
