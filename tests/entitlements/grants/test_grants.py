import pytest

from audit.actions import Action
from audit.export import timeline
from entitlements.grants.models import Grant
from entitlements.people.models import Role
from tests import make
from tests.entitlements.api import client

pytestmark = pytest.mark.django_db


def test_a_grant_is_shown_in_the_published_form() -> None:
    alice, agent = make.person("alice"), make.agent("expense-bot")
    tool = make.tool(system := make.system("time"), "now")
    grant = make.grant(agent, make.entitlement(system, tool, scope="time:read"), people=[alice])

    answer = client.of(make.analyst()).get("/api/v1/grants?agent=expense-bot&person=alice&system=time&state=active")

    assert answer.status_code == 200
    body = answer.json()
    assert body["next"] is None
    (shown,) = body["results"]
    assert shown["id"] == str(grant.pk)
    assert shown["agent"] == "expense-bot"
    assert shown["entitlement"] == "time:read"
    assert shown["people"] == ["alice"]
    assert shown["lines"] == [{"tool": "now", "limits": {}}]
    assert shown["state"] == "active"


def test_revoking_ends_the_grant_and_says_who_and_why() -> None:
    grant, ana = make.grant(), make.analyst("ana")

    answer = client.of(ana).post(f"/api/v1/grants/{grant.pk}/revoke", {"reason": "laptop stolen"})

    assert (answer.status_code, answer.json()["state"]) == (200, "revoked")
    event = timeline.of("grant", grant.pk).last()
    assert event is not None
    assert (event.action, event.actor, event.reason) == (Action.GRANT_REVOKED, "person:ana", "laptop stolen")


def test_a_person_without_roles_finds_nothing_of_others() -> None:
    grant, mallory = make.grant(), make.person("mallory")

    seen = client.of(mallory)

    assert seen.get("/api/v1/grants").json()["results"] == []
    assert seen.get(f"/api/v1/grants/{grant.pk}").status_code == 404
    assert seen.post(f"/api/v1/grants/{grant.pk}/revoke", {"reason": "spite"}).status_code == 404
    assert Grant.objects.get(pk=grant.pk).state == "active"


@pytest.mark.django_db(transaction=True)
def test_a_platform_admin_makes_no_decisions_about_rights_and_the_refusal_is_recorded_once() -> None:
    grant, admin = make.grant(), make.person("admin", roles=[Role.ADMIN])

    answer = client.of(admin).post(f"/api/v1/grants/{grant.pk}/revoke", {"reason": "tidy"})

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert [event.code for event in timeline.of("person", "admin").filter(action=Action.REFUSED)] == ["forbidden"]


@pytest.mark.django_db(transaction=True)
def test_whoever_suspended_a_grant_cannot_restore_it_alone() -> None:
    grant, ana, ben = make.grant(), make.analyst("ana"), make.analyst("ben")
    assert client.of(ana).post(f"/api/v1/grants/{grant.pk}/suspend", {"reason": "odd calls"}).status_code == 200

    alone = client.of(ana).post(f"/api/v1/grants/{grant.pk}/restore", {"reason": "never mind"})
    together = client.of(ben).post(f"/api/v1/grants/{grant.pk}/restore", {"reason": "looked into it"})

    assert (alone.status_code, alone.json()["code"]) == (403, "second_person_required")
    assert (together.status_code, together.json()["state"]) == (200, "active")
