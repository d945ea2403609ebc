"""Several grants or agents stopped at once: each for itself, by whoever may stop it, once, and recorded."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from audit.actions import Action
from audit.export import timeline
from audit.models import Event
from entitlements.agents.models import Agent
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from tests import make
from tests.entitlements.api import client

pytestmark = pytest.mark.django_db


def _stop(by: Person, address: str, items: list[dict[str, Any]], key: str = "") -> list[dict[str, Any]]:
    headers = {"Idempotency-Key": key} if key else {}
    body = {"items": items, "reason": "An incident."}
    answer = client.of(by).post(f"/api/v1/{address}", body, format="json", headers=headers)
    assert answer.status_code == 207, answer.content
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


def test_each_grant_ends_for_itself_and_one_that_has_ended_does_not_hold_up_the_others() -> None:
    agent, use = make.agent(), make.entitlement(make.system())
    first, second = make.grant(agent, use), make.grant(make.agent(), use)
    unknown = uuid4()

    items = [{"id": str(each)} for each in (first.pk, first.pk, unknown, second.pk)]
    found = _stop(make.analyst(), "grants/revoke", items)

    assert [(each["status"], each["state"], each["code"]) for each in found] == [
        (200, "revoked", None),
        (409, None, "grant_already_ended"),
        (404, None, "not_found"),
        (200, "revoked", None),
    ]
    for grant in (first, second):
        ended = timeline.about(f"grant:{grant.pk}").filter(action=Action.GRANT_REVOKED)
        assert [event.reason for event in ended] == ["An incident."]
    refused = Event.objects.filter(action=Action.REFUSED)
    assert [(event.code, event.parsed["links"]) for event in refused if event.code == "not_found"] == [
        ("not_found", [f"grant:{unknown}"])
    ]


def test_a_sponsor_ends_the_grants_of_her_own_agents_alone() -> None:
    sofia, use = make.person("sofia"), make.entitlement(make.system())
    own, foreign = make.grant(make.agent(sponsor=sofia), use), make.grant(make.agent(), use)

    found = _stop(sofia, "grants/revoke", [{"id": str(own.pk)}, {"id": str(foreign.pk)}])

    assert [each["status"] for each in found] == [200, 404]
    assert set(Grant.objects.filter(state="revoked")) == {own}


def test_whoever_sees_a_grant_but_may_not_stop_it_does_not_by_asking_for_many() -> None:
    auditor = make.person("audrey", roles=["auditor"])
    grant = make.grant(make.agent(), make.entitlement(make.system()))

    (found,) = _stop(auditor, "grants/revoke", [{"id": str(grant.pk)}])

    assert (found["status"], found["code"]) == (403, "forbidden")
    assert Grant.objects.get().state == "active"


def test_the_same_key_stops_once_and_answers_the_same() -> None:
    ana, grant = make.analyst(), make.grant(make.agent(), make.entitlement(make.system()))

    answers = [_stop(ana, "grants/revoke", [{"id": str(grant.pk)}], key="night-7") for _ in range(2)]

    assert [each["status"] for (each,) in answers] == [200, 200]


def test_agents_are_suspended_each_for_itself_even_one_that_is_called_suspend() -> None:
    sofia = make.person("sofia")
    for slug, sponsor in (("suspend", sofia), ("second", sofia), ("foreign", make.person())):
        make.agent(slug, sponsor=sponsor)

    found = _stop(sofia, "bulk/agents/suspend", [{"slug": slug} for slug in ("suspend", "second", "foreign")])

    assert [(each["slug"], each["status"], each["state"]) for each in found] == [
        ("suspend", 200, "suspended"),
        ("second", 200, "suspended"),
        ("foreign", 404, None),
    ]
    assert Agent.objects.get(slug="foreign").status == "active"
    assert Event.objects.filter(action=Action.AGENT_SUSPENDED).count() == 2


def test_at_most_two_hundred_at_once() -> None:
    items = [{"id": str(uuid4())} for _ in range(201)]
    body = {"items": items, "reason": "x"}
    assert client.of(make.analyst()).post("/api/v1/grants/revoke", body, format="json").status_code == 400
