"""Runs of discovery sources: due, asked for, read, finished with one event, and begun again where a worker died."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM, Principal
from entitlements.agent_discovery.models import DiscoveryRun, DiscoverySource
from entitlements.definitions import impressions
from entitlements.errors import DomainError
from entitlements.secrets.seal import SealBroken

from . import findings, lists, problems, sources
from .pull import Bounds, Listed, Pull

AT_ONCE: Final = 20
"""So many sources are read in one round; the next round is a minute later."""
ABANDONED: Final = timedelta(minutes=5)
"""After this long without a page the worker died: no request, and no wait between two, takes as long."""
LOST: Final = timedelta(minutes=2)
"""After this long the message of a queued run was lost."""
MOST_ATTEMPTS: Final = 3
KEPT: Final = 100
"""So many runs of a source are kept."""
_State = DiscoveryRun.State


class RunOpen(DomainError):
    """The source is being read already. Wait until this run has finished."""

    code, status = "discovery_run_open", HTTPStatus.CONFLICT


class SourceDisabled(DomainError):
    """The source is disabled. Enable it first."""

    code, status = "discovery_source_disabled", HTTPStatus.CONFLICT


@transaction.atomic
def claim_due() -> list[UUID]:
    """Queue a run of each source whose turn it is, and return the runs."""
    now = clock.now()
    due = DiscoverySource.objects.filter(enabled=True, next_at__lte=now).select_for_update(skip_locked=True)
    taken = list(due.order_by("next_at", "pk")[:AT_ONCE])
    open_runs = set(DiscoveryRun.objects.filter(source__in=taken, finished_at=None).values_list("source", flat=True))
    queued = []
    for source in taken:
        source.next_at = now + timedelta(hours=source.every_hours)
        source.save(update_fields=["next_at"])
        if source.pk not in open_runs:
            queued.append(_queue(source, SYSTEM, now).pk)
    return queued


@transaction.atomic
def ask(source: DiscoverySource, *, by: Principal) -> DiscoveryRun:
    """Queue a run now. Raises NotFound, SourceDisabled, RunOpen."""
    locked, now = sources.lock(source), clock.now()
    if not locked.enabled:
        raise SourceDisabled
    if locked.runs.filter(finished_at=None).exists():
        raise RunOpen
    run = _queue(locked, by, now)
    log.record(Action.DISCOVERY_RUN_REQUESTED, about=about(run), by=by)
    return run


def _queue(source: DiscoverySource, by: Principal, now: datetime) -> DiscoveryRun:
    return DiscoveryRun.objects.create(source=source, asked_by=str(by), made_at=now, touched_at=now)


def stalled() -> list[UUID]:
    """Return the open runs whose message was lost, or whose worker died."""
    now = clock.now()
    lost = Q(state=_State.QUEUED, touched_at__lt=now - LOST)
    died = Q(state=_State.RUNNING, touched_at__lt=now - ABANDONED)
    return list(DiscoveryRun.objects.filter(lost | died).order_by("touched_at").values_list("pk", flat=True)[:100])


def perform(run_id: UUID, *, bounds: Bounds | None = None) -> None:
    """Read a source, keep what was found, and finish the run. Does nothing to a run that another worker has."""
    run = _begin(run_id)
    if run is None:
        return
    pull = Pull(lists.base_of(run.source), partial(_progress, run), bounds or Bounds())
    _finish(run, pull, _read(run.source, pull))


@transaction.atomic
def _begin(run_id: UUID) -> DiscoveryRun | None:
    rows = DiscoveryRun.objects.select_for_update(skip_locked=True, of=("self",)).select_related("source")
    run, now = rows.filter(pk=run_id, finished_at=None).first(), clock.now()
    if run is None or (run.state == _State.RUNNING and run.touched_at >= now - ABANDONED):
        return None
    if run.attempts >= MOST_ATTEMPTS or not run.source.enabled:
        problem = problems.Interrupted() if run.source.enabled else SourceDisabled()
        _end(run, _State.FAILED, {}, [_error("", problem)])
        return None
    run.attempts += 1
    run.state, run.pages, run.rows, run.touched_at = _State.RUNNING, 0, 0, now
    run.save(update_fields=["attempts", "state", "pages", "rows", "touched_at"])
    return run


def _progress(run: DiscoveryRun, pages: int, rows: int) -> None:
    """Write down how far this attempt has come."""
    _mine(run).update(pages=pages, rows=rows, touched_at=clock.now())


def _mine(run: DiscoveryRun) -> QuerySet[DiscoveryRun]:
    """Return the run, unless it is over or another worker has begun it again."""
    return DiscoveryRun.objects.filter(pk=run.pk, state=_State.RUNNING, attempts=run.attempts)


def _read(source: DiscoverySource, pull: Pull) -> list[Listed]:
    """Read each list of a source. Where it cannot be opened, each of them has that problem."""
    try:
        lists.open_with(pull, source, sources.credential(source))
    except SealBroken:
        return [Listed(name, problem=problems.CredentialBroken()) for name in lists.names(source)]
    except DomainError as problem:
        return [Listed(name, problem=problem) for name in lists.names(source)]
    return [pull.read(spec) for spec in lists.specs(source)]


@transaction.atomic
def _finish(run: DiscoveryRun, pull: Pull, read: list[Listed]) -> None:
    """Keep what was found, and record the run: complete, partial, or failed where nothing was read."""
    locked = _mine(run).select_for_update(of=("self",)).select_related("source").first()
    if locked is None:
        return
    locked.pages, locked.rows = pull.pages, pull.rows
    errors = [_error(listed.name, listed.problem) for listed in read if listed.problem is not None]
    if len(errors) == len(read) and not pull.pages:
        _end(locked, _State.FAILED, {}, errors)
        return
    counts = findings.keep(locked.source, read, now=clock.now())
    _end(locked, _State.PARTIAL if errors else _State.COMPLETE, counts, errors)


def _end(run: DiscoveryRun, state: str, counts: dict[str, int], errors: list[dict[str, str]]) -> None:
    now = clock.now()
    run.state, run.counts, run.errors, run.touched_at, run.finished_at = state, counts, errors, now, now
    run.save(update_fields=["state", "counts", "errors", "pages", "rows", "touched_at", "finished_at"])
    old = DiscoveryRun.objects.filter(source=run.source).exclude(finished_at=None).order_by("-made_at", "-pk")
    DiscoveryRun.objects.filter(pk__in=list(old.values_list("pk", flat=True)[KEPT : 2 * KEPT])).delete()
    codes = [{"list": each["list"], "code": each["code"]} for each in errors]
    detail: dict[str, Any] = {"state": state, "pages": run.pages, "rows": run.rows, **counts, "errors": codes}
    outcome = "failure" if state == _State.FAILED else "success"
    by = Principal.parse(run.asked_by)
    log.record(Action.DISCOVERY_RUN_FINISHED, about=about(run), by=by, outcome=outcome, detail=detail)


def _error(listing: str, problem: DomainError) -> dict[str, str]:
    return {"list": listing, "code": str(problem.code), "message": impressions.visible(problem.message)[:300]}


def about(run: DiscoveryRun) -> list[str]:
    """Return the links by which the audit log names a run."""
    return [f"discovery_run:{run.pk}", *sources.about(run.source)]
