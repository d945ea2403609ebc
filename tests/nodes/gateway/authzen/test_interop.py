"""The 272 interop vectors of AuthZEN, asked of a real node about the scenario's domain, loaded as a system."""

from __future__ import annotations

import itertools
import json
from typing import Any

import httpx2
import pytest

from tests.nodes.gateway.authzen import point
from tests.nodes.gateway.authzen.point import Point
from tests.nodes.gateway.world import Gateway

SEARCHES = {"idp": "resource", "search-action": "action", "search-resource": "resource", "search-subject": "subject"}


@pytest.fixture(scope="module")
def pep(node: Gateway) -> Point:
    return point.new(node, "interop")


def vectors(name: str) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = json.loads((point.HERE / "vectors" / f"{name}.json").read_text())
    return found


def test_each_of_the_272_vectors_is_answered_as_expected(pep: Point) -> None:
    asked, wrong = 0, []
    with httpx2.Client(base_url=pep.node.base, headers={"Authorization": f"Bearer {pep.token}"}) as client:
        for address, expected, request in _all():
            answer = client.post(f"/access/v1/{address}", json=request).json()
            asked += 1
            if _seen(address, answer) != expected:
                wrong.append((address, request, answer))

    assert (asked, wrong) == (272, [])


def _all() -> list[tuple[str, Any, dict[str, Any]]]:
    """Return each vector: where it is asked, what is expected, and the request."""
    found: list[tuple[str, Any, dict[str, Any]]] = []
    for name in ("api-gateways", "todo"):
        for address, cases in vectors(name).items():
            found += [(address, each["expected"], each["request"]) for each in cases]
    for name, target in SEARCHES.items():
        for each in itertools.chain(*vectors(name).values()):
            found.append((f"search/{target}", each["expected"]["results"], each["request"]))
    return found


def _seen(address: str, answer: dict[str, Any]) -> object:
    if address == "evaluation":
        return answer["decision"]
    if address == "evaluations":
        return [{"decision": each["decision"]} for each in answer["evaluations"]]
    return answer["results"]


def test_a_search_finds_what_evaluations_allow_one_by_one(pep: Point) -> None:
    """Ask about each subject, action and resource of a part of the domain, and compare with all three searches."""
    users = [{"type": "user", "id": name} for name in ("alice", "bob", "felix")]
    records = [{"type": "record", "id": str(number)} for number in range(101, 121)]
    actions = ["view", "edit", "delete"]
    each = list(itertools.product(users, actions, records))
    asked = [{"subject": user, "action": {"name": name}, "resource": record} for user, name, record in each]
    answers = [found for part in (asked[:100], asked[100:]) for found in _decided(pep, part)]
    allowed = [one for one, decision in zip(each, answers, strict=True) if decision]

    for user in users:
        for name in actions:
            found = pep.search("resource", {"subject": user, "action": {"name": name}, "resource": {"type": "record"}})
            assert found == [record for of, by, record in allowed if (of, by) == (user, name)]
    for record in records[:5]:
        found = pep.search("subject", {"subject": {"type": "user"}, "action": {"name": "view"}, "resource": record})
        assert [one for one in found if one in users] == [of for of, by, on in allowed if (by, on) == ("view", record)]
        found = pep.search("action", {"subject": users[0], "resource": record})
        assert found == [{"name": by} for of, by, on in allowed if (of, on) == (users[0], record)]


def _decided(pep: Point, asked: list[dict[str, Any]]) -> list[bool]:
    return [each["decision"] for each in pep.post("evaluations", {"evaluations": asked}).json()["evaluations"]]
