"""What a pack would do here, and proposing parts of it: each by the action that does it by hand, all or nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, assert_never

from django.db import transaction

from entitlements.errors import DomainError
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.people.models import Person
from governance.reviews.staging import preview as staging_preview

from . import approval_parts, sod_parts, template_parts
from .approval_parts import Routing
from .packs import ApprovalPart, AutoApprovalPart, Pack, SodPart, TemplatePart
from .planned import DONE, Planned, Standing
from .sod_parts import Violations

type Perform = Callable[[Planned, dict[str, Any]], Any]
"""Does the act of a part with its values, and returns the row that it made or changed."""

LONGEST_REASON: Final = 400
"""Characters of a reason; the pack's name and version are added to it."""


class StarterPackPartUnknown(DomainError):
    """The pack has no such part. Read the pack again: its parts depend on the entitlement catalog."""

    code, status = "starter_pack_part_unknown", HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True)
class PartPreview:
    """What a part would do here today. One of the numbers is given, by what the part is.

    `size` is the number of rows of a review from a template; `review` is None where they are too many to stage here, or
    where a script asks.
    """

    planned: Planned
    violations: Violations | None = None
    routing: Routing | None = None
    matching_requests: int | None = None
    size: int | None = None
    review: staging_preview.Preview | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a part: the row that its action made or changed, or the one that was there."""

    planned: Planned
    is_new: bool
    result: Any


def plan(pack: Pack) -> list[Planned]:
    """Hold the parts of a pack against what this installation has."""
    planned: list[Planned] = []
    for part in pack.parts:
        match part:
            case SodPart():
                planned.append(sod_parts.plan(part))
            case ApprovalPart():
                planned.append(approval_parts.plan(part))
            case AutoApprovalPart():
                planned.extend(approval_parts.plan_rules(part))
            case TemplatePart():
                planned.append(template_parts.plan(part))
            case _:
                assert_never(part)
    return planned


def missing(pack: Pack) -> list[str]:
    """Say in sentences what this installation lacks for parts that cannot be planned at all."""
    lacks_rules = any(isinstance(part, AutoApprovalPart) for part in pack.parts) and approval_parts.rule_missing()
    return [lacks_rules] if lacks_rules else []


def preview(planned: Sequence[Planned], *, by: Person | None) -> list[PartPreview]:
    """Return what each part would do today. It stores and logs nothing.

    Reviews are staged and rolled back for `by` until their rows together are more than New review previews at once.
    """
    left = staging_preview.LARGEST
    previews = []
    for each in planned:
        match each.part:
            case SodPart(sides=sides):
                previews.append(PartPreview(each, violations=sod_parts.preview(sides)))
            case ApprovalPart() as policy:
                previews.append(PartPreview(each, routing=approval_parts.preview(policy)))
            case AutoApprovalPart():
                previews.append(PartPreview(each, matching_requests=approval_parts.matching_requests(each)))
            case TemplatePart() as template:
                size = template_parts.size(template)
                left -= size
                staged = template_parts.preview(template, by=by) if by is not None and left >= 0 else None
                previews.append(PartPreview(each, size=size, review=staged))
            case _:
                assert_never(each.part)
    return previews


@transaction.atomic
def apply(pack: Pack, parts: Collection[str], *, perform: Perform, reason: str) -> list[Outcome]:
    """Propose parts of a pack, each by its own action, in one transaction. A part that is there already stays.

    `perform` does the act of a part as the caller. Nothing takes effect that needs a second person by hand.
    Raises StarterPackPartUnknown, and for the first part that is refused what its action raises; then none is proposed.
    """
    locks.exclusive((Lock.REQUEST, "starter-packs"))
    planned = {each.key: each for each in plan(pack)}
    if unknown := sorted(set(parts) - planned.keys()):
        raise StarterPackPartUnknown(parts=unknown[:20])
    reason = f"{reason} (Starter pack {pack.slug}, version {pack.version}.)"
    return [_propose(each, perform, reason) for key, each in planned.items() if key in set(parts)]


def _propose(planned: Planned, perform: Perform, reason: str) -> Outcome:
    if planned.standing in DONE:
        return Outcome(planned, is_new=False, result=planned.existing)
    return Outcome(planned, is_new=True, result=perform(planned, {**planned.values, "reason": reason}))


def in_place(planned: Sequence[Planned]) -> int:
    """Count the parts that are in force or saved already."""
    return sum(each.standing == Standing.IN_PLACE for each in planned)
