"""What the pages below the settings, the inbox and its links show, as samples."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction

from audit import clock
from audit.context import SYSTEM
from entitlements.agent_discovery import runs as discovery_runs
from entitlements.agent_discovery import sources as discovery_sources
from entitlements.agent_discovery.models import DiscoverySource
from entitlements.client_documents import documents, hosts
from entitlements.credential_policy.rules import Kind as CredentialKind
from entitlements.people import people
from entitlements.people.models import ApiToken
from entitlements.people_sources import sources
from entitlements.trusted_issuers import proposals, trust
from governance.approval_policies import policies
from governance.approval_policies import rules as policy_rules
from governance.approval_policies.models import AutoApproval
from governance.approvals import auto_approval
from governance.chat import connections
from governance.chat.models import ChatConnection
from governance.credential_policy import policy_proposals
from governance.guardrails import proposals as guardrail_proposals
from governance.notices import queue
from governance.notices.models import Delivery, Kind, Notice
from governance.out_of_office import delegations
from governance.out_of_office.models import OutOfOfficeDelegate
from governance.webhooks import webhooks
from governance.webhooks.models import Webhook
from tests import make
from tests.governance import companies


def of(company: companies.Company) -> dict[str, object]:
    """Make what the pages below the settings, the inbox and its links show."""
    people.make_api_token(company.bob, "script", by=SYSTEM, lasts=timedelta(days=1))
    mailed = _mailed(company)
    return {
        "settings/delegation": _lent(company).pk,
        "settings/webhook": _hook().slug,
        "settings/chat": _chat().service,
        "settings/discovery": _discovery().slug,
        "settings/discovery_kind": "okta",
        "settings/policy": policies.ensure_default().pk,
        **_proposed(company),
        "settings/credential-policy/proposal": _older(company),
        "guardrails/guardrail": _guardrail(company),
        **_described(company),
        "settings/issuer": _issuer(company),
        "settings/number": ApiToken.objects.get(person=company.bob).pk,
        "settings/pk": 1,
        "settings/delivery": mailed.pk,
        "inbox/pk": mailed.notices.get().pk,
        "settings/line": "anchor",
        "settings/slug": sources.make("okta", name="Okta", subjects_of=None, by=SYSTEM)[0].slug,
    }


def _described(company: companies.Company) -> dict[str, object]:
    """Let a host be proposed, and a client of another host wait that describes itself."""
    by = company.ana
    host = hosts.propose("clients.example", agent=company.bot, by=by, reason="a sample")
    client_id = "https://desk.example/client.json"
    told = {"client_id": client_id, "client_name": "Desk", "redirect_uris": ["http://127.0.0.1/back"]}
    document = documents.store(client_id, told, by=by, reason="a sample")
    document.state, document.asked_at = "waiting", clock.now()
    document.save()
    return {"settings/host": host.pk, "settings/document": document.pk}


def _issuer(company: companies.Company) -> object:
    """Let one issuer be proposed, and another be trusted."""
    keys = {"keys": [make.PUBLIC_KEY]}
    trust.begin("https://trusted.example", purpose="identity", jwks=keys, by=SYSTEM)
    return proposals.propose("https://proposed.example", by=company.ana, purpose="id_jag", jwks=keys).pk


def _proposed(company: companies.Company) -> dict[str, object]:
    """Let one policy and one rule be proposed, and something be approved by a rule that is looked at by now."""
    proposal = policies.propose(None, policy_rules.DEFAULT_POLICY, by=company.resa, reason="a sample")
    terms = {"kinds": ["shared"], "longest": timedelta(days=1), "expires_at": clock.now() + timedelta(days=9)}
    rule = auto_approval.propose(company.use, **terms, by=company.ana, reason="a sample")  # type: ignore[arg-type]
    auto_approval.KIND.confirm(rule.pk, by=company.resa, reason="seen")
    company.ask("now", people=[company.bob])
    AutoApproval.objects.update(look_from=clock.now())
    auto_approval.KIND.end(rule.pk, by=company.ana, reason="a sample")
    waits = auto_approval.propose(company.use, **terms, by=company.ana, reason="a sample")  # type: ignore[arg-type]
    return {
        "settings/proposal": proposal.pk,
        "settings/rule": waits.pk,
        "settings/approval": AutoApproval.objects.get().pk,
    }


def _guardrail(company: companies.Company) -> object:
    """Let a guardrail be proposed."""
    when = {"action": "delete"}
    return guardrail_proposals.propose("sample", effect="hold", mode="enforce", when=when, by=company.resa).pk


def _older(company: companies.Company) -> object:
    """Let another age of credentials be proposed."""
    days, why = {kind.value: 90 for kind in CredentialKind}, "a sample"
    return policy_proposals.propose(
        days, overlap_hours=24, stops_upstream_secrets=False, by=company.resa, reason=why
    ).pk


def _lent(company: companies.Company) -> OutOfOfficeDelegate:
    now = clock.now()
    return delegations.make(
        company.bob, starts_at=now, ends_at=now + timedelta(days=1), by=company.mona, reason="on leave"
    )


def _hook() -> Webhook:
    """Add an endpoint; nothing is sent to it."""
    made, _ = webhooks.make(
        "ops", url="https://hooks.example.org/x", form="standard", events=["agent.suspended"], by=SYSTEM
    )
    webhooks.queue_test(made, by=SYSTEM)
    return made


def _chat() -> ChatConnection:
    """Connect Slack by a token that no server knows."""
    return connections.store("slack", token="xoxb-1", name="Example Ltd", by=SYSTEM)


def _discovery() -> DiscoverySource:
    """Connect an Okta that is never read, and queue a run."""
    terms = {"name": "Okta", "address": "https://example.okta.com", "credential": "00-no-server-knows-it"}
    made = discovery_sources.connect_okta(slug="okta-agents", **terms, by=SYSTEM)
    discovery_runs.ask(made, by=SYSTEM)
    return made


def _mailed(company: companies.Company) -> Delivery:
    """Let bob be told something by mail, which was given up."""
    now = clock.now()
    made = Delivery.objects.create(
        channel="urgent", dedupe="x", person=company.bob, state=Delivery.State.DEAD, next_at=now, made_at=now
    )
    with transaction.atomic():
        about, url = f"agent:{company.bot.slug}", f"/agents/{company.bot.slug}/"
        said = "research-bot was stopped."
        queue.queue(Kind.AGENT_STOPPED, [company.bob], about=about, sentence=said, url=url, dedupe="x")
    Notice.objects.filter(person=company.bob).update(delivery=made)
    return made
