"""What a policy domain says: its document is read once, and each question and search is answered from it. Pure.

A document names the types of a system's resources with their actions, its subjects and resources with their properties,
and rules. A rule permits; nothing forbids, and what no rule permits is denied. It permits actions on resources of one
type to subjects of whom all its conditions hold. A condition compares one attribute with a value or with another
attribute; it holds code of no kind, and one whose attribute is missing does not hold.

The administrator's properties count. A caller's count only where the type says so (`stated`), or where they belong to
the question alone: properties of the action, and the context.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from entitlements.codes import Code, meaning

MOST_SUBJECTS: Final = 5_000
MOST_RESOURCES: Final = 5_000
MOST_RULES: Final = 500
MOST_CONDITIONS: Final = 16
MOST_ACTIONS: Final = 100
MOST_POINTS: Final = 100
LONGEST_NAME: Final = 256
OF_GRANTS: Final = "tools/call"
"""The action that grants decide, and no policy domain."""
_ROOTS: Final = frozenset({"subject", "resource", "action", "context"})
_OPERATORS: Final = frozenset({"is", "in", "has", "same_as"})
_SCALARS: Final = (str, int, float, bool)
_MISSING: Final = object()

type Entity = tuple[str, str]
"""The type and the id of a subject or a resource."""
type Properties = Mapping[str, Any]


class Unreadable(ValueError):
    """The document is not one of a policy domain; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison: `attribute` with a value (`is`, `in`, `has`) or with the attribute `value` (`same_as`)."""

    attribute: tuple[str, ...]
    operator: str
    value: Any

    def holds(self, asked: Mapping[str, Any]) -> bool:
        """Say whether it holds of a question, as `_attributes` lays it out."""
        found = _look_up(asked, self.attribute)
        if found is _MISSING:
            return False
        if self.operator == "same_as":
            return _is_same(found, _look_up(asked, self.value))
        if self.operator == "in":
            return any(_is_same(found, each) for each in self.value)
        if self.operator == "has":
            return isinstance(found, list) and any(_is_same(each, self.value) for each in found)
        return _is_same(found, self.value)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: what it permits, on which type, and its conditions. `subject_types` empty means any."""

    name: str
    resource_type: str
    actions: tuple[str, ...]
    subject_types: frozenset[str]
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class ResourceType:
    """A type of resources. With `is_open` a resource may be asked about that the document does not list."""

    actions: tuple[str, ...]
    stated: frozenset[str]
    is_open: bool


@dataclass(frozen=True, slots=True)
class Question:
    """One question; `subject_properties` and the others are what the caller states."""

    subject: Entity
    action: str
    resource: Entity
    subject_properties: Properties
    action_properties: Properties
    resource_properties: Properties
    context: Properties


@dataclass(frozen=True, slots=True)
class Answer:
    """What a domain says to one question: a code, why in one sentence, and the rule that permits."""

    code: Code
    sentence: str
    rule: str = ""


@dataclass(frozen=True, slots=True)
class PolicyDomain:
    """A document that was read."""

    points: tuple[str, ...]
    subject_types: Mapping[str, frozenset[str]]
    resource_types: Mapping[str, ResourceType]
    subjects: Mapping[Entity, Properties]
    resources: Mapping[Entity, Properties]
    rules: Mapping[tuple[str, str], tuple[Rule, ...]]

    def answer(self, question: Question, *, is_in_use: bool) -> Answer:
        """Answer one question; where the system is not in use, each is denied."""
        if not is_in_use:
            return Answer(Code.SYSTEM_DISABLED, meaning(Code.SYSTEM_DISABLED).sentence)
        return self.decide(question)

    def decide(self, question: Question) -> Answer:
        """Answer one question by the document. What it does not know is denied."""
        known, target = self.subjects.get(question.subject), self.resource_types.get(question.resource[0])
        if known is None:
            return Answer(Code.SUBJECT_UNKNOWN, "The policy domain has no such subject.")
        resource = self.resources.get(question.resource)
        if target is None or (resource is None and not target.is_open):
            return Answer(Code.RESOURCE_UNKNOWN, "The policy domain has no such resource.")
        if question.action not in target.actions:
            return Answer(Code.ACTION_UNKNOWN, "Resources of this type have no such action.")
        asked = self._attributes(question, known, resource or {})
        for rule in self.rules.get((question.resource[0], question.action), ()):
            if rule.subject_types and question.subject[0] not in rule.subject_types:
                continue
            if all(condition.holds(asked) for condition in rule.conditions):
                return Answer(Code.ALLOWED, f"The rule {rule.name} permits it.", rule.name)
        return Answer(Code.NO_RULE, "No rule of the policy domain permits it.")

    def subjects_of(self, kind: str) -> Iterator[Entity]:
        """Yield the subjects of a type, in the order of the document."""
        return (entity for entity in self.subjects if entity[0] == kind)

    def resources_of(self, kind: str) -> Iterator[Entity]:
        """Yield the listed resources of a type, in the order of the document."""
        return (entity for entity in self.resources if entity[0] == kind)

    def actions_on(self, kind: str) -> Sequence[str]:
        """Return the actions on resources of a type, in the order of the document."""
        known = self.resource_types.get(kind)
        return () if known is None else known.actions

    def _attributes(self, question: Question, subject: Properties, resource: Properties) -> dict[str, Any]:
        """Lay out a question as conditions read it."""
        may_state = self.subject_types[question.subject[0]]
        of_resource = self.resource_types[question.resource[0]].stated
        return {
            "subject": _entity(question.subject, subject, question.subject_properties, may_state),
            "resource": _entity(question.resource, resource, question.resource_properties, of_resource),
            "action": {"name": question.action, "properties": question.action_properties},
            "context": question.context,
        }


def _entity(entity: Entity, kept: Properties, stated: Properties, may_state: frozenset[str]) -> dict[str, Any]:
    given = {name: stated[name] for name in may_state if name in stated} if stated else {}
    return {"type": entity[0], "id": entity[1], "properties": {**kept, **given} if given else kept}


def _look_up(asked: Mapping[str, Any], path: Iterable[str]) -> Any:  # noqa: ANN401 - any JSON value
    found: Any = asked
    for name in path:
        if not isinstance(found, Mapping) or name not in found:
            return _MISSING
        found = found[name]
    return found


def _is_same(one: object, other: object) -> bool:
    """Compare two scalars: true is not 1, and nothing equals what is no scalar."""
    if not isinstance(one, _SCALARS) or not isinstance(other, _SCALARS):
        return False
    return isinstance(one, bool) is isinstance(other, bool) and one == other


# ------------------------------------------------------------------------------------------------- reading a document


def read(document: object) -> PolicyDomain:
    """Read the document of a policy domain. Raises Unreadable."""
    members = {"enforcement_points", "subject_types", "resource_types", "subjects", "resources", "rules"}
    top = _object(document, "The document", members)
    points = _names(top.get("enforcement_points", []), "enforcement_points", MOST_POINTS)
    subject_types = {
        _name(name, "subject_types"): frozenset(_names(_object(said, f"subject_types.{name}", {"stated"}).get(
            "stated", []), f"subject_types.{name}.stated", MOST_ACTIONS))
        for name, said in _object(top.get("subject_types", {}), "subject_types").items()
    }  # fmt: skip
    resource_types = {
        _name(name, "resource_types"): _resource_type(said, f"resource_types.{name}")
        for name, said in _object(top.get("resource_types", {}), "resource_types").items()
    }
    subjects = _entities(top.get("subjects", []), "subjects", subject_types, MOST_SUBJECTS)
    resources = _entities(top.get("resources", []), "resources", resource_types, MOST_RESOURCES)
    rules: dict[tuple[str, str], tuple[Rule, ...]] = {}
    for place, said in enumerate(_list(top.get("rules", []), "rules", MOST_RULES)):
        rule = _rule(said, f"rules[{place}]", subject_types, resource_types)
        for action in rule.actions:
            key = (rule.resource_type, action)
            rules[key] = (*rules.get(key, ()), rule)
    return PolicyDomain(points, subject_types, resource_types, subjects, resources, rules)


def _resource_type(value: object, where: str) -> ResourceType:
    said = _object(value, where, {"actions", "stated", "open"})
    actions = _names(said.get("actions", []), f"{where}.actions", MOST_ACTIONS)
    if OF_GRANTS in actions:
        raise Unreadable(f"{where}.actions: grants decide {OF_GRANTS}, and no rule does.")
    is_open = said.get("open", False)
    if not isinstance(is_open, bool):
        raise Unreadable(f"{where}.open is true or false.")
    return ResourceType(actions, frozenset(_names(said.get("stated", []), f"{where}.stated", MOST_ACTIONS)), is_open)


def _entities(value: object, where: str, types: Mapping[str, object], most: int) -> dict[Entity, Properties]:
    found: dict[Entity, Properties] = {}
    for place, each in enumerate(_list(value, where, most)):
        here = f"{where}[{place}]"
        said = _object(each, here, {"type", "id", "properties"})
        entity = (_name(said.get("type"), f"{here}.type"), _name(said.get("id"), f"{here}.id"))
        if entity[0] not in types:
            raise Unreadable(f"{here}.type is none that the document names.")
        if entity in found:
            raise Unreadable(f"{here} is there twice.")
        found[entity] = _object(said.get("properties", {}), f"{here}.properties")
    return found


def _rule(
    value: object, where: str, subject_types: Mapping[str, object], resource_types: Mapping[str, ResourceType]
) -> Rule:
    said = _object(value, where, {"name", "resource_type", "actions", "subject_types", "when"})
    kind = _name(said.get("resource_type"), f"{where}.resource_type")
    actions = _names(said.get("actions", []), f"{where}.actions", MOST_ACTIONS)
    of_subjects = _names(said.get("subject_types", []), f"{where}.subject_types", MOST_ACTIONS)
    if kind not in resource_types or not actions or not set(actions) <= set(resource_types[kind].actions):
        raise Unreadable(f"{where} names a resource type of the document, and one or more of its actions.")
    if not set(of_subjects) <= subject_types.keys():
        raise Unreadable(f"{where}.subject_types names a type that the document does not.")
    conditions = tuple(
        _condition(each, f"{where}.when[{place}]")
        for place, each in enumerate(_list(said.get("when", []), f"{where}.when", MOST_CONDITIONS))
    )
    name = _name(said.get("name"), f"{where}.name")
    return Rule(name, kind, actions, frozenset(of_subjects), conditions)


def _condition(value: object, where: str) -> Condition:
    said = _object(value, where, _OPERATORS | {"attribute"})
    operators = sorted(said.keys() & _OPERATORS)
    if len(operators) != 1 or "attribute" not in said:
        raise Unreadable(f"{where} has an attribute and one of is, in, has and same_as.")
    (operator,) = operators
    operand = said[operator]
    if operator == "same_as":
        operand = _path(operand, f"{where}.same_as")
    elif operator == "in":
        operand = tuple(_list(operand, f"{where}.in", MOST_ACTIONS))
    if not all(isinstance(each, _SCALARS) for each in (operand if isinstance(operand, tuple) else (operand,))):
        raise Unreadable(f"{where}.{operator} compares with texts, numbers, true and false.")
    return Condition(_path(said["attribute"], f"{where}.attribute"), operator, operand)


def _path(value: object, where: str) -> tuple[str, ...]:
    parts = tuple(_name(value, where).split("."))
    root, rest = parts[0], parts[1:]
    is_entity = root in {"subject", "resource"} and rest in (("id",), ("type",))
    is_property = root in _ROOTS - {"context"} and len(rest) > 1 and rest[0] == "properties"
    if not all(parts) or not (is_entity or is_property or (root == "context" and rest)):
        raise Unreadable(f"{where} is subject.id, resource.properties.<name>, action.properties.<name>, or the like.")
    return parts


def _object(value: object, where: str, members: frozenset[str] | set[str] | None = None) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Unreadable(f"{where} is an object.")
    if members is not None and (unknown := sorted(value.keys() - members)):
        raise Unreadable(f"{where} has a member that is not known: {unknown[0][:LONGEST_NAME]}.")
    return value


def _list(value: object, where: str, most: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise Unreadable(f"{where} is a list of at most {most}.")
    return value


def _names(value: object, where: str, most: int) -> tuple[str, ...]:
    names = tuple(_name(each, where) for each in _list(value, where, most))
    if len(set(names)) != len(names):
        raise Unreadable(f"{where} names something twice.")
    return names


def _name(value: object, where: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_NAME:
        raise Unreadable(f"{where} is a text of 1 to {LONGEST_NAME} characters.")
    return value
