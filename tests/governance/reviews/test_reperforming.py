"""The population of a pack is taken once more from the record alone, and whatever was changed beside it is found."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import CommandError, call_command
from django.db import connection

from audit import clock
from entitlements import grants
from entitlements.models import Grant
from governance import reviews
from governance.models import Campaign
from governance.reviews.pack import reperforming, verify
from tests import make
from tests.audit.make import Archive
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def company() -> Company:
    """A company with a grant that was reduced, one suspended, one restored, one revoked, and one of a later day."""
    company = companies.found()
    sofia = company.sofia.principal
    make.grant(company.bot, company.use, people=[company.alice])
    reduced, stopped, restored, revoked = (
        make.grant(make.agent(f"{word}-bot", sponsor=company.sofia), company.use, people=[company.bob])
        for word in ("reduced", "stopped", "restored", "revoked")
    )
    grants.reduce(
        reduced.pk, {"now": {}}, expires_at=clock.now() + timedelta(minutes=9), by=sofia, reason="Less will do."
    )
    grants.suspend(stopped.pk, by=sofia, reason="Looked at.")
    grants.suspend(restored.pk, by=sofia, reason="Looked at.")
    grants.restore(restored.pk, by=company.ana.principal, reason="It was fine.")
    grants.revoke(revoked.pk, by=sofia, reason="Over.")
    return company


def _sealed(company: Company, folder: Path, campaign: Campaign | None = None) -> Path:
    """Keep everything, cut the first after it, close, seal; returns the pack as a file."""
    campaign = campaign or worlds.campaign(company)
    archive = Archive(folder, Ed25519PrivateKey.generate())
    for person in (company.sofia, company.sam):
        rows = [(row.item, worlds.KEEP) for row in worlds.waiting_for(campaign, person)]
        if rows:
            worlds.answer(campaign, person, rows)
    grants.revoke(Grant.objects.get(agent=company.bot).pk, by=company.sofia.principal, reason="After the review.")
    reviews.close(campaign.pk, by=company.ana, reason="The quarter is over.")
    archive.seal()
    file = folder / "pack.zip"
    file.write_bytes(b"".join(worlds.sealed(campaign, company.resa).archive()))
    return file


def _said(file: Path) -> str:
    out = io.StringIO()
    call_command("evidence_reperform", str(file), stdout=out)
    return out.getvalue()


def test_the_record_alone_gives_the_same_population(company: Company, tmp_path: Path) -> None:
    file = _sealed(company, tmp_path)
    assert "4 grants in the pack, 4 by the record, 0 others" in _said(file)
    with zipfile.ZipFile(file) as pack:
        scope = json.loads(pack.read("02_scope_and_parameters.json"))
        packed = {row["grant"] for row in verify.rows(pack.read("03_population.jsonl"))}
    held = reperforming.as_of(reperforming._moment(scope["snapshot_at"]))
    assert held.keys() == packed
    assert sorted((terms["state"], terms["version"], len(terms["lines"])) for terms in held.values()) == [
        ("active", 1, 4),
        ("active", 2, 1),
        ("active", 3, 4),
        ("suspended", 2, 4),
    ]


def test_what_was_changed_beside_the_record_is_found(company: Company, tmp_path: Path) -> None:
    changed = Grant.objects.get(agent__slug="restored-bot")
    ended = Grant.objects.get(agent__slug="revoked-bot")
    unseen = Grant.objects.create(
        agent=ended.agent,
        entitlement=company.use,
        subjects_digest=ended.subjects_digest,
        starts_at=ended.starts_at,
        expires_at=ended.expires_at,
    )
    hidden = Grant.objects.get(agent__slug="stopped-bot")
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM entitlements_grantline USING entitlements_tool t"
            " WHERE t.id = tool_id AND t.name = 'wipe' AND grant_id = %s",
            [changed.pk],
        )
        cursor.execute(
            "UPDATE entitlements_grant SET expires_at = now() + interval '3 hours' WHERE id = %s", [hidden.pk]
        )
    file = _sealed(company, tmp_path)
    with pytest.raises(CommandError):
        _said(file)
    with zipfile.ZipFile(file) as pack:
        found = "\n".join(reperforming.reperform(pack).differences)
    assert f"{changed.pk}: lines is" in found
    assert f"{unseen.pk} is in the pack, and by the record not in force" in found
    assert f"{hidden.pk}: expires_at is" in found
    assert found.count("\n") == 2


def test_a_scope_is_kept_to_and_what_it_should_have_had_is_named(company: Company, tmp_path: Path) -> None:
    made = reviews.make(
        "few",
        name="Few",
        due_at=clock.now() + timedelta(days=14),
        scope={"agents": [company.bot.slug], "where": {"field": "tool.risk", "op": "gte", "value": "high"}},
        by=company.ana,
    )
    file = _sealed(company, tmp_path, reviews.activate(made.pk, by=company.ana))
    assert "1 grants in the pack, 1 by the record, 3 others" in _said(file)
    with zipfile.ZipFile(file) as pack:
        scope = json.loads(pack.read("02_scope_and_parameters.json"))
    missing = reperforming.as_of(reperforming._moment(scope["snapshot_at"]))
    assert len(reperforming._within(scope, missing)) == 1
    assert len(reperforming._within({**scope, "scope": {}}, missing)) == 4
