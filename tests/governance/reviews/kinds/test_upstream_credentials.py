"""Credentials that Mandate keeps for systems, in a review: who is asked, what a removal does, and its proof."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from audit import clock
from audit.actions import Action
from audit.context import SYSTEM
from audit.export import timeline
from entitlements.catalog.models import Tool
from entitlements.networks import certificates, network
from entitlements.node import directory
from entitlements.secrets import vault
from entitlements.secrets.models import Secret
from governance.reviews.campaigns import close
from governance.reviews.campaigns.models import Campaign
from governance.reviews.deadlines import deadlines
from governance.reviews.decisions import recall
from governance.reviews.items.models import ReviewItem
from governance.reviews.kinds import upstreams
from governance.reviews.kinds.kind import Cut
from governance.reviews.remediation.models import NoAnswer
from governance.reviews.usage.models import UsageDay
from tests import make, shared
from tests.entitlements.api import client
from tests.entitlements.networks.certificates import Authority
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.governance.reviews import worlds
from tests.governance.reviews.kinds.subjects import begin, decide, of, refused, remove, ties_out
from tests.governance.reviews.worlds import KEEP

pytestmark = pytest.mark.django_db


def _kept() -> tuple[Company, str]:
    """A company whose clock is opened by a credential; returns it with the key of its item."""
    company = companies.found()
    secret = vault.set_secret(company.system, kind="bearer", value="hush-hush-1234", by=company.sam.principal)
    return company, f"clock:{secret.fingerprint}"


made_world, kept = shared.world(_kept)


def sent(company: Company) -> bool:
    """Whether the gateway's own query finds a credential to send."""
    with connection.cursor() as cursor:
        cursor.execute(directory._SYSTEM, [company.system.slug])
        row = cursor.fetchone()
    return row[7] is not None


def test_the_owner_of_the_system_is_asked_first_with_age_and_last_use(kept: tuple[Company, str]) -> None:
    company, key = kept
    grant = make.grant(company.bot, company.use)
    now, tool = clock.now(), Tool.objects.get(name="now")
    UsageDay.objects.create(agent=company.bot, grant=grant, tool=tool, day=now, calls=1, denied=0, last_at=now)
    campaign = begin(company, "credential")
    item = of(campaign, key)
    assert (item.risk, worlds.live(item).reviewer, item.stages) == ("critical", company.sam, 2)
    page = visits.text(visits.as_(company.sam).get(f"/reviews/{campaign.slug}/work/", secure=True))
    assert "Sent to the system with each call, as Authorization" in page
    assert "It was last used on" in page
    assert "hush-hush" not in page
    worlds.answer(campaign, company.sam, [(item, KEEP)])
    assert worlds.live(item).reviewer != company.sam, "never hers alone"
    with refused("their own"):
        decide(item, company.sam, stage=2, comment=KEEP.comment)


def test_a_credential_that_is_not_sent_itself_is_asked_about_as_what_it_is_used_for(kept: tuple[Company, str]) -> None:
    company, _ = kept
    settings = {"client_id": "mandate", "token_url": "https://login.example/token"}
    vault.set_secret(company.system, kind="oauth_client", value="hush-hush-1234", settings=settings, by=SYSTEM)
    campaign = begin(company, "credential")
    page = visits.text(visits.as_(company.sam).get(f"/reviews/{campaign.slug}/work/", secure=True))
    assert "Gets the access tokens that are sent with each call" in page
    assert "Sent to the system" not in page


def test_a_removal_withholds_it_at_once_is_proven_and_forgets_it_when_final(
    kept: tuple[Company, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    company, key = kept
    campaign = begin(company, "credential")
    item = of(campaign, key)
    assert (sent(company), vault.open_for(company.system) is not None) == (True, True)
    cut = remove(campaign, company.sam, item)
    assert cut.state == "verified"
    assert cut.probe is not None
    assert [call["ask"] for call in cut.probe["calls"]] == ["credential"]
    assert (sent(company), vault.open_for(company.system)) == (False, None)
    shown = client.of(company.ana).get("/api/v1/systems/clock").json()["secret"]
    assert shown["withheld_at"] is not None
    worlds.let_it_be_final(monkeypatch)
    assert not Secret.objects.exists()
    told = timeline.of("system", "clock").filter(action__startswith="secret.").order_by("at")
    assert [each.action for each in told] == [Action.SECRET_SET, Action.SECRET_WITHHELD, Action.SECRET_FORGOTTEN]
    close.close(campaign.pk, by=company.ana, reason="All is answered.")
    assert ties_out(campaign, tmp_path)


def test_it_is_sent_again_when_the_answer_is_taken_back(kept: tuple[Company, str]) -> None:
    company, key = kept
    campaign = begin(company, "credential")
    item = of(campaign, key)
    remove(campaign, company.sam, item)
    recall.recall(item.pk, by=company.sam)
    assert sent(company)


def test_another_value_is_left_alone(kept: tuple[Company, str], monkeypatch: pytest.MonkeyPatch) -> None:
    company, key = kept
    campaign = begin(company, "credential")
    item = of(campaign, key)
    remove(campaign, company.sam, item)
    vault.set_secret(company.system, kind="bearer", value="another-5678", by=company.sam.principal)
    worlds.let_it_be_final(monkeypatch)
    assert sent(company)
    assert Secret.objects.get().last_four == "5678"


def test_one_that_was_changed_before_an_answer_is_no_longer_asked_about(kept: tuple[Company, str]) -> None:
    company, key = kept
    campaign = begin(company, "credential")
    vault.set_secret(company.system, kind="bearer", value="another-5678", by=company.sam.principal)
    close.close(campaign.pk, by=company.ana, reason="All is answered.", without_answer=True)
    assert of(campaign, key).state == "superseded"


def test_a_scope_takes_in_those_of_its_systems_or_of_what_its_agents_hold(kept: tuple[Company, str]) -> None:
    company, key = kept
    other = make.system("other", owner=company.sam)
    vault.set_secret(other, kind="bearer", value="other-1234", by=company.sam.principal)
    make.grant(company.bot, company.use)
    scopes: tuple[dict[str, Any], ...] = ({"systems": ["clock"]}, {"agents": [company.bot.slug]})
    for scope in scopes:
        campaign = begin(company, "credential", **scope)
        found = ReviewItem.objects.filter(campaign=campaign, subject_kind="upstream_secret")
        assert list(found.values_list("subject_key", flat=True)) == [key], scope
        Campaign.objects.filter(pk=campaign.pk).update(slug=f"was-{min(scope)}")


def test_silence_withholds_none(kept: tuple[Company, str], monkeypatch: pytest.MonkeyPatch) -> None:
    company, _ = kept
    first = begin(company, "ownership")
    close.close(first.pk, by=company.ana, reason="A rehearsal.", without_answer=True)
    begin(company, "credential")
    later = clock.now() + timedelta(days=20)
    monkeypatch.setattr(clock, "now", lambda: later)
    deadlines.apply_due()
    assert set(NoAnswer.objects.values_list("did", flat=True)) == {"keep_flagged"}
    assert sent(company)


def test_a_client_certificate_is_asked_about_and_deleted_at_once(
    kept: tuple[Company, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    company, credential = kept
    pair = Authority().for_client()
    row = certificates.set_certificate(company.system, chain=pair.certificate, key=pair.key, by=SYSTEM)
    campaign = begin(company, "credential")
    item = of(campaign, f"clock:{row.fingerprint}")
    page = visits.text(visits.as_(company.sam).get(f"/reviews/{campaign.slug}/work/", secure=True))
    assert "Signs Mandate in to the system over TLS" in page
    cut = remove(campaign, company.sam, item)
    assert cut.state == "verified"
    assert cut.probe is not None
    assert [call["ask"] for call in cut.probe["calls"]] == ["client_certificate"]
    assert network.open_for(company.system) is None
    assert sent(company), "its credential is another item"
    worlds.let_it_be_final(monkeypatch)
    assert of(campaign, credential).state == "in_review"
    close.close(campaign.pk, by=company.ana, reason="The rest waits.", without_answer=True)
    assert ties_out(campaign, tmp_path)


def test_another_certificate_is_left_alone(kept: tuple[Company, str]) -> None:
    company, _ = kept
    first, second = (Authority().for_client() for _ in range(2))
    row = certificates.set_certificate(company.system, chain=first.certificate, key=first.key, by=SYSTEM)
    item = of(begin(company, "credential"), f"clock:{row.fingerprint}")
    certificates.set_certificate(company.system, chain=second.certificate, key=second.key, by=SYSTEM)
    upstreams.KIND.cut(item, Cut(SYSTEM, "unused"))
    assert network.open_for(company.system) is not None
