"""An auditor's actions on a closed review: share its evidence, draw a sample, mark findings, ask and answer.

An auditor holds that role, or the evidence is shared with them. Nothing here changes the review or its evidence.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from audit import clock, log
from audit.actions import Action
from entitlements.conflicts import independence
from entitlements.errors import DomainError, Forbidden, NotFound, ReasonRequired
from entitlements.people.models import Person, Role
from governance.approvals import question_rules
from governance.reviews.campaigns.models import Campaign
from governance.reviews.evidence.models import AuditMark, AuditQuestion, AuditSample, EvidenceShare, SampledItem
from governance.reviews.items import review_rules, visibility
from governance.reviews.items.models import ReviewItem
from governance.reviews.pack.models import EvidencePack
from governance.reviews.pack.seal import NotClosed, answered_in
from governance.reviews.pack_check import verify
from governance.reviews.remediation.models import NoAnswer, RemediationException

MOST_SAMPLED: Final = 500
MOST_QUESTIONS: Final = 200
READERS: Final = (Role.ANALYST, Role.SECURITY, Role.AUDITOR)
Finding, Strata = AuditMark.Finding, AuditSample.Strata


class BadSample(DomainError):
    """The sample is not valid. It needs 1 to 500 items, a known stratification, and a seed of at most 64 characters."""

    code, status = "sample_malformed", HTTPStatus.UNPROCESSABLE_ENTITY


class BadShare(DomainError):
    """You can share evidence for at most 90 days, with an active person who had no part in the review."""

    code, status = "share_refused", HTTPStatus.UNPROCESSABLE_ENTITY


class SharedAlready(DomainError):
    """The evidence is already shared with this person. End that share first."""

    code, status = "evidence_shared", HTTPStatus.CONFLICT


class NotTheAuditor(DomainError):
    """You cannot test this evidence: you are not its auditor, or you had a part in the review."""

    code, status = "not_the_auditor", HTTPStatus.FORBIDDEN


class NotTheAnswerer(DomainError):
    """Only the owner of the review can answer its auditors' questions."""

    code, status = "not_the_campaign_owner", HTTPStatus.FORBIDDEN


def may_audit(campaign: Campaign, person: Person) -> bool:
    """Whether a person is an auditor of a review."""
    return person.is_active and (person.has_role(Role.AUDITOR) or visibility.shared_with(person, campaign))


def may_test(campaign: Campaign, person: Person) -> bool:
    """Whether an auditor of a review also had no part in it, so that they may test it."""
    return may_audit(campaign, person) and not had_part_in(campaign, person)


def had_part_in(campaign: Campaign, person: Person) -> bool:
    """Whether a person owned a review, answered, excepted or restored in it, or signed it off, by any account."""
    accounts = independence.accounts_of(person)
    return (
        campaign.owner in accounts
        or answered_in(campaign, person)
        or RemediationException.objects.filter(remediation__decision__item__campaign=campaign, by__in=accounts).exists()
        or NoAnswer.objects.filter(item__campaign=campaign, restored_by__in=accounts).exists()
        or EvidencePack.objects.filter(campaign=campaign, signed_off_by__in=accounts).exists()
    )


def check_may_read(campaign: Campaign, person: Person) -> None:
    """Raise Forbidden where a person may not read the evidence of a review."""
    if not person.has_role(*READERS) and not visibility.shared_with(person, campaign):
        raise Forbidden


@transaction.atomic
def record_access(campaign: Campaign, person: Person, what: str) -> None:
    """Record that an auditor read evidence; other readers are not recorded."""
    if may_audit(campaign, person):
        log.record(Action.EVIDENCE_LOOKED_AT, about=_about(campaign), by=person.principal, detail={"what": what})


@transaction.atomic
def share(campaign_id: UUID, *, auditor: Person, expires_at: datetime, by: Person, reason: str) -> EvidenceShare:
    """Share the evidence of one closed review with an auditor, to read and test it until a day.

    Raises NotFound, ReasonRequired, NotClosed, BadShare, SharedAlready.
    """
    campaign, now = _closed(campaign_id), clock.now()
    if not reason.strip():
        raise ReasonRequired
    too_long = not now < expires_at <= now + EvidenceShare.LONGEST
    if too_long or not auditor.is_active or by in independence.accounts_of(auditor) or had_part_in(campaign, auditor):
        raise BadShare
    EvidenceShare.objects.filter(campaign=campaign, auditor=auditor, ended_at=None, expires_at__lte=now).update(
        ended_at=now
    )
    try:
        with transaction.atomic():
            shared = EvidenceShare.objects.create(
                campaign=campaign, auditor=auditor, by=by, reason=reason, made_at=now, expires_at=expires_at
            )
    except IntegrityError as error:
        raise SharedAlready from error
    detail = {"share": str(shared.pk), "expires_at": expires_at.isoformat()}
    links = [*_about(campaign), f"person:{auditor.login}"]
    log.record(Action.EVIDENCE_SHARED, about=links, by=by.principal, reason=reason, detail=detail)
    return shared


@transaction.atomic
def end_share(share_id: UUID, *, by: Person, reason: str) -> EvidenceShare:
    """End a share early. Raises NotFound, ReasonRequired."""
    if not reason.strip():
        raise ReasonRequired
    rows = EvidenceShare.objects.select_for_update(of=("self",)).select_related("campaign", "auditor", "by")
    shared = rows.filter(pk=share_id, ended_at=None).first()
    if shared is None:
        raise NotFound
    shared.ended_at = clock.now()
    shared.save(update_fields=["ended_at"])
    links = [*_about(shared.campaign), f"person:{shared.auditor.login}"]
    detail = {"share": str(shared.pk)}
    log.record(Action.EVIDENCE_SHARE_ENDED, about=links, by=by.principal, reason=reason, detail=detail)
    return shared


@transaction.atomic
def draw(campaign_id: UUID, *, by: Person, wanted: int, strata: str = Strata.NONE, seed: str = "") -> AuditSample:
    """Draw a random sample of a closed review's items; without a seed a new one is made and stored.

    Raises NotFound, NotClosed, NotTheAuditor, BadSample.
    """
    campaign = _closed(campaign_id)
    _check_auditor(campaign, by)
    seed = seed.strip() or secrets.token_hex(8)
    if not 1 <= wanted <= MOST_SAMPLED or strata not in Strata.values or len(seed) > 64 or not seed.isprintable():  # noqa: PLR2004 - the column's length
        raise BadSample
    strata_of, items = _frame(campaign, strata)
    digest = hashlib.sha256("".join(f"{n}:{name}\n" for n, name in sorted(strata_of.items())).encode()).hexdigest()
    sample = AuditSample.objects.create(
        campaign=campaign,
        drawn_by=by,
        drawn_at=clock.now(),
        seed=seed,
        wanted=wanted,
        strata=strata,
        frame=len(strata_of),
        frame_sha256=digest,
    )
    drawn = pick(strata_of, wanted, seed)
    SampledItem.objects.bulk_create(
        [SampledItem(sample=sample, item_id=items[number], stratum=strata_of[number]) for number in drawn]
    )
    detail = {"sample": str(sample.pk), "seed": seed, "wanted": wanted, "strata": strata, "items": drawn}
    log.record(Action.AUDIT_SAMPLE_DRAWN, about=_about(campaign), by=by.principal, detail=detail)
    return sample


def pick(strata_of: Mapping[int, str], wanted: int, seed: str) -> list[int]:
    """Return the numbers of the items that a seed picks: from each stratum its share, and at least one where possible.

    Shares are rounded down; the rest goes to the strata with the largest remainder, then by name.
    """
    strata_numbers: dict[str, list[int]] = defaultdict(list)
    for number, name in strata_of.items():
        strata_numbers[name].append(number)
    total, size = len(strata_of), min(wanted, len(strata_of))
    shares = {name: size * len(numbers) // total for name, numbers in strata_numbers.items()}
    if size >= len(strata_numbers):
        shares = {name: max(share, 1) for name, share in shares.items()}
    rest = sorted(strata_numbers, key=lambda name: (-(size * len(strata_numbers[name]) % total), name))
    for name in rest:
        if sum(shares.values()) < size and shares[name] < len(strata_numbers[name]):
            shares[name] += 1
    while sum(shares.values()) > size:  # small strata got one each: take it from the largest
        shares[max(shares, key=lambda name: (shares[name], name))] -= 1
    return sorted(
        number for name, numbers in strata_numbers.items() for number in verify.picked(seed, numbers, shares[name])
    )


def _frame(campaign: Campaign, strata: str) -> tuple[dict[int, str], dict[int, UUID]]:
    rows = ReviewItem.objects.filter(campaign=campaign).order_by("number")
    strata_of, items = dict[int, str](), dict[int, UUID]()
    for pk, number, risk, state, verb, system in rows.values_list(
        "pk", "number", "risk", "state", "current_decision__verb", "system__slug"
    ):
        names = {Strata.RISK: risk, Strata.OUTCOME: verb or state, Strata.SYSTEM: system or ""}
        strata_of[number], items[number] = names.get(Strata(strata), ""), pk
    return strata_of, items


@transaction.atomic
def mark(sampled_id: int, *, by: Person, finding: str, note: str = "") -> AuditMark:
    """Mark the finding about one item of a sample; the latest mark counts, and all are kept.

    Raises NotFound, NotTheAuditor, BadSample, and ReasonRequired for a finding other than pass without a note.
    """
    sampled = SampledItem.objects.select_related("sample__campaign", "item").filter(pk=sampled_id).first()
    if sampled is None:
        raise NotFound
    campaign = sampled.sample.campaign
    _check_auditor(campaign, by)
    if finding not in Finding.values:
        raise BadSample
    if finding != Finding.PASS and not note.strip():
        raise ReasonRequired
    audit_mark = AuditMark.objects.create(sampled=sampled, finding=finding, note=note.strip(), by=by, at=clock.now())
    links = [*_about(campaign), f"item:{sampled.item_id}"]
    detail = {"sample": str(sampled.sample_id), "item": sampled.item.number, "finding": finding}
    log.record(Action.AUDIT_ITEM_MARKED, about=links, by=by.principal, reason=audit_mark.note, detail=detail)
    return audit_mark


@transaction.atomic
def ask(campaign_id: UUID, *, by: Person, text: str, item_id: UUID | None = None) -> AuditQuestion:
    """Ask the owner of a review about it, or about one of its items; an answer is due in one working day.

    Raises NotFound, NotTheAuditor, and what `question_rules` raises.
    """
    campaign, text = _closed(campaign_id), question_rules.words(text)
    _check_auditor(campaign, by)
    if item_id is not None and not ReviewItem.objects.filter(pk=item_id, campaign=campaign).exists():
        raise NotFound
    question_rules.check_count(AuditQuestion.objects.filter(campaign=campaign).count(), MOST_QUESTIONS)
    now = clock.now()
    question = AuditQuestion.objects.create(
        campaign=campaign,
        item_id=item_id,
        asked_by=by,
        text=text,
        asked_at=now,
        due_at=review_rules.business_days(now, 1),
    )
    links = [*_about(campaign), *([f"item:{item_id}"] if item_id else [])]
    detail = {"question": str(question.pk), "due_at": question.due_at.isoformat()}
    log.record(Action.AUDIT_QUESTION_ASKED, about=links, by=by.principal, reason=question.text, detail=detail)
    return question


@transaction.atomic
def answer(question_id: UUID, *, by: Person, text: str) -> AuditQuestion:
    """Answer an auditor's question, once. Raises NotFound, NotTheAnswerer, and what `question_rules` raises."""
    text = question_rules.words(text)
    rows = AuditQuestion.objects.select_for_update(of=("self",)).select_related("campaign", "asked_by")
    question = rows.filter(pk=question_id).first()
    if question is None:
        raise NotFound
    if question.campaign.owner_id != by.pk:
        raise NotTheAnswerer
    question_rules.check_unanswered(question)
    question.answer, question.answered_by, question.answered_at = text, by, clock.now()
    question.save(update_fields=["answer", "answered_by", "answered_at"])
    detail = {"question": str(question.pk), "asked_by": question.asked_by.login}
    about = _about(question.campaign)
    log.record(Action.AUDIT_QUESTION_ANSWERED, about=about, by=by.principal, reason=question.answer, detail=detail)
    return question


def sampled(sample: AuditSample) -> QuerySet[SampledItem]:
    """Return the items of a sample with their marks, by number."""
    rows = SampledItem.objects.filter(sample=sample).prefetch_related("marks__by")
    return rows.select_related("item__agent", "item__system", "item__current_decision__decided_by").order_by(
        "item__number"
    )


def _closed(campaign_id: UUID) -> Campaign:
    campaign = Campaign.objects.select_related("owner").filter(pk=campaign_id).first()
    if campaign is None:
        raise NotFound
    if campaign.state != Campaign.State.CLOSED:
        raise NotClosed
    return campaign


def _check_auditor(campaign: Campaign, person: Person) -> None:
    if not may_test(campaign, person):
        raise NotTheAuditor


def _about(campaign: Campaign) -> list[str]:
    return [f"campaign:{campaign.slug}"]
