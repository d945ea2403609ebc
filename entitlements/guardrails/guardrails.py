"""The action that puts the next version of a guardrail in force on every node."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Max
from django.utils.text import slugify

from audit import clock, log
from audit.actions import Action
from audit.context import Principal
from entitlements.catalog.models import System, Tool
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock
from entitlements.guardrails import terms as guardrail_terms
from entitlements.guardrails.terms import GuardrailMalformed

from .models import GuardrailVersion

_LONGEST: Final = 80


def terms(
    name: object, effect: object, when: object, max_age: timedelta | None, acr: Collection[str] = ()
) -> dict[str, Any]:
    """Return what makes a guardrail but its mode, as it is stored; `max_age` and `acr` are for a step-up.

    Raises GuardrailMalformed with the `part` that is wrong.
    """
    key = slugify(name)[:_LONGEST].strip("-") if isinstance(name, str) and len(name) <= _LONGEST else ""
    if not key or key == subjects.EVERYTHING:
        raise GuardrailMalformed("The name of a guardrail has letters or digits, and is not “everything”.", part="name")
    if effect not in GuardrailVersion.Effect.values:
        raise GuardrailMalformed(f"The effect is one of {', '.join(GuardrailVersion.Effect.values)}.", part="effect")
    if max_age is not None and (effect != GuardrailVersion.Effect.STEP_UP or max_age < timedelta(seconds=1)):
        raise GuardrailMalformed(
            "Only a step-up has a longest age of the sign-in, of a second or more.", part="max_age"
        )
    if acr and effect != GuardrailVersion.Effect.STEP_UP:
        raise GuardrailMalformed("Only a step-up asks for contexts of the sign-in.", part="acr")
    if not isinstance(when, Mapping):
        raise GuardrailMalformed("Write the conditions as an object.", part="when")
    check(when)
    contexts = [*guardrail_terms.contexts([*acr])]
    seconds = None if max_age is None else int(max_age.total_seconds())
    kept = {"key": key, "name": name, "effect": str(effect), "conditions": dict(when)}
    return {**kept, "max_age": seconds, "acr": contexts}


def check(when: Mapping[str, Any]) -> None:
    """Check that conditions can be read, and that the systems and tools they name are there.

    A misspelt name would match nothing, in silence, and so would a label: nothing gives sessions any yet. Raises
    GuardrailMalformed.
    """
    guardrail_terms.read(when)
    if "labels" in when:
        raise GuardrailMalformed("labels: Sessions carry no labels yet, so this would match none.", part="labels")
    named = set(guardrail_terms.names(when, "system"))
    tools = guardrail_terms.names(when, "tool")
    named |= {tool.partition("/")[0] for tool in tools if "/" in tool}
    if unknown := named - set(System.objects.filter(slug__in=named).values_list("slug", flat=True)):
        raise GuardrailMalformed(f"No such system: {', '.join(sorted(unknown))}.", part="system")
    if unknown := set(tools) - _known(tools):
        raise GuardrailMalformed(f"No such tool: {', '.join(sorted(unknown))}.", part="tool")


def _known(tools: Iterable[str]) -> set[str]:
    names = {name for tool in tools for name in (tool, tool.partition("/")[2])}
    rows = Tool.objects.filter(name__in=names).values_list("system__slug", "name")
    return {name for _, name in rows} | {f"{system}/{name}" for system, name in rows}


@transaction.atomic
def publish(
    version_id: UUID,
    terms: Mapping[str, Any],
    *,
    by: Principal,
    proposed_by: Principal,
    reason: str,
    detail: Mapping[str, Any],
) -> GuardrailVersion:
    """Put a version in force, as every node knows within two seconds.

    `terms` are key, name, effect, mode, conditions, max_age and acr; `detail` is added to the event. The caller checks
    that two people stand behind it.
    """
    locks.exclusive((Lock.EVERYTHING, subjects.EVERYTHING))
    newest = GuardrailVersion.objects.aggregate(last=Max("position"))["last"] or 0
    made = GuardrailVersion.objects.create(
        id=version_id,
        position=newest + 1,
        proposed_by=str(proposed_by),
        confirmed_by=str(by),
        made_at=clock.now(),
        **terms,
    )
    written = {**terms, "version": made.position, "proposed_by": str(proposed_by), **detail}
    about = [f"guardrail:{made.key}", str(proposed_by)]
    log.record(Action.GUARDRAIL_PUBLISHED, about=about, by=by, reason=reason, detail=written)
    changes.note(subjects.ALL)
    return made
