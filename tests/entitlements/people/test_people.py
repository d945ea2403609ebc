"""People, roles, groups and clients' secrets by API: the verbs of the console, for those whom the rows let in."""

from __future__ import annotations

from typing import Any

import pytest

from entitlements.clients import clients
from entitlements.clients.models import Client
from entitlements.people.models import Person, Role
from tests import make
from tests.entitlements.api import client

pytestmark = pytest.mark.django_db


@pytest.fixture
def bob() -> Person:
    return make.person("bob")


@pytest.fixture
def ana() -> Person:
    return make.analyst("ana")


def _post(by: Person, path: str, **body: Any) -> tuple[int, Any]:  # noqa: ANN401 - a body and its answer
    answer = client.proven(by).post(f"/api/v1/{path}", body, format="json")
    return answer.status_code, answer.json()


def test_a_person_is_edited_and_nobody_is_made_their_own_manager(bob: Person, ana: Person) -> None:
    mona = make.person("mona", manager=bob)
    api = client.of(ana)
    assert api.patch("/api/v1/people/bob", {"email": "b@example.org"}, format="json").json()["email"] == "b@example.org"
    refused = api.patch("/api/v1/people/bob", {"manager": mona.login}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (422, "manager_loop")
    mona = api.patch("/api/v1/people/mona", {"manager": None}, format="json").json()
    assert mona["manager"] is None


def test_roles_pass_by_the_rules_whoever_asks(bob: Person, ana: Person) -> None:
    give, said = "people/bob/give-role", {"reason": "New job."}
    assert _post(ana, give, role=Role.SECURITY, **said)[1]["code"] == "role_not_held"
    assert _post(ana, "people/ana/give-role", role=Role.SECURITY, **said)[1]["code"] == "self_role_change"
    assert _post(ana, give, role=Role.ANALYST, **said)[1]["roles"] == ["analyst"]
    assert _post(ana, "people/bob/take-role", role=Role.ANALYST, **said)[1]["roles"] == []
    assert _post(bob, "people/bob/give-role", role=Role.ANALYST, **said)[0] == 403


def test_joining_twice_is_once_and_leaving_takes_it_away(bob: Person, ana: Person) -> None:
    group = make.group(slug="team")
    for _ in range(2):
        status, shown = _post(ana, "groups/team/join", person="bob", reason="Joins.")
        assert (status, shown["people"]) == (200, ["bob"])
    assert _post(ana, "groups/team/leave", person="bob", reason="Leaves.")[1]["people"] == []
    assert _post(make.person("eve"), "groups/team/join", person="eve", reason="x")[0] in (403, 404)
    assert group.people.count() == 0
    assert bob.is_active


def test_a_rotated_secret_is_in_one_answer_and_the_one_before_is_dead(ana: Person) -> None:
    made, before = make.client(make.agent("bot", owner=ana), "desk", auth=Client.Auth.CLIENT_SECRET_BASIC)
    status, shown = _post(ana, "clients/desk/secret", reason="It was in a log.")
    made.refresh_from_db()
    assert status == 200
    assert made.secret_sha256 == clients.secret_digest(shown["secret"]) != clients.secret_digest(before)
    assert client.of(ana).get("/api/v1/clients/desk").json()["secret"] is None
