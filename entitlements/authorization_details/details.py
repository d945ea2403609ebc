"""The type `mcp_tool_call`: one object for each tool, with constraints on its arguments in the grammar of `limits`.

    {"type": "mcp_tool_call", "locations": ["https://.../gw/bank/mcp"], "actions": ["tools/call"],
     "identifier": "pay", "constraints": {"amount": {"max": 100}}}

What we issue puts constraints together: {"all_of": [...]} holds where each does, {"any_of": [...]} where one does. A
token with details calls the tools that they name and no other, whatever its scopes say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from entitlements import strict
from entitlements.decisions import limits
from entitlements.decisions.limits import Compiled, NotCovered
from entitlements.decisions.snapshot import AgentFacts
from entitlements.errors import DomainError

TYPE: Final = "mcp_tool_call"
ACTION: Final = "tools/call"
_FIELDS: Final = frozenset({"type", "locations", "actions", "identifier", "constraints"})
_MOST: Final = 50
_DEEPEST: Final = 12
_LARGEST: Final = 16_384

type Constraints = Mapping[str, Any]


class DetailsInvalid(DomainError):
    """The authorization details are not of a kind that is understood here."""

    code, status = "authorization_details_invalid", HTTPStatus.BAD_REQUEST


@dataclass(frozen=True, slots=True)
class Detail:
    """One tool of one resource, and what holds for its arguments."""

    tool: str
    constraints: Constraints


@dataclass(frozen=True, slots=True)
class _Group:
    """Constraints put together: all of them must hold, or any."""

    needs_all: bool
    parts: tuple[_Group | Compiled, ...]

    def outside(self, arguments: Mapping[str, object], now: float) -> str:
        """Say what the arguments are outside of; empty where they are inside."""
        sentences = [_outside(part, arguments, now) for part in self.parts]
        if self.needs_all:
            return next((sentence for sentence in sentences if sentence), "")
        return "" if "" in sentences else next(iter(sentences), "Nothing is allowed.")


@dataclass(frozen=True, slots=True)
class Details:
    """What a token may call, ready to decide with."""

    resource: str
    by_tool: Mapping[str, Detail]
    _compiled: Mapping[str, _Group | Compiled]

    def outside(self, tool: str, arguments: Mapping[str, object] | None, now: float) -> str:
        """Say why a call is not covered; empty where it is. Without arguments, whether the tool is named at all."""
        compiled = self._compiled.get(tool)
        if compiled is None:
            return "The token is not for this tool."
        return "" if arguments is None else _outside(compiled, arguments, now)

    def written(self) -> list[dict[str, Any]]:
        """Return them as they are sent, by the name of the tool."""
        return [
            {
                "type": TYPE,
                "locations": [self.resource],
                "actions": [ACTION],
                "identifier": tool,
                **({"constraints": dict(detail.constraints)} if detail.constraints else {}),
            }
            for tool, detail in sorted(self.by_tool.items())
        ]


def asked(form: Mapping[str, str], resource: str, redeemed: Mapping[str, Any]) -> Details | None:
    """Read what a request asks for, within the claims of what it redeems; None where neither has any.

    Raises DetailsInvalid.
    """
    requested = parse(form["authorization_details"], resource) if "authorization_details" in form else None
    ceiling = read(redeemed["authorization_details"], resource) if "authorization_details" in redeemed else None
    return narrowed(requested, ceiling)


def parse(unverified: str, resource: str) -> Details:
    """Read the parameter of a request for one resource. Raises DetailsInvalid: nothing unknown is left out."""
    try:
        return read(strict.loads(unverified.encode(), largest=_LARGEST, deepest=_DEEPEST), resource)
    except (strict.NotStrictJson, UnicodeEncodeError) as error:
        raise DetailsInvalid("authorization_details is not JSON as it is read here.") from error


def read(written: object, resource: str) -> Details:
    """Read authorization details for one resource. Raises DetailsInvalid."""
    if not isinstance(written, list) or not 1 <= len(written) <= _MOST:
        raise DetailsInvalid(f"authorization_details is a list of 1 to {_MOST} objects.")
    by_tool: dict[str, Detail] = {}
    for each in written:
        detail = _detail(each, resource)
        if detail.tool in by_tool:
            raise DetailsInvalid("A tool is named twice.")
        by_tool[detail.tool] = detail
    return _details(resource, by_tool.values())


def narrowed(requested: Details | None, ceiling: Details | None) -> Details | None:
    """Intersect what is asked for with what is redeemed; None where neither says anything. Raises DetailsInvalid."""
    if requested is None or ceiling is None:
        return requested or ceiling
    if requested.resource != ceiling.resource:
        raise DetailsInvalid("The authorization details are for another resource.")
    return _details(
        requested.resource,
        [
            Detail(tool, _all_of([ceiling.by_tool[tool].constraints, detail.constraints]))
            for tool, detail in requested.by_tool.items()
            if tool in ceiling.by_tool
        ],
    )


def granted(
    asked: Details, facts: AgentFacts, system: str, person: str | None, scopes: Iterable[str], now: float
) -> Details:
    """Leave what the grants cover now, by lines of these scopes, with their limits: of each agent of a chain.

    Raises DetailsInvalid where that is too long for a token.
    """
    carried, left = frozenset(scopes), []
    for tool, detail in asked.by_tool.items():
        parts = [detail.constraints]
        for known in (facts, *facts.behind):
            lines = [
                line.limits
                for line in known.lines.get((system, tool, person), ())
                if not line.suspended and line.starts <= now < line.expires and line.scope in carried
            ]
            usable = [line for line in lines if not line.broken]
            if not usable:
                break
            parts.append({} if any(line.free for line in usable) else _any_of([line.written for line in usable]))
        else:
            left.append(Detail(tool, _all_of(parts)))
    covered = _details(asked.resource, left)
    if len(strict.dumps(covered.written())) > _LARGEST:
        raise DetailsInvalid("With the limits of the grants the authorization details are too long. Name fewer tools.")
    return covered


def _detail(each: object, resource: str) -> Detail:
    if not isinstance(each, dict) or each.get("type") != TYPE:
        raise DetailsInvalid(f"The only type of authorization details here is {TYPE}.")
    if unknown := sorted(each.keys() - _FIELDS):
        raise DetailsInvalid(f"There is no such field: {unknown[0][:50]}.")
    if each.get("locations", [resource]) != [resource]:
        raise DetailsInvalid("locations is a list of the resource that the token is for.")
    if each.get("actions", [ACTION]) != [ACTION]:
        raise DetailsInvalid(f"actions is a list of {ACTION}.")
    tool = each.get("identifier")
    if not isinstance(tool, str) or not tool or not strict.is_storable(tool):
        raise DetailsInvalid("identifier is the name of a tool.")
    constraints = each.get("constraints", {})
    if not isinstance(constraints, dict):
        raise DetailsInvalid("constraints is an object of limits by argument.")
    return Detail(tool, constraints)


def _details(resource: str, each: Iterable[Detail]) -> Details:
    by_tool = {detail.tool: detail for detail in each}
    return Details(resource, by_tool, {tool: _compile(detail.constraints) for tool, detail in by_tool.items()})


def _compile(constraints: Constraints, depth: int = 0) -> _Group | Compiled:
    """Compile constraints, or a group of them. Raises DetailsInvalid."""
    (word, parts), *more = constraints.items() or (("", None),)
    if not isinstance(parts, list):
        try:
            return limits.compile(constraints)
        except limits.LimitMalformed as error:
            raise DetailsInvalid(error.message) from error
    if more or word not in ("all_of", "any_of") or not parts or depth > _DEEPEST:
        raise DetailsInvalid("Constraints are put together by all_of or any_of alone.")
    if not all(isinstance(part, dict) for part in parts):
        raise DetailsInvalid("Constraints are objects.")
    return _Group(word == "all_of", tuple(_compile(part, depth + 1) for part in parts))


def _outside(compiled: _Group | Compiled, arguments: Mapping[str, object], now: float) -> str:
    if isinstance(compiled, _Group):
        return compiled.outside(arguments, now)
    covered = compiled.covers(arguments, now)
    return covered.sentence if isinstance(covered, NotCovered) else ""


def _all_of(parts: Sequence[Constraints]) -> Constraints:
    """Put constraints together that must all hold: each once, and none that says nothing."""
    flat: list[Constraints] = []
    for part in parts:
        inner = part["all_of"] if isinstance(part.get("all_of"), list) else [part]
        flat += [each for each in inner if each and each not in flat]
    return {} if not flat else flat[0] if len(flat) == 1 else {"all_of": flat}


def _any_of(parts: Sequence[Constraints]) -> Constraints:
    return parts[0] if len(parts) == 1 else {"any_of": list(parts)}
