"""Whatever the edge reads can change only with a word in the change feed that names the row.

The columns are those that PostgreSQL finds in the statements themselves. The product's own actions change them, each
from the same world; a column that none of them changes is listed with the reason why it cannot take a right away.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from audit import clock
from audit.context import SYSTEM
from entitlements.agents import agents, lifecycle, personal_agents
from entitlements.agents.models import Agent
from entitlements.catalog import discovery, systems, tools
from entitlements.catalog import entitlements as entitlement_actions
from entitlements.catalog.models import Entitlement, System, Tool
from entitlements.clients import aliases, clients, rotations
from entitlements.clients.models import Client
from entitlements.connections import connections
from entitlements.connections.models import Connection
from entitlements.connectors import connectors
from entitlements.credential_policy import policy
from entitlements.credential_policy.rules import Kind
from entitlements.decisions import guardrails
from entitlements.delegation import permissions
from entitlements.feed import changes, locks
from entitlements.feed.locks import Lock
from entitlements.feed.models import SUBJECTS, Change
from entitlements.gateway.conversation import client_sessions
from entitlements.grants import batches, grants
from entitlements.grants import subjects as grant_subjects
from entitlements.grants.models import Grant
from entitlements.keys import signing
from entitlements.networks import certificates, networks
from entitlements.networks.models import SystemNetwork
from entitlements.people import people
from entitlements.people.models import Group, Person
from entitlements.secrets import vault
from entitlements.sessions import sessions
from entitlements.sessions.models import Session
from entitlements.stdio_commands import proposals
from entitlements.stdio_commands import systems as stdio_systems
from entitlements.stdio_commands.models import StdioCommand
from entitlements.token_families import families
from entitlements.token_families.models import TokenFamily
from entitlements.tokens import tokens
from entitlements.tokens.models import IssuedToken
from entitlements.trusted_issuers import trust
from entitlements.trusted_issuers.models import TrustedIssuer
from entitlements.vendors import vendors
from entitlements.workload_identity import workload_rules
from entitlements.workload_identity.models import WorkloadRule
from governance.operations import after_restore
from tests import begun, make
from tests.entitlements.connectors import pairs
from tests.entitlements.edge.worlds import key_set, new_key
from tests.entitlements.feed import edge_columns, orders, risks
from tests.entitlements.networks.certificates import Authority

pytestmark = pytest.mark.django_db(transaction=True)
"""Each action in a transaction of its own, so that it must take the lock of what it notes by itself."""


@dataclass
class World:
    """One of each that the edge reads."""

    agent: Agent
    client: Client
    namesake: Client
    system: System
    tool: Tool
    changed: Tool
    entitlement: Entitlement
    alice: Person
    bob: Person
    spare: Entitlement
    group: Group
    grant: Grant
    session: Session
    token: IssuedToken
    connection: Connection
    issuer: TrustedIssuer
    kid: str
    fingerprint: str
    rule: WorkloadRule
    vendor: System
    network: SystemNetwork
    connectors: pairs.Pair


def certificate(system: System) -> None:
    pair = Authority().for_client()
    certificates.set_certificate(system, chain=pair.certificate, key=pair.key, by=SYSTEM)


def workload_rule(client: Client, sub: str) -> WorkloadRule:
    assert client.agent is not None
    by = client.agent.sponsor.principal
    workload_rules.propose(client, issuer=PLATFORM, platform="jwt", claims={"sub": sub}, by=by)
    return WorkloadRule.objects.get(claims={"sub": sub})


def local_server() -> None:
    """Have a system started by a command in force."""
    terms = {"folder": "/opt/clock", "argv": ["/usr/bin/env"], "digest": "0" * 64}
    row = proposals.propose("clock", by=make.analyst("ann"), reason="a tool", **terms)
    proposals.KIND.confirm(row.pk, by=make.security("sam"))
    stdio_systems.register("clock", name="Clock", owner=make.person("olga"), command="clock", by=SYSTEM)


def end_command(_world: World) -> object:
    key = StdioCommand.objects.get(state="in_force").pk
    return proposals.KIND.end(key, by=Person.objects.get(login="sam"), reason="over")


def unused_script() -> None:
    script, _ = make.client(None, "script", auth="client_secret_basic")
    long_ago = clock.now() - timedelta(days=2000)
    Client.objects.filter(pk=script.pk).update(created=long_ago, idle="hidden", idle_since=long_ago)


def access_token(session: Session, system: System) -> IssuedToken:
    return IssuedToken.objects.create(
        kind="access_token",
        system=system,
        client=session.client,
        agent=session.agent,
        person=session.person,
        session=session,
        scope="time:read",
        family=make.token_family(session, system).pk,
        issued_at=session.started_at,
        expires_at=session.started_at + timedelta(minutes=5),
    )


@pytest.fixture
def world() -> World:
    """Make it: also a grant whose time is over, a script unused for years, a tool that its server changed."""
    alice, bob, now = make.person("alice"), make.person("bob"), clock.now()
    make.security("resa")
    group, agent = make.group(alice, make.person("carol")), make.agent("bot")
    client, _ = make.client(agent, "bot-client", auth="client_secret_basic")
    namesake, _ = make.client(make.agent("other"), "taken")
    for have in (unused_script, local_server, risks.have_policies):
        have()
    orders.register(alice)
    system = make.system("time", upstream_url="https://time.example/mcp")
    tool, changed = make.tool(system, "now"), make.tool(system, "convert")
    entitlement = make.entitlement(system, tool, changed)
    discovery.record_discovery(system, [*OFFERED, definition("gone", "Is gone.")], by=SYSTEM)
    discovery.record_discovery(system, OFFERED, by=SYSTEM)
    aliases.name_at(client, system, "bot-there", by=SYSTEM)
    permissions.permit(agent, actor=make.agent("delegate"), **WHY)
    secret = vault.set_secret(system, kind="bearer", value="one-secret", by=SYSTEM)
    make.grant(agent, make.entitlement(system, tool), groups=[group])
    make.grant(agent, make.entitlement(system, tool), starts_at=now - timedelta(hours=9))
    grant = make.grant(agent, entitlement, people=[alice, bob])
    with transaction.atomic():
        session, _ = begun.begin(client, alice, "0" * 64, auth_time=now, now=now)
    issuer = trust.begin("https://login.example", purpose="identity", jwks={"keys": [KEY]}, by=SYSTEM)
    trust.begin(PLATFORM, purpose="workload", jwks={"keys": [KEY]}, by=SYSTEM)
    signing.ensure("as/time")
    return World(
        agent,
        client,
        namesake,
        system,
        tool,
        Tool.objects.get(pk=changed.pk),
        entitlement,
        alice,
        bob,
        make.entitlement(system, tool),
        group,
        grant,
        session,
        access_token(session, system),
        personal_agents.connect(make.personal_client("desk"), alice),
        issuer,
        signing.active_kid("as/time"),
        secret.fingerprint,
        workload_rule(client, "job-1"),
        make.vendor("maps", owner=alice),
        networks.propose(system, prefixes=["10.0.0.0/8"], by=make.analyst(), reason="for a test"),
        pairs.pair(system),
    )


PLATFORM = "https://platform.example"
KEY = {**make.PUBLIC_KEY, "kid": "one", "alg": "ES256"}


def definition(name: str, description: str, *required: str) -> dict[str, object]:
    schema = {"type": "object", **({"required": [*required]} if required else {})}
    return {"name": name, "description": description, "inputSchema": schema}


OFFERED = [definition("now", "Does now."), definition("convert", "Else."), definition("draft", "Reads a file.")]


def approval(tool: Tool) -> tools.Approval:
    assert tool.seen is not None
    return tools.Approval(tool, tool.seen.sha256, "Does it.", "write", "high", "confidential")


WHY: dict[str, Any] = {"by": SYSTEM, "reason": "for a test"}
ACTIONS: Mapping[str, Callable[[World], object]] = {
    "everything is stopped": lambda _: guardrails.stop_everything(**WHY),
    "a backup is put back": lambda _: after_restore.after_restore(**WHY),
    "an agent is suspended": lambda w: agents.suspend(w.agent, **WHY),
    "agents are suspended": lambda _: agents.suspend_all(Agent.objects.all(), **WHY),
    "an agent is retired": lambda w: agents.retire(w.agent, **WHY),
    "another is the sponsor": lambda w: make.hand_over(w.agent, "sponsor", w.alice, **WHY),
    "another is the owner": lambda w: make.hand_over(w.agent, "owner", w.bob, **WHY),
    "a person is disabled": lambda w: people.disable(w.alice, **WHY),
    "a sponsor is disabled": lambda w: people.disable(w.agent.sponsor, **WHY),
    "a person joins a group": lambda w: people.join_group(w.group, w.bob, **WHY),
    "a person leaves a group": lambda w: people.leave_group(w.group, w.alice, **WHY),
    "an identity is linked": lambda w: people.link_identity(w.alice, w.issuer, "00u1", by=SYSTEM),
    "an issuer is trusted": lambda _: trust.begin(
        "https://b.example", purpose="id_jag", jwks={"keys": [KEY]}, by=SYSTEM
    ),
    "an issuer is trusted no more": lambda w: trust.end(w.issuer, **WHY),
    "a client is disabled": lambda w: clients.disable(w.client, **WHY),
    "a secret is changed": lambda w: clients.rotate_secret(w.client, by=w.agent.sponsor.principal, reason="leaked"),
    "a secret has an overlap": lambda w: clients.rotate_secret(
        w.client, by=w.agent.sponsor.principal, reason="yearly", keep_previous=True
    ),
    "keys are replaced": lambda w: rotations.replace_keys(
        w.namesake,
        key_set(new_key("another")),
        by=Agent.objects.get(slug="other").sponsor.principal,
        reason="yearly",
        keep_previous=True,
    ),
    "the ages of credentials are shorter": lambda _: policy.publish(
        dict.fromkeys(Kind, 30), overlap_hours=1, stops_upstream_secrets=True, proposed_by="person:a", **WHY
    ),
    "a client has another name": lambda w: aliases.name_at(w.client, w.system, "bot-now", by=SYSTEM),
    "a client takes the name of another": lambda w: aliases.name_at(w.client, w.system, "taken", by=SYSTEM),
    "a client has a name elsewhere": lambda w: aliases.name_at(w.namesake, w.system, "other-there", by=SYSTEM),
    "unused clients are closed": lambda _: lifecycle.advance_idle_clients(),
    "a system is disabled": lambda w: systems.disable_system(w.system, **WHY),
    "a system is renamed": lambda w: systems.edit_system(w.system, name="Hours", **WHY),
    "a system's tokens are signed otherwise": lambda w: systems.edit_system(w.system, signing_algorithm="EdDSA", **WHY),
    "a system denies otherwise": lambda w: systems.edit_system(w.system, denial_shape="json_rpc_error", **WHY),
    "tokens are shorter": lambda w: systems.edit_system(w.system, token_seconds=60, **WHY),
    "a system moves": lambda w: systems.edit_system(w.system, upstream_url="https://b.example/mcp", **WHY),
    "a credential is changed": lambda w: vault.set_secret(
        w.system, kind="header", header="X-Key", value="another-one", by=SYSTEM, keep_previous=True
    ),
    "a credential is withheld": lambda w: vault.withhold(w.system, w.fingerprint, **WHY),
    "a command of local servers is ended": end_command,
    "a document has an operation that is refused": orders.refuse,
    "a network is confirmed": lambda w: networks.KIND.confirm(w.network.pk, by=Person.objects.get(login="resa")),
    "a connector is enrolled": lambda w: pairs.enrol(w.connectors[1]),
    "a connector is revoked": lambda w: connectors.revoke(w.connectors[0].pk, **WHY),
    "a client certificate is stored": lambda w: certificate(w.system),
    "a vendor moves": lambda w: vendors.edit(
        w.vendor, issuer="https://b.example", resources=["https://b.example/mcp"], **WHY
    ),
    "a vendor joins otherwise": lambda w: vendors.edit(w.vendor, joins="company_provider", **WHY),
    "a vendor is switched off": lambda w: vendors.edit(w.vendor, issues=False, **WHY),
    "a vendor gets more": lambda w: vendors.edit(
        w.vendor, subjects="email", extra_claims=["aud_sub"], scope_names="bare", **WHY
    ),
    "a tool is quarantined": lambda w: tools.quarantine(w.tool, **WHY),
    "a tool is approved": lambda w: tools.approve_tool(approval(w.changed), **WHY),
    "a tool is gone": lambda w: discovery.record_discovery(w.system, OFFERED[1:], by=SYSTEM),
    "a tool is another": lambda w: discovery.record_discovery(
        w.system, [definition("now", "Does now.", "zone"), *OFFERED[1:]], by=SYSTEM
    ),
    "a tool is back": lambda w: discovery.record_discovery(
        w.system, [*OFFERED, definition("gone", "Is gone.")], by=SYSTEM
    ),
    "a draft is another": lambda w: discovery.record_discovery(
        w.system, [*OFFERED[:2], definition("draft", "Deletes all files for good.")], by=SYSTEM
    ),
    "an entitlement is off": lambda w: entitlement_actions.edit_entitlement(w.entitlement, enabled=False, by=SYSTEM),
    "an entitlement is wider": lambda w: entitlement_actions.edit_entitlement(
        w.entitlement, tools={w.tool: {}, w.changed: {}, make.tool(w.system): {}}, by=SYSTEM
    ),
    "an entitlement is narrower": lambda w: [
        grants.revoke(w.grant.pk, **WHY),
        entitlement_actions.edit_entitlement(w.entitlement, tools={w.tool: {"zone": {"one_of": ["UTC"]}}}, by=SYSTEM),
    ],
    "a grant is issued": lambda w: make.grant(w.agent, w.spare, groups=[w.group]),
    "a grant is revoked": lambda w: grants.revoke(w.grant.pk, **WHY),
    "grants are suspended": lambda w: batches.suspend_all([w.grant.pk], **WHY),
    "a grant ends by itself": lambda _: batches.expire_due(),
    "a grant gives less": lambda w: grants.reduce(
        w.grant.pk, {"now": {"zone": {"one_of": ["UTC"]}}}, expires_at=clock.now() + timedelta(hours=1), **WHY
    ),
    "a grant serves one person less": lambda w: grant_subjects.remove_person(w.grant.pk, w.alice, **WHY),
    "a session is ended": lambda w: sessions.end(w.session.pk, **WHY),
    **risks.ACTIONS,
    "a connection is ended": lambda w: connections.end(w.connection.pk, **WHY),
    "a delegation is permitted": lambda w: permissions.permit(w.agent, actor=Agent.objects.get(slug="other"), **WHY),
    "a delegation is withdrawn": lambda w: permissions.withdraw(w.agent.delegation_permissions.get(), **WHY),
    "a token family is revoked": lambda _: families.revoke(TokenFamily.objects.get().pk, **WHY),
    "a token is revoked": lambda w: tokens.revoke(w.token.pk, **WHY),
    "a workload rule is made": lambda w: workload_rule(w.client, "job-2"),
    "a workload rule is ended": lambda w: workload_rules.end(w.rule.pk, **WHY),
    "a key is replaced": lambda _: signing.rotate("as/time", by=SYSTEM, now=True),
    "a key is withdrawn": lambda w: signing.withdraw(w.kid, **WHY),
}


def delete_client_session(_: World) -> None:
    session = uuid.uuid4()
    with connection.cursor() as cursor:
        cursor.execute(client_sessions.END, client_sessions.ending(session, 1.0))
    assert locks.not_held([(Lock.CLIENT_SESSION, session)]) == []


ON_NODES: Mapping[str, Callable[[World], object]] = {"a client deletes its session": delete_client_session}
"""What a node writes by a statement of its own, which notes and locks by itself."""


def look(world: World, actions: Mapping[str, Callable[[World], object]] = ACTIONS) -> tuple[set[str], set[str]]:
    """Take each action from the same world; returns the columns that changed, and each silence."""
    read = edge_columns.edge_columns()
    before, moved, silent = edge_columns.rows(read), set[str](), set[str]()
    for name, act in actions.items():
        with transaction.atomic():
            known = set(Change.objects.values_list("pk", flat=True))
            act(world)
            after = edge_columns.rows(read)
            noted = Change.objects.exclude(pk__in=known).values(*SUBJECTS, "concerns_all")
            named = {(column, str(value).lower()) for row in noted for column, value in row.items() if value}
            transaction.set_rollback(True)
        for table, key in before.keys() | after.keys():
            was, now = before.get((table, key)), after.get((table, key))
            if was == now or (was is None and table in edge_columns.ADDS):
                continue
            (row, subjects) = was or now or ({}, {})
            other = now[0] if was and now else {}
            changed = {column for column in row if row[column] != other.get(column) or not other}
            moved |= {f"{table.removeprefix('entitlements_')}.{column}" for column in changed}
            heard = {("concerns_all", "true"), *((column, str(value).lower()) for column, value in subjects.items())}
            if not named & heard:
                silent.add(f"{name}: {table} {sorted(changed)}")
    return moved, silent


def test_nothing_that_the_edge_reads_changes_in_silence(world: World) -> None:
    moved, silent = look(world, {**ACTIONS, **ON_NODES})

    read = {
        f"{table.removeprefix('entitlements_')}.{column}"
        for table, columns in edge_columns.edge_columns().items()
        for column in columns
        if column != edge_columns.keys()[table]
    }
    assert not silent, "\n".join(sorted(silent))
    assert read - moved - edge_columns.STAYS.keys() == set(), "no action changes these, and nothing says why they stay"
    assert edge_columns.STAYS.keys() - read == set(), "the edge reads these no more"
    assert edge_columns.STAYS.keys() & moved == set(), "an action changes these, so they do not stay"


def test_without_its_note_each_action_is_found_silent(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "note", lambda *_, **__: 0)
    monkeypatch.setattr(changes, "note_many", lambda *_, **__: None)

    _, silent = look(world)

    assert {found.partition(":")[0] for found in silent} == ACTIONS.keys()


def test_without_its_lock_each_action_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "exclusive", lambda *_: None)
    monkeypatch.setattr(locks, "try_exclusive", list)
    refused = set[str]()
    for name, act in ACTIONS.items():
        with transaction.atomic():
            try:
                act(world)
            except changes.NotLocked:
                refused.add(name)
            transaction.set_rollback(True)

    assert refused == ACTIONS.keys()


def test_a_client_whose_own_name_means_another_at_a_system_is_named_too(world: World) -> None:
    aliases.name_at(world.client, world.system, "taken", by=SYSTEM)

    last = Change.objects.order_by("-pk").values_list("client_id", flat=True)[:2]
    assert set(last) == {world.client.pk, world.namesake.pk}
