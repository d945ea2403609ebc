"""Reviews of other things than access: begun, answered, looked at where a user would, and their evidence added up."""

from __future__ import annotations

import base64
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, transaction

from audit import clock
from entitlements.people.models import Person
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.evidence import record
from governance.reviews.items.answer import Answer
from governance.reviews.items.models import ReviewItem
from governance.reviews.pack import build, description
from governance.reviews.pack_check import verify
from governance.reviews.pack_tables import contents
from governance.reviews.population import campaigns
from governance.reviews.population.campaigns import CampaignOptions
from governance.reviews.remediation import remediation
from governance.reviews.remediation.models import Remediation
from governance.reviews.reviewers.models import Assignment
from governance.reviews.staging import launch
from tests.edge import Browser
from tests.governance.companies import Company
from tests.governance.reviews import worlds
from tests.governance.reviews.worlds import REMOVE


def begin(company: Company, kind: str, *, rehearsal: bool = False, **scope: Any) -> Campaign:  # noqa: ANN401
    """Begin a campaign of a kind that does what its deadline says, unless it is a rehearsal."""
    due = clock.now() + timedelta(days=14)
    made = campaigns.make(
        f"of-{kind}", name=kind, due_at=due, scope=scope, options=CampaignOptions(kind=kind), by=company.ana
    )
    begun = launch.activate(made.pk, by=company.ana)
    if not rehearsal:
        Campaign.objects.filter(pk=begun.pk).update(state="active")
    return begun


def of(campaign: Campaign, key: str) -> ReviewItem:
    return ReviewItem.objects.get(campaign=campaign, subject_key=key)


def remove(campaign: Campaign, by: Person, item: ReviewItem, answer: Answer = REMOVE) -> Remediation:
    """Answer an item with a removal, and prove it."""
    (decision,) = worlds.answer(campaign, by, [(item, answer)]).removals
    return remediation.verify(decision)


def ties_out(campaign: Campaign, folder: Path) -> bool:
    """Whether the evidence adds up, as the list and as the pack: every difference is zero."""
    campaign.refresh_from_db()
    for name, table in contents.TABLES.items():
        build._write(folder, name, table.rows(campaign))
    different = {**record.evidence(campaign).tie_out, **verify.tie_out(folder, description.scope(campaign))}
    return {name: count for name, count in different.items() if count} == {}


def authenticates(client_id: str, secret: str) -> tuple[int, str]:
    """Ask for a token as a client does; returns the status and our word for it."""
    proof = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
    answer = Browser().post(
        "/as/clock/token",
        "grant_type=client_credentials",
        "application/x-www-form-urlencoded",
        headers={"Authorization": f"Basic {proof}"},
    )
    return answer.status_code, answer.json().get("code", "")


def refused(said: str) -> Any:  # noqa: ANN401
    return pytest.raises(DatabaseError, match=said)


def decide(item: ReviewItem, by: Person, stage: int = 1, **fields: Any) -> None:  # noqa: ANN401
    """Write a decision past every verb, as if it were assigned to her."""
    row = {"verb": "certify", "reason_code": "mandated", "via": "api", "decided_at": clock.now(), **fields}
    kept = row.pop("kept", list(item.lines.order_by("pk").values_list("pk", flat=True)))
    with transaction.atomic():
        live = Assignment.objects.get(item=item, stage=stage, state="assigned")
        Assignment.objects.filter(pk=live.pk).update(reviewer=by)
        ReviewDecision.objects.create(item=item, stage=stage, assignment=live, decided_by=by, kept_lines=kept, **row)
