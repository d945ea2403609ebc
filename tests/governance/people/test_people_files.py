"""People by a file and people sources by API: seen before it is done, once, row by row, and under the same guard."""

from __future__ import annotations

from typing import Any

import pytest

from audit.models import Event
from entitlements.people.models import Group, Person, Role
from entitlements.people_sources import file_rows, people_files, provisioning
from entitlements.people_sources.models import PeopleSource, SourcedPerson
from tests import make
from tests.entitlements.api import client

pytestmark = pytest.mark.django_db
HEAD = "login,name,email,manager,active,groups\n"
FILE = HEAD + "carol,Carol,carol@example.org,dave,yes,Ops;All\ndave,Dave,dave@example.org,,,All\n"
SOURCE = "/api/v1/people-sources"


@pytest.fixture
def admin() -> Any:  # noqa: ANN401 - the framework's client
    api = client.proven(make.person("ada", roles=[Role.ADMIN]))
    made = api.post(SOURCE, {"slug": "hr", "name": "HR"}, format="json")
    assert [made.status_code, made.json()["token"][:4]] == [201, "mds_"]
    return api


def look(api: Any, text: str, **more: object) -> Any:  # noqa: ANN401 - as above
    return api.post(f"{SOURCE}/hr/file", {"csv": text, **more}, format="json").json()


def take(api: Any, text: str, **more: object) -> Any:  # noqa: ANN401 - as above
    return look(api, text, seen=look(api, text, **more)["digest"], reason="Monthly.", **more)


def test_a_file_is_looked_at_then_taken_in_and_changes_nothing_again(admin: Any) -> None:  # noqa: ANN401 - as above
    assert look(admin, FILE)["counts"] == {"add": 2}
    assert not Person.objects.filter(login="carol").exists()
    assert take(admin, FILE)["applied"]
    carol = Person.objects.get(login="carol")
    assert [carol.name, carol.email, str(carol.manager)] == ["Carol", "carol@example.org", "dave"]
    assert {group.name: group.people.count() for group in Group.objects.all()} == {"Ops": 1, "All": 2}
    before = Event.objects.count()
    assert take(admin, FILE)["counts"] == {"same": 2}
    assert Event.objects.count() == before + 1, "that the file was taken in, and nothing else"
    assert admin.post(f"{SOURCE}/hr/test").json() == {"ok": True, "problems": []}

    take(admin, FILE.replace("Ops;All", "All").replace("Carol,", "Carola,"))
    assert [Group.objects.get(name="Ops").people.count(), Person.objects.get(login="carol").name] == [0, "Carola"]


def test_a_file_names_departments_and_one_without_them_leaves_them(admin: Any) -> None:  # noqa: ANN401 - as above
    head = "login,name,department\n"
    assert take(admin, head + "carol,Carol,Sales\ndave,Dave,\n")["applied"]
    departments = SourcedPerson.objects.order_by("user_name").values_list("user_name", "department")
    assert list(departments) == [("carol", "Sales"), ("dave", "")]
    assert take(admin, head + "carol,Carol,Support\ndave,Dave,\n")["counts"] == {"change": 1, "same": 1}
    assert take(admin, "login,name\ncarol,Carola\ndave,Dave\n")["counts"] == {"change": 1, "same": 1}
    assert list(departments.all()) == [("carol", "Support"), ("dave", "")]
    wrong = take(admin, head + "carol,Carola,=HYPERLINK(1)\ndave,Dave," + "x" * 301 + "\n")["rows"]
    assert [row["code"] for row in wrong] == ["cell_is_a_formula", "department_malformed"]


def test_what_was_not_seen_is_not_done(admin: Any) -> None:  # noqa: ANN401 - as above
    digest = look(admin, FILE)["digest"]
    assert look(admin, FILE.replace("Carol", "Mallory"), seen=digest)["code"] == "stale"
    assert not PeopleSource.objects.get().people.exists()


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("carol,=HYPERLINK(1),,,,", "cell_is_a_formula"),
        ("carol,Carol,,,,@SUM(1)", "cell_is_a_formula"),
        ("-2+3,Carol,,,,", "cell_is_a_formula"),
        ("carol x,Carol,,,,", "login_malformed"),
        ("carol,,,,,", "name_malformed"),
        ("carol,Ca\u202erol,,,,", "name_malformed"),
        ("carol,Carol,nowhere,,,", "email_malformed"),
        ("carol,Carol,,,perhaps,", "active_malformed"),
        ("dave,Another Dave,,,,", "login_twice"),
        ("ada,Ada,,,,", "login_kept_by_hand"),
    ],
)
def test_a_row_that_is_wrong_says_why_and_stops_no_other(admin: Any, row: str, code: str) -> None:  # noqa: ANN401 - as above
    found = take(admin, HEAD + "dave,Dave,,,,\n" + row + "\n")
    assert [(each["does"], each["code"]) for each in found["rows"]] == [("add", ""), ("refused", code)]
    assert Person.objects.filter(login="dave", name="Dave").exists()


@pytest.mark.parametrize("text", ["", "login\ncarol\n", HEAD + "carol,Carol\n", "login,name,salary\nx,y,1\n"])
def test_a_file_of_another_form_is_refused(admin: Any, text: str) -> None:  # noqa: ANN401 - as above
    answer = admin.post(f"{SOURCE}/hr/file", {"csv": text}, format="json")
    assert answer.status_code in (400, 422)


OWN = [
    ("dave,Dave,dave@example.org,,,Board", "self_appointment"),  # a group for an account of her own
    ("carol,Carol,,dave,,", "self_appointment"),  # the manager of somebody
    ("dave,Dave,else@example.org,,,", "self_appointment"),  # the address that says whose account it is
    ("erin,Erin,DAVE@example.org,,,All", "self_appointment"),  # an account that she makes for herself
    ("carol,Carol,,dave,no,", "self_appointment"),
    ("dave,David,dave@example.org,,,", ""),
]


@pytest.mark.parametrize(("row", "code"), OWN)
def test_nobody_appoints_themselves_by_a_file(admin: Any, row: str, code: str) -> None:  # noqa: ANN401 - as above
    take(admin, HEAD + "carol,Carol,,,,\ndave,Dave,dave@example.org,,,All\n")
    Person.objects.filter(login="ada").update(email="Dave@example.org")
    found = take(admin, HEAD + row + "\n")
    assert [each["code"] for each in found["rows"]] == [code]
    second = client.proven(make.person("adam", roles=[Role.ADMIN]))
    assert [each["code"] for each in take(second, HEAD + row + "\n")["rows"]] == [""]


def test_a_file_says_on_whose_behalf_and_an_ended_source_takes_none(admin: Any) -> None:  # noqa: ANN401 - as above
    digest = look(admin, FILE)["digest"]
    assert look(admin, FILE.replace("dave,yes", ",yes"), seen=digest)["code"] == "stale", "another manager"
    take(admin, FILE)
    done = Event.objects.filter(action__in=["person.registered", "group.made"], links__contains=["source:hr"])
    assert {(each.actor, each.on_behalf_of) for each in done} == {("source:hr", "person:ada")}
    admin.post(f"{SOURCE}/hr/disable", {"reason": "Moved."}, format="json")
    assert look(admin, FILE)["code"] == "source_ended"


def test_whoever_is_gone_since_a_file_was_seen_is_passed_over(
    admin: Any,  # noqa: ANN401 - as above
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    take(admin, FILE)
    again = FILE.replace("Carol,", "Carola,")
    before = people_files._done

    def gone(source: PeopleSource, row: file_rows.Row) -> file_rows.Row:
        for entry in source.people.filter(user_name="carol", removed_at=None):
            provisioning.remove_person(source, entry.pk)
        return before(source, row)

    monkeypatch.setattr(people_files, "_done", gone)
    assert [each["code"] for each in take(admin, again)["rows"]] == ["not_found", ""]


def test_too_many_removals_at_once_are_held_until_an_administrator_answers(admin: Any) -> None:  # noqa: ANN401 - as above
    lines = [f"p{n},Person {n},,,,\n" for n in range(10)]
    take(admin, HEAD + "".join(lines))
    found = take(admin, HEAD + "".join(lines[:4]), complete=True)
    assert found["counts"] == {"same": 4, "remove": 2, "held": 4}
    assert Person.objects.filter(login__startswith="p", is_active=False).count() == 2
    assert admin.post(f"{SOURCE}/hr/test").json()["problems"] == ["paused"]
    why = {"reason": "They moved."}
    assert admin.post(f"{SOURCE}/hr/keep", why, format="json").json()["paused_at"] is None
    take(admin, HEAD + "".join(lines[:4]), complete=True)
    take(admin, HEAD + "".join(lines[:4]), complete=True)
    assert admin.post(f"{SOURCE}/hr/let-through", why, format="json").status_code == 200
    assert Person.objects.filter(login__startswith="p", is_active=False).count() == 6


def test_only_administrators_come_in(admin: Any) -> None:  # noqa: ANN401 - as above
    mallory = client.of(make.analyst("mallory"))
    for what in ("rotate", "test", "disable", "let-through", "keep", "file"):
        body = {"csv": FILE} if what == "file" else {"reason": "x"}
        assert mallory.post(f"{SOURCE}/hr/{what}", body, format="json").status_code == 403
    assert mallory.post(SOURCE, {"slug": "x", "name": "x"}, format="json").status_code == 403
    token = admin.post(f"{SOURCE}/hr/rotate", {"reason": "Yearly."}, format="json").json()["token"]
    assert token.startswith("mds_")
    assert admin.get(f"{SOURCE}/hr").json()["token"] is None
    assert admin.post(f"{SOURCE}/hr/disable", {"reason": "Moved."}, format="json").json()["enabled"] is False
    assert "ended" in admin.post(f"{SOURCE}/hr/test").json()["problems"]


def test_a_file_that_is_too_large_is_not_read(monkeypatch: pytest.MonkeyPatch, admin: Any) -> None:  # noqa: ANN401 - as above
    monkeypatch.setattr(file_rows, "MOST", 1)
    assert look(admin, FILE)["code"] == "people_file_too_large"
