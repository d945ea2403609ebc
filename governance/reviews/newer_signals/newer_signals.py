"""Evaluating the open items of active campaigns again, once a night, as information beside each.

The suggestion that was frozen when the review began stays. A worker goes in steps, each a transaction that also records
the progress; one that is killed loses its current step.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, time
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items.models import ReviewItem, ReviewLine
from governance.reviews.newer_signals.models import NewerSignal, SignalRun
from governance.reviews.population import campaigns
from governance.reviews.suggestions import judgement, suggestions
from governance.reviews.suggestions.judgement import Judgement
from governance.reviews.suggestions.models import Suggestion
from governance.reviews.suggestions.suggestions import Peers
from governance.reviews.usage import usage

ITEMS: Final = 2000
"""How many items one transaction handles."""
_FROZEN: Final = ("new", "blast_before")
"""Inputs that compare with the previous review: they stay frozen, or this review would be the previous one."""
_SHOWN: Final = ("verdict", "score", "kept", "reasons", "version", "seen_at", "stands")


def unlike(reasons: Iterable[Mapping[str, Any]], others: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the reasons that the others do not have. Pure.

    Reasons are equal if they have the same signal and the same names, whatever their counts.
    """
    known = {_key(each) for each in others}
    return [each for each in reasons if _key(each) not in known]


def _key(reason: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    return reason["signal"], tuple(reason.get("names", ()))


def differs(frozen: Suggestion, today: Judgement) -> bool:
    """Whether the verdict, the lines that a reduction keeps, or a reason differs from the frozen suggestion."""
    if (frozen.verdict, sorted(frozen.kept)) != (today.verdict.value, sorted(today.kept)):
        return True
    return bool(unlike(today.reasons, frozen.reasons) or unlike(frozen.reasons, today.reasons))


def due() -> list[UUID]:
    """Return the active campaigns whose open items were not evaluated since midnight (UTC)."""
    midnight = _midnight(clock.now())
    begun = Campaign.objects.filter(state=Campaign.State.ACTIVE, snapshot_at__lt=midnight)
    rows = begun.filter(Q(signal_run=None) | Q(signal_run__done_at=None) | Q(signal_run__begun_at__lt=midnight))
    return list(rows.order_by("snapshot_at", "pk").values_list("pk", flat=True))


def weigh_again(campaign_id: UUID) -> None:
    """Evaluate the open items of a campaign, from where the last worker stopped. Of two workers the second leaves."""
    peers: Peers | None = None
    while (peers := _step(campaign_id, peers)) is not None:
        pass


@transaction.atomic
def _step(campaign_id: UUID, peers: Peers | None) -> Peers | None:
    """Take the next step, and return the peer counts for the one after it; None when there is none."""
    campaign = Campaign.objects.filter(pk=campaign_id, state=Campaign.State.ACTIVE).first()
    now = clock.now()
    if campaign is None:
        return None
    SignalRun.objects.get_or_create(campaign=campaign, defaults={"begun_at": now})
    run = SignalRun.objects.select_for_update(skip_locked=True).filter(campaign=campaign).first()
    if run is None:
        return None  # another worker is at it
    if run.done_at is not None:
        if run.begun_at >= _midnight(now):
            return None
        run.begun_at, run.upto, run.looked, run.newer, run.done_at = now, 0, 0, 0, None
    open_items = ReviewItem.objects.filter(campaign=campaign, state=ReviewItem.State.IN_REVIEW, number__gt=run.upto)
    next_items = open_items.filter(suggestion__isnull=False).order_by("number").values_list("pk", "number")[:ITEMS]
    numbers = dict(next_items)
    if not numbers:
        _finish(campaign, run)
        return None
    peers = suggestions.peers_of(campaign) if peers is None else peers
    run.newer += _keep(_weighed(list(numbers), run.begun_at, peers), run.begun_at)
    run.upto, run.looked = max(numbers.values()), run.looked + len(numbers)
    run.save()
    return peers


def _finish(campaign: Campaign, run: SignalRun) -> None:
    run.done_at = clock.now()
    run.save()
    detail = {"items": run.looked, "newer": run.newer}
    log.record(Action.CAMPAIGN_SIGNALS_RENEWED, about=campaigns.about(campaign), by=SYSTEM, detail=detail)


def _weighed(ids: Sequence[UUID], now: datetime, peers: Peers) -> dict[UUID, tuple[Suggestion, Judgement]]:
    """Return the frozen and the current suggestion of items, in a fixed number of statements."""
    frozen = Suggestion.objects.in_bulk(ids)
    rows = ReviewLine.objects.filter(item__in=ids, grant__isnull=False).values_list("pk", "grant", "tool")
    lines = {pk: (grant, tool) for pk, grant, tool in rows}
    uses = usage.of_lines({grant for grant, _ in lines.values()}, now)
    seen = {pk: uses[line] for pk, line in lines.items() if line in uses}
    return {
        item: (frozen[item], judgement.judge(_as_of_now(inputs, frozen[item].inputs, seen, now)))
        for item, inputs in suggestions.gather(ids, now, peers)
        if item in frozen
    }


def _as_of_now(
    inputs: Mapping[str, Any], frozen: Mapping[str, Any], seen: Mapping[int, usage.Use], now: datetime
) -> dict[str, Any]:
    """Return the inputs with the calls of today in place of those counted when the review began."""
    lines, called = [], False
    for line in inputs["lines"]:
        use = seen.get(line["line"])
        if use is None:
            lines.append(line)
            continue
        lines.append({**line, "calls": use.calls or 0, "full": use.full})
        called = called or (use.last is not None and use.last > now - suggestions.IDLE)
    before = {name: frozen[name] for name in _FROZEN if name in frozen}
    return {**inputs, **before, "lines": lines, "idle": inputs["idle"] and not called}


def _keep(weighed: Mapping[UUID, tuple[Suggestion, Judgement]], now: datetime) -> int:
    """Store the suggestions that differ, for items that are open still; returns how many differ."""
    known = set(NewerSignal.objects.filter(item__in=weighed.keys()).values_list("item", flat=True))
    rows = [
        NewerSignal(
            item_id=item,
            verdict=today.verdict.value,
            score=today.score,
            kept=list(today.kept),
            reasons=list(today.reasons),
            version=judgement.VERSION,
            seen_at=now,
            stands=differs(frozen, today),
        )
        for item, (frozen, today) in weighed.items()
        if item in known or differs(frozen, today)
    ]
    held = _held({row.item_id for row in rows})
    kept = [row for row in rows if row.item_id in held]
    NewerSignal.objects.bulk_create(kept, update_conflicts=True, update_fields=_SHOWN, unique_fields=["item"])
    return sum(row.stands for row in kept)


def _held(items: Collection[UUID]) -> set[UUID]:
    """Lock the items that are still open while their rows are written; items being answered are skipped."""
    rows = ReviewItem.objects.filter(pk__in=items, state=ReviewItem.State.IN_REVIEW)
    return set(rows.select_for_update(skip_locked=True, no_key=True).values_list("pk", flat=True))


def _midnight(now: datetime) -> datetime:
    return datetime.combine(now.astimezone(UTC).date(), time.min, UTC)
