"""The pages of reviews of other things than access: what is asked in plain words, answered by the form as any other."""

from __future__ import annotations

import pytest

from audit.context import SYSTEM
from entitlements.clients.models import Client
from entitlements.people import people
from entitlements.people.models import Role
from governance.reviews.items.models import ReviewItem
from tests import make
from tests.governance import companies
from tests.governance.console import visits
from tests.governance.reviews import worlds
from tests.governance.reviews.kinds import subjects

pytestmark = pytest.mark.django_db

WORDS = {
    "delegation": ("May this agent still act for this person?", "sofia is the sponsor of the agent"),
    "ownership": ("Attestation: is it still yours, and is its purpose still true?", "Helps with tests."),
    "credential": ("Is this credential still in use?", "Signs in with a shared secret."),
    "entitlement_definition": ("Should this entitlement still contain all of its tools?", "1 access holds it."),
    "console_access": ("Does this person still need this admin role?", "Analyst in Mandate since"),
    "findings": ("Is this access still needed?", "drifted-bot"),
}
KEYS = {
    "delegation": "research-bot:clock:alice",
    "ownership": "research-bot",
    "credential": "research-bot-ci",
    "entitlement_definition": "clock:use",
    "console_access": "mallory:analyst",
    "findings": "",
}


@pytest.mark.parametrize("kind", sorted(WORDS))
def test_each_kind_asks_in_plain_words_and_is_answered_by_the_form(kind: str) -> None:
    company = companies.found()
    people.edit(company.mallory, by=SYSTEM, manager=company.mona)
    people.assign_role(company.mallory, Role.ANALYST, by=SYSTEM, reason="for the test")
    make.client(company.bot, "research-bot-ci", auth=Client.Auth.CLIENT_SECRET_BASIC)
    make.grant(company.bot, company.use, people=[company.alice])
    if kind == "findings":
        drifted = make.entitlement(company.system, make.tool(company.system, state="quarantined"))
        make.grant(make.agent("drifted-bot", sponsor=company.sofia), drifted)
    campaign = subjects.begin(company, kind)
    item = ReviewItem.objects.get(campaign=campaign, subject_key=KEYS[kind])
    reviewer = worlds.live(item).reviewer
    assert reviewer is not None
    her, base = visits.as_(reviewer), f"/reviews/{campaign.slug}"
    page = visits.text(her.get(f"{base}/work/"))
    for words in WORDS[kind]:
        assert words in page
    beside = her.get(f"{base}/items/{item.pk}/?beside=yes")
    assert beside.status_code == 200
    her.post(f"{base}/items/{item.pk}/looked/", {"evidence": "yes"})
    form = {"item": str(item.pk), f"rev:{item.pk}": "0", f"verb:{item.pk}": "revoke", f"reason:{item.pk}": "unused"}
    her.post(f"{base}/work/", {**form, "submit": "yes"})
    summary = visits.text(her.get(f"{base}/submit/"))
    assert item.name in summary
    tag = summary.split('name="tag" value="')[1].split('"')[0]
    assert her.post(f"{base}/submit/", {"tag": tag}).status_code == 302
    item.refresh_from_db()
    assert item.state == ReviewItem.State.DECIDED
    assert "Verified" in visits.text(visits.as_(company.ana).get(f"{base}/items/{item.pk}/"))
    assert her.get(f"{base}/work/?view=answered").status_code == 200
    assert visits.as_(company.ana).get(f"{base}/").status_code == 200


def test_the_form_of_a_new_review_offers_every_kind_that_is_asked_for() -> None:
    page = visits.text(visits.as_(companies.found().ana).get("/reviews/new/?step=scope"))
    for kind in WORDS:
        assert f'value="{kind}"' in page
