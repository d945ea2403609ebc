"""Sealing a campaign: somebody who answered nothing in it signs off, a worker builds the pack, and it is kept for good.

Only one worker at a time is at a pack, whichever, so that the others do whatever else there is: it holds a lock of the
database, in a transaction of a second connection. One that is killed leaves nothing, and the next one begins anew. The
pack is kept in one transaction, with its event.
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
"""How many bytes of an archive one row holds."""
_Step = EvidenceSealing.Step
_SHARES: Final[Mapping[str, tuple[int, int]]] = {
    _Step.RECORD: (0, 0),
    _Step.TABLES: (0, 80),
    _Step.CHECKING: (80, 95),
    _Step.KEEPING: (95, 99),
    _Step.DONE: (100, 100),
}


class NotClosed(DomainError):
    """Evidence is sealed once the review is closed: every item has an outcome, and every cut is proven or excepted."""

    code, status = "campaign_not_closed", HTTPStatus.CONFLICT


class AlreadySealed(DomainError):
    """The evidence of this review is sealed already."""

    code, status = "evidence_sealed", HTTPStatus.CONFLICT


class BeingSealed(DomainError):
    """Somebody has signed this review off, and its evidence is being sealed."""

    code, status = "evidence_being_sealed", HTTPStatus.CONFLICT


class SpotChecksOpen(DomainError):
    """Spot checks of this review wait for an answer; its evidence is sealed once they are given, or due."""

    code, status = "spot_checks_open", HTTPStatus.CONFLICT


class NoRoom(DomainError):
    """The worker has no room for putting the pack together; give it more for temporary files, and sign off again."""

    code, status = "no_room_for_evidence", HTTPStatus.INSUFFICIENT_STORAGE


class SignedOffByReviewer(DomainError):
    """Whoever was to answer in this review does not sign it off; somebody else does."""

    code, status = "reviewer_may_not_sign_off", HTTPStatus.FORBIDDEN


@transaction.atomic
def seal(campaign_id: UUID, *, by: Person, statement: str, amr: Sequence[str] = ()) -> EvidenceSealing:
    """Sign off a closed campaign, and have its evidence sealed; a worker goes on from here.

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
    asked = {"asked_by": by, "asked_at": now, "moved_at": now, "statement": statement, "amr": list(amr)}
    asked |= {"trace": current().trace}
    begun = {"step": _Step.TABLES, "tables": 0, "written": 0, "rows": 0, "refused": "", "differences": {}}
    run, _ = EvidenceSealing.objects.update_or_create(campaign=campaign, defaults={**asked, **begun})
    log.record(Action.EVIDENCE_SEALING, about=_about(campaign), by=by.principal, reason=statement)
    return run


def carry_on(campaign_id: UUID) -> bool:
    """Build, sign and keep the pack that somebody signed off; says whether that is done.

    It is not where another worker is at it, where the newest events are not in the sealed record yet, or where
    something happened meanwhile: then it is begun anew later. What does not add up is refused, and said.
    """
    with _alone() as mine:
        run = EvidenceSealing.objects.select_related("asked_by").filter(campaign=campaign_id, refused="").first()
        if not mine or run is None or run.step == _Step.DONE:
            return False
        campaign = Campaign.objects.select_related("owner").get(pk=campaign_id)
        with acting(trace=run.trace):
            return _build(run, campaign)


def _build(run: EvidenceSealing, campaign: Campaign) -> bool:
    try:
        with build.build(campaign, _sign_off(run), partial(_tell, run)) as pack:
            _move(run, _Step.KEEPING)
            return _keep(run, pack)
    except build.NotSealedYet:
        _move(run, _Step.RECORD)
    except (build.DoesNotTieOut, time_stamp.NoTimeStamp, SignedOffByReviewer) as why:
        _refuse(run, why)
    except Exception as error:
        if not _is_want_of_room(error):
            raise
        _refuse(run, NoRoom())
    return False


def _is_want_of_room(error: BaseException | None) -> bool:
    """Whether an error comes of a full disk, however what was being written wraps it."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return True
        error = error.__cause__ or error.__context__
    return False


def unfinished() -> list[UUID]:
    """Return the campaigns whose sealing is to go on, whatever became of the worker that was at it."""
    waiting = EvidenceSealing.objects.filter(refused="").exclude(step=_Step.DONE)
    return list(waiting.order_by("asked_at").values_list("campaign", flat=True))


def progress(run: EvidenceSealing) -> int:
    """Say how far a sealing has come, in per cent; never a hundred before it is through."""
    begins, ends = _SHARES[run.step]
    within = run.written / run.tables if run.tables and run.step == _Step.TABLES else 0.0
    return int(begins + (ends - begins) * within)


def answered_in(campaign: Campaign, person: Person) -> bool:
    """Whether somebody was, or is, to answer or check anything in a campaign, by any account of theirs."""
    accounts = independence.accounts_of(person)
    assigned = Assignment.objects.filter(item__campaign=campaign, reviewer__in=accounts)
    checks = SpotCheck.objects.filter(plan=campaign.pk, checker__in=accounts)
    if assigned.exists() or checks.exists():
        return True
    return ReviewDecision.objects.filter(item__campaign=campaign, decided_by__in=accounts).exists()


@transaction.atomic
def _keep(run: EvidenceSealing, pack: build.Pack) -> bool:
    """Keep a pack piece by piece, unless something was told of the campaign since its events were read."""
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
def _refuse(run: EvidenceSealing, why: DomainError) -> None:
    run.refused, run.differences = why.code, why.detail
    _move(run, _Step(run.step))
    detail = {"asked_by": run.asked_by.login}
    log.record(
        Action.EVIDENCE_SEALING_FAILED,
        about=_about(run.campaign), by=SYSTEM, outcome="failure", code=why.code, detail=detail,
    )  # fmt: skip


def _sign_off(run: EvidenceSealing) -> dict[str, Any]:
    by, at = run.asked_by, tables.utc(run.asked_at)
    return {"by": by.login, "name": by.name, "statement": run.statement, "amr": run.amr, "at": at}


def _tell(run: EvidenceSealing, written: int, rows: int) -> None:
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
def _alone() -> Iterator[bool]:
    """Be the only one at a pack; False where another worker is at one.

    A transaction of a second connection holds the lock, since a transaction pooler keeps no lock between two
    transactions, and the pack takes several. It ends with the block, or with this process.
    """
    second = connections[DEFAULT_DB_ALIAS].copy()
    try:
        second.set_autocommit(False)
        with second.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [_ONE])
            (mine,) = cursor.fetchone()
        yield mine
    finally:
        second.close()
