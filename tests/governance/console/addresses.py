"""Every address of the console, from the URLconf, filled in with things that exist."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from allauth.mfa.models import Authenticator
from django.db import transaction
from django.urls import URLPattern, URLResolver

from audit import clock
from audit.context import SYSTEM
from entitlements.access import caller as callers
from entitlements.catalog.models import System
from entitlements.catalog_files import imports
from entitlements.clients import clients
from entitlements.clients.models import Client
from entitlements.delegation import permissions
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from entitlements.policy_domains import domains
from entitlements.rest_apis import rest_apis
from entitlements.revocation.models import Drill, Revocation
from entitlements.sessions.models import Session
from entitlements.stdio_commands import proposals as stdio_proposals
from entitlements.trusted_issuers import trust
from entitlements.unmanaged_agents.models import UnmanagedAgent, Workflow
from entitlements.vendors.models import Vendor
from entitlements.workload_identity import workload_rules
from governance.break_glass import break_glass
from governance.break_glass.models import BreakGlassGrant
from governance.console import urls
from governance.eligibility import eligibility
from governance.onboarding import batches, sponsorship
from governance.ownership import ownership
from governance.reviews.campaigns.models import Campaign
from governance.reviews.discussion import questions
from governance.reviews.event_triggered import causes, start
from governance.reviews.spot_checks.models import SpotCheck
from governance.reviews.templates import templates
from governance.saved_views import saved_views
from governance.saved_views.models import SavedView
from governance.sod import agent_calls, exceptions
from governance.sod import policies as policies_actions
from governance.sod.models import SodException
from governance.what_if import what_if
from governance.what_if.models import WhatIf
from tests import begun, make, snapshots
from tests.entitlements.connectors import pairs
from tests.entitlements.session_policies import agreed
from tests.governance import companies
from tests.governance.console import event_stream_samples, risk_samples, settings_samples
from tests.governance.reviews import worlds

PART: Final = re.compile(r"<(?:\w+:)?(\w+)>")


@dataclass(frozen=True)
class World:
    """A company in which each kind of thing that a page shows is there once; all of it is about research-bot."""

    company: companies.Company
    grant: Grant
    session: Session
    client: Client
    campaign: Campaign
    samples: Mapping[str, object]

    def address(self, route: str) -> str:
        """Fill an address in. Raises LookupError, with what to write, for a part that has no sample."""
        first = route.partition("/")[0]

        def sample(part: re.Match[str]) -> str:
            for name in (f"{route[: part.start()]}{part[1]}", f"{first}/{part[1]}", part[1]):
                if name in self.samples:
                    return str(self.samples[name])
            message = f"Say in tests/governance/console/addresses.py what {part[1]!r} of {route!r} is, as a sample."
            raise LookupError(message)

        return "/" + PART.sub(sample, route)


STOP: Final = {"target_type": "agent", "target_id": "elsewhere", "by": "person:nobody", "reason": "x"}


@snapshots.restored
def world() -> World:
    """Make it."""
    company, grant = worlds.found()
    campaign = worlds.campaign(company)
    client, _ = make.client(company.bot, "research-client", auth=Client.Auth.CLIENT_SECRET_BASIC)
    asked = make.request(worlds.low(company), company.bot, by=company.otto, people=[company.alice])
    with transaction.atomic():
        session, _ = begun.begin(client, company.alice, "a" * 64, auth_time=clock.now(), now=clock.now())
    by, at = company.ana.principal, {"committed_at": clock.now()}
    looked = imports.preview(b'[{"name": "imported"}]', file_name="all.json", owner=company.ana, by=by)
    _vendor(company.system)
    causes.note("new_office", company.bot, {"to": "sofia"})
    start.open_due()
    samples = {
        **_brought(company),
        **_checked(company),
        **_reviewed(company, campaign),
        **_agents(company, client),
        "systems/slug": company.system.slug,
        **pairs.samples(company.system, by=company.ana),
        "systems/api": _rest_api(company),
        **_waiting(company),
        "requests/pk": asked.pk,
        **dict.fromkeys(("grants/pk", "decisions/what-if/grants/pk"), grant.pk),
        "decisions/pk": _replayed(company.ana, grant).pk,
        "sod-policies/pk": _excepted(company).rule_id,
        "break-glass/pk": _declared(company).pk,
        "exceptions/pk": SodException.objects.get().pk,
        **_waits(company, client),
        "people/login": company.bob.login,
        "connect/name": "copilot-managed-settings.json",
        "groups/slug": make.group(company.bob).slug,
        "sessions/session": session.pk,
        "stop/pk": Revocation.objects.create(**STOP, **at).pk,
        "stop/drill": Drill.objects.create(**STOP, **at).pk,
        "systems/pk": looked.pk,
        "policy-domains/slug": _answered(company),
        "stop/kind": "agent",
        "blast-radius/kind": "agent",
        "stop/key": company.bot.slug,
        "posture/key": "company",
        "connect/client_id": client.client_id,
        "systems/name": "now",
        "systems/scope": company.use.scope,
        **settings_samples.of(company),
        "provider_id": "company",
        "token": "nothing",
    }
    return World(company, grant, session, client, campaign, samples)


def _reviewed(company: companies.Company, campaign: Campaign) -> dict[str, object]:
    """Ask about an item of the review, audit another review, and keep a template that is called as the review is."""
    audited = worlds.audited(company.system, sponsor=company.sofia, person=company.bob, by=company.ana)
    return {
        "event-triggered-reviews/slug": Campaign.objects.get(kind="micro").slug,
        "reviews/slug": templates.save(campaign.slug, name="Kept", by=company.ana).slug,
        "reviews/item": worlds.item(campaign).pk,
        "review-questions/question": _asked(campaign, company),
        "audit/sample": audited.pk,
    }


def _agents(company: companies.Company, client: Client) -> dict[str, object]:
    """Let the bot call one agent, and let that one act for the bot."""
    helper, by = make.agent(), company.ana.principal
    return {
        **risk_samples.of(company),
        **event_stream_samples.of(company),
        "agents/slug": company.bot.slug,
        "agents/client_id": client.client_id,
        "connected-accounts/slug": company.system.slug,
        "connected-accounts/pk": make.connected_account(company.bob, company.system, client).pk,
        "agent-calls/pk": agent_calls.allow(company.bot, helper, by=by, reason="x").pk,
        "views/pk": _saved(company.ana).pk,
        "delegations/pk": permissions.permit(company.bot, actor=helper, by=by, reason="a sample").pk,
    }


def _saved(person: Person) -> SavedView:
    return saved_views.create(list_name="agents", name="Suspended", query="state=suspended", by=person)


def _answered(company: companies.Company) -> str:
    """Let a policy domain of the system be in force."""
    document = {
        "subject_types": {"user": {}},
        "resource_types": {"record": {"actions": ["view"]}},
        "subjects": [{"type": "user", "id": "alice"}, {"type": "user", "id": "a stranger"}],
        "resources": [{"type": "record", "id": "one"}],
        "rules": [{"name": "all", "resource_type": "record", "actions": ["view"]}],
    }
    return domains.load(company.system, document=document, by=company.ana, reason="a sample").system.slug


def _rest_api(company: companies.Company) -> str:
    """Have a REST API of the system's owner, whose operations are declared by hand."""
    address = "https://orders.example.com"
    return rest_apis.register("orders", name="Orders", owner=company.sam, upstream_url=address, by=SYSTEM).slug


def _waiting(company: companies.Company) -> dict[str, object]:
    terms = {"folder": "/opt/sample", "argv": ["/usr/bin/env"], "digest": "0" * 64}
    command = stdio_proposals.propose("sample", by=company.ana, reason="a sample", **terms)
    return {
        "settings/command": command.pk,
        "settings/session_policy": agreed.propose("sample", by=company.ana).pk,
        "change-proposals/proposal": make.lower_class(company.system.tools.get(name="wipe"), by=company.ana).pk,
    }


def _vendor(system: System) -> None:
    """Give a system a server of its own whose address the way out refuses: a test of trust asks nothing of it."""
    issuer, resources = "https://10.0.0.1", [system.upstream_url]
    terms = {"joins": "our_issuer", "subjects": "pairwise", "salt": "00" * 32}
    Vendor.objects.create(system=system, issuer=issuer, resources=resources, **terms)


def _works_by_itself(client: Client) -> dict[str, object]:
    """Let a workload be the client by a rule that its agent's sponsor asked for."""
    platform, agent = "https://platform.example", client.agent
    assert agent is not None
    trust.begin(platform, purpose="workload", jwks={"keys": [make.PUBLIC_KEY]}, by=SYSTEM)
    rule = workload_rules.propose(
        client, issuer=platform, platform="jwt", claims={"sub": "job-7"}, by=agent.sponsor.principal
    ).rule
    assert rule is not None
    parts = {"slug": agent.slug, "platform": "jwt", "client_id": client.client_id, "pk": rule.pk}
    return {f"workload-rules/{name}": value for name, value in parts.items()}


def _waits(company: companies.Company, client: Client) -> dict[str, object]:
    """Let an analyst ask for a backup owner and for a client, which wait for acceptance."""
    by = company.ana.principal
    proposed = ownership.propose(company.bot, "backup", company.mona, by=by, reason="Stands in.")
    waiting = clients.register("waits", agent=company.bot, auth=Client.Auth.CLIENT_SECRET_BASIC, by=by).waiting
    assert waiting is not None
    return {"proposals/pk": proposed.pk, "client-credentials/pk": waiting.pk, **_works_by_itself(client)}


def _asked(campaign: Campaign, company: companies.Company) -> object:
    return questions.ask(worlds.item(campaign).pk, to=company.sam, by=company.sofia, text="What for?").pk


def _checked(company: companies.Company) -> dict[str, object]:
    """Let sam, who owns the system, be asked to check an answer of sofia's."""
    worlds.spot_checked(company.system, sponsor=company.sofia, by=company.ana)
    return dict.fromkeys(("spot-checks/check", "reviews/check"), SpotCheck.objects.get(checker=company.sam).pk)


def _excepted(company: companies.Company) -> SodException:
    sides = [{"tools": ["now"]}, {"tools": ["elsewhere"]}]
    rule = policies_actions.propose("pair", sentence="Both.", sides=sides, by=company.ana, reason="a sample")
    policies_actions.KIND.confirm(rule.pk, by=company.resa, reason="seen")
    ends = clock.now() + timedelta(days=1)
    return exceptions.give(rule.pk, company.bot, control="Looked at.", expires_at=ends, by=company.rob, reason="why")


def _declared(company: companies.Company) -> BreakGlassGrant:
    Authenticator.objects.create(user=company.rob, type=Authenticator.Type.TOTP, data={})
    ask = eligibility.RequestTerms(timedelta(hours=1), "It burns.", (company.alice,), tools=frozenset({"now"}))
    return break_glass.give(company.bot, company.use, ask, by=company.rob)


def _brought(company: companies.Company) -> dict[str, object]:
    """Bring a file that names the bot, whose sponsor is asked; returns the samples of adoption and of the map."""
    table = b"agent,system,tools,person\nresearch-bot,clock,now,alice\n"
    batch = batches.prepare(table, file_name="access.csv", by=company.ana)
    sponsorship.ask(batch, sponsor=None, sponsors={}, by=company.ana, reason="a sample")
    flow = Workflow.objects.get(agent=company.bot, origin="grant")
    return {"onboarding/pk": batch.pk, "onboarding/number": UnmanagedAgent.objects.get().pk, "coverage/number": flow.pk}


def _replayed(by: Person, grant: Grant) -> WhatIf:
    """Ask what revoking a grant would deny, and have it replayed."""
    row = what_if.begin({"kind": "grant", "grant": str(grant.pk), "revoke": True}, 1, by=callers.of(by))
    while what_if.advance(row.pk):
        pass
    return row


def own() -> dict[str, str]:
    """Return the route of each page of ours by name: those behind a door."""
    return {
        str(each.name): str(each.pattern)
        for each in urls.urlpatterns
        if isinstance(each, URLPattern) and each not in _sign_in()
    }


def every() -> dict[str, str]:
    """Return the route of each address of the console by name, django-allauth's as well."""
    return dict(_walk(urls.urlpatterns, ""))


def _sign_in() -> list[URLPattern | URLResolver]:
    return urls.SIGN_IN


def _walk(patterns: list[URLPattern | URLResolver], prefix: str) -> Iterator[tuple[str, str]]:
    for each in patterns:
        route = prefix + str(each.pattern)
        if isinstance(each, URLResolver):
            yield from _walk(each.url_patterns, route)
        else:
            yield str(each.name), route
