"""Nobody is asked about more items of one review than one person gets, at whichever stage and in whoever's place."""

from __future__ import annotations

import pytest

from entitlements.people import people
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items.models import ReviewItem
from governance.reviews.reviewers import assignment
from governance.reviews.staging import launch
from tests import make, shared
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db


made_world, company = shared.world(companies.found)


def test_nobody_gets_more_than_the_cap_and_the_trace_says_so(company: Company) -> None:
    worlds.granted(company)
    make.grant(make.agent("helper", sponsor=company.sofia), worlds.low(company), people=[company.bob])
    draft = worlds.campaign(company, start=False)
    Campaign.objects.filter(pk=draft.pk).update(load_cap=1)
    launch.activate(draft.pk, by=company.ana)
    worst, mild = (worlds.live(each) for each in ReviewItem.objects.order_by("number"))
    assert (worst.reviewer, mild.reviewer) == (company.sofia, company.sam)
    assert mild.resolution["skipped"] == [{"who": "sofia", "why": "has_enough_to_review"}]


def test_the_cap_holds_at_the_second_stage_too_and_for_who_takes_a_place(company: Company) -> None:
    worlds.granted(company)
    for name in ("second", "third"):
        make.grant(make.agent(name, sponsor=company.sofia, owner=company.otto), company.use, people=[company.alice])
    draft = worlds.campaign(company, start=False)
    Campaign.objects.filter(pk=draft.pk).update(load_cap=2)
    campaign = launch.activate(draft.pk, by=company.ana)
    hers, his = (worlds.waiting_for(campaign, who) for who in (company.sofia, company.sam))
    assert (len(hers), len(his)) == (2, 1)

    worlds.answer(campaign, company.sofia, [(each.item, worlds.KEEP) for each in hers])

    one, other = (worlds.live(each.item) for each in hers)
    assert (one.stage, one.reviewer, other.reviewer) == (2, company.sam, company.resa)
    assert {"who": "sam", "why": "has_enough_to_review"} in other.resolution["skipped"]
    people.disable(company.sam, by=company.resa.principal, reason="He has left.")
    assignment.reassign_leavers()
    left = worlds.live(his[0].item)
    assert left.reviewer is None
    assert {"who": "sofia", "why": "has_enough_to_review"} in left.resolution["skipped"]
