"""A review that the release before begins: `begin` runs among its files, `finish` among those of the working tree.

Each returns what is to be known of it, as JSON can hold it.
"""

from __future__ import annotations

import io
from datetime import timedelta
from pathlib import Path
from typing import Any

from audit import clock
from audit.context import SYSTEM
from entitlements.catalog.models import Entitlement, System
from entitlements.people import people
from entitlements.people.models import Person
from governance.reviews.campaigns import close, sweeps
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions import submission
from governance.reviews.decisions.models import Draft, ReviewDecision
from governance.reviews.items import answer
from governance.reviews.items.models import ReviewItem
from governance.reviews.pack import seal
from governance.reviews.population import campaigns
from governance.reviews.remediation.models import Remediation
from governance.reviews.reviewers.models import Assignment
from governance.reviews.staging import launch

ASKED, DRAFTED = 24, 5
KEEP = answer.Answer("certify", "business_need", "The team works with it every day.")
REMOVE = answer.Answer("revoke", "unused", "Nobody called it.")


def begin() -> dict[str, Any]:
    """Begin a review: rhea is to answer while the database migrates, dora has decided two and drafted two."""
    from tests import make  # noqa: PLC0415 - of the release that runs this

    ana, rhea, dora = make.analyst("ana"), make.person("rhea"), make.person("dora")
    owner, system = make.person("otto"), System.objects.get(slug="time")
    low = Entitlement.objects.get(scope="time:read")
    high = make.entitlement(system, make.tool(system, "erase", risk="high"), scope="time:erase")
    for name, sponsor, of in [
        *((f"asked-{number}", rhea, low) for number in range(ASKED)),
        *((f"drafted-{number}", dora, low) for number in range(DRAFTED - 1)),
        ("drafted-high", dora, high),
    ]:
        person = Person.objects.get(login="person-0")
        make.grant(make.agent(name, sponsor=sponsor, owner=owner), of, people=[person], lasts=timedelta(days=30))
    made = campaigns.make("q4", name="Fourth quarter", due_at=clock.now() + timedelta(days=14), by=ana)
    campaign = launch.activate(made.pk, by=ana)
    for name, said in (("drafted-0", REMOVE), ("drafted-1", KEEP)):
        submission.save_draft(_item(name).pk, said, by=dora, rev=0)
    submission.submit(campaign.pk, by=dora, via=ReviewDecision.Via.UI)  # its removal is not proven yet
    for name, said in (("drafted-2", REMOVE), ("drafted-high", KEEP)):
        submission.save_draft(_item(name).pk, said, by=dora, rev=0)
    return {
        "token": people.make_api_token(rhea, "answers", by=SYSTEM),
        "items": [str(_item(f"asked-{number}").pk) for number in range(ASKED)],
        "decided": _decided(),
    }


def _item(agent: str) -> ReviewItem:
    return ReviewItem.objects.get(agent__slug=agent)


def _decided() -> dict[str, list[str]]:
    rows = ReviewDecision.objects.order_by("decided_at", "pk").values_list("item", "pk", "verb", "decided_by__login")
    told: dict[str, list[str]] = {}
    for item, pk, verb, by in rows:  # as they are in both releases
        told.setdefault(str(item), []).append(f"{pk} {verb} {by}")
    return told


def finish(file: str) -> dict[str, Any]:
    """Finish it: drafts are submitted as they are, a second stage is answered, cuts are proven, evidence is sealed."""
    campaign = Campaign.objects.get(slug="q4")
    ana = Person.objects.get(login="ana")
    drafts = {
        draft.assignment.item.agent_slug: draft.verb for draft in Draft.objects.filter(assignment__state="assigned")
    }
    begun = _decided()
    while _answer(campaign):
        pass
    assert {each.stage for each in _item("drafted-high").decisions.all()} == {1, 2}, "asked twice, whoever began"
    close.close(campaign.pk, by=ana, reason="The quarter is over.")
    while sweeps.prove_due():
        pass
    _seal()
    seal.seal(campaign.pk, by=ana, statement="Complete, independent, carried out and kept.")
    kept = [seal.resume(campaign.pk) for _ in range(2)]
    pack = campaign.pack
    Path(file).write_bytes(b"".join(pack.archive()))
    return {
        "drafts": drafts,
        "begun": begun,
        "decided": _decided(),
        "kept": kept,
        "unproven": [str(cut) for cut in Remediation.objects.exclude(state="verified")],
        "revoked": _revocations(),
        "cut": sorted(str(each.item_id) for each in ReviewDecision.objects.filter(verb="revoke")),
    }


def _answer(campaign: Campaign) -> bool:
    """Let everybody who is asked submit what she drafted, and keep the rest; says whether anybody was asked."""
    live = Assignment.objects.filter(item__campaign=campaign, item__state="in_review", state="assigned")
    asked = list(Person.objects.filter(pk__in=live.values("reviewer")))
    for reviewer in asked:
        for assignment in live.filter(reviewer=reviewer, draft=None):
            submission.save_draft(assignment.item_id, KEEP, by=reviewer, rev=0)
        submission.submit(campaign.pk, by=reviewer, via=ReviewDecision.Via.UI)
    return bool(asked)


def _seal() -> None:
    from django.core.management import call_command  # noqa: PLC0415

    call_command("seal", "--once", stdout=io.StringIO())


def _revocations() -> dict[str, int]:
    """Count, by the item that it belongs to, how often the record says that a grant was revoked.

    What somebody revoked meanwhile at another door needed no answer, and is not counted.
    """
    from audit.models import Event  # noqa: PLC0415

    told: dict[str, int] = {}
    for item in ReviewItem.objects.exclude(state=ReviewItem.State.SUPERSEDED):
        grants = [f"grant:{row.grant_id}" for row in item.population.all()]
        told[str(item.pk)] = Event.objects.filter(action="grant.revoked", links__overlap=grants).count()
    return {item: count for item, count in told.items() if count}
