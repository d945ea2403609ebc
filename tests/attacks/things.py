"""One thing for each part of an address of the API, so that no check holds because nothing is there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Final
from uuid import UUID

from audit import clock
from audit.context import SYSTEM
from entitlements.agents import personal_agents
from entitlements.keys import signing
from entitlements.keys.models import SigningKey
from entitlements.people import role_maps
from entitlements.policy_domains import domains
from entitlements.tokens.models import IssuedToken
from entitlements.trusted_issuers.models import TrustedIssuer
from governance.approval_policies import policies
from governance.approvals import questions
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.evidence.models import AuditQuestion, EvidenceShare
from governance.reviews.items.answer import Answer
from governance.reviews.templates import templates
from governance.sod import agent_calls
from governance.webhooks.models import WebhookMessage
from tests import make
from tests.governance.console import addresses
from tests.governance.reviews import worlds

PARTS: Final = re.compile(r"{(\w+)}")


def real(world: addresses.World) -> dict[str, object]:
    """Return what exists for each part of an address of the API, by the address's first word and the part."""
    company, samples = world.company, world.samples
    return {
        "onboarding-batches/key": samples["onboarding/pk"],
        "agents/key": company.bot.slug,
        "agent-kinds/key": "shared",
        "approval-policies/key": policies.ensure_default().pk,
        "auto-approval-rules/key": samples["settings/rule"],
        "audit/index": 0,
        "audit-questions/key": AuditQuestion.objects.get().pk,
        "audit-samples/key": samples["audit/sample"],
        "evidence-shares/key": EvidenceShare.objects.get().pk,
        "campaigns/key": world.campaign.slug,
        "campaign-templates/key": templates.save("kept", name="Kept", by=company.ana).slug,
        "client-credentials/key": samples["client-credentials/pk"],
        "client-documents/key": samples["settings/document"],
        "client-hosts/key": samples["settings/host"],
        "clients/key": world.client.client_id,
        "sod-exceptions/key": samples["exceptions/pk"],
        "sod-policies/key": samples["sod-policies/pk"],
        "out-of-office-delegates/key": samples["settings/delegation"],
        "deliveries/key": samples["settings/delivery"],
        "break-glass-grants/key": samples["break-glass/pk"],
        "entitlements/key": company.use.scope,
        "grants/grant": world.grant.pk,
        "grants/key": world.grant.pk,
        "groups/key": make.group(company.alice, slug="research").slug,
        "imports/key": samples["systems/pk"],
        "event-triggered-reviews/key": samples["event-triggered-reviews/slug"],
        "notices/key": samples["inbox/pk"],
        "people/key": company.bob.login,
        "people-sources/key": samples["settings/slug"],
        "policy-proposals/key": samples["settings/proposal"],
        "ownership-proposals/key": samples["proposals/pk"],
        "requests/asked": samples["requests/pk"],
        "review-questions/key": samples["review-questions/question"],
        "spot-checks/key": samples["spot-checks/check"],
        "review-items/key": samples["reviews/item"],
        "revocations/key": samples["stop/pk"],
        "auto-approvals/key": samples["settings/approval"],
        "unmanaged-agents/key": samples["onboarding/number"],
        "sessions/key": world.session.pk,
        "systems/key": company.system.slug,
        "tools/system": company.system.slug,
        "tools/name": "now",
        "saved-views/key": samples["views/pk"],
        **_more(world),
    }


_SAMPLES: Final = {
    "drills/key": "stop/drill",
    "decisions/key": "decisions/pk",
    "system-networks/key": "systems/network",
    "connectors/key": "systems/connector",
    "systems/openapi/key": "systems/api",
    "stdio-commands/key": "settings/command",
    "session-policies/key": "settings/session_policy",
    "change-proposals/key": "change-proposals/proposal",
    "guardrails/key": "guardrails/guardrail",
    "credential-policy-proposals/key": "settings/credential-policy/proposal",
    "discovery-sources/key": "settings/discovery",
    "chat-connections/key": "settings/chat",
    "webhooks/key": "settings/webhook",
    "delegations/key": "delegations/pk",
    "workload-rules/key": "workload-rules/pk",
    "decoys/key": "decoys/decoy",
    "budgets/key": "budgets/budget",
    "risk/key": "risk-signals/signal",
    "signal-responses/key": "settings/signal-responses/response",
    "event-receivers/key": "settings/event-streams/receivers/receiver",
    "event-streams/key": "settings/event-streams/stream",
    "signal-polls/key": "settings/event-streams/polls/poll",
    "trusted-issuers/key": "settings/issuer",
    "connected-accounts/key": "connected-accounts/pk",
}
"""Things that the console has a sample of, under another name."""


def _more(world: addresses.World) -> dict[str, object]:
    """Make what no page of the console has an address for."""
    company, now = world.company, clock.now()
    helper = make.agent(sponsor=company.sofia)
    token = IssuedToken.objects.create(
        kind="access_token",
        system=company.system,
        client=world.client,
        agent=company.bot,
        issued_at=now,
        expires_at=now + timedelta(minutes=5),
    )
    issuer = TrustedIssuer.objects.create(issuer="https://login.example.org", purpose="identity", jwks={"keys": []})
    ada = make.person(roles=["admin"])
    mapped = role_maps.propose(issuer, "groups", "audit", "responder", by=ada, reason="a sample")
    asked = UUID(str(world.samples["requests/pk"]))
    question = questions.ask(asked, by=company.sofia, text="What for?")
    signing.sign("idp", {}, "sample")
    domain = {"resource_types": {"record": {"actions": ["view"]}}}
    domains.load(company.system, document=domain, by=ada, reason="a sample")
    return {
        **{name: world.samples[sample] for name, sample in _SAMPLES.items()},
        "posture-reports/key": "company",
        "webhook-messages/key": WebhookMessage.objects.latest("made_at").pk,
        "agent-calls/key": agent_calls.allow(company.bot, helper, by=SYSTEM, reason="a sample").pk,
        "drift-detectors/key": "network-drift",
        "keys/key": SigningKey.objects.filter(state="active").earliest("kid").kid,
        "requests/question": question.pk,
        "remediations/key": _cut(world).pk,
        "group-mappings/key": mapped.pk,
        "connections/key": personal_agents.connect(make.personal_client(), company.bob).pk,
        "tokens/key": token.jti,
        "token-families/key": make.token_family(world.session, company.system).pk,
    }


def _cut(world: addresses.World) -> ReviewDecision:
    """Remove something in a review of its own."""
    company = world.company
    agent = make.agent(sponsor=company.sofia)
    make.grant(agent, worlds.low(company), people=[company.bob])
    campaign = worlds.campaign(company, slug="cutting")
    worlds.answer(campaign, company.sofia, [(worlds.item(campaign, agent), Answer("revoke", "unused"))])
    return ReviewDecision.objects.get(item__campaign=campaign)


def keys(path: str, things: Mapping[str, object]) -> dict[str, object]:
    """Return what exists, for the parts of an address. Raises LookupError, with what to write, where nothing does."""
    first, *rest = path.removeprefix("/api/v1/").split("/")
    if rest[1:] and f"{first}/{rest[1]}/key" in things:  # a page of its own kind alone, as of a REST API
        first = f"{first}/{rest[1]}"
    found = {part: f"{first}/{part}" for part in PARTS.findall(path)}
    for name in found.values():
        if name not in things:
            message = f"Say in tests/attacks/things.py what {name!r} is, as of {path}."
            raise LookupError(message)
    return {part: str(things[name]) if part != "index" else things[name] for part, name in found.items()}
