"""What a document of a policy domain may say, and how its conditions compare."""

from __future__ import annotations

import contextlib
import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entitlements.codes import Code
from entitlements.policy_domains import rules
from entitlements.policy_domains.rules import Question

DOCUMENT: dict[str, Any] = {
    "enforcement_points": ["pep"],
    "subject_types": {"user": {"stated": ["level"]}},
    "resource_types": {
        "record": {"actions": ["view", "edit"], "stated": ["phase"]},
        "file": {"actions": ["view"], "open": True},
    },
    "subjects": [{"type": "user", "id": "alice", "properties": {"roles": ["editor"], "level": 1, "team": "a"}}],
    "resources": [{"type": "record", "id": "1", "properties": {"owner": "alice", "phase": "draft", "public": True}}],
    "rules": [],
}


def with_rule(*when: dict[str, Any], kind: str = "record") -> dict[str, Any]:
    rule = {"name": "one", "resource_type": kind, "actions": ["view"], "when": list(when)}
    return {**DOCUMENT, "rules": [rule]}


def permits(*when: dict[str, Any], **stated: dict[str, Any]) -> bool:
    question = Question(
        ("user", "alice"),
        "view",
        ("record", "1"),
        stated.get("subject", {}),
        stated.get("action", {}),
        stated.get("resource", {}),
        stated.get("context", {}),
    )
    return rules.read(with_rule(*when)).decide(question).code is Code.ALLOWED


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"attribute": "subject.id", "is": "alice"}, True),
        ({"attribute": "subject.type", "is": "agent"}, False),
        ({"attribute": "subject.properties.roles", "has": "editor"}, True),
        ({"attribute": "subject.properties.roles", "has": "admin"}, False),
        ({"attribute": "subject.properties.roles", "is": "editor"}, False),
        ({"attribute": "subject.properties.team", "has": "a"}, False),
        ({"attribute": "subject.properties.level", "in": [1, 2]}, True),
        ({"attribute": "subject.properties.level", "in": []}, False),
        ({"attribute": "subject.properties.level", "is": True}, False),
        ({"attribute": "subject.properties.level", "is": "1"}, False),
        ({"attribute": "subject.properties.level", "is": 1.0}, True),
        ({"attribute": "resource.properties.public", "is": 1}, False),
        ({"attribute": "resource.properties.owner", "same_as": "subject.id"}, True),
        ({"attribute": "resource.properties.owner", "same_as": "subject.properties.team"}, False),
        ({"attribute": "resource.properties.none", "same_as": "subject.properties.none"}, False),
        ({"attribute": "subject.properties.roles", "same_as": "subject.properties.roles"}, False),
        ({"attribute": "context.ip", "is": "::1"}, False),
    ],
)
def test_a_condition_compares_scalars_and_nothing_equals_what_is_missing(
    condition: dict[str, Any], *, expected: bool
) -> None:
    assert permits(condition) is expected


def test_all_conditions_of_a_rule_hold_together() -> None:
    mine = {"attribute": "resource.properties.owner", "same_as": "subject.id"}
    other = {"attribute": "subject.properties.team", "is": "b"}

    assert (permits(mine), permits(mine, other), permits()) == (True, False, True)


def test_only_what_the_type_lets_a_caller_state_counts_and_then_in_the_place_of_what_is_kept() -> None:
    level, team = (
        {"attribute": f"subject.properties.{name}", "is": value} for name, value in (("level", 9), ("team", "b"))
    )
    phase = {"attribute": "resource.properties.phase", "is": "final"}

    assert permits(level, subject={"level": 9})
    assert not permits({"attribute": "subject.properties.level", "is": 1}, subject={"level": 9})
    assert not permits(team, subject={"team": "b"})
    assert permits(phase, resource={"phase": "final"})
    assert not permits({"attribute": "resource.properties.owner", "is": "bob"}, resource={"owner": "bob"})
    assert permits({"attribute": "action.properties.soft", "is": True}, action={"soft": True})
    assert permits({"attribute": "context.net.zone", "is": "inner"}, context={"net": {"zone": "inner"}})


def test_a_resource_that_is_not_listed_is_known_where_its_type_is_open() -> None:
    domain = rules.read(with_rule(kind="file"))

    found = [
        domain.decide(Question(("user", "alice"), "view", resource, {}, {}, {}, {})).code
        for resource in (("file", "any"), ("record", "2"), ("planet", "1"))
    ]

    assert found == [Code.ALLOWED, Code.RESOURCE_UNKNOWN, Code.RESOURCE_UNKNOWN]


def test_a_rule_of_some_types_of_subjects_permits_no_others() -> None:
    document = with_rule()
    document["subject_types"] = {"user": {}, "agent": {}}
    document["rules"][0]["subject_types"] = ["agent"]

    assert rules.read(document).decide(Question(("user", "alice"), "view", ("record", "1"), {}, {}, {}, {})).code is (
        Code.NO_RULE
    )


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ((), [], "The document is an object."),
        (("policy",), "allow", "not known: policy"),
        (("subject_types", "user", "trusted"), True, "not known: trusted"),
        (("resource_types", "record", "actions"), ["tools/call"], "grants decide tools/call"),
        (("resource_types", "record", "actions"), ["view", "view"], "names something twice"),
        (("resource_types", "record", "open"), 1, "is true or false"),
        (("subjects", 0, "type"), "planet", "subjects[0].type is none"),
        (("subjects", 0, "id"), "", "1 to 256 characters"),
        (("subjects", 0, "properties"), [], "is an object"),
        (("subjects",), [DOCUMENT["subjects"][0]] * 2, "subjects[1] is there twice"),
        (("resources",), [{}] * 5_001, "at most 5000"),
        (("rules",), [{"name": "a", "resource_type": "record", "actions": []}], "one or more of its actions"),
        (("rules",), [{"name": "a", "resource_type": "record", "actions": ["paint"]}], "one or more of its actions"),
        (("rules",), [{"name": "a", "resource_type": "planet", "actions": ["view"]}], "names a resource type"),
        (("rules",), [{"resource_type": "record", "actions": ["view"]}], "rules[0].name"),
        (
            ("rules",),
            [{"name": "a", "resource_type": "record", "actions": ["view"], "subject_types": ["agent"]}],
            "a type that the document does not",
        ),
    ],
)
def test_a_document_with_a_mistake_is_refused_and_told_where(path: tuple[Any, ...], value: object, said: str) -> None:
    document: Any = copy.deepcopy(DOCUMENT)
    if not path:
        document = value
    else:
        inner = document
        for name in path[:-1]:
            inner = inner[name]
        inner[path[-1]] = value

    with pytest.raises(rules.Unreadable) as refused:
        rules.read(document)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "condition",
    [
        {},
        {"attribute": "subject.id"},
        {"is": "alice"},
        {"attribute": "subject.id", "is": "a", "in": ["a"]},
        {"attribute": "subject.id", "eval": "1"},
        {"attribute": "subject.name", "is": "a"},
        {"attribute": "subject.properties", "is": "a"},
        {"attribute": "subject.properties..a", "is": "a"},
        {"attribute": "context", "is": "a"},
        {"attribute": "env.HOME", "is": "a"},
        {"attribute": "subject.id", "is": {"a": 1}},
        {"attribute": "subject.id", "is": None},
        {"attribute": "subject.id", "in": "alice"},
        {"attribute": "subject.id", "in": [["a"]]},
        {"attribute": "subject.id", "same_as": "__class__"},
        {"attribute": 5, "is": 5},
    ],
)
def test_a_condition_is_one_comparison_of_a_known_attribute(condition: dict[str, Any]) -> None:
    with pytest.raises(rules.Unreadable):
        rules.read(with_rule(condition))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(spoilt=_JSON, place=st.sampled_from(sorted(DOCUMENT)))
def test_whatever_stands_in_a_document_is_read_or_refused(spoilt: object, place: str) -> None:
    with contextlib.suppress(rules.Unreadable):
        rules.read({**DOCUMENT, place: spoilt})


@given(context=st.dictionaries(st.text(max_size=3), _JSON), properties=st.dictionaries(st.text(max_size=3), _JSON))
def test_nothing_that_a_caller_states_permits_without_a_rule(
    context: dict[str, Any], properties: dict[str, Any]
) -> None:
    domain = rules.read(DOCUMENT)
    question = Question(("user", "alice"), "view", ("record", "1"), properties, properties, properties, context)

    assert domain.decide(question).code is Code.NO_RULE
