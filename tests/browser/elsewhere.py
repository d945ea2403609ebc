"""What stands beside the company, for pictures: access that exists elsewhere, a sample of an auditor, a template."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID, uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.jwk import ECKey

from audit import clock
from audit.context import SYSTEM
from entitlements.agent_discovery import problems, runs, sources
from entitlements.agent_discovery.pull import Listed, Pull
from entitlements.agent_discovery.shapes import FoundRow
from entitlements.agents.models import Agent
from entitlements.catalog.models import Entitlement, System
from entitlements.client_documents import documents, hosts
from entitlements.clients import clients
from entitlements.clients.models import Client
from entitlements.connected_accounts import accounts
from entitlements.connectors import connectors, proof
from entitlements.connectors.models import Connector
from entitlements.credential_policy.rules import Kind
from entitlements.feed.models import GatewayNode
from entitlements.foreign_tokens import ends as foreign_ends
from entitlements.foreign_tokens.models import ForeignToken, MeasuredEnds
from entitlements.foreign_tokens.rules import End, Finding, Means, Unknown, VendorAnswer
from entitlements.networks import networks
from entitlements.people.models import Person
from entitlements.rest_apis import rest_apis
from entitlements.rest_apis import sources as api_documents
from entitlements.revocation.models import Revocation
from entitlements.secrets import vault
from entitlements.stdio.models import StdioNode
from entitlements.stdio.sandbox.plan import Level
from entitlements.stdio_commands import proposals as commands
from entitlements.unmanaged_agents.models import Workflow
from entitlements.vendors import vendors
from entitlements.vendors.models import Vendor
from governance.credential_policy import policy_proposals
from governance.guardrails import proposals as guardrail_proposals
from governance.guardrails.models import ObservedCalls
from governance.onboarding import batches, sponsorship
from governance.onboarding.models import OnboardingBatch
from governance.reviews.discussion import comments
from governance.reviews.discussion import questions as questions_actions
from governance.reviews.evidence.models import AuditSample
from governance.reviews.items.models import ReviewItem
from governance.reviews.reviewers import assignment
from governance.reviews.spot_checks import spot_checks as spot_checks_actions
from governance.reviews.templates import templates
from governance.reviews.templates.templates import Recurrence
from governance.what_if.models import WhatIf
from tests import make
from tests.governance.reviews import worlds

_HEAD: Final = "agent,client_id,owner,system,tools,person,last_used\n"
_DONE: Final = f"{_HEAD}Desk helper,desk-1,sofia,crm,find_customer,bob,2026-11-20T10:00:00Z\n"
_WAITS: Final = f"""{_HEAD}Old chat client,chat-7,,erp,*,bob,
Old chat client,chat-7,,erp,no_such_tool,bob,
Old chat client,chat-7,,erp,list_invoices,bob,
Shadow helper,,,crm,find_customer,nobody@x,
"""


def credentials() -> list[UUID]:
    """Let ana ask for a client with keys and a new secret for an agent of sofia's, and return both as they wait."""
    agent = Agent.objects.filter(sponsor__login="sofia", status="active").order_by("slug")[0]
    by = Person.objects.get(login="ana").principal
    key = ECKey.generate_key("P-256", parameters={"kid": "desk-2026"}, private=True).as_dict(private=False)
    keys = clients.register("desk", agent=agent, auth="private_key_jwt", jwks={"keys": [key]}, by=by).waiting
    desk = clients.register("desk-2", agent=agent, auth="client_secret_basic", by=agent.sponsor.principal).client
    assert keys is not None
    assert desk is not None
    secret = clients.rotate_secret(desk, by=by, reason="It was in a log.").waiting
    assert secret is not None
    return [keys.pk, secret.pk]


def credential_policy() -> str:
    """Let resa propose that credentials become less old, with two days for a rotation; returns the page."""
    ages, resa = {kind.value: 90 for kind in Kind}, Person.objects.get(login="resa")
    policy_proposals.propose(ages, overlap_hours=48, stops_upstream_secrets=True, by=resa, reason="One was leaked.")
    return "/settings/credential-policy/"


def guardrails() -> list[str]:
    """Have one guardrail enforced, one observing with what it found, and one proposed with its replay."""
    resa, rob = (Person.objects.get(login=login) for login in ("resa", "rob"))
    when = {"action": ["delete"], "risk": "high", "time": {"days": ["sat", "sun"], "zone": "Europe/Paris"}}
    shut = guardrail_proposals.propose("No deletes at the weekend", effect="forbid", mode="enforce", when=when, by=resa)
    guardrail_proposals.KIND.confirm(shut.pk, by=rob, reason="Nobody watches then.")
    paying = {"argument": {"amount": {"min": 1000}}, "agent_kind": "shared"}
    seen = guardrail_proposals.propose("Large amounts", effect="hold", mode="observe", when=paying, by=resa)
    version = guardrail_proposals.KIND.confirm(seen.pk, by=rob).version or 0
    day = clock.now().date()
    ObservedCalls.objects.bulk_create(
        ObservedCalls(version=version, day=day - timedelta(days=n % 9), agent=f"agent-{n:03}", tool=f"erp/pay_{n % 7}",
                      person=f"person-{n % 40}", calls=1 + n * 7 % 50)
        for n in range(120)
    )  # fmt: skip
    asked = guardrail_proposals.propose("Large amounts", effect="hold", mode="enforce", when=paying, by=resa)
    guardrail_proposals.ask_replay(asked.pk, days=14, by=resa)
    by = [
        {"agent": f"agent-{n:03}", "tool": f"erp/pay_{n % 7}", "code": "guardrail", "calls": 120 - n}
        for n in range(120)
    ]
    people = [{"person": f"person-{n:03}", "calls": 50 - n % 40} for n in range(60)]
    numbers = {"calls": 48210, "denied": 1312, "denied_anyway": 12, "unknown": 204, "unseen": ["crm"], "by": by}
    named = {"agents": 120, "tools": 7, "people": 60}
    WhatIf.objects.filter(change__name="Large amounts").update(
        finished_at=clock.now(), read_days=14, result={**numbers, "people": people, "named": named}
    )
    return [f"/guardrails/{row.pk}/" for row in (shut, seen, asked)]


def client_document() -> int:
    """Let a client of another host wait that describes itself, and a host be proposed; returns the document."""
    ana, agent = Person.objects.get(login="ana"), Agent.objects.filter(kind="shared", status="active")[0]
    hosts.propose("clients.example", agent=agent, by=ana, reason="The company uses it.")
    client_id = "https://desk.example/oauth/client.json"
    told = {"client_id": client_id, "client_name": "Desk client", "redirect_uris": ["http://127.0.0.1/back"]}
    document = documents.store(client_id, told, by=ana, reason="No internet here.")
    document.state, document.asked_at, document.tried_by = "waiting", clock.now(), [ana.pk]
    document.save()
    return document.pk


def access() -> tuple[OnboardingBatch, list[Workflow]]:
    """Bring two files; returns the one that waits for its sponsor, and the map."""
    ana, sofia = Person.objects.get(login="ana"), Person.objects.get(login="sofia")
    done = batches.prepare(_DONE.encode(), file_name="gateway.csv", by=ana)
    sponsorship.ask(done, sponsor=sofia, sponsors={}, by=ana, reason="Day 30.")
    sponsorship.answer(done, accept=True, by=sofia)
    batches.confirm(done, by=ana, reason="Accepted by sofia.")
    waits = batches.prepare(_WAITS.encode(), file_name="desks.csv", by=ana)
    sponsorship.ask(waits, sponsor=sofia, sponsors={}, by=ana, reason="Day 30.")
    return waits, list(Workflow.objects.order_by("state", "pk"))


def audited(password: str) -> AuditSample:
    """Close a small review, share it with an auditor, olga, who draws a sample and asks."""
    ana, sofia, bob = (Person.objects.get(login=login) for login in ("ana", "sofia", "bob"))
    sample = worlds.audited(System.objects.get(slug="crm"), sponsor=sofia, person=bob, by=ana)
    olga = Person.objects.get(login="olga")
    olga.set_password(password)
    olga.save()
    return sample


def questions() -> list[str]:
    """Let a reviewer ask sofia about an agent twice, who answers once; returns the pages, and that of the item last."""
    ana, sofia = Person.objects.get(login="ana"), Person.objects.get(login="sofia")
    hers = ReviewItem.objects.filter(campaign__slug="q4", assignments__reviewer=sofia, assignments__state="assigned")
    item = hers.filter(agent__sponsor=sofia).order_by("-number")[0]
    reviewer = assignment.successors(item.pk, by=sofia)[0]
    assignment.reassign(item.pk, reviewer, by=ana, reason="She knows it, and does not decide it.")
    said = ("Which desk needs all of it?", "Since when?")
    asked = [questions_actions.ask(item.pk, to=sofia, by=reviewer, text=text) for text in said]
    questions_actions.answer(asked[1].pk, by=sofia, text="Since the sales desk has it.")
    comments.comment(item.pk, by=ana, text="Asked once before, in spring.")
    return [f"/review-questions/{each.pk}/" for each in asked] + [f"/reviews/q4/items/{item.pk}/"]


def spot_checks() -> list[str]:
    """Close a review of two agents whose answers sofia checks; returns the pages of the one she answered and not."""
    ana, otto, sofia = (Person.objects.get(login=login) for login in ("ana", "otto", "sofia"))
    worlds.spot_checked(make.system("front-desk", owner=sofia), sponsor=otto, by=ana, agents=2)
    first, second = spot_checks_actions.waiting_for(sofia)
    spot_checks_actions.answer(
        first.pk, by=sofia, verb="revoke", reason_code="unused", comment="Nobody comes there now."
    )
    return [f"/spot-checks/{each.pk}/" for each in (first, second)]


def template() -> str:
    """Keep the criteria of a review of every quarter; return their short name."""
    criteria, ana = {"systems": [System.objects.order_by("pk")[0].slug]}, Person.objects.get(login="ana")
    recurrence = Recurrence("quarterly", clock.now().date() + timedelta(days=30), 20, spot_share=10)
    return templates.save("quarterly", name="Every quarter", scope=criteria, recurrence=recurrence, by=ana).slug


def vendor() -> str:
    """Register a vendor whose trust was tested, with a client's name there and a step that failed; return its name."""
    analyst, client = Person.objects.get(login="ana").principal, Client.objects.get(client_id="expense-bot")
    made = make.vendor("maps", client_ids={client.client_id: "agent-4711"}, extra_claims=["email"])
    vendors.set_test_client(made, client_id="probe", value="a-secret-of-the-probe", by=analyst)
    outcomes = {"done": "The server's metadata was found.", "failed": "The vendor gave no token. It answered 401."}
    steps = [{"name": name, "outcome": name, "sentence": sentence} for name, sentence in outcomes.items()]
    steps.append({"name": "lifetime", "outcome": "untried", "sentence": "No lifetime was measured."})
    Vendor.objects.filter(system=made).update(trust_test=steps, tested_at=clock.now())
    return made.slug


def discovery_sources() -> list[str]:
    """Connect an Okta of which one list was not read, and a Fleet whose run waits; returns their short names."""
    secret, by = "00-no-server-knows-it", SYSTEM
    okta = sources.connect_okta(
        slug="okta-agents", name="Okta", address="https://example.okta.com", credential=secret, by=by
    )
    fleet = sources.connect_fleet(
        slug="fleet", name="Fleet", address="https://fleet.example.com", report=31, credential=secret, by=by
    )
    begun, pull = runs._begin(runs.ask(okta, by=by).pk), Pull(okta.address, lambda _pages, _rows: None, pages=2, rows=6)
    found = [FoundRow("wlp1", "Support \u202eagent", "wlp1"), FoundRow("wlp2", "Invoice agent", "wlp2")]
    limited = Listed("applications", problem=problems.RateLimited())
    assert begun is not None
    runs._finish(begun, pull, [Listed("agents", found, skipped=4), limited])
    runs.ask(fleet, by=by)
    return [okta.slug, fleet.slug]


def connected_accounts() -> list[str]:
    """Let people have accounts at two systems, ana one at each, of which one is broken; returns her pages."""
    crm, erp = System.objects.get(slug="crm"), System.objects.get(slug="erp")
    client, ana = Client.objects.get(client_id="expense-bot"), Person.objects.get(login="ana")
    assert client.agent is not None
    for login in ("ana", "bob", "sofia"):
        make.connected_account(Person.objects.get(login=login), crm, client)
    accounts.end(
        make.connected_account(Person.objects.get(login="otto"), crm, client).pk, by=SYSTEM, reason="No longer needed."
    )
    make.connected_account(ana, erp, client)
    make.grant(client.agent, Entitlement.objects.filter(system=crm).order_by("pk")[0], people=[ana])
    named = {f"{name}_url": f"https://login.example/{name}" for name in ("authorization", "token", "revocation")}
    vault.set_secret(
        crm,
        kind="oauth_user",
        value="a-secret-of-the-client",
        settings={"client_id": "mandate", "issuer": "https://login.example", "scope": "read write", **named},
        by=SYSTEM,
    )
    return [f"/connected-accounts/{each.slug}/" for each in (crm, erp)]


def measured_ends(revoked: Revocation) -> list[str]:
    """Let a receipt wait for tokens of other servers, each with another end; returns its page."""
    waits = MeasuredEnds.objects.create(revocation=revoked)
    client, otto, now = Client.objects.get(client_id="expense-bot"), Person.objects.get(login="otto"), clock.now()
    found = [
        (VendorAnswer.REVOKED, Finding(End.DEAD, (Means.CALL, Means.INTROSPECTION, Means.REFRESH))),
        (VendorAnswer.REVOKED, Finding(End.ALIVE, (Means.CALL,))),
        (VendorAnswer.NO_ANSWER, None),
        (VendorAnswer.NOT_OFFERED, Finding(End.UNKNOWN, why=Unknown.NO_WAY)),
    ]
    for number, (answer, finding) in enumerate(found):
        system = System.objects.get(slug=("crm", "erp")[number % 2])
        account = make.connected_account(otto, system, client)
        accounts.end(account.pk, by=SYSTEM, reason="The person left.")
        token = foreign_ends.of_account(account)
        waits.tokens.add(token)
        foreign_ends.note(token, answer=answer, alive_at=now)
        if finding is not None:
            foreign_ends.measure(token.pk, finding, now)
    minted = ForeignToken.objects.create(system=System.objects.get(slug="erp"), named_at=now)
    waits.tokens.add(minted)
    foreign_ends.measure(minted.pk, Finding(End.UNKNOWN, why=Unknown.NOT_HELD), now)
    return [f"/stop/receipts/{revoked.pk}/?prove"]


def rest_api() -> str:
    """Register a REST API: an operation that is a tool, one that is refused, one without an id; return its name."""
    cookie = [{"name": "s", "in": "cookie", "schema": {"type": "string"}}]
    answers = {"responses": {"200": {"description": "What was asked for"}}}
    paths = {
        "/orders": {"get": {"operationId": "list_orders", "summary": "List orders.", **answers}, "post": answers},
        "/mine": {"get": {"operationId": "mine", "parameters": cookie, **answers}},
    }
    server, info = [{"url": "https://orders.example.com/api"}], {"title": "Orders", "version": "7"}
    document = {"openapi": "3.1.0", "info": info, "servers": server, "paths": paths}
    source, owner = api_documents.of(document), Person.objects.get(login="sam")
    return rest_apis.register("orders", name="Orders", owner=owner, source=source, by=SYSTEM).slug


def local_servers() -> str:
    """Have one command of local servers in force and another proposed; return the address of their page."""
    ana, terms = Person.objects.get(login="ana"), {"argv": ["/usr/bin/env"], "digest": "0" * 64}
    agreed = commands.propose("clock", by=ana, reason="The team's clock.", folder="/opt/clock", **terms)
    commands.KIND.confirm(agreed.pk, by=Person.objects.get(login="resa"))
    commands.propose("files", by=ana, reason="Reads the team's files.", folder="/opt/files", **terms)
    now = clock.now()
    for node, level in (("gateway-1", Level.BUBBLEWRAP), ("gateway-2", Level.FLOOR)):
        GatewayNode.objects.update_or_create(id=node, defaults={"started_at": now, "polled_at": now})
        StdioNode.objects.create(node=node, run=uuid4(), address="http://127.0.0.1:1", level=level, said_at=now)
    return "/settings/local-servers/"


def network(slug: str) -> str:
    """Have a private network of a system in force, another one proposed, and two connectors; return its page."""
    system, ana = System.objects.get(slug=slug), Person.objects.get(login="ana")
    made = [connectors.add(system, name=name, by=ana, reason="It is in hall 3.") for name in ("hall 3", "hall 4")]
    connectors.enrol(code=made[0].code, public_key=proof.public_text(Ed25519PrivateKey.generate()))
    nodes = {"edge-1": clock.now().isoformat()}
    Connector.objects.filter(pk=made[0].connector.pk).update(nodes=nodes, seen_at=clock.now())
    agreed = networks.propose(system, prefixes=["10.20.0.0/16"], by=ana, reason="It is in our own hall.")
    networks.KIND.confirm(agreed.pk, by=Person.objects.get(login="resa"))
    networks.propose(system, prefixes=["10.20.30.0/24"], by=ana, reason="A part of it is enough.")
    return f"/systems/{slug}/network/"
