"""The capabilities of the API, and which address belongs to which."""

from __future__ import annotations

import re
from typing import Final

TAGS: Final = {
    "Access requests": "Ask for an entitlement for an agent, and approve, narrow, deny, appeal and renew requests.",
    "Approval policies": "Who must approve which request: approval policies, auto-approval rules, out-of-office "
    "delegates, and the settings of ticket references.",
    "Grants": "What an agent holds: its tools, limits, people and end. Suspend, restore, revoke and right-size grants.",
    "Break-glass access": "Access that begins at once without an approval, and is reviewed afterwards.",
    "Separation of duties": "SoD policies, their violations, which agents may call which, and the exception register.",
    "Access reviews": "Campaigns and their review items: draft, launch, certify, reduce, revoke, and the remediation. "
    "Event-triggered reviews and spot checks.",
    "Review evidence": "Sign-off, sealed evidence packs, and the shares, samples and questions of auditors.",
    "Agents": "Non-human identities: agents with their types, versions and delegations.",
    "Ownership": "The sponsor, technical owner and backup owner of an agent, and their acceptance.",
    "Onboarding": "Bring running agents under governance: discovery, files, unmanaged agents, and the coverage map.",
    "Clients and credentials": "The software of agents and scripts: registration, secrets and keys, rotation, client "
    "metadata documents, workload identity, and the credential policy.",
    "Systems and tools": "MCP servers and HTTP APIs, the tools that they serve, and the catalogue as a file.",
    "Entitlement catalog": "Requestable bundles of one system's tools.",
    "People": "People, groups, admin roles, and the directories that they come from.",
    "Sessions and tokens": "Sessions of agents, issued tokens, sign-ins and connections of people, and token health.",
    "Issuers and keys": "Trusted issuers and signing keys.",
    "Revocations": "Revoke access with a signed receipt, the kill switch, and how it is restored.",
    "Risk and signals": "Risk levels of agents and people, the signals behind them, and what answers a signal.",
    "Guardrails": "Rules above all grants: proposed, replayed over recorded calls, and confirmed by another person.",
    "Budgets": "Rates and budgets of agents, systems and grants: calls, bytes and rows of answers, and money.",
    "Decisions": "Why a call was allowed or denied, who can call a tool now or then, and what a change would deny.",
    "Audit log": "Events, timelines, signed checkpoints, inclusion proofs and the export for offline verification.",
    "Posture report": "The figures of the company and of each department, now and at the end of each month.",
    "Saved views": "Views of the console's lists: their filters, order and columns, for yourself or shared.",
    "Notices and webhooks": "What people and programs are told: notices, mail, chat messages and webhooks.",
}

_TAG: Final = {
    r"grants/renew|grants/{\w+}/renew|requests": "Access requests",
    r"approval-policies|policy-proposals|ticket-policies|auto-approval|out-of-office-delegates": "Approval policies",
    r"grants|right-sizing|simulate": "Grants",
    r"break-glass-grants": "Break-glass access",
    r"sod-|exceptions|agent-calls|agents/{key}/sod-violations": "Separation of duties",
    r"campaigns/{key}/(evidence|seal|shares|samples|questions)|evidence-shares|audit-(samples|questions)": (
        "Review evidence"
    ),
    r"campaign|review-|remediations|event-triggered-reviews|spot-checks": "Access reviews",
    r"agents/{key}/(sponsor|owner|backup|keep)|bulk/agents/propose|ownership-proposals": "Ownership",
    r"discovery-sources": "Onboarding",
    r"onboarding-batches|unmanaged-agents|coverage-map|agents/{key}/(cut-over|onboarding-undo)|systems/{key}/paths": (
        "Onboarding"
    ),
    r"agents|agent-kinds|delegations|bulk/agents": "Agents",
    r"client|workload-rules|credential-polic": "Clients and credentials",
    r"budgets|systems/{key}/budget": "Budgets",
    r"system-networks|connectors|systems|tools|imports|catalog|openapi-preview|stdio-commands": "Systems and tools",
    r"entitlements": "Entitlement catalog",
    r"people/{key}/bounced|notice|deliveries|webhook|chat-connections": "Notices and webhooks",
    r"people|groups|group-mappings|me": "People",
    r"session|token|connect": "Sessions and tokens",
    r"trusted-issuers|keys": "Issuers and keys",
    r"(drills|revocations)": "Revocations",
    r"risk|signal-responses|drift-detectors|decoy|event-|signal-polls": "Risk and signals",
    r"decisions": "Decisions",
    r"guardrails": "Guardrails",
    r"change-proposals": "Approval policies",
    r"audit": "Audit log",
    r"posture-reports": "Posture report",
    r"saved-views": "Saved views",
}
"""The beginnings of addresses, as patterns; the first that fits counts."""


def of(address: str) -> str:
    """Return the tag of an address, without its prefix; its first part where no capability is named above."""
    return next((tag for pattern, tag in _TAG.items() if re.match(pattern, address)), address.partition("/")[0])
