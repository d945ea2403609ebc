"""The population of a pack is taken once more from the record alone, and whatever was changed beside it is found."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import CommandError, call_command
from django.db import connection

from audit import clock
from audit.context import SYSTEM
from entitlements.agents import agents
from entitlements.catalog import entitlements
from entitlements.catalog.models import Tool
from entitlements.clients import clients
from entitlements.grants import grants, subjects
from entitlements.grants.models import Grant
from entitlements.people import people
from entitlements.people.models import Person, Role
from entitlements.secrets import vault
from governance.reviews.campaigns import close
from governance.reviews.campaigns.models import Campaign
from governance.reviews.pack import reperformance
from governance.reviews.pack_check import verify
from governance.reviews.pack_tables import past_grants
from governance.reviews.population import campaigns
from governance.reviews.reviewers.models import Assignment
from governance.reviews.staging import launch
from tests import make
from tests.audit.make import Archive
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.reviews import worlds
from tests.governance.reviews.kinds import subjects as subjects_tests

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


def _sealed(company: Company, folder: Path, campaign: Campaign | None = None, *, cut: bool = True) -> Path:
    """Keep everything, cut the first after it if told so, close, seal; returns the pack as a file."""
    campaign = campaign or worlds.campaign(company)
    archive = Archive(folder, Ed25519PrivateKey.generate())
    for person in (company.sofia, company.sam):
        rows = [(row.item, worlds.KEEP) for row in worlds.waiting_for(campaign, person)]
        if rows:
            worlds.answer(campaign, person, rows)
    if cut:
        grants.revoke(Grant.objects.get(agent=company.bot).pk, by=company.sofia.principal, reason="After the review.")
    close.close(campaign.pk, by=company.ana, reason="The quarter is over.")
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
    assert "4 grants in the pack, 4 by the audit log, 0 others" in _said(file)
    with zipfile.ZipFile(file) as pack:
        scope = json.loads(pack.read("02_scope_and_parameters.json"))
        packed = {row["grant"] for row in verify.rows(pack.read("03_population.jsonl"))}
    held = past_grants.as_of(past_grants.read(scope["snapshot_at"]))
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
        found = "\n".join(reperformance.reperform(pack).differences)
    assert f"{changed.pk}: lines is" in found
    assert f"{unseen.pk} is in the pack, and by the audit log not in force" in found
    assert f"{hidden.pk}: expires_at is" in found
    assert found.count("\n") == 2


def test_a_scope_is_kept_to_and_what_it_should_have_had_is_named(company: Company, tmp_path: Path) -> None:
    made = campaigns.make(
        "few",
        name="Few",
        due_at=clock.now() + timedelta(days=14),
        scope={"agents": [company.bot.slug], "where": {"field": "tool.risk", "op": "gte", "value": "high"}},
        by=company.ana,
    )
    file = _sealed(company, tmp_path, launch.activate(made.pk, by=company.ana))
    assert "1 grants in the pack, 1 by the audit log, 3 others" in _said(file)
    with zipfile.ZipFile(file) as pack:
        scope = json.loads(pack.read("02_scope_and_parameters.json"))
    missing = past_grants.as_of(past_grants.read(scope["snapshot_at"]))
    assert len(reperformance._within(scope, missing)) == 1
    assert len(reperformance._within({**scope, "scope": {}}, missing)) == 4


def test_a_scope_of_departments_is_kept_to(company: Company, tmp_path: Path) -> None:
    make.department("Finance", company.sofia)
    other = make.agent("other-bot", sponsor=company.sam)
    make.grant(other, company.use, people=[company.bob])
    made = campaigns.make(
        "finance",
        name="Finance",
        due_at=clock.now() + timedelta(days=14),
        scope={"departments": ["Finance"]},
        by=company.ana,
    )
    file = _sealed(company, tmp_path, launch.activate(made.pk, by=company.ana))
    with zipfile.ZipFile(file) as pack:
        scope = json.loads(pack.read("02_scope_and_parameters.json"))
        report = reperformance.reperform(pack)
    missing = past_grants.as_of(past_grants.read(scope["snapshot_at"]))
    assert (report.differences, report.derived, report.out_of_scope) == ([], report.packed, 1)
    assert reperformance._within(scope, missing)
    assert not reperformance._within({**scope, "scope": {"departments": ["Nowhere"]}}, missing)


def _kept(company: Company, kind: str, folder: Path, **scope: Any) -> tuple[Path, Campaign]:  # noqa: ANN401
    """Begin a review of a kind, keep everything, close and seal it; returns the pack as a file."""
    campaign = subjects_tests.begin(company, kind, **scope)
    waiting = Assignment.objects.filter(item__campaign=campaign, state=Assignment.State.ASSIGNED)
    for _stage in (1, 2):
        for person in Person.objects.filter(pk__in=list(waiting.values_list("reviewer", flat=True))):
            worlds.answer(campaign, person, [(row.item, worlds.KEEP) for row in worlds.waiting_for(campaign, person)])
    archive = Archive(folder, Ed25519PrivateKey.generate())
    close.close(campaign.pk, by=company.ana, reason="All is answered.")
    archive.seal()
    file = folder / f"{kind}.zip"
    file.write_bytes(b"".join(worlds.sealed(campaign, make.security()).archive()))
    return file, campaign


def _differences(file: Path) -> list[str]:
    with zipfile.ZipFile(file) as pack:
        return reperformance.reperform(pack).differences


def test_who_left_a_shared_grant_or_came_back_is_followed(tmp_path: Path) -> None:
    company = companies.found()
    low, sofia = worlds.low(company), company.sofia.principal
    for person, word in ((company.alice, "left"), (company.bob, "back")):
        agent = make.agent(f"{word}-bot", sponsor=company.sofia)
        grant = make.grant(agent, low, people=[company.alice, company.bob])
        before = subjects.remove_person(grant.pk, person, by=sofia, reason="No longer hers.")
        if word == "back":
            subjects.restore_person(grant.pk, before, by=sofia, reason="It was a mistake.")
    file = _sealed(company, tmp_path, cut=False)
    assert "2 grants in the pack, 2 by the audit log, 0 others" in _said(file)
    with zipfile.ZipFile(file) as pack:
        scope = json.loads(pack.read("02_scope_and_parameters.json"))
    held = past_grants.as_of(past_grants.read(scope["snapshot_at"]))
    assert sorted((terms["version"], terms["subjects"]) for terms in held.values()) == [
        (2, ["person:bob"]),
        (3, ["person:alice", "person:bob"]),
    ]


def test_delegations_are_followed_for_each_person_of_a_grant(tmp_path: Path) -> None:
    company = companies.found()
    low = worlds.low(company)
    make.grant(company.bot, low, people=[company.alice, company.bob])
    make.grant(make.agent("group-bot", sponsor=company.sofia), low, groups=[make.group(company.bob)])
    make.grant(make.agent("other-bot", sponsor=company.sofia), low, people=[company.bob])
    file, _ = _kept(company, "delegation", tmp_path, agents=[company.bot.slug])
    assert "2 delegations in the pack, 2 by the audit log, 1 others" in _said(file)


def test_a_person_who_was_taken_out_of_a_grant_beside_the_record_is_found(tmp_path: Path) -> None:
    company = companies.found()
    shared = make.grant(company.bot, worlds.low(company), people=[company.alice, company.bob])
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM entitlements_grantsubject WHERE person_id = %s", [company.bob.pk])
    file, _ = _kept(company, "delegation", tmp_path)
    assert _differences(file) == [
        f"{shared.pk} for alice: others is 0 in the pack and 1 by the audit log",
        f"{shared.pk} for bob was in force and in scope by the audit log, and is not in the pack",
    ]


def test_agents_are_followed_with_their_state_and_who_answers_for_them(tmp_path: Path) -> None:
    company = companies.found()
    staged, stopped, retired = (make.agent(f"{word}-bot", sponsor=company.sofia) for word in ("new", "stopped", "old"))
    agents.suspend(stopped, by=company.sofia.principal, reason="Looked at.")
    agents.restore(stopped, by=company.ana.principal, reason="It was fine.")
    agents.suspend(stopped, by=company.sofia.principal, reason="Looked at again.")
    agents.retire(retired, by=company.sofia.principal, reason="Over.")
    agents.edit(staged, by=SYSTEM, version=staged.version, purpose="Helps with more.")
    make.hand_over(staged, "owner", company.sam, by=company.ana.principal, reason="Otto has no time.")
    file, _ = _kept(company, "ownership", tmp_path)
    assert "3 agents in the pack, 3 by the audit log, 0 others" in _said(file)


def test_agents_of_a_department_are_followed_and_a_hidden_one_is_found(tmp_path: Path) -> None:
    company = companies.found()
    hidden = make.agent("hidden-bot", sponsor=company.sofia)
    make.agent("other-bot", sponsor=company.sam)
    make.department("Finance", company.sofia)
    make.department("Sales", company.sam)
    file, _ = _kept(company, "ownership", tmp_path, departments=["Finance"])
    assert "0 others" not in _said(file)
    assert not _differences(file)
    with zipfile.ZipFile(file) as pack:
        scope = json.loads(pack.read("02_scope_and_parameters.json"))
    values = {"agent hidden-bot": {"kind": "agent"}, "agent other-bot": {"kind": "agent"}}
    assert reperformance._things_within(scope, values, {}) == [f"agent {hidden.slug}"]


def test_an_agent_that_was_hidden_or_changed_beside_the_record_is_found(tmp_path: Path) -> None:
    company = companies.found()
    hidden, changed = make.agent("hidden-bot", sponsor=company.sofia), make.agent("changed-bot", sponsor=company.sofia)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE entitlements_agent SET status = 'retired', status_reason = 'x' WHERE id = %s", [hidden.pk]
        )
        cursor.execute("UPDATE entitlements_agent SET owner_id = %s WHERE id = %s", [company.sam.pk, changed.pk])
    file, _ = _kept(company, "ownership", tmp_path)
    was = changed.owner.login if changed.owner else ""
    assert _differences(file) == [
        f"agent changed-bot: owner is sam in the pack and {was} by the audit log",
        "agent hidden-bot was in force and in scope by the audit log, and is not in the pack",
    ]


def test_clients_tokens_and_credentials_are_followed(tmp_path: Path) -> None:
    company = companies.found()
    make.client(company.bot, "kept", auth="client_secret_basic", api_scopes=["catalogue.read"])
    public, _ = make.client(company.bot, "public", auth="none")
    disabled, _ = make.client(company.bot, "disabled")
    clients.disable(disabled, by=SYSTEM, reason="Over.")
    back, _ = make.client(None, "back")
    clients.disable(back, by=company.sofia.principal, reason="Looked at.")
    clients.enable(back, by=company.ana.principal, reason="It was fine.")
    people.make_api_token(company.alice, "nightly", by=company.alice.principal)
    people.make_api_token(company.bob, "over", by=company.bob.principal)
    number = company.bob.api_tokens.get().pk
    people.revoke_api_token(company.bob, number, by=company.bob.principal, reason="Over.")
    for value in ("first-secret", "second-secret"):
        vault.set_secret(company.system, kind="bearer", value=value, by=company.sam.principal)
    withheld = vault.set_secret(make.system("other"), kind="bearer", value="third-secret", by=SYSTEM)
    vault.withhold(withheld.system, withheld.fingerprint, by=SYSTEM, reason="Looked at.")
    file, _ = _kept(company, "credential", tmp_path)
    assert "4 credentials in the pack, 4 by the audit log, 1 others" in _said(file)
    assert public.status == "active"


def test_credentials_of_some_systems_and_agents_keep_to_them(tmp_path: Path) -> None:
    company = companies.found()
    make.grant(company.bot, worlds.low(company), people=[company.alice])
    make.client(company.bot, "inside", auth="client_secret_basic")
    make.client(make.agent("elsewhere-bot", sponsor=company.sofia), "outside", auth="client_secret_basic")
    for system in (company.system, make.system("other")):
        vault.set_secret(system, kind="bearer", value=f"secret-of-{system.slug}", by=SYSTEM)
    file, _ = _kept(company, "credential", tmp_path, systems=[company.system.slug])
    assert "2 credentials in the pack, 2 by the audit log, 2 others" in _said(file)
    with zipfile.ZipFile(file) as pack:
        scope = json.loads(pack.read("02_scope_and_parameters.json"))
        _, derived, within = reperformance._sides(scope, [])
    assert sorted(name.partition(":")[0] for name in within(derived)) == ["client inside", "upstream_secret clock"]


def test_entitlements_are_followed_with_their_tools_and_limits(tmp_path: Path) -> None:
    company = companies.found()
    system = make.system("ledger", owner=company.sam)
    reads, writes = make.tool(system, "read"), make.tool(system, "write")
    first, over = (
        entitlements.make_entitlement(
            system, scope=f"ledger:{name}", name=name, tools={reads: {}, writes: {}}, by=SYSTEM
        )
        for name in ("first", "over")
    )
    entitlements.edit_entitlement(first, tools={reads: {"rows": {"max": 5}}}, by=SYSTEM)
    entitlements.edit_entitlement(over, enabled=False, by=SYSTEM)
    rule = {"actions": ["read"], "risk_at_most": "low"}
    entitlements.make_entitlement(system, scope="ledger:rule", name="rule", rule=rule, by=SYSTEM)
    file, _ = _kept(company, "entitlement_definition", tmp_path, systems=["ledger"])
    assert "2 entitlements in the pack, 2 by the audit log, 0 others" in _said(file)


def test_roles_and_tokens_are_followed(tmp_path: Path) -> None:
    company = companies.found()
    people.assign_role(company.bob, Role.ADMIN, by=SYSTEM, reason="For a day.", expires_at=clock.now() + worlds.MONTH)
    people.make_api_token(company.alice, "nightly", by=company.alice.principal)
    file, _ = _kept(company, "console_access", tmp_path)
    said = _said(file)
    assert "roles and tokens in the pack" in said
    assert "0 others" in said


def test_of_findings_what_is_in_the_pack_is_followed_and_what_has_one_since_is_a_doubt(tmp_path: Path) -> None:
    company = companies.found()
    make.grant(company.bot, worlds.low(company), people=[company.alice])
    drifted = worlds.low(company)
    Tool.objects.filter(entitlements=drifted).update(state=Tool.State.QUARANTINED)
    make.grant(make.agent("drifted-bot", sponsor=company.sofia), drifted, people=[company.alice])
    file, _ = _kept(company, "findings", tmp_path)
    assert "1 grants in the pack, 1 by the audit log, 1 others" in _said(file)
    Tool.objects.update(state=Tool.State.QUARANTINED)
    with pytest.raises(CommandError, match="does not tell") as raised:
        _said(file)
    assert raised.value.returncode == 3
