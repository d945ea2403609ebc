"""Sealing a campaign: somebody who answered nothing in it signs off, and its evidence is kept for good."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from uuid import UUID

from django.db import transaction

from audit import clock, log
from audit.actions import Action
from entitlements import independence
from entitlements.errors import DomainError, NotFound, ReasonRequired
from entitlements.models import Person
from governance.models import Assignment, Campaign, EvidencePack, ReviewDecision

from . import building, tables


class NotClosed(DomainError):
    """Evidence is sealed once the review is closed: every item has an outcome, and every cut is proven or excepted."""

    code, status = "campaign_not_closed", HTTPStatus.CONFLICT


class AlreadySealed(DomainError):
    """The evidence of this review is sealed already."""

    code, status = "evidence_sealed", HTTPStatus.CONFLICT


class SignedOffByReviewer(DomainError):
    """Whoever was to answer in this review does not sign it off; somebody else does."""

    code, status = "reviewer_may_not_sign_off", HTTPStatus.FORBIDDEN


@transaction.atomic
def seal(campaign_id: UUID, *, by: Person, statement: str, amr: Sequence[str] = ()) -> EvidencePack:
    """Build the pack of a closed campaign, sign it and keep it. `statement` is what `by` signs off, in their words.

    Raises NotFound, ReasonRequired (no statement), NotClosed, AlreadySealed, SignedOffByReviewer,
    building.DoesNotTieOut, building.NotSealedYet.
    """
    if not statement.strip():
        raise ReasonRequired
    campaign = Campaign.objects.select_for_update(of=("self",)).select_related("owner").filter(pk=campaign_id).first()
    if campaign is None:
        raise NotFound
    if EvidencePack.objects.filter(campaign=campaign).exists():
        raise AlreadySealed
    if campaign.state != Campaign.State.CLOSED:
        raise NotClosed
    if answered_in(campaign, by):
        raise SignedOffByReviewer
    now = clock.now()
    said = {"by": by.login, "name": by.name, "statement": statement, "amr": list(amr), "at": tables.utc(now)}
    pack = building.build(campaign, said)
    kept = EvidencePack.objects.create(
        campaign=campaign,
        sealed_at=now,
        signed_off_by=by,
        statement=statement,
        amr=list(amr),
        key_id=pack.key_id,
        sha256=pack.sha256,
        files=pack.files,
        tie_out=pack.tie_out,
        content=pack.content,
    )
    log.record(
        Action.EVIDENCE_SEALED,
        about=[f"campaign:{campaign.slug}", f"person:{campaign.owner.login}"],
        by=by.principal,
        reason=statement,
        detail={"sha256": pack.sha256, "files": len(pack.files), "key": pack.key_id},
    )
    return kept


def answered_in(campaign: Campaign, person: Person) -> bool:
    """Whether somebody was, or is, to answer anything in a campaign, by any account of theirs."""
    accounts = independence.accounts_of(person)
    assigned = Assignment.objects.filter(item__campaign=campaign, reviewer__in=accounts)
    return assigned.exists() or ReviewDecision.objects.filter(item__campaign=campaign, decided_by__in=accounts).exists()
