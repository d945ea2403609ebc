"""The pages of policy domains: the list, one with its parts, a question, and loading after a look at what changes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client as Browser

from audit import clock
from audit.models import Event
from entitlements.catalog.models import System
from entitlements.people.models import Person
from entitlements.policy_domains import domains
from entitlements.policy_domains.models import PolicyDomain
from governance.policy_domains import comparison
from tests import make
from tests.entitlements.policy_domains.test_domain_rules import DOCUMENT
from tests.governance.console import visits

pytestmark = pytest.mark.django_db
LOAD, PAGE = "/policy-domains/foreign/load/", "/policy-domains/foreign/"
RULE = {
    "name": "editors view", "resource_type": "record", "actions": ["view"],
    "when": [{"attribute": "subject.properties.roles", "has": "editor"}],
}  # fmt: skip
ASKED = {"subject_type": "user", "subject_id": "alice", "action": "view", "resource_type": "record", "resource_id": "1"}


@pytest.fixture
def system() -> System:
    sam = make.person("sam")
    make.client(make.agent(owner=sam), "pep", auth="client_secret_basic")
    return make.system("foreign", kind=System.Kind.KNOWN, owner=sam)


@pytest.fixture
def ada() -> Person:
    return make.person("ada", roles=["admin"])


def load(system: System, **changes: Any) -> PolicyDomain:  # noqa: ANN401 - members of a document
    by = Person.objects.filter(login="loader").first() or make.person("loader", roles=["admin"])
    return domains.load(system, document={**DOCUMENT, "rules": [RULE], **changes}, by=by, reason="The team asked.")


def sent(browser: Browser, document: object, **more: str) -> Any:  # noqa: ANN401 - Django's test response
    text = document if isinstance(document, str) else json.dumps(document)
    return browser.post(LOAD, {"document": text, "reason": "New rules.", **more})


def test_the_list_counts_what_each_document_lists(system: System, ada: Person) -> None:
    load(system)
    (row,) = visits.as_(ada).get("/policy-domains/").context["list"].rows
    assert (row.row.n_subjects, row.row.n_resources, row.row.n_rules, row.row.n_points) == (1, 1, 1, 1)
    load(system, subjects=[], resources=[], rules=[], enforcement_points=[], resource_types={}, subject_types={})
    (row,) = visits.as_(ada).get("/policy-domains/").context["list"].rows
    assert (row.row.n_subjects, row.row.n_rules, row.row.number) == (0, 0, 2)


def test_one_says_who_loaded_it_when_and_its_digest(system: System, ada: Person) -> None:
    row = load(system)
    page = visits.text(visits.as_(ada).get(PAGE))
    for said in (row.sha256, "The team asked.", "Loader", "editors view", 'subject.properties.roles has "editor"'):
        assert said.replace('"', "&quot;") in page, said


def test_a_subject_that_is_nobody_of_ours_is_said_to_be(system: System, ada: Person) -> None:
    make.person("alice")
    bob = make.person("bob")
    Person.objects.filter(pk=bob.pk).update(email="Bob@Example.com")
    gone = make.person("gone")
    Person.objects.filter(pk=gone.pk).update(is_active=False, disabled_at=clock.now())
    subjects = [
        {"type": "user", "id": "alice"}, {"type": "user", "id": "b-17", "properties": {"email": "bob@example.com"}},
        {"type": "user", "id": "gone"}, {"type": "user", "id": "stranger", "properties": {"email": 5}},
    ]  # fmt: skip
    load(system, subjects=subjects)

    answer = visits.as_(ada).get(PAGE)
    people = {each.id: each.person and each.person.login for each in answer.context["subjects"].page.object_list}
    assert people == {"alice": "alice", "b-17": "bob", "gone": "gone", "stranger": None}
    assert answer.context["strangers"] == 1
    assert "1 matches no person in Mandate" in visits.text(answer)

    owner = visits.as_(Person.objects.get(login="sam")).get(PAGE)  # an owner learns no mail address
    assert {each.id for each in owner.context["subjects"].page.object_list if each.person} == {"alice", "gone"}


def test_what_a_document_lists_comes_in_pages_and_is_found(system: System, ada: Person) -> None:
    load(system, subjects=[{"type": "user", "id": f"user-{n}"} for n in range(120)])
    browser = visits.as_(ada)
    assert [len(browser.get(PAGE, {"subjects": n}).context["subjects"].page.object_list) for n in (1, 4, 5)] == [
        25, 25, 20,
    ]  # fmt: skip
    first = browser.get(PAGE).context["subjects"]
    assert (first.previous, "subjects=2" in first.next) == ("", True)
    found = browser.get(PAGE, {"find": "USER-11"}).context["subjects"].page.object_list
    assert [each.id for each in found] == ["user-11", *(f"user-11{n}" for n in range(10))]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, "allowed"),
        ({"subject_id": "bob"}, "subject_unknown"),
        ({"resource_id": "2"}, "resource_unknown"),
        ({"action": "edit"}, "no_rule"),
        ({"action": "delete"}, "action_unknown"),
    ],
)
def test_a_question_is_answered_right_there_and_not_recorded(
    system: System, ada: Person, changes: dict[str, str], code: str
) -> None:
    load(system)
    before = Event.objects.count()
    answer = visits.as_(ada).get(PAGE, {**ASKED, **changes}).context["answer"]
    assert (answer.code, answer.is_allowed) == (code, code == "allowed")
    assert Event.objects.count() == before


def test_stated_properties_count_as_they_do_at_a_node(system: System, ada: Person) -> None:
    load(system, rules=[{**RULE, "when": [{"attribute": "resource.properties.phase", "is": "final"}]}])
    browser = visits.as_(ada)
    assert browser.get(PAGE, ASKED).context["answer"].code == "no_rule"
    stated = browser.get(PAGE, {**ASKED, "stated": '{"resource": {"phase": "final"}}'}).context["answer"]
    assert (stated.code, stated.rule) == ("allowed", "editors view")
    for wrong in ("[]", "5", '{"other": {}}', '{"resource": 5}', "no JSON"):
        page = browser.get(PAGE, {**ASKED, "stated": wrong})
        assert (page.context["answer"], bool(page.context["form"].errors)) == (None, True), wrong


def test_a_disabled_system_denies_every_question(system: System, ada: Person) -> None:
    load(system)
    System.objects.filter(pk=system.pk).update(status="disabled")
    page = visits.as_(ada).get(PAGE, ASKED)
    assert page.context["answer"].code == "system_disabled"
    assert "every question is denied" in visits.text(page)


def test_what_changes_is_shown_before_it_is_loaded(system: System, ada: Person) -> None:
    load(system)
    browser, document = visits.as_(ada), {**DOCUMENT, "rules": [RULE, {**RULE, "name": "another"}], "resources": []}

    shown = sent(browser, document)
    assert [(str(each.part), [kind[1:3] for kind in each.kinds]) for each in shown.context["changes"]] == [
        ("Resources", [(1, ("record/1",))]), ("Rules", [(1, ("another",))]),
    ]  # fmt: skip
    assert domains.current().get().number == 1

    seen = shown.context["form"]["seen"].value()
    assert sent(browser, document, seen=seen).status_code == 200  # the button that shows, once more
    assert domains.current().get().number == 1
    loaded = sent(browser, document, seen=seen, verb="load")
    assert (loaded.status_code, loaded["Location"]) == (302, PAGE)
    row = domains.current().get()
    assert (row.number, row.document, row.loaded_by, row.reason) == (2, document, ada, "New rules.")
    assert [event.actor for event in Event.objects.filter(action="policy_domain.loaded").order_by("at")] == [
        "person:loader", "person:ada",
    ]  # fmt: skip


@pytest.mark.parametrize("moved", ["document", "version"])
def test_what_was_not_shown_is_not_loaded(system: System, ada: Person, moved: str) -> None:
    load(system)
    browser, document = visits.as_(ada), {**DOCUMENT, "resources": []}
    seen = sent(browser, document).context["form"]["seen"].value()
    if moved == "version":
        load(system, rules=[])
    number = domains.current().get().number
    changed = {**document, "rules": []} if moved == "version" else {**document, "rules": [RULE]}
    answer = sent(browser, document if moved == "version" else changed, seen=seen, verb="load")
    assert (answer.status_code, bool(answer.context["changes"])) == (200, True)
    assert domains.current().get().number == number


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("no JSON", "invalid"),
        ('{"rules": [], "rules": []}', "invalid"),
        ({"rules": [{}]}, "policy_domain_malformed"),
        ({"resource_types": {"a": {"actions": ["tools/call"]}}}, "policy_domain_malformed"),
    ],
)
def test_a_document_that_is_none_is_refused_beside_its_field(
    system: System, ada: Person, document: object, code: str
) -> None:
    answer = sent(visits.as_(ada), document)
    assert answer.status_code == 422
    assert [error.code for error in answer.context["form"].errors.as_data()["document"]] == [code]
    assert not domains.current().filter(system=system).exists()


def test_an_enforcement_point_of_another_system_is_refused(system: System, ada: Person) -> None:
    load(make.system("another", kind=System.Kind.KNOWN))
    browser = visits.as_(ada)
    seen = sent(browser, DOCUMENT).context["form"]["seen"].value()
    answer = sent(browser, DOCUMENT, seen=seen, verb="load")
    assert answer.status_code == 409
    assert [error.code for error in answer.context["form"].errors.as_data()["document"]] == [
        "enforcement_point_unusable"
    ]
    assert not domains.current().filter(system=system).exists()


def test_an_earlier_version_is_loaded_again(system: System, ada: Person) -> None:
    first = load(system)
    load(system, rules=[])
    browser = visits.as_(ada)
    assert f"{LOAD}?version=1" in browser.get(PAGE).content.decode()
    form = browser.get(f"{LOAD}?version=1").context["form"]
    assert json.loads(form["document"].value()) == first.document
    assert json.loads(browser.get(LOAD).context["form"]["document"].value())["rules"] == []
    assert browser.get(f"{LOAD}?version=99").context["form"]["document"].value() == ""


def test_who_may_not_load_sees_no_button_and_others_see_nothing(system: System) -> None:
    load(system)
    auditor = visits.as_(make.person("audrey", roles=["auditor"]))
    assert LOAD not in auditor.get(PAGE).content.decode()
    assert sent(auditor, DOCUMENT).status_code == 403
    assert auditor.get(LOAD).status_code == 403
    owner = visits.as_(Person.objects.get(login="sam"))
    assert LOAD in owner.get(PAGE).content.decode()
    assert owner.get("/policy-domains/").status_code == 403
    for address in (PAGE, LOAD, "/policy-domains/"):
        assert visits.as_(make.person()).get(address).status_code in (403, 404)


def test_a_load_needs_a_fresh_proof(system: System, ada: Person) -> None:
    answer = sent(visits.as_(ada, fresh=False), DOCUMENT)
    assert answer.status_code in (302, 403)
    assert not domains.current().filter(system=system).exists()


@pytest.mark.usefixtures("system")
def test_a_system_without_one_is_chosen_and_leads_to_its_form(ada: Person) -> None:
    browser = visits.as_(ada)
    assert "The system has no policy domain" in visits.text(browser.get(PAGE))
    assert browser.get("/policy-domains/choose/system/").status_code == 200
    assert browser.get("/policy-domains/choose/system/?system=foreign")["Location"] == LOAD
    assert browser.get("/policy-domains/choose/system/?system=nowhere").status_code == 422
    assert PAGE in browser.get("/systems/foreign/").content.decode()


def test_a_change_of_a_part_is_new_removed_or_another() -> None:
    before = {"rules": [RULE, RULE], "subject_types": {"user": {}}, "enforcement_points": ["a"]}
    after = {"rules": [RULE], "subject_types": {"user": {"stated": ["x"]}}, "enforcement_points": ["b"]}
    assert {str(each.part): (each.added, each.removed, each.changed) for each in comparison.changes(before, after)} == {
        "Rules": ((), ("editors view (2)",), ()),
        "Types of subjects": ((), (), ("user",)),
        "Enforcement points": (("b",), ("a",), ()),
    }
    assert comparison.changes(before, before) == []
    many = comparison.changes({}, {"subjects": [{"type": "user", "id": str(n)} for n in range(30)]})
    ((_, count, named, more),) = many[0].kinds
    assert (count, len(named), more) == (30, 20, 10)
