"""SoD policies of a pack: what is there under their names, and which agents would violate them today."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from entitlements.catalog.models import Tool
from governance.sod import check, facts
from governance.sod import rules as sod_rules
from governance.sod.models import SodPolicy

from .packs import SodPart
from .planned import Act, Planned, Standing, differences

State = SodPolicy.State


@dataclass(frozen=True, slots=True)
class Violations:
    """How many agents would violate a policy today, the first of them, and how many tools stand on each side."""

    count: int
    first: Sequence[check.Violator]
    tools: tuple[int, ...]


def plan(part: SodPart) -> Planned:
    """Hold a policy against the newest version of its name that is proposed or in force."""
    rows = {row.state: row for row in SodPolicy.objects.filter(name=part.name).select_related("proposed_by")}
    proposed, published = rows.get(State.PROPOSED), rows.get(State.PUBLISHED)
    existing = proposed or published
    standing = Standing.NEW
    if proposed is not None:
        standing = Standing.PROPOSED if _is_same(proposed, part) else Standing.BLOCKED
    elif published is not None:
        standing = Standing.IN_PLACE if _is_same(published, part) else Standing.CHANGED
    return Planned(
        f"sod-policy:{part.name}",
        part.sentence,
        part,
        standing,
        Act.PROPOSE_SOD_POLICY,
        {"name": part.name, "sentence": part.sentence, "sides": part.sides},
        existing=existing,
        differences=differences(_texts(existing.sentence, existing.sides, on=existing.on), _pack_texts(part))
        if existing
        else (),
        missing=_missing(part),
    )


def _missing(part: SodPart) -> tuple[str, ...]:
    """Say which sides have no tool here yet; the policy counts tools that come later."""
    empty = [str(number) for number, count in enumerate(tools_by_side(part.sides), start=1) if not count]
    if not empty:
        return ()
    text = ngettext(
        "No tool of this installation stands on side %(sides)s yet. The policy counts tools that come later.",
        "No tool of this installation stands on sides %(sides)s yet. The policy counts tools that come later.",
        len(empty),
    )
    return (text % {"sides": ", ".join(empty)},)


def preview(sides: list[dict[str, Any]]) -> Violations:
    """Return who would violate a policy today, as `check` counts it for one in force."""
    count, first = check.violating(sides)
    return Violations(count, first, tools_by_side(sides))


def tools_by_side(sides: list[dict[str, Any]]) -> tuple[int, ...]:
    """Count the tools on each side; a side about Mandate itself counts scopes of its API, which are always there."""
    tools = [facts.held_tool(tool) for tool in Tool.objects.exclude(state=Tool.State.REMOVED).select_related("system")]
    own = facts.scope_as_tool("mandate:write")
    return tuple(sum(side.fits(tool) for tool in [*tools, own]) for side in sod_rules.read(sides))


def _is_same(row: SodPolicy, part: SodPart) -> bool:
    return row.on and row.sentence == part.sentence and row.sides == part.sides


def _pack_texts(part: SodPart) -> Mapping[str, str]:
    return _texts(part.sentence, part.sides, on=True)


def _texts(sentence: str, sides: list[dict[str, Any]], *, on: bool) -> dict[str, str]:
    named = {_("Side %(n)d") % {"n": n}: _selectors(side) for n, side in enumerate(sides, start=1)}
    return {_("Sentence"): sentence, **named, _("State"): _("on") if on else _("off")}


def _selectors(side: Mapping[str, Any]) -> str:
    """Return the selectors of a side with their values, named as the API names them."""
    lists = {name: value if isinstance(value, list) else [value] for name, value in side.items()}
    return "; ".join(f"{name.replace('_', ' ')}: {', '.join(values)}" for name, values in lists.items())
