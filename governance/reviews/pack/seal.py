"""Seals a campaign: a person who decided nothing in it signs off, and a worker builds, signs and stores the pack.

Only one worker at a time builds a pack, so that the others are free for other work: it holds a database lock, in a
transaction of a second connection. A worker that is killed leaves nothing, and the next one starts again. The pack is
stored in one transaction, with its event.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM, acting, current
from entitlements.conflicts import independence
from entitlements.errors import DomainError, NotFound, ReasonRequired
from entitlements.people.models import Person
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.pack.models import EvidencePack, EvidencePiece, EvidenceSealing
from governance.reviews.pack_tables import tables
from governance.reviews.reviewers.models import Assignment
from governance.reviews.spot_checks import spot_checks
from governance.reviews.spot_checks.models import SpotCheck

from . import build, time_stamp

_ONE: Final = "putting evidence together"
PIECE: Final = 1 << 20
"""The bytes of an archive in one row."""
_Step = EvidenceSealing.Step
_SHARES: Final[Mapping[str, tuple[int, int]]] = {
    _Step.RECORD: (0, 0),
    _Step.TABLES: (0, 80),
    _Step.CHECKING: (80, 95),
    _Step.KEEPING: (95, 99),
    _Step.DONE: (100, 100),
}


class NotClosed(DomainError):
    """You cannot seal the evidence before the review is closed and every removal is verified or excepted."""

    code, status = "campaign_not_closed", HTTPStatus.CONFLICT


class AlreadySealed(DomainError):
    """The evidence of this review is already sealed."""

    code, status = "evidence_sealed", HTTPStatus.CONFLICT


class BeingSealed(DomainError):
    """The review is already signed off, and its evidence is being sealed."""

    code, status = "evidence_being_sealed", HTTPStatus.CONFLICT


class SpotChecksOpen(DomainError):
    """Spot checks of this review are open. You can seal its evidence once they are answered or due."""

    code, status = "spot_checks_open", HTTPStatus.CONFLICT


class NoRoom(DomainError):
    """The worker has no disk space to build the pack. Give it more space for temporary files, and sign off again."""

    code, status = "no_room_for_evidence", HTTPStatus.INSUFFICIENT_STORAGE


class SignedOffByReviewer(DomainError):
    """You cannot sign this review off because you were a reviewer or checker in it. Ask another person."""

    code, status = "reviewer_may_not_sign_off", HTTPStatus.FORBIDDEN


@transaction.atomic
def seal(campaign_id: UUID, *, by: Person, statement: str, amr: Sequence[str] = ()) -> EvidenceSealing:
    """Sign off a closed campaign, and have its evidence sealed by a worker.

    `statement` is what `by` signs off, in their words. Raises NotFound, ReasonRequired (no statement), NotClosed,
    AlreadySealed, BeingSealed, SignedOffByReviewer, SpotChecksOpen.
    """
    if not statement.strip():
        raise ReasonRequired
    campaign = _locked(campaign_id)
    if EvidencePack.objects.filter(campaign=campaign).exists():
        raise AlreadySealed
    if campaign.state != Campaign.State.CLOSED:
        raise NotClosed
    if answered_in(campaign, by):
        raise SignedOffByReviewer
    if EvidenceSealing.objects.filter(campaign=campaign, refused="").exists():
        raise BeingSealed
    if (until := spot_checks.open_until(campaign)) is not None:
        raise SpotChecksOpen(until=until.isoformat())
    now = clock.now()
    sign_off = {"asked_by": by, "asked_at": now, "moved_at": now, "statement": statement, "amr": list(amr)}
    sign_off |= {"trace": current().trace}
    progress_fields = {"step": _Step.TABLES, "tables": 0, "written": 0, "rows": 0, "refused": "", "differences": {}}
    run, _ = EvidenceSealing.objects.update_or_create(campaign=campaign, defaults={**sign_off, **progress_fields})
    log.record(Action.EVIDENCE_SEALING, about=_about(campaign), by=by.principal, reason=statement)
    return run


def resume(campaign_id: UUID) -> bool:
    """Build, sign and store the pack of a campaign that is signed off; return whether it is done.

    It is not done where another worker builds a pack, where the newest events are not sealed in the audit log yet, or
    where new events came meanwhile: then a later call starts again. Evidence that does not tie out is refused.
    """
    with _exclusive() as is_held:
        run = EvidenceSealing.objects.select_related("asked_by").filter(campaign=campaign_id, refused="").first()
        if not is_held or run is None or run.step == _Step.DONE:
            return False
        campaign = Campaign.objects.select_related("owner").get(pk=campaign_id)
        with acting(trace=run.trace):
            return _build(run, campaign)


def _build(run: EvidenceSealing, campaign: Campaign) -> bool:
    try:
        with build.build(campaign, _sign_off(run), partial(_report_progress, run)) as pack:
            _move(run, _Step.KEEPING)
            return _keep(run, pack)
    except build.NotSealedYet:
        _move(run, _Step.RECORD)
    except (build.DoesNotTieOut, time_stamp.NoTimeStamp, SignedOffByReviewer) as refusal:
        _refuse(run, refusal)
    except Exception as error:
        if not _is_disk_full(error):
            raise
        _refuse(run, NoRoom())
    return False


def _is_disk_full(error: BaseException | None) -> bool:
    """Whether an error, or its cause, is a full disk."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return True
        error = error.__cause__ or error.__context__
    return False


def unfinished() -> list[UUID]:
    """Return the campaigns whose sealing is not finished, whatever became of its worker."""
    waiting = EvidenceSealing.objects.filter(refused="").exclude(step=_Step.DONE)
    return list(waiting.order_by("asked_at").values_list("campaign", flat=True))


def progress(run: EvidenceSealing) -> int:
    """Return the progress of a sealing in per cent; 100 only when it is done."""
    begins, ends = _SHARES[run.step]
    within = run.written / run.tables if run.tables and run.step == _Step.TABLES else 0.0
    return int(begins + (ends - begins) * within)


def answered_in(campaign: Campaign, person: Person) -> bool:
    """Whether a person is or was a reviewer or checker in a campaign, by any of their accounts."""
    accounts = independence.accounts_of(person)
    assigned = Assignment.objects.filter(item__campaign=campaign, reviewer__in=accounts)
    checks = SpotCheck.objects.filter(plan=campaign.pk, checker__in=accounts)
    if assigned.exists() or checks.exists():
        return True
    return ReviewDecision.objects.filter(item__campaign=campaign, decided_by__in=accounts).exists()


@transaction.atomic
def _keep(run: EvidenceSealing, pack: build.Pack) -> bool:
    """Store a pack piece by piece, unless the campaign has new events since its events were read."""
    campaign = _locked(run.campaign_id)
    (packed,) = (file["rows"] for file in pack.files if file["name"] == "13_audit_events.jsonl")
    if build.events(campaign).count() != packed:
        return False
    if answered_in(campaign, run.asked_by):
        raise SignedOffByReviewer
    for seq, content in enumerate(iter(partial(pack.archive.read, PIECE), b"")):
        EvidencePiece.objects.create(pack_id=campaign.pk, seq=seq, content=content)
    EvidencePack.objects.create(
        campaign=campaign,
        sealed_at=clock.now(),
        signed_off_by=run.asked_by,
        statement=run.statement,
        amr=run.amr,
        key_id=pack.key_id,
        sha256=pack.sha256,
        files=pack.files,
        tie_out=pack.tie_out,
        stamped_at=pack.stamped_at,
    )
    _move(run, _Step.DONE)
    log.record(
        Action.EVIDENCE_SEALED,
        about=_about(campaign),
        by=run.asked_by.principal,
        reason=run.statement,
        detail={
            "sha256": pack.sha256,
            "files": len(pack.files),
            "key": pack.key_id,
            "stamped_at": tables.utc(pack.stamped_at),
        },
    )
    return True


@transaction.atomic
def _refuse(run: EvidenceSealing, error: DomainError) -> None:
    run.refused, run.differences = error.code, error.detail
    _move(run, _Step(run.step))
    detail = {"asked_by": run.asked_by.login}
    log.record(
        Action.EVIDENCE_SEALING_FAILED,
        about=_about(run.campaign), by=SYSTEM, outcome="failure", code=error.code, detail=detail,
    )  # fmt: skip


def _sign_off(run: EvidenceSealing) -> dict[str, Any]:
    by, at = run.asked_by, tables.utc(run.asked_at)
    return {"by": by.login, "name": by.name, "statement": run.statement, "amr": run.amr, "at": at}


def _report_progress(run: EvidenceSealing, written: int, rows: int) -> None:
    run.tables, run.written, run.rows = build.PARTS, written, rows
    _move(run, _Step.CHECKING if written == build.PARTS else _Step.TABLES)


def _move(run: EvidenceSealing, step: EvidenceSealing.Step) -> None:
    run.step, run.moved_at = step, clock.now()
    run.save()


def _locked(campaign_id: UUID) -> Campaign:
    campaign = Campaign.objects.select_for_update(of=("self",)).select_related("owner").filter(pk=campaign_id).first()
    if campaign is None:
        raise NotFound
    return campaign


def _about(campaign: Campaign) -> list[str]:
    return [f"campaign:{campaign.slug}", f"person:{campaign.owner.login}"]


@contextmanager
def _exclusive() -> Iterator[bool]:
    """Hold the lock for building a pack; yields False where another worker holds it.

    A transaction of a second connection holds the lock, since a transaction pooler keeps no lock between two
    transactions, and the pack takes several. It ends with the block, or with this process.
    """
    second = connections[DEFAULT_DB_ALIAS].copy()
    try:
        second.set_autocommit(False)
        with second.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [_ONE])
            (is_held,) = cursor.fetchone()
        yield is_held
    finally:
        second.close()
