"""What a directory says of people and groups, and what it may not say."""

from __future__ import annotations

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from audit.context import SYSTEM
from audit.models import Event
from entitlements import ratelimits
from entitlements.people import people
from entitlements.people.models import Group, Identity, Person
from entitlements.people_sources import sources
from entitlements.trusted_issuers.models import TrustedIssuer
from tests import make
from tests.governance.scim.directory import ENTERPRISE, GROUP, USER, Directory

pytestmark = pytest.mark.django_db


@pytest.fixture
def okta() -> Directory:
    return Directory()


def _actions(link: str) -> list[str]:
    return [each.action for each in Event.objects.filter(links__contains=[link]).order_by("at", "sequence")]


def test_a_person_is_added_under_a_login_made_of_the_user_name_and_the_source_stands_in_the_record(
    okta: Directory,
) -> None:
    said = okta.add("Alice.Smith@example.org", displayName="Alice", emails=[{"value": "alice@example.org"}])
    alice = Person.objects.get(login="alice-smith")
    assert (alice.name, alice.email, alice.is_active) == ("Alice", "alice@example.org", True)
    assert said["meta"]["location"].endswith(f"/scim/v2/Users/{said['id']}")
    event = Event.objects.get(action="person.registered", links__contains=["person:alice-smith"])
    assert event.actor == "source:okta"


def test_a_directory_finds_its_people_by_user_name_and_by_external_id_and_page_by_page(okta: Directory) -> None:
    for number in range(3):
        okta.add(f"p{number}@example.org", externalId=f"x{number}")
    found = okta.ask("GET", "Users?filter=userName+eq+%22P1@example.org%22").json()
    assert [each["externalId"] for each in found["Resources"]] == ["x1"]
    either = 'externalId eq "x0" or (externalId eq "x2" and active eq true)'
    assert okta.ask("GET", f"Users?filter={either}").json()["totalResults"] == 2
    page = okta.ask("GET", "Users?startIndex=2&count=1&attributes=userName").json()
    assert (page["totalResults"], page["itemsPerPage"]) == (3, 1)
    assert set(page["Resources"][0]) == {"schemas", "id", "userName"}


@pytest.mark.parametrize("query", ["userName co %22a%22", "title eq %22x%22", "userName eq", "active eq %22yes%22"])
def test_a_filter_that_is_not_understood_is_refused_and_never_answered_with_everybody(
    okta: Directory, query: str
) -> None:
    okta.add("alice")
    answer = okta.ask("GET", f"Users?filter={query}")
    assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidFilter")


def test_one_directory_neither_sees_nor_changes_the_people_of_another(okta: Directory) -> None:
    said, entra = okta.add("alice"), Directory("entra")
    assert entra.ask("GET", "Users").json()["totalResults"] == 0
    assert entra.ask("GET", f"Users/{said['id']}").status_code == 404
    assert entra.off(said["id"]).status_code == 404
    assert entra.ask("DELETE", f"Users/{said['id']}").status_code == 404
    assert Person.objects.get(login="alice").is_active


@pytest.mark.parametrize("token", ["", "Basic x", "Bearer mds_nobody", "Bearer mdt_other"])
def test_a_stranger_is_told_nothing(okta: Directory, token: str) -> None:
    answer = okta.ask("GET", "Users", Authorization=token)
    assert answer.status_code == 401
    assert answer.json()["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]


def test_a_token_that_was_rotated_or_whose_source_was_ended_is_worth_nothing(okta: Directory) -> None:
    old, okta.token = okta.token, sources.rotate(okta.source, by=SYSTEM)
    assert okta.ask("GET", "Users").status_code == 200
    assert okta.ask("GET", "Users", Authorization=f"Bearer {old}").status_code == 401
    sources.disable(okta.source, by=SYSTEM, reason="We left Okta.")
    assert okta.ask("GET", "Users").status_code == 401


def test_a_source_token_opens_nothing_but_scim(okta: Directory) -> None:
    for path in ("/api/v1/people", "/api/v1/agents", "/"):
        assert Client().get(path, headers={"Authorization": f"Bearer {okta.token}"}).status_code in (302, 401)


def test_whoever_was_deleted_is_shut_out_but_stays_in_the_record_and_their_login_is_never_given_again(
    okta: Directory,
) -> None:
    said = okta.add("alice@example.org", externalId="a-1")
    assert okta.ask("DELETE", f"Users/{said['id']}").status_code == 204
    assert okta.ask("GET", f"Users/{said['id']}").status_code == 404
    assert not Person.objects.get(login="alice").is_active

    okta.add("alice@example.org", externalId="a-2")  # another Alice, years later
    assert Person.objects.get(login="alice-2").is_active
    assert not Person.objects.get(login="alice").is_active


def test_the_same_external_id_brings_the_same_person_back(okta: Directory) -> None:
    said = okta.add("alice@example.org", externalId="a-1")
    okta.ask("DELETE", f"Users/{said['id']}")
    again = okta.add("alice.new@example.org", externalId="a-1")
    assert again["id"] == said["id"]
    assert Person.objects.get(login="alice").is_active
    assert Person.objects.filter(login__startswith="alice").count() == 1


def test_no_directory_takes_over_an_account_that_was_made_by_hand(okta: Directory) -> None:
    make.person("root")
    answer = okta.ask("POST", "Users", {"schemas": [USER], "userName": "root@evil.example"})
    assert (answer.status_code, answer.json()["scimType"]) == (409, "uniqueness")


def test_what_a_person_stopped_no_directory_starts(okta: Directory) -> None:
    said = okta.add("alice")
    people.disable(Person.objects.get(login="alice"), by=SYSTEM, reason="Her laptop was stolen.")
    okta.off(said["id"])
    okta.patch(f"Users/{said['id']}", {"op": "replace", "path": "active", "value": True})
    assert not Person.objects.get(login="alice").is_active


def test_a_directory_lets_in_again_whom_it_shut_out_and_nobody_else_does(okta: Directory) -> None:
    said = okta.add("alice")
    okta.off(said["id"])
    with pytest.raises(people.KeptBySource):
        people.enable(Person.objects.get(login="alice"), by=SYSTEM, reason="She asked.")
    okta.patch(f"Users/{said['id']}", {"op": "Replace", "value": {"active": "True"}})
    assert Person.objects.get(login="alice").is_active
    assert _actions("person:alice")[-2:] == ["person.disabled", "person.enabled"]


def test_what_the_directory_keeps_is_not_edited_by_hand(okta: Directory) -> None:
    okta.add("alice", displayName="Alice")
    with pytest.raises(people.KeptBySource):
        people.edit(Person.objects.get(login="alice"), name="Mallory", by=SYSTEM)


def test_a_manager_may_arrive_after_those_who_name_them(okta: Directory) -> None:
    okta.add("alice", **{ENTERPRISE: {"manager": {"value": "m-1"}, "employeeNumber": "7"}})
    assert Person.objects.get(login="alice").manager is None
    mona = okta.add("mona", externalId="m-1")
    assert Person.objects.get(login="alice").manager == Person.objects.get(login="mona")

    bob = okta.add("bob")
    path = f"{ENTERPRISE}:manager"
    assert okta.patch(f"Users/{bob['id']}", {"op": "Add", "path": path, "value": mona["id"]}).status_code == 200
    assert Person.objects.get(login="bob").manager == Person.objects.get(login="mona")
    assert okta.patch(f"Users/{mona['id']}", {"op": "add", "path": path, "value": bob["id"]}).status_code == 400


def test_the_external_id_is_the_subject_at_the_sign_in_where_the_source_says_so() -> None:
    issuer = TrustedIssuer.objects.create(issuer="https://okta.example", purpose="identity", jwks={"keys": []})
    okta = Directory(subjects_of=issuer)
    said = okta.add("alice", externalId="00u1")
    assert Identity.objects.get(issuer=issuer, subject="00u1").person.login == "alice"
    changed = okta.patch(f"Users/{said['id']}", {"op": "replace", "path": "externalId", "value": "00u2"})
    assert changed.json()["scimType"] == "mutability"


def test_a_change_of_what_somebody_else_changed_meanwhile_is_refused(okta: Directory) -> None:
    said = okta.add("alice")
    tag = okta.ask("GET", f"Users/{said['id']}")["ETag"]
    title = {"op": "replace", "path": "title", "value": "Boss"}
    assert okta.patch(f"Users/{said['id']}", title, **{"If-Match": tag}).status_code == 200
    assert okta.patch(f"Users/{said['id']}", title, **{"If-Match": tag}).status_code == 412


def test_a_group_is_who_the_directory_says_and_nobody_joins_it_by_hand(okta: Directory) -> None:
    make.group(slug="finance")
    alice, bob = okta.add("alice"), okta.add("bob")
    asked = {"schemas": [GROUP], "displayName": "Finance", "members": [{"value": alice["id"]}]}
    made = okta.ask("POST", "Groups", asked).json()
    group = Group.objects.get(slug="finance-2")
    operation = {"op": "add", "path": "members", "value": [{"value": bob["id"]}]}
    assert okta.patch(f"Groups/{made['id']}", operation).status_code == 200
    remove = {"op": "remove", "path": f'members[value eq "{alice["id"]}"]'}
    assert okta.patch(f"Groups/{made['id']}", remove).status_code == 200
    assert [person.login for person in group.people.all()] == ["bob"]
    with pytest.raises(people.KeptBySource):
        people.join_group(group, Person.objects.get(login="alice"), by=SYSTEM, reason="She asked.")
    assert okta.ask("DELETE", f"Groups/{made['id']}").status_code == 204
    assert not group.people.exists()
    assert _actions("group:finance-2") == ["group.made", "group.joined", "group.left", "group.left", "group.closed"]


def test_a_group_takes_in_nobody_whom_this_directory_did_not_add(okta: Directory) -> None:
    stranger = Directory("entra").add("eve")
    asked = {"schemas": [GROUP], "displayName": "Finance", "members": [{"value": stranger["id"]}]}
    answer = okta.ask("POST", "Groups", asked)
    assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidValue")
    assert not Group.objects.exists()


@pytest.mark.parametrize("body", [b"", b"[]", b'{"a": 1, "a": 2}', b"\xff", b'{"userName": 1e999}'])
def test_a_body_that_is_not_one_json_object_is_refused(okta: Directory, body: bytes) -> None:
    answer = okta.ask("POST", "Users", body)
    assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidSyntax")


def test_a_person_whose_department_or_type_of_contract_changes_has_moved_and_the_first_is_no_move(
    okta: Directory,
) -> None:
    said = okta.add("alice")

    def moved(**changed: object) -> object:
        before = Event.objects.filter(action="person.edited").count()
        okta.patch(f"Users/{said['id']}", *({"op": "replace", "path": path, "value": v} for path, v in changed.items()))
        rows = Event.objects.filter(action="person.edited").order_by("at", "sequence")[before:]
        return [row.detail["changed"] for row in rows]

    department = f"{ENTERPRISE}:department"
    assert moved(**{department: "Sales", "userType": "Employee"}) == []
    assert moved(**{department: "Finance"}) == [["department"]]
    assert moved(userType="Contractor", displayName="Al") == [["contract_type", "name"]]
    assert moved(**{department: "Finance"}) == []


@pytest.mark.loopback
def test_a_directory_that_asks_too_often_is_told_to_wait(okta: Directory, settings: Settings) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, ratelimits.API: 1}
    answers = [okta.ask("GET", "Users") for _ in range(4)]  # a minute may end among them, two do not
    assert {each.status_code for each in answers} == {200, 429}
    assert all(int(each["Retry-After"]) > 0 for each in answers if each.status_code == 429)
