"""Small mistakes in the rules, each of which the rows and spoiled worlds must notice.

A mutant is one piece of text replaced by another in a copy of a module's source,
which then runs in this process beside the real one.
"""

import importlib
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Final

from entitlements import constraints
from entitlements.codes import Code
from entitlements.decisions.limits import NotCovered
from entitlements.decisions.snapshot import UNLIMITED, AgentFacts, Call
from entitlements.decisions.verdicts import Effect
from entitlements.guardrails.rules import Guardrail
from entitlements.words import Action
from tests.entitlements import guardrail_rows, issuing_rows, worlds
from tests.entitlements.constraint_mistakes import MISTAKES
from tests.entitlements.guardrail_rows import guarded
from tests.entitlements.limit_cases import COVERING, DECLARING, MALFORMED, TIGHTENING, UNUSABLE
from tests.entitlements.limit_cases import NOW as LIMITS_NOW
from tests.entitlements.worlds import CALL_SPOILERS, NOW, PERSON_SPOILERS, SPOILERS, World

_LISTED: Final = {Code.ALLOWED, Code.TOOL_CHANGED, Code.ARGUMENT_NOT_DECLARED, Code.ARGUMENT_NOT_VALID}
"""What a call may be answered whose tool is in the list."""
_CONSTRAINTS: Final = ("values", "hosts", "paths", "dates", "kinds")
_compiled: Final = cache(compile)
"""Compiles a module; those without the mistake once."""


@dataclass(frozen=True)
class Mutant:
    """One mistake: in `module`, `old` (found exactly once) becomes `new`."""

    module: str
    old: str
    new: str


@contextmanager
def alive(mutant: Mutant | None) -> Iterator[tuple[ModuleType, ModuleType, ModuleType]]:
    """Hand out (policy, limits, arguments) with the mistake built in; without one, fresh copies of the real ones."""
    names = ("restrictions", "agent_policy", "arguments", "guardrail_rules", "limits", "session_terms")
    copies = _copies_of_constraints(mutant) | {name: _copy(name, mutant) for name in names}
    for name in ("guardrail_rules", "session_terms"):
        setattr(copies["agent_policy"], name, copies[name])
        setattr(copies["restrictions"], name, copies[name])
    copies["agent_policy"].restrictions = copies["restrictions"]  # type: ignore[attr-defined]
    for name in ("arguments", "kinds", "values"):
        setattr(copies["limits"], name, copies[name])
    copies["agent_policy"].NotCovered = (NotCovered, copies["limits"].NotCovered)  # type: ignore[attr-defined]
    try:
        yield copies["agent_policy"], copies["limits"], copies["arguments"]
    finally:
        for copy in copies.values():
            del sys.modules[copy.__name__]


def _copies_of_constraints(mutant: Mutant | None) -> dict[str, ModuleType]:
    """Copy the modules of the room, each of which reads the copies of those before it."""
    kept = {name: sys.modules[f"entitlements.constraints.{name}"] for name in _CONSTRAINTS}
    copies: dict[str, ModuleType] = {}
    try:
        for name in _CONSTRAINTS:
            copies[name] = _copy(name, mutant)
            sys.modules[f"entitlements.constraints.{name}"] = copies[name]
            setattr(constraints, name, copies[name])
    finally:
        for name, module in kept.items():
            sys.modules[f"entitlements.constraints.{name}"] = module
            setattr(constraints, name, module)
    return copies


def _copy(name: str, mutant: Mutant | None) -> ModuleType:
    rooms = {"guardrail_rules": "guardrails.rules", "arguments": "arguments"}
    rooms |= {part: f"constraints.{part}" for part in _CONSTRAINTS}
    original = importlib.import_module(f"entitlements.{rooms.get(name, f'decisions.{name}')}")
    source = Path(str(original.__file__)).read_text(encoding="utf-8")
    if mutant is not None and mutant.module == name:
        assert source.count(mutant.old) == 1, f"{mutant.old!r} is found {source.count(mutant.old)} times"
        source = source.replace(mutant.old, mutant.new)
    copy = ModuleType(f"entitlements_copy_{name}")
    sys.modules[copy.__name__] = copy
    exec(_compiled(source, str(original.__file__), "exec"), copy.__dict__)  # noqa: S102 - our own source
    return copy


def complaints(policy: ModuleType, limits: ModuleType, arguments: ModuleType) -> Iterator[str]:
    """Check everything that the rows and the spoiled worlds know, and name what is wrong."""
    yield from _about_limits(limits)
    yield from _about_calls(policy)
    yield from guardrail_rows.about_forbidden_tools(policy)
    yield from guardrail_rows.about_what_is_held(policy)
    yield from guardrail_rows.about_what_is_settled(policy)
    yield from _about_arguments(policy, limits, arguments)
    yield from issuing_rows.complaints(policy)


def _about_limits(limits: ModuleType) -> Iterator[str]:
    for written, arguments, covered in COVERING:
        if (type(limits.compile(written).covers(arguments, LIMITS_NOW)).__name__ == "Covered") is not covered:
            yield f"{written} {arguments}"
    for parent, child, tighter in TIGHTENING:
        if limits.tightens(parent, child) is not tighter:
            yield f"{parent} {child}"
    for written in MALFORMED:
        stored = limits.load(written)
        if not stored.broken or type(stored.covers({"a": 1})).__name__ == "Covered":
            yield f"{written} is accepted"


def _about_arguments(policy: ModuleType, limits: ModuleType, arguments: ModuleType) -> Iterator[str]:
    for schema, written, sent, wrong in DECLARING:
        world = worlds.allowed(cap=limits.compile(written))
        code = policy.decide(*_asked(worlds.with_schema(world, arguments.Schema(json.dumps(schema)), sent))).code
        if code != {"": "allowed", "limit": "argument_outside_limit"}.get(wrong, f"argument_not_{wrong}"):
            yield f"{schema} {written} {sent}"
    for unusable in UNUSABLE:
        for written in ({}, {"path": {"under": "/pub"}}):
            world = worlds.allowed(cap=limits.compile(written))
            asked = _asked(worlds.with_schema(world, arguments.Schema(json.dumps(unusable)), {"path": "/pub/a"}))
            if policy.decide(*asked).code is not Code.TOOL_DEFINITION_UNUSABLE or policy.visible_tools(*asked):
                yield f"{unusable} is used"
    if len(arguments.quote("x" * 999)) > 99 or not arguments.quote("\u0430").isascii():
        yield "a name is shown as it came"


def _asked(world: World) -> tuple[Call, AgentFacts, float]:
    return world.call, world.facts, world.now


def _about_calls(policy: ModuleType) -> Iterator[str]:
    for spoil in (None, *SPOILERS, *PERSON_SPOILERS, *CALL_SPOILERS):
        world = spoil(worlds.allowed()) if spoil else worlds.allowed()
        expected = spoil.code if spoil else Code.ALLOWED
        if policy.decide(world.call, world.facts, world.now).code is not expected:
            yield f"call: {spoil and spoil.name}"
        lists = "get_current_time" in {tool.name for tool in policy.visible_tools(world.call, world.facts, world.now)}
        if lists is not (expected in _LISTED):
            yield f"list: {spoil and spoil.name}"
    unlisted = worlds.allowed()
    unlisted.call.arguments = {}
    if not policy.visible_tools(unlisted.call, unlisted.facts, unlisted.now):
        yield "list: looks at arguments"
    for name, world, code in _more_calls():
        if policy.decide(world.call, world.facts, world.now).code is not code:
            yield name


def _more_calls() -> Iterator[tuple[str, World, Code]]:
    outside = worlds.allowed()
    outside.call.arguments = {"timezone": "Mars"}
    yield "argument", outside, Code.ARGUMENT_OUTSIDE_LIMIT
    first = worlds.allowed()
    first.now = NOW - 20
    first.facts.lines = {first.key: (replace(first.facts.lines[first.key][0], starts=first.now),)}
    yield "first instant", first, Code.ALLOWED
    for effect, code in ((Effect.DENY, Code.GUARDRAIL), (Effect.HOLD, Code.APPROVAL_REQUIRED)):
        yield f"{effect} matches", guarded(Guardrail("x", effect, actions=frozenset({Action.READ}))), code
        other = guarded(Guardrail("x", effect, actions=frozenset({Action.WRITE})))
        yield f"{effect} does not match", other, Code.ALLOWED
    labelled = guarded(Guardrail("x", Effect.DENY, labels=frozenset({"pii"})))
    yield "not labelled", labelled, Code.ALLOWED
    blind = guarded(Guardrail("x", Effect.DENY, labels=frozenset({"pii"})))
    blind.call.token = blind.call.session = None
    yield "labels unknown", blind, Code.GUARDRAIL
    yield "fresh enough", guarded(Guardrail("x", Effect.STEP_UP, max_age=60)), Code.ALLOWED
    stale = guarded(Guardrail("x", Effect.STEP_UP, max_age=59))
    yield "stale", stale, Code.REAUTHENTICATION_DUE
    strict = guarded(Guardrail("x", Effect.HOLD), Guardrail("y", Effect.DENY))
    yield "strictest", strict, Code.GUARDRAIL
    yield from guardrail_rows.more_calls()
    released = guarded(Guardrail("x", Effect.HOLD))
    released.call.approval = "approval-1"
    yield "released", released, Code.ALLOWED
    silent = worlds.allowed(cap=UNLIMITED)
    silent.call.arguments, silent.call.states_arguments = {}, False
    yield "arguments left out", silent, Code.ALLOWED
    asking = worlds.allowed()
    asking.facts.lines = {asking.key: (replace(asking.facts.lines[asking.key][0], ask=True),)}
    yield "asks", asking, Code.APPROVAL_OF_CALL_REQUIRED


def _of(module: str, *pairs: tuple[str, str]) -> tuple[Mutant, ...]:
    return tuple(Mutant(module, old, new) for old, new in pairs)


MUTANTS: Final = (
    *_of(
        "agent_policy",
        ("if facts.stopped:", "if False:"),
        ("if question.system is not None:", "if False:"),
        ("if system is not _ACTIVE:", "if system is None:"),
        ("if question.agent != facts.agent:", "if False:"),
        ("if facts.status is not _ACTIVE:", "if facts.status is Status.SUSPENDED:"),
        ("if now >= facts.agent_until:", "if now > facts.agent_until:"),
        ("if now >= facts.agent_until:", "if False:"),
        ("if facts.sponsor is not _ACTIVE:", "if facts.sponsor is Status.MISSING:"),
        ("if now >= facts.owner_until:", "if now > facts.owner_until:"),
        ("if now >= facts.owner_until:", "if False:"),
        ("if client is not _ACTIVE:", "if client is None:"),
        ("if question.person is not None:\n        person", "if False:\n        person"),
        ("if person is not _ACTIVE:", "if person is None:"),
        ("question.token.jti in facts.dead_tokens or ", ""),
        ("(issued > facts.tokens_valid_after and", "(issued >= facts.tokens_valid_after and"),
        ("(issued > facts.tokens_valid_after and", "("),
        ("and issued > valid_after", "and issued >= valid_after"),
        ("and issued > valid_after", ""),
        ("if not now < question.token.expires:", "if now > question.token.expires:"),
        ("if question.session is not None:\n        code", "if False:\n        code"),
        ("if tool is None:\n        return denied(call, facts, Code.UNKNOWN_TOOL)", "if tool is None:\n        pass"),
        ("    if tool.state is not _APPROVED:", "    if tool.state is ToolState.PENDING:"),
        ("call.definition != tool.definition", "False"),
        ("call.client in facts.unproven_clients and", "False and"),
        ("call.client in facts.unproven_clients and is_too_risky(tool)", "False"),
        ("        if line.suspended or not line.starts <= now < line.expires:\n            missed.append(_out_of_time(line, now))\n            continue", "        if not line.starts <= now < line.expires:\n            missed.append(_out_of_time(line, now))\n            continue"),  # noqa: E501
        ("        if line.suspended or not line.starts <= now < line.expires:\n            missed.append(_out_of_time(line, now))\n            continue", "        if line.suspended or not line.starts <= now <= line.expires:\n            missed.append(_out_of_time(line, now))\n            continue"),  # noqa: E501
        ("        if line.suspended or not line.starts <= now < line.expires:\n            missed.append(_out_of_time(line, now))\n            continue", "        if line.suspended or not line.starts < now < line.expires:\n            missed.append(_out_of_time(line, now))\n            continue"),  # noqa: E501
        ("        if line.suspended or not line.starts <= now < line.expires:\n            missed.append(_out_of_time(line, now))\n            continue", "        if line.suspended or not now < line.expires:\n            missed.append(_out_of_time(line, now))\n            continue"),  # noqa: E501
        ("if not line.limits.free and (not listing or line.limits.broken) and", "if False and"),
        ("        if tool.schema.broken:", "        if False:"),
        ("        if tool.schema.broken:", "        if tool.schema.broken and not listing:"),
        ("        if tool.schema.broken:", "        if tool.schema.broken and not line.limits.free:"),
        ("if undeclared := line.limits.undeclared(call.arguments, tool.schema.place):", "if undeclared := '':"),
        ("if not listing and call.states_arguments and (problem := tool.schema.problem(call.arguments)):", "if problem := '':"),  # noqa: E501
        ("if not listing and call.states_arguments and (problem := tool.schema.problem(call.arguments)):", "if problem := tool.schema.problem(call.arguments):"),  # noqa: E501
        ("if not listing and call.states_arguments and", "if not listing and not line.limits.free and"),
        ("if not listing and call.states_arguments and", "if not listing and"),
        ("if isinstance(covered, NotCovered):", "if False:"),
        ("if not line.limits.free and (not listing or line.limits.broken) and", "if not line.limits.free and"),
        ("(not listing or line.limits.broken)", "not listing"),
        ("if token is not None and line.scope not in token.scopes and not token.covers_all:", "if False:"),
        ("line.scope not in token.scopes and not token.covers_all", "line.scope not in token.scopes"),
        ("if line.ask:\n            asking", "if False:\n            asking"),
        ("if given or code is not None:", "if code is not None:"),
        ("if given or code is not None:", "if given:"),
        ("_HELD if facts.is_held or", "_HELD if"),
        ("facts.is_held or question.person in facts.held_people", "facts.is_held"),
        ("code is _HELD and issuance.system is None", "False"),
        ("code is not None and not (code is _HELD and", "code is not None and not (code is not _HELD or"),
        ("and not guardrail_rules.forbids(facts, system, tool)", ""),
        ("facts.lines.get((call.system, call.tool, call.person), ())", "facts.lines.get((call.system, call.tool, call.person)) or next(iter(facts.lines.values()), ())"),  # noqa: E501
        ("verdict.grant is not None and verdict.effect is not Effect.DENY", "verdict.effect is not Effect.DENY"),
        ("verdict.grant is not None and verdict.effect is not Effect.DENY", "True"),
        ("if issuance.flow in REDEEMING and issuance.token is None:", "if False:"),
        ("issuance.system is None):\n        return denied(", "issuance.system is None) and False:\n        return denied("),  # noqa: E501
        ("    code = _blocking_code(call, facts, now)\n    if code is not None:\n        return denied(call, facts, code)\n    opened", "    opened"),  # noqa: E501
        ("if call.token is None or call.token.covers_all or scope in call.token.scopes:", "if True:"),
        ("call.token is None or call.token.covers_all or scope", "call.token is None or scope"),
        ("held if token is None or token.covers_all else token.scopes & held.keys()", "held"),
        ("return issuance.may_be_empty and issuance.person", "return issuance.person"),
        ("and issuance.person is not None and verdict.code in _MISSING", "and verdict.code in _MISSING"),
        ("verdict.code in _MISSING and could_be_held", "could_be_held"),
        ("verdict.code in _MISSING and could_be_held", "verdict.code in _MISSING"),
        ("if issuance.token and issuance.flow in REDEEMING else None", "if False else None"),
        ("else min(line.expires", "else max(line.expires"),
        ("line.expires > best[line.scope].expires", "line.expires < best[line.scope].expires"),
        ("min(now + issuance.lifetime, ends, facts.agent_until)", "now + issuance.lifetime"),
        ("min(now + issuance.lifetime, ends, facts.agent_until)", "ends"),
        ("ends, facts.agent_until)", "ends)"),
        ("limit = min(limit, facts.sessions[issuance.session].absolute_until)", "pass"),
        ("expires = math.floor(limit)", "expires = math.ceil(limit)"),
        ("pinned is None or pinned.state is not _APPROVED or line.suspended", "pinned is None or line.suspended"),
        ("pinned is None or pinned.state is not _APPROVED or line.suspended", "pinned is None or pinned.state is not _APPROVED"),  # noqa: E501
        ("if line.starts <= now < line.expires and not", "if line.starts <= now <= line.expires and not"),
        ("if line.starts <= now < line.expires and not", "if now < line.expires and not"),
        ("scopes.canonical(wanted & scopes.PROTOCOL_SCOPES)", "scopes.canonical(wanted)"),
    ),
    *_of("guardrail_rules", *guardrail_rows.MUTANTS),
    *_of("restrictions", *guardrail_rows.RESTRICTIONS),
    *_of(
        "session_terms",
        ("if session is None or session.person != person:", "if session is None:"),
        ("if session.ended:", "if False:"),
        ("if not now < session.absolute_until:", "if now > session.absolute_until:"),
        ("if not now < session.idle_until:", "if now > session.idle_until:"),
        ("if not now < session.reauthenticate_at:", "if False:"),
        ("if session.is_held else None", "if False else None"),
        ("return question.token is not None if isinstance", "return False if isinstance"),
        ("else not question.begins_session", "else False"),
    ),
    *_of(
        "limits",
        ("if self.broken:", "if False:"),
        ("return Compiled(root, written=limits) if root.structured else _UNLIMITED", "return _UNLIMITED"),
        ("if not kinds.KINDS[kind].holds(want, value, now):", "if False:"),
        ("            if child.required:\n                return", "            if False:\n                return"),
        ("elif child.presence is _Presence.ABSENT:", "elif False:"),
        ("elif (missed := _outside(child, value[key], now)) is not None:", "elif (missed := None) is not None:"),
        ("(node.closed or fold(key) in node.folded)", "(fold(key) in node.folded)"),
        ("(node.closed or fold(key) in node.folded)", "node.closed"),
        ("if not isinstance(value, Mapping):\n        return NotCovered", "if not isinstance(value, Mapping):\n        return None and NotCovered"),  # noqa: E501
        ('unicodedata.normalize("NFKC", name).casefold()', "name.casefold()"),
        ("return name.casefold() if name.isascii()", "return name if name.isascii()"),
        ("if stated else _Presence.REQUIRED", "if stated else _Presence.OPTIONAL"),
        ("if any(written[word] is not True for word in stated):", "if False:"),
        ('if dict(written) != {"absent": True} or written["absent"] is not True:', "if False:"),
        ("return child.presence is _Presence.ABSENT\n", "return True\n"),
        ("return not parent.required", "return True"),
        ("if parent.required and not child.required:", "if False:"),
        ("if not kinds.implies(child.rules, parent.rules):", "if False:"),
        ("return child.structured and _inside_tighter(parent, child)", "return True"),
        ("if name not in child.children and not child.closed:", "if False:"),
        ("if parent.closed and not child.closed:", "if False:"),
        ("return all(inner.presence is _Presence.ABSENT for inner in added)", "return True"),
        ("inner.presence is _Presence.ABSENT or fold(name) not in parent.folded\n", "True\n"),
        ("if node.structured and (node.rules or node.presence is _Presence.ABSENT):", "if False:"),
        ("if len(node.folded) != len(node.children):", "if False:"),
        ("if node.presence is _Presence.OPTIONAL and inner:", "if False:"),
    ),
    *_of(
        "limits",
        ("if key not in node.children and not declared.declares(key):", "if not declared.declares(key):"),
        ("if key not in node.children and not declared.declares(key):", "if key not in node.children:"),
        ("if not child.structured or not isinstance(inner, Mapping):", "if True:"),
        ("_undeclared(child, inner, declared.inside(key))", "_undeclared(child, inner, declared)"),
        ("            return _undeclared(self.root, given, declared)", '            return ""'),
    ),
    *_of(
        "arguments",
        ("return name in self.names or any(", "return True or any("),
        ("return name in self.names or any(", "return any("),
        ("patterns.read(text).matches(name)", "True"),
        ("if self._parts > _MOST_UNFOLDED:", "if False:"),
        ("if not isinstance(schema, dict):", "if False:"),
        ("            if name in named:\n                yield named[name]", "            pass"),
        ("                if patterns.read(pattern).matches(name):\n                    yield inner", "                pass"),  # noqa: E501
        ('            yield part.get("additionalProperties")', "            pass"),
        ("        waiting += document.targets(part)", "        pass"),
        ("        waiting += [inner for word in _LISTS_HERE for inner in _listed(part, word)]", "        pass"),
        ("        waiting += [part.get(word) for word in _SINGLES_HERE]", "        pass"),
        ("self._target(unquote(reference[1:]))", "self._target(reference[1:])"),
        ("return self._anchors.get(fragment)", "return None"),
        ('.encode("unicode_escape")', ".encode()"),
        ("name[:_LONGEST_NAME].encode", "name.encode"),
    ),
    *(mutant for module, mistakes in MISTAKES.items() for mutant in _of(module, *mistakes)),
)  # fmt: skip
