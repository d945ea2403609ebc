"""The certification scenario of AuthZEN 1.0 (`certification/authorization-api-1_0-scenario.md`), case by case."""

from __future__ import annotations

import copy
from typing import Any

import httpx2
import pytest
from django.conf import settings

from tests.nodes.gateway.authzen import point
from tests.nodes.gateway.authzen.point import Point
from tests.nodes.gateway.world import Gateway

ALICE = {"type": "user", "id": "alice"}
BOB = {"type": "user", "id": "bob"}
ADMIN = {**BOB, "properties": {"role": "admin"}}
READ, WRITE = {"name": "read"}, {"name": "write"}
FIRST = {"type": "record", "id": "record-1"}
ACTIVE = {**FIRST, "properties": {"status": "active"}}
ARCHIVED = {"type": "record", "id": "record-2", "properties": {"status": "archived"}}
CONTEXT = {"time": "2025-06-27T18:03-07:00", "ip": "192.168.1.1"}
QUESTION: dict[str, Any] = {"subject": ALICE, "action": READ, "resource": FIRST}


@pytest.fixture(scope="module")
def pep(node: Gateway) -> Point:
    return point.new(node, "certification")


def delete(*, soft: bool) -> dict[str, Any]:
    return {"name": "delete", "properties": {"soft": soft}}


@pytest.mark.parametrize(
    ("subject", "action", "resource", "expected"),
    [
        (ALICE, READ, FIRST, True),  # rule 1
        (ALICE, WRITE, FIRST, True),
        (BOB, READ, FIRST, True),
        (BOB, WRITE, FIRST, False),
        (ALICE, WRITE, ARCHIVED, False),
        (ALICE, WRITE, {**FIRST, "properties": {"status": "archived"}}, False),
        (ADMIN, WRITE, ARCHIVED, True),
        ({**ALICE, "properties": {"role": "admin"}}, WRITE, ARCHIVED, True),
        (ALICE, delete(soft=True), FIRST, True),
        (ALICE, delete(soft=False), FIRST, False),
        ({**ALICE, "properties": {"department": "Sales", "role": "manager"}}, READ, ACTIVE, True),  # c-2-2-8
    ],
)
def test_a_fixture_request_is_decided(
    pep: Point, subject: dict[str, Any], action: dict[str, Any], resource: dict[str, Any], *, expected: bool
) -> None:
    asked = {"subject": subject, "action": action, "resource": resource}

    decisions = {pep.evaluate(body) for body in (asked, {**asked, "context": CONTEXT}, {**asked, "foo": {"a": 1}})}

    assert decisions == {expected}


@pytest.mark.parametrize(
    "spoilt",
    [
        "subject", "action", "resource", "subject.type", "subject.id", "action.name", "resource.type", "resource.id"
    ],
)  # fmt: skip
def test_what_lacks_a_required_member_is_a_bad_request(pep: Point, spoilt: str) -> None:
    asked = copy.deepcopy(QUESTION)
    entity, _, member = spoilt.partition(".")
    del (asked[entity] if member else asked)[member or entity]

    assert pep.post("evaluation", asked).status_code == 400


@pytest.mark.parametrize(
    "change",
    [
        {"subject": "alice"},
        {"action": {"name": 123}},
        {"context": 5},
        {"resource": {**FIRST, "properties": []}},
        {"subject": {"type": "user", "id": "a\u0000"}},
    ],
)
def test_what_has_another_type_is_a_bad_request(pep: Point, change: dict[str, Any]) -> None:
    assert pep.post("evaluation", {**QUESTION, **change}).status_code == 400


@pytest.mark.parametrize("path", ["evaluation", "evaluations", "search/subject", "search/resource", "search/action"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "application/json"), (b"", "application/json"), (b"[]", "application/json"),
        (b"{}", "text/plain"), (b"{}", "application/x-www-form-urlencoded"), (b"{}", ""),
    ],
)  # fmt: skip
def test_a_body_that_is_no_json_object_is_a_bad_request(pep: Point, path: str, content: bytes, said: str) -> None:
    headers = {"Authorization": f"Bearer {pep.token}", "Content-Type": said}
    answer = httpx2.post(f"{pep.node.base}/access/v1/{path}", content=content, headers=headers)

    assert answer.status_code == 400
    assert ("Content-Type" in answer.text) is (said != "application/json")


def test_a_well_formed_question_of_another_content_type_is_a_bad_request(pep: Point) -> None:
    said = pep.post("evaluation", QUESTION, **{"Content-Type": "text/json"})
    with_charset = pep.post("evaluation", QUESTION, **{"Content-Type": "application/json; charset=utf-8"})

    assert (said.status_code, with_charset.status_code) == (400, 200)


@pytest.mark.parametrize("path", ["evaluation", "search/subject"])
def test_the_id_of_a_request_comes_back(pep: Point, path: str) -> None:
    assert pep.post(path, QUESTION, **{"X-Request-ID": "abc-1"}).headers["x-request-id"] == "abc-1"
    assert pep.post(path, {}, **{"X-Request-ID": "abc-2"}).headers["x-request-id"] == "abc-2"
    assert "x-request-id" not in pep.post(path, QUESTION).headers


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"subject": {"type": "spaceship", "id": "alice"}}, "subject_unknown"),
        ({"subject": {"type": "user", "id": "nobody"}}, "subject_unknown"),
        ({"subject": {"type": "user", "id": "nobody", "properties": {"role": "admin"}}}, "subject_unknown"),
        ({"resource": {"type": "planet", "id": "record-1"}}, "resource_unknown"),
        ({"resource": {"type": "record", "id": "record-9"}}, "resource_unknown"),
        ({"action": {"name": "paint"}}, "action_unknown"),
        ({"action": {"name": "\u0001\u2028" * 3000}}, "action_unknown"),
        ({"resource": {"type": "record", "id": "\U0001f600" * 3000}}, "resource_unknown"),
        ({"subject": {"type": "user/alice", "id": " "}}, "subject_unknown"),
        ({"subject": BOB, "action": WRITE}, "no_rule"),
    ],
)
def test_what_is_not_known_is_a_denial_and_never_an_error(pep: Point, change: dict[str, Any], code: str) -> None:
    answer = pep.post("evaluation", {**QUESTION, **change})

    assert (answer.status_code, answer.json()["decision"]) == (200, False)
    assert answer.json()["context"]["code"] == code


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"subject": BOB, "resource": FIRST, "evaluations": [{"action": READ}, {"action": WRITE}]}, [True, False]),
        (
            {"subject": ALICE, "action": WRITE, "evaluations": [{"resource": ACTIVE}, {"resource": ARCHIVED}]},
            [True, False],
        ),
        (
            {"action": WRITE, "resource": ARCHIVED, "evaluations": [{"subject": ALICE}, {"subject": ADMIN}]},
            [False, True],
        ),
        ({"evaluations": [QUESTION, {"subject": BOB, "action": WRITE, "resource": FIRST}]}, [True, False]),
        (
            {"subject": ALICE, "action": WRITE, "resource": ACTIVE, "evaluations": [{}, {"resource": ARCHIVED}]},
            [True, False],
        ),
        ({"subject": ALICE, "action": READ, "evaluations": [{"resource": FIRST}, {}]}, [True, False]),
        (
            {"subject": ADMIN, "action": WRITE, "resource": ARCHIVED, "evaluations": [{}, {"subject": BOB}]},
            [True, True],
        ),
        ({"evaluations": [QUESTION, "text"]}, [True, False]),
    ],
)
def test_a_batch_keeps_order_and_takes_whole_entities_as_defaults(
    pep: Point, body: dict[str, Any], expected: list[bool]
) -> None:
    found = pep.post("evaluations", body).json()

    assert [each["decision"] for each in found["evaluations"]] == expected
    assert "decision" not in found


def test_an_entity_of_an_item_is_not_merged_with_the_default(pep: Point) -> None:
    """Alice would be an admin if the properties of the default stayed."""
    default = {"type": "user", "id": "bob", "properties": {"role": "admin"}}
    body = {"subject": default, "action": WRITE, "resource": ARCHIVED, "evaluations": [{}, {"subject": ALICE}]}

    assert [each["decision"] for each in pep.post("evaluations", body).json()["evaluations"]] == [True, False]


def test_an_item_with_a_mistake_is_denied_and_says_so(pep: Point) -> None:
    body = {"subject": ALICE, "action": READ, "evaluations": [{"resource": FIRST}, {}, {"resource": FIRST}]}

    found = pep.post("evaluations", body).json()["evaluations"]

    assert [each["decision"] for each in found] == [True, False, True]
    assert found[1]["context"]["error"]["status"] == 400


@pytest.mark.parametrize("body", [QUESTION, {**QUESTION, "evaluations": []}])
def test_without_a_batch_the_body_is_the_question(pep: Point, body: dict[str, Any]) -> None:
    assert pep.post("evaluations", body).json()["decision"] is True


SUBJECTS = {"subject": {"type": "user"}, "action": READ, "resource": FIRST}
RESOURCES = {"subject": ALICE, "action": READ, "resource": {"type": "record"}}
ACTIONS = {"subject": ALICE, "resource": FIRST}


@pytest.mark.parametrize(
    ("target", "body", "expected"),
    [
        ("subject", SUBJECTS, ["alice", "bob"]),
        ("subject", {**SUBJECTS, "context": CONTEXT}, ["alice", "bob"]),
        ("subject", {**SUBJECTS, "subject": ALICE}, ["alice", "bob"]),
        ("subject", {"subject": {"type": "user"}, "action": WRITE, "resource": ARCHIVED}, ["bob"]),
        ("resource", RESOURCES, ["record-1", "record-2"]),
        ("resource", {**RESOURCES, "resource": FIRST}, ["record-1", "record-2"]),
        ("resource", {"subject": ADMIN, "action": WRITE, "resource": {"type": "record"}}, ["record-2"]),
        ("action", ACTIONS, ["read", "write"]),
        ("action", {**ACTIONS, "context": CONTEXT}, ["read", "write"]),
        ("action", {**ACTIONS, "action": {"name": "paint"}}, ["read", "write"]),
        ("action", {"subject": ADMIN, "resource": ARCHIVED}, ["read", "write"]),
        ("action", {**ACTIONS, "subject": {"type": "user", "id": "nobody"}}, []),
        ("subject", {**SUBJECTS, "subject": {"type": "spaceship"}}, []),
        ("subject", {**SUBJECTS, "resource": {"type": "record", "id": "record-9"}}, []),
        ("resource", {**RESOURCES, "subject": {"type": "user", "id": "nobody"}}, []),
        ("resource", {**RESOURCES, "resource": {"type": "planet"}}, []),
        ("action", {**ACTIONS, "resource": {"type": "planet", "id": "1"}}, []),
    ],
)
def test_a_search_finds_what_is_allowed(pep: Point, target: str, body: dict[str, Any], expected: list[str]) -> None:
    found = pep.search(target, body)

    assert [each["name" if target == "action" else "id"] for each in found] == expected
    if target != "action":
        assert {each["type"] for each in found} <= {body[target]["type"]}


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("subject", {"subject": {"type": "user"}, "resource": FIRST}),
        ("resource", {"action": READ, "resource": {"type": "record"}}),
        ("action", {"subject": ALICE}),
        *((target, {"subject": {"type": "user"}, "action": READ, "resource": {"type": "record"}})
          for target in ("subject", "resource", "action")),
        ("subject", {**SUBJECTS, "page": []}),
        ("subject", {**SUBJECTS, "page": {"limit": -1}}),
        ("subject", {**SUBJECTS, "page": {"limit": True}}),
        ("subject", {**SUBJECTS, "page": {"token": "bm9uZQ=="}}),
        ("subject", {**SUBJECTS, "page": {"token": "é"}}),
    ],
)  # fmt: skip
def test_a_search_with_a_mistake_is_a_bad_request(pep: Point, target: str, body: dict[str, Any]) -> None:
    assert pep.post(f"search/{target}", body).status_code == 400


def test_pages_of_a_search_follow_one_another(pep: Point) -> None:
    first = pep.post("search/subject", {**SUBJECTS, "page": {"limit": 1}}).json()
    more = {**SUBJECTS, "page": {"token": first["page"]["next_token"]}}
    second = pep.post("search/subject", more).json()

    assert next(iter(first)) == "page"
    assert (first["page"]["count"], first["page"]["total"]) == (1, 2)
    assert second["page"] == {"next_token": "", "count": 1, "total": 2}
    assert [each["id"] for page in (first, second) for each in page["results"]] == ["alice", "bob"]


@pytest.mark.parametrize(
    "change", [{"action": WRITE}, {"resource": ACTIVE}, {"context": {"ip": "::1"}}, {"page": {"limit": 2}}]
)
def test_nothing_of_a_search_changes_between_its_pages(pep: Point, change: dict[str, Any]) -> None:
    token = pep.post("search/subject", {**SUBJECTS, "page": {"limit": 1}}).json()["page"]["next_token"]
    page = {"token": token, **change.get("page", {})}

    assert pep.post("search/subject", {**SUBJECTS, **change, "page": page}).status_code == 400


def test_the_decision_point_names_all_its_addresses(node: Gateway) -> None:
    said = httpx2.get(f"{node.base}/.well-known/authzen-configuration")

    assert said.headers["content-type"].startswith("application/json")
    plain = {name: value for name, value in said.json().items() if name != "signed_metadata"}
    assert plain == {
        "policy_decision_point": settings.GATEWAY_URL,
        "access_evaluation_endpoint": f"{settings.GATEWAY_URL}/access/v1/evaluation",
        "access_evaluations_endpoint": f"{settings.GATEWAY_URL}/access/v1/evaluations",
        "search_subject_endpoint": f"{settings.GATEWAY_URL}/access/v1/search/subject",
        "search_resource_endpoint": f"{settings.GATEWAY_URL}/access/v1/search/resource",
        "search_action_endpoint": f"{settings.GATEWAY_URL}/access/v1/search/action",
    }
