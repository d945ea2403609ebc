"""Typed builders: each makes one thing, through the product's verbs where it can, and fills in what you do not name."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from audit import clock
from audit.context import SYSTEM, Principal
from entitlements.agents import agents
from entitlements.agents.models import Agent
from entitlements.catalog import class_proposals, tools
from entitlements.catalog.models import Entitlement, EntitlementTool, System, Tool, ToolVersion
from entitlements.clients import clients
from entitlements.clients.models import Client, ClientCredential
from entitlements.connected_accounts import rules, tokens
from entitlements.connected_accounts.models import AccountConsent, ConnectedAccount
from entitlements.definitions import classes, definitions, primitives, tool_class
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.people import people
from entitlements.people.models import Group, Person, Role
from entitlements.people_sources.models import PeopleSource, SourcedPerson
from entitlements.proposals import proposals
from entitlements.proposals.models import Proposal
from entitlements.sessions.models import Session
from entitlements.token_families.models import TokenFamily
from entitlements.vendors import vendors
from governance.eligibility import eligibility
from governance.ownership import ownership
from governance.requests import requests
from governance.requests.models import AccessRequest

PUBLIC_KEY = {
    "kty": "EC",
    "crv": "P-256",
    "x": "bFObJ2-Ltdvfvhsbxy9QXIG6QgcrKZB-jzjPWrhwgcw",
    "y": "3LRGq_h01MxI1MbfBe94yKlmKM1hqww34JFX8KYZ0I4",
}
"""A key whose private half is kept nowhere."""

_numbers = itertools.count(1)


def _slug(prefix: str) -> str:
    return f"{prefix}-{next(_numbers)}"


def person(
    login: str = "", *, roles: Sequence[str] = (), manager: Person | None = None, password: str | None = None
) -> Person:
    """Make a person, by default one without any role."""
    login = login or _slug("person")
    made = people.register(
        login, name=login.title(), email=f"{login}@example.org", manager=manager, password=password, by=SYSTEM
    )
    for role in roles:
        people.assign_role(made, role, by=SYSTEM, reason="made for a test")
    return made


def department(name: str, *members: Person) -> None:
    """Let a people source name the department of people."""
    now = clock.now()
    source, _made = PeopleSource.objects.get_or_create(
        slug="hr", defaults={"name": "HR", "digest": "0" * 64, "created_at": now}
    )
    said = {"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": name}}
    for each in members:
        SourcedPerson.objects.create(
            source=source, person=each, user_name=each.login, said=said, created_at=now, changed_at=now
        )


def analyst(login: str = "") -> Person:
    """Make an analyst."""
    return person(login or _slug("analyst"), roles=[Role.ANALYST])


def security(login: str = "") -> Person:
    """Make a security approver."""
    return person(login or _slug("security"), roles=[Role.SECURITY])


def group(*members: Person, slug: str = "") -> Group:
    """Make a group of these people."""
    slug = slug or _slug("group")
    return people.make_group(slug, name=slug, people=list(members), by=SYSTEM)


def agent(
    slug: str = "", *, kind: str = Agent.Kind.SHARED, sponsor: Person | None = None, owner: Person | None = None
) -> Agent:
    """Make an active agent, by default a shared one."""
    slug = slug or _slug("agent")
    return agents.register(
        slug,
        name=slug,
        kind=kind,
        sponsor=sponsor or person(_slug("sponsor")),
        owner=owner or person(_slug("owner")),
        purpose="Helps with tests.",
        ends_at=clock.now() + timedelta(hours=8) if kind == Agent.Kind.EPHEMERAL else None,
        by=SYSTEM,
    )


def system(slug: str = "", *, owner: Person | None = None, upstream_url: str = "", **fields: object) -> System:
    """Make an MCP server behind the gateway; rows alone, since registering through the verb reaches out."""
    slug = slug or _slug("system")
    return System.objects.create(
        slug=slug,
        name=slug,
        kind=str(fields.pop("kind", System.Kind.MCP_GATEWAY)),
        owner=owner or person(_slug("system-owner")),
        upstream_url=upstream_url or f"http://localhost:1/{slug}",
        **fields,
    )


def vendor(slug: str = "", *, owner: Person | None = None, **fields: Any) -> System:  # noqa: ANN401 - any of the terms
    """Register a vendor with an authorization server and one resource of its own."""
    slug = slug or _slug("vendor")
    where = {"issuer": f"https://{slug}.example", "resources": [f"https://{slug}.example/mcp"]}
    owner = owner or person(_slug("system-owner"))
    return vendors.register(slug, name=slug, owner=owner, by=SYSTEM, **{**where, **fields})


def tool(of: System, name: str = "", *, definition: Mapping[str, Any] | None = None, **fields: object) -> Tool:
    """Make an approved tool of low risk with a pinned definition."""
    name = name or _slug("tool").replace("-", "_")
    raw = dict(definition or {"name": name, "description": f"Does {name}.", "inputSchema": {"type": "object"}})
    made = Tool.objects.create(
        system=of,
        name=name,
        primitive=primitives.of_name(name),
        sentence=f"Does {name}.",
        action="read",
        risk=str(fields.pop("risk", "low")),
    )
    version = ToolVersion.objects.create(
        tool=made, definition=raw, sha256=definitions.digest(raw), seen_at=clock.now(), approved_at=clock.now()
    )
    made.approved = made.seen = version
    made.state = Tool.State.APPROVED
    for field, value in fields.items():
        setattr(made, field, value)
    made.save()
    return made


def approve(found: Tool, *, by: Person | None = None, sentence: str = "Does it.", **fields: Any) -> Tool:  # noqa: ANN401 - of the class
    """Approve a tool as it is offered now: with the class it has, but for these fields; a second person confirms."""
    found = Tool.objects.select_related("seen", "system").get(pk=found.pk)
    assert found.seen is not None
    values = {name: fields.get(name, getattr(found, name)) for name in tool_class.FIELDS}
    flows = {flow: values.pop(flow) for flow in classes.FLOWS}
    asked = tools.Approval(found, found.seen.sha256, sentence, flows=flows, **values)
    tools.approve_tool(asked, by=(by or analyst()).principal, reason="read")
    for row in Proposal.objects.filter(state="proposed", subject=class_proposals.subject(found)):
        proposals.confirm(row.pk, by=security())
    return Tool.objects.select_related("system", "approved", "seen").get(pk=found.pk)


def lower_class(of: Tool, *, by: Person, **fields: Any) -> Proposal:  # noqa: ANN401 - of the class
    """Propose a lower class of a tool, by default a low risk level; nobody confirms it."""
    was = tool_class.of(of).as_json()
    assert of.approved is not None
    terms = {"sha256": of.approved.sha256, "from": was, "to": was | (fields or {"risk": "low"})}
    subject = class_proposals.subject(of)
    return proposals.propose(class_proposals.KIND, subject, terms, by=by.principal, reason="a sample")


def entitlement(
    of: System, *tools: Tool, scope: str = "", limits: Mapping[str, Mapping[str, Any]] | None = None
) -> Entitlement:
    """Make an entitlement of these tools (by default one new tool), with limits by tool name."""
    scope = scope or f"{of.slug}:{_slug('use')}"
    made = Entitlement.objects.create(system=of, scope=scope, name=scope)
    for each in tools or (tool(of),):
        EntitlementTool.objects.create(entitlement=made, tool=each, limits=dict((limits or {}).get(each.name, {})))
    return made


def grant(
    holder: Agent | None = None,
    of: Entitlement | None = None,
    *,
    people: Sequence[Person] = (),
    groups: Sequence[Group] = (),
    limits: Mapping[str, Mapping[str, Any]] | None = None,
    lasts: timedelta = timedelta(hours=8),
    starts_at: datetime | None = None,
) -> Grant:
    """Give an agent an entitlement with all its tools; for nobody unless people or groups are named."""
    of = of or entitlement(system())
    starts = starts_at or clock.now() - timedelta(seconds=1)
    lines = {
        line.tool: dict((limits or {}).get(line.tool.name, line.limits)) for line in of.lines.select_related("tool")
    }
    terms = grants.Terms(lines, starts, starts + lasts, tuple(people), tuple(groups))
    return grants.issue(holder or agent(), of, terms, by=SYSTEM, reason="made for a test")


def hand_over(agent: Agent, office: str, person: Person, *, by: Principal, reason: str) -> Agent:
    """Let a person be asked to take an office for an agent, and take it."""
    ownership.accept(ownership.propose(agent, office, person, by=by, reason=reason).pk, by=person)
    agent.refresh_from_db()
    return agent


def client(
    of: Agent | None,
    client_id: str = "",
    *,
    auth: str = Client.Auth.PRIVATE_KEY_JWT,
    jwks: Mapping[str, Any] | None = None,
    api_scopes: Sequence[str] = (),
) -> tuple[Client, str]:
    """Register a client, of an agent as its sponsor does; returns it and its secret (empty without one)."""
    if auth == Client.Auth.PRIVATE_KEY_JWT:
        jwks = jwks or {"keys": [PUBLIC_KEY]}
    client_id = client_id or _slug("client")
    by = of.sponsor.principal if of else SYSTEM
    made = clients.register(client_id, agent=of, auth=auth, jwks=jwks, api_scopes=api_scopes, by=by)
    assert made.client is not None
    return made.client, made.secret or ""


def personal_client(
    client_id: str = "",
    *,
    auth: str = Client.Auth.NONE,
    name: str = "",
    jwks: Mapping[str, Any] | None = None,
    redirect_uris: Sequence[str] = (),
) -> Client:
    """Register a client whose people each have an agent of their own."""
    made = clients.register(
        client_id or _slug("client"),
        agent=None,
        auth=auth,
        name=name,
        jwks=jwks,
        redirect_uris=redirect_uris,
        serves=Client.Serves.PERSONAL_AGENTS,
        by=SYSTEM,
    )
    assert made.client is not None
    return made.client


def token_family(of: Session, system: System) -> TokenFamily:
    """Make what a sign-in at the session's client left, when the session began."""
    assert of.person is not None
    return TokenFamily.objects.create(
        client=of.client,
        agent=of.agent,
        person=of.person,
        system=system,
        session=of,
        resource=f"https://{system.slug}.example/mcp",
        code_sha256=uuid.uuid4().hex * 2,
        sign_in_sha256=of.sign_in_sha256,
        auth_time=of.started_at,
        started_at=of.started_at,
        last_used_at=of.started_at,
        expires_at=of.started_at + timedelta(hours=12),
    )


def connected_account(of: Person, system: System, *clients_: Client) -> ConnectedAccount:
    """Make the account of a person at a system, as connected a moment ago; its tokens are known to no server."""
    pk, now = uuid.uuid4(), clock.now()
    server = rules.Endpoints("https://login.example", "https://login.example/authorize", "https://login.example/token")
    held = tokens.AccountTokens(
        uuid.uuid4().hex, uuid.uuid4().hex, now.timestamp(), None, server, "mandate", rules.host_of(system.upstream_url)
    )
    account = ConnectedAccount.objects.create(
        id=pk,
        system=system,
        person=of,
        issuer=server.issuer,
        upstream_client=held.client_id,
        scope="read write",
        sealed=tokens.sealed(held, pk),
        connected_at=now,
    )
    for each in clients_:
        assert each.agent is not None
        AccountConsent.objects.create(account=account, client=each, agent=each.agent, given_at=now)
    return account


def rewrite(of: Client, **fields: Any) -> Client:  # noqa: ANN401 - columns of a client
    """Write columns of an agent's client as if its sponsor had asked for a client with them."""
    assert of.agent is not None
    for name, value in fields.items():
        setattr(of, name, value)
    now, sponsor = clock.now(), of.agent.sponsor
    ClientCredential.objects.create(
        **{name: getattr(of, name) for name in ("agent", "client_id", "auth", "jwks", "secret_sha256")},
        **{name: getattr(of, name) for name in ("redirect_uris", "api_scopes")},
        purpose="client",
        state="accepted",
        asked_by=str(sponsor.principal),
        asked_at=now,
        answer_by=now,
        acceptor=sponsor,
        answered_by=str(sponsor.principal),
        answered_at=now,
    )
    of.save(update_fields=list(fields))
    return of


def request(
    of: Entitlement,
    holder: Agent,
    *,
    by: Person | Agent,
    people: Sequence[Person] = (),
    groups: Sequence[Group] = (),
    tools: Sequence[str] | None = None,
    limits: Mapping[str, Mapping[str, Any]] | None = None,
    lasts: timedelta = timedelta(hours=8),
) -> AccessRequest:
    """Ask for an entitlement through the verb, by default with all its tools."""
    ask = eligibility.RequestTerms(
        lasts=lasts,
        reason="needed for a test",
        people=tuple(people),
        groups=tuple(groups),
        tools=None if tools is None else frozenset(tools),
        limits=limits or {},
    )
    return requests.submit(holder, of, ask, by=by)
