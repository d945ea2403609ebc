"""What the audit log says of an answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from governance.requests import requests
from governance.requests.models import AccessRequest

from . import rules


def approval(verdict: rules.Approval, taken: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is recorded of an approval; `taken` is what it took away from the request first."""
    answer = verdict.answer
    return {
        "stage": answer.stage.stage,
        **place(answer),
        "narrowed": taken,
        "no_longer_needed": sorted(stage.stage for stage in verdict.unneeded),
        "still_waiting": by_stage((stage.stage, people) for stage, people in verdict.waiting),
        "state": AccessRequest.State.APPROVED if verdict.is_last else AccessRequest.State.IN_APPROVAL,
    }


def place(answer: rules.Answer) -> dict[str, str]:
    """Return in whose place a person answered, if in another's."""
    return {"in_place_of": answer.in_place_of} if answer.in_place_of else {}


def links(request: AccessRequest, answer: rules.Answer, grant_id: UUID | None) -> list[str]:
    """Return the links by which an answer is found again: the request, whose place it took, and the grant."""
    others = [f"person:{answer.in_place_of}"] if answer.in_place_of else []
    return [*requests.about(request), *others, *([f"grant:{grant_id}"] if grant_id else [])]


def by_stage(pools: Iterable[tuple[str, Iterable[str]]]) -> dict[str, list[str]]:
    """Say whom each stage waits for; a stage that needs several answers has one list."""
    people_of: dict[str, set[str]] = {}
    for stage, pool in pools:
        people_of.setdefault(stage, set()).update(pool)
    return {stage: sorted(people) for stage, people in people_of.items()}
