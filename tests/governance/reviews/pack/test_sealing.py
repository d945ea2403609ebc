"""Sealing by a worker: who may sign off, how far it is, and that one pack comes of it whatever happens on the way."""

from __future__ import annotations

import hashlib
import json
import resource
from datetime import timedelta

import psycopg
import pytest
from django.db import DatabaseError, connection

from audit import clock
from audit.actions import Action
from audit.context import acting
from audit.export import timeline
from entitlements.errors import ReasonRequired
from entitlements.keys import signing
from entitlements.revocation import record_keys
from governance import tasks
from governance.reviews.campaigns.models import Campaign
from governance.reviews.evidence import audit
from governance.reviews.pack import seal
from governance.reviews.pack.models import EvidencePack, EvidencePiece, EvidenceSealing
from governance.reviews.pack_check import verify
from tests import databases, make
from tests.audit.make import Archive
from tests.entitlements.api import client as api
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.governance.reviews import worlds
from tests.governance.reviews.pack.test_evidence_pack import archive, closed, opened

__all__ = ["archive", "closed"]
SIGNED = worlds.SIGNED


def test_sealing_waits_for_the_end_for_another_person_and_for_words(closed: tuple[Company, Campaign]) -> None:
    company, campaign = closed
    with pytest.raises(seal.SignedOffByReviewer):
        seal.seal(campaign.pk, by=company.sofia, statement=SIGNED)
    company.mallory.email = company.sofia.email.upper()
    with pytest.raises(seal.SignedOffByReviewer):  # another account of whoever answered
        seal.seal(campaign.pk, by=company.mallory, statement=SIGNED)
    with pytest.raises(ReasonRequired):
        seal.seal(campaign.pk, by=company.ana, statement="  ")
    under_way = worlds.campaign(company, slug="next", start=False)
    with pytest.raises(seal.NotClosed):
        seal.seal(under_way.pk, by=company.ana, statement=SIGNED)
    with acting(trace="5ea1" * 8):
        seal.seal(campaign.pk, by=company.ana, statement=SIGNED)
    with pytest.raises(seal.BeingSealed):
        seal.seal(campaign.pk, by=company.ana, statement=SIGNED)
    assert [seal.resume(campaign.pk), seal.resume(campaign.pk)] == [True, False]
    with pytest.raises(seal.AlreadySealed):
        seal.seal(campaign.pk, by=company.ana, statement=SIGNED)
    about = timeline.about(f"campaign:{campaign.slug}")
    told = about.filter(action__in=[Action.EVIDENCE_SEALED, Action.EVIDENCE_SEALING])
    assert sorted(told.values_list("action", "trace")) == [
        (Action.EVIDENCE_SEALED, "5ea1" * 8),
        (Action.EVIDENCE_SEALING, "5ea1" * 8),
    ]  # fmt: skip - the worker goes on under the trace of whoever signed off


def test_the_newest_events_have_to_be_in_the_sealed_record(archive: Archive) -> None:
    company = companies.found()
    campaign = worlds.closed(company)
    seal.seal(campaign.pk, by=company.ana, statement=SIGNED)
    assert not seal.resume(campaign.pk)
    run = EvidenceSealing.objects.get()
    assert (run.step, run.refused, seal.unfinished()) == ("record", "", [campaign.pk])
    archive.seal()
    assert seal.resume(campaign.pk)
    assert seal.unfinished() == []


@pytest.mark.parametrize("room", [0, 30_000])
def test_where_there_is_no_room_for_it_the_sealing_is_refused_and_says_so(
    closed: tuple[Company, Campaign], room: int
) -> None:
    """Else it would be begun anew for ever, and nobody would know. The system itself refuses to write more here."""
    company, campaign = closed
    seal.seal(campaign.pk, by=company.ana, statement=SIGNED)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        assert not seal.resume(campaign.pk)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert EvidenceSealing.objects.get().refused == seal.NoRoom.code
    assert (seal.unfinished(), EvidencePack.objects.exists()) == ([], False)
    assert "no room to put the pack together" in visits.text(visits.as_(company.ana).get("/reviews/q4/evidence/"))
    failed = timeline.about("campaign:q4").get(action=Action.EVIDENCE_SEALING_FAILED)
    assert failed.code == seal.NoRoom.code
    seal.seal(campaign.pk, by=company.ana, statement=SIGNED)
    assert seal.resume(campaign.pk)


def test_a_pack_that_its_own_program_finds_wrong_is_refused_and_signed_off_anew(
    closed: tuple[Company, Campaign], monkeypatch: pytest.MonkeyPatch
) -> None:
    company, campaign = closed
    seal.seal(campaign.pk, by=company.ana, statement=SIGNED)
    with monkeypatch.context() as during:
        during.setattr(signing, "sign_bytes", lambda *_: b"no signature")
        assert not seal.resume(campaign.pk)
    assert not EvidencePack.objects.exists()
    run = EvidenceSealing.objects.get()
    assert (run.refused, seal.unfinished()) == ("evidence_does_not_tie_out", [])
    page = visits.text(visits.as_(company.ana).get(f"/reviews/{campaign.slug}/evidence/"))
    assert "the evidence does not tie out" in page
    assert "the signature on the manifest does not fit" in page
    told = timeline.about(f"campaign:{campaign.slug}").filter(action=Action.EVIDENCE_SEALING_FAILED)
    assert told.count() == 1
    worlds.sealed(campaign, company.ana)


def test_what_is_told_while_a_pack_is_built_is_in_the_next_one(
    closed: tuple[Company, Campaign], archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    company, campaign = closed
    olga, until, sign = make.person("olga"), clock.now() + timedelta(days=1), signing.sign_bytes
    seal.seal(campaign.pk, by=company.ana, statement=SIGNED)

    def meanwhile(key: str, data: bytes) -> bytes:
        audit.share(campaign.pk, auditor=olga, expires_at=until, by=company.ana, reason="The yearly audit.")
        return sign(key, data)

    with monkeypatch.context() as during:
        during.setattr(signing, "sign_bytes", meanwhile)
        assert not seal.resume(campaign.pk)
    assert (EvidencePack.objects.count(), EvidencePiece.objects.count()) == (0, 0)
    archive.seal()
    assert seal.resume(campaign.pk)
    rows = verify.rows(opened(EvidencePack.objects.get())["13_audit_events.jsonl"])
    assert Action.EVIDENCE_SHARED in {json.loads(row["body"])["action"] for row in rows}


def test_one_worker_at_a_time_is_at_any_pack(closed: tuple[Company, Campaign], roles: databases.Addresses) -> None:
    """So that another is left for whatever else there is to do, however long one takes and however many wait."""
    company, campaign = closed
    seal.seal(campaign.pk, by=company.ana, statement=SIGNED)
    with psycopg.connect(roles.app) as other:
        other.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [seal._ONE])
        assert not seal.resume(campaign.pk)
    assert (seal.unfinished(), EvidencePack.objects.exists()) == ([campaign.pk], False)
    assert seal.resume(campaign.pk)


def test_an_archive_is_kept_in_pieces_and_handed_out_whole(
    closed: tuple[Company, Campaign], monkeypatch: pytest.MonkeyPatch
) -> None:
    company, campaign = closed
    monkeypatch.setattr(seal, "PIECE", 1000)
    pack = worlds.sealed(campaign, company.ana)
    assert pack.pieces.count() > 10
    assert hashlib.sha256(b"".join(pack.archive())).hexdigest() == pack.sha256


def test_it_is_sealed_and_fetched_by_page_and_by_api(closed: tuple[Company, Campaign]) -> None:
    company, campaign = closed
    audrey = make.person("audrey", roles=["auditor"])
    address = f"/api/v1/campaigns/{campaign.slug}"
    assert api.proven(audrey).get(f"{address}/evidence.zip").status_code == 404
    assert api.proven(audrey).post(f"{address}/seal", {"statement": SIGNED}).status_code == 403
    page = visits.as_(company.ana)
    assert "Sign off and seal" in visits.text(page.get(f"/reviews/{campaign.slug}/evidence/"))
    assert page.post(f"/reviews/{campaign.slug}/seal/", {"statement": SIGNED}).status_code == 302
    assert "Being sealed" in visits.text(page.get(f"/reviews/{campaign.slug}/evidence/"))
    run = api.proven(company.ana).get(f"{address}/sealing").json()
    assert (run["step"], run["percent"], run["refused"], run["pack"]) == ("tables", 0, "", None)
    tasks.seal_evidence(str(campaign.pk))
    page = visits.as_(company.ana)
    shown = visits.text(page.get(f"/reviews/{campaign.slug}/evidence/"))
    (key,) = api.of(company.ana).get("/api/v1/keys?issuer=evidence").json()["results"]
    assert ["Verify it yourself" in shown, " ".join(key["pem"].split()) in shown, key["kid"] in shown] == [
        True,
        True,
        True,
    ]
    assert key["kid"] in {each["kid"] for each in record_keys.published()["keys"]}
    fetched = b"".join(api.proven(audrey).get(f"{address}/evidence.zip"))
    kept = EvidencePack.objects.get()
    run = api.proven(company.ana).get(f"{address}/sealing").json()
    assert (run["step"], run["percent"], run["pack"]["sha256"]) == ("done", 100, kept.sha256)
    assert hashlib.sha256(fetched).hexdigest() == kept.sha256
    assert b"".join(visits.as_(company.ana).get(f"/reviews/{campaign.slug}/evidence.zip")) == fetched
    assert "Unknown" not in shown
    signing.withdraw(kept.key_id, by=company.ana.principal, reason="seen in a paste")
    assert "Unknown" in visits.text(visits.as_(company.ana).get(f"/reviews/{campaign.slug}/evidence/"))
    again = api.proven(company.ana).post(f"{address}/seal", {"statement": SIGNED})
    assert (again.status_code, again.json()["code"]) == (409, "evidence_sealed")


def test_a_process_that_dies_while_it_seals_leaves_nothing_and_sealing_again_succeeds_once(
    closed: tuple[Company, Campaign], monkeypatch: pytest.MonkeyPatch
) -> None:
    company, campaign = closed
    sign = signing.sign_bytes

    def die(key: str, data: bytes) -> bytes:
        signature = sign(key, data)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return signature

    with monkeypatch.context() as during:
        during.setattr(signing, "sign_bytes", die)
        seal.seal(campaign.pk, by=company.ana, statement=SIGNED)
        with pytest.raises(DatabaseError):
            seal.resume(campaign.pk)
    connection.close()
    told = timeline.about(f"campaign:{campaign.slug}").filter(action=Action.EVIDENCE_SEALED)
    assert (EvidencePack.objects.count(), told.count()) == (0, 0)
    for _ in range(2):
        tasks.seal_evidence(str(campaign.pk))
    assert (EvidencePack.objects.count(), told.count()) == (1, 1)
