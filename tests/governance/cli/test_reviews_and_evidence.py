"""`mandate` for a reviewer, an owner of reviews and an auditor, against a real server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import transaction
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer

from audit import clock
from audit.models import Checkpoint
from governance.cli import main
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions.models import Draft, ReviewDecision
from tests import begun, make
from tests.audit.make import Archive, tamper
from tests.governance.cli.conftest import Run
from tests.governance.companies import Company
from tests.governance.reviews import worlds

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.loopback]


@pytest.fixture
def review(live_server: LiveServer, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> tuple[Company, Campaign]:
    settings.CONSOLE_URL = live_server.url
    monkeypatch.setenv("MANDATE_URL", live_server.url)
    company, _ = worlds.found()
    make.grant(make.agent("low-bot", sponsor=company.sofia), worlds.low(company), people=[company.alice])
    return company, worlds.campaign(company, start=False)


def items(run: Run, company: Company) -> dict[str, str]:
    ended, listed, _ = run(company.sofia, "items", "list", "--waiting-for", "sofia")
    assert ended == 0
    return {each["agent"]: each["id"] for each in listed}


def test_a_review_is_launched_decided_item_by_item_and_closed_once_all_is(
    review: tuple[Company, Campaign], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    company, _ = review
    ended, (launched,), _ = run(company.ana, "reviews", "launch", "q4")
    assert (ended, launched["state"]) == (0, "active")
    assert [each["slug"] for each in run(company.ana, "campaigns", "list")[1]] == ["q4"]  # as the API calls it
    found = items(run, company)

    keep = ["items", "certify", "--reason-code", "business_need"]
    ended, decided, _ = run(company.sofia, *keep, found["low-bot"], "--draft")
    assert (ended, decided[0]["decision"], ReviewDecision.objects.count()) == (0, None, 0)
    ended, (decision,), _ = run(company.sofia, *keep, found["low-bot"], "--comment", "Used every day.")
    assert (ended, decision["item"], decision["verb"]) == (0, found["low-bot"], "certify")

    cut = ["items", "reduce", found["research-bot"], "--reason-code", "unused", "--keep"]
    ended, _, problem = run(company.sofia, *cut, "nonsense")
    assert (ended, "convert, now, remove, wipe" in problem) == (2, True)
    assert not Draft.objects.filter(assignment__item__agent=company.bot).exists()
    monkeypatch.setenv("MANDATE_PROOF", "correct horse battery staple")
    company.sofia.set_password("correct horse battery staple")
    company.sofia.save()
    ended, (decision,), _ = run(company.sofia, *cut, "now")
    assert (ended, decision["verb"]) == (0, "reduce")
    ended, shown, _ = run(company.ana, "grants", "list", "--agent", "research-bot", "--state", "active")
    assert [line["tool"] for line in shown[0]["lines"]] == ["now"]
    assert items(run, company) == {}  # though a second reviewer is asked about the critical one
    ended, _, problem = run(company.ana, "reviews", "close", "q4", "--reason", "Enough.")
    assert (ended, json.loads(problem)["code"]) == (4, "items_without_outcome")


def test_people_entitlements_and_sessions_are_listed_shown_and_ended(
    review: tuple[Company, Campaign], run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    company, _ = review
    reader, _ = make.client(company.bot, "reader")
    with transaction.atomic():
        session, _ = begun.begin(reader, company.alice, "a" * 64, auth_time=None, now=clock.now())
    assert {"alice", "sofia"} <= {each["login"] for each in run(company.ana, "people", "list")[1]}
    assert run(company.ana, "people", "show", "alice")[1][0]["manager"] == "mona"
    assert run(company.ana, "entitlements", "list")[1][0]["scope"] == "clock:use"
    assert run(company.ana, "entitlements", "show", "clock:use")[1][0]["system"] == "clock"
    assert [each["id"] for each in run(company.ana, "sessions", "list", "--agent", "research-bot")[1]] == [
        str(session.pk)
    ]
    ended, (shown,), _ = run(company.ana, "sessions", "end", str(session.pk), "--reason", "Lost laptop.")
    assert (ended, bool(shown["ended_at"])) == (0, True)
    assert main.main(["people", "list"]) == 0
    assert capsys.readouterr().out.splitlines()[0].split() == ["login", "name", "manager", "is_active", "roles"]


def test_the_audit_log_is_listed_and_verified(review: tuple[Company, Campaign], run: Run, tmp_path: Path) -> None:
    company, _ = review
    assert run(company.ana, "audit", "verify")[0] == 3  # no checkpoint yet
    archive = Archive(tmp_path, Ed25519PrivateKey.generate())
    archive.seal()
    key = archive.vkey

    ended, (verified,), _ = run(company.ana, "audit", "verify", "--key", key)
    assert (ended, verified["events_are_as_sealed"], verified["checkpoint_is_signed_by_key"]) == (0, True, True)
    assert verified["events"] == Checkpoint.objects.latest("size").size
    assert "name --key" in run(company.ana, "audit", "verify")[1][0]["checkpoint_is_signed_by_key"]
    assert run(company.ana, "audit", "verify", "--key", "nonsense")[0] == 2
    other = Archive(tmp_path, Ed25519PrivateKey.generate()).vkey
    ended, (verified,), _ = run(company.ana, "audit", "verify", "--key", other)
    assert (ended, verified["checkpoint_is_signed_by_key"]) == (1, False)
    _, listed, _ = run(company.ana, "audit", "list", "--about", "campaign:q4")
    assert listed[0]["action"] == "campaign.made"

    tamper("UPDATE events SET body = replace(body, 'Fourth', 'Fifth') WHERE action = 'campaign.made'")
    ended, (verified,), problem = run(company.ana, "audit", "verify", "--key", key)
    assert (ended, verified["events_are_as_sealed"]) == (1, False)
    assert "audit_log_tampered" in problem
