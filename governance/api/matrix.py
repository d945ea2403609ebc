"""Who may come in at the addresses of floor 3. Who may answer a request is no role: the verbs look at the request."""

from __future__ import annotations

from typing import Final

from entitlements.api.matrix import ALWAYS, READ, READABLE, WEIGHTY, Matrix, Row, declared, row, with_finer
from entitlements.models import Role

REQUEST: Final = "mandate:request"
"""The scope with which an agent asks for itself, and withdraws or narrows what it asked; it gives no other right."""

_ASK: Final = Row(anybody=True, scope=REQUEST)
_ANSWER: Final = Row(anybody=True)
"""People at first hand only: no token of a script or an agent carries a scope that answers."""
_WEIGHTY_ANSWER: Final = Row(anybody=True, proven=WEIGHTY)

_CAMPAIGN: Final = row(Role.ANALYST)
_OFFICE: Final = row(Role.ANALYST)
_EVIDENCE: Final = row(Role.ANALYST, Role.SECURITY, Role.AUDITOR, scope=READ)
_SHARED: Final = Row(_EVIDENCE.roles, scope=READ, anybody=True)
"""Evidence is read by those roles, and by whom it is shared with: the door asks."""
_SHARED_FILE: Final = Row(_EVIDENCE.roles, scope=READ, anybody=True, proven=ALWAYS)
_COMBINE: Final = row(Role.ANALYST, Role.SECURITY)
_POLICY: Final = row(Role.ADMIN, Role.SECURITY, proven=ALWAYS)
_WEIGHTY_COMBINE: Final = row(Role.ANALYST, Role.SECURITY, proven=ALWAYS)
_ROLE_MAP: Final = row(Role.ADMIN, Role.ANALYST, Role.SECURITY, proven=ALWAYS)
_SECRET: Final = row(Role.ADMIN, proven=ALWAYS)
_LETTERS, _HOOKS, _SOURCES = "mandate:deliveries", "mandate:webhooks", "mandate:people-sources"
"""Kinds of which only platform admins may do something: no scope over all kinds opens that, so that an analyst, who
registers scripts, gives none what analysts lack."""

_POLICIES: Final = row(Role.ADMIN, Role.ANALYST, Role.SECURITY, Role.AUDITOR, scope=READ)

_KINDS: Final = {
    **dict.fromkeys(("adoption", "adoptions", "agent-adoption", "agent-cut-over", "seen"), "adoption"),
    **dict.fromkeys(("coverage", "system-paths"), "coverage"),
    **dict.fromkeys(("approval", "policy", "rule-approval", "rule-approvals"), "approvals"),
    **dict.fromkeys(
        ("campaign", "campaigns", "micro", "review", "right", "simulate", "evidence", "audit-sample"), "reviews"
    ),
    **dict.fromkeys(("agent-call", "agent-calls"), "agent-calls"),
    **dict.fromkeys(("combination", "agent-combinations"), "combinations"),
    **dict.fromkeys(("delegation", "delegations"), "delegations"),
    **dict.fromkeys(("notice", "notices"), "notices"),
    **dict.fromkeys(("delivery", "deliveries", "person-bounced"), "deliveries"),
    **dict.fromkeys(("webhook", "webhooks"), "webhooks"),
    **dict.fromkeys(("emergency", "emergencies"), "emergencies"),
    **dict.fromkeys(("proposal", "proposals"), "proposals"),
    **dict.fromkeys(("request", "requests"), "requests"),
    **dict.fromkeys(("people-source", "people-sources"), "people-sources"),
    **dict.fromkeys(("role-mapping", "role-mappings"), "role-mappings"),
}
"""Which kind of thing an address is about, beside those of the floor below."""

_ROWS: Final[Matrix] = {
    ("campaigns", "GET"): READABLE,
    ("campaigns", "POST"): _CAMPAIGN,
    ("campaign-preview", "POST"): _CAMPAIGN,
    ("campaign", "GET"): READABLE,
    ("campaign-activate", "POST"): _CAMPAIGN,
    ("campaign-close", "POST"): _CAMPAIGN,
    ("campaign-stage", "POST"): _CAMPAIGN,
    ("campaign-pause", "POST"): _CAMPAIGN,
    ("campaign-resume", "POST"): _CAMPAIGN,
    ("campaign-cancel", "POST"): _CAMPAIGN,
    ("campaign-submissions", "POST"): _WEIGHTY_ANSWER,
    ("campaign-evidence", "GET"): _SHARED,
    ("campaign-evidence-table", "GET"): _SHARED_FILE,
    ("campaign-seal", "POST"): _WEIGHTY_COMBINE,
    ("campaign-pack", "GET"): _SHARED_FILE,
    ("campaign-shares", "GET"): _SHARED,
    ("campaign-shares", "POST"): _WEIGHTY_COMBINE,
    ("evidence-share-end", "POST"): _COMBINE,
    ("campaign-samples", "GET"): _SHARED,
    ("campaign-samples", "POST"): _ANSWER,
    ("audit-sample", "GET"): _SHARED,
    ("audit-sample-table", "GET"): _SHARED_FILE,
    ("audit-sample-marks", "POST"): _ANSWER,
    ("campaign-questions", "GET"): _SHARED,
    ("campaign-questions", "POST"): _ANSWER,
    ("audit-question-answer", "POST"): _ANSWER,
    ("review-items", "GET"): READABLE,
    ("micro-reviews", "GET"): READABLE,
    ("micro-review", "GET"): READABLE,
    ("micro-review-answer", "POST"): _ANSWER,
    ("micro-review-postpone", "POST"): _ANSWER,
    ("right-sizing", "GET"): READABLE,
    ("grant-right-size", "POST"): row(Role.ANALYST, Role.SECURITY, related="sponsor owner system_owner"),
    ("simulate-reduction", "POST"): READABLE,
    ("review-item", "GET"): READABLE,
    ("review-item-draft", "PUT"): _ANSWER,
    ("review-item-reassign", "POST"): _CAMPAIGN,
    ("review-item-recall", "POST"): _ANSWER,
    ("review-item-reopen", "POST"): _CAMPAIGN,
    ("review-item-restore", "POST"): _COMBINE,
    ("campaign-release", "POST"): _CAMPAIGN,
    ("campaign-bulk-preview", "POST"): _ANSWER,
    ("campaign-bulk", "POST"): _ANSWER,
    ("review-cut-retry", "POST"): _CAMPAIGN,
    ("review-cut-except", "POST"): _COMBINE,
    ("agent-sponsor", "POST"): _OFFICE,
    ("agent-owner", "POST"): _OFFICE,
    ("agent-backup", "POST"): _OFFICE,
    ("agent-keep", "POST"): row(Role.ANALYST, related="sponsor owner"),
    ("notices", "GET"): READABLE,
    ("notices-read", "POST"): _ANSWER,
    ("notice-read", "POST"): _ANSWER,
    ("notice-settings", "GET"): READABLE,
    ("notice-settings", "PUT"): _ANSWER,
    ("deliveries", "GET"): row(Role.ADMIN, scope=f"{_LETTERS}:read"),
    ("delivery-replay", "POST"): row(Role.ADMIN, scope=f"{_LETTERS}:write"),
    ("person-bounced", "POST"): row(Role.ADMIN, scope=f"{_LETTERS}:write"),
    ("webhooks", "GET"): row(Role.ADMIN, scope=f"{_HOOKS}:read"),
    ("webhooks", "POST"): _SECRET,
    ("webhook", "GET"): row(Role.ADMIN, scope=f"{_HOOKS}:read"),
    ("webhook-rotate", "POST"): _SECRET,
    ("webhook-test", "POST"): row(Role.ADMIN, scope=f"{_HOOKS}:write"),
    ("webhook-stop", "POST"): row(Role.ADMIN, scope=f"{_HOOKS}:write"),
    ("webhook-start", "POST"): row(Role.ADMIN),
    ("webhook-messages", "GET"): row(Role.ADMIN, scope=f"{_HOOKS}:read"),
    ("webhook-message-replay", "POST"): row(Role.ADMIN, scope=f"{_HOOKS}:write"),
    ("people-sources", "GET"): row(Role.ADMIN, Role.ANALYST, Role.SECURITY, Role.AUDITOR, scope=READ),
    ("people-sources", "POST"): _SECRET,
    ("people-source", "GET"): row(Role.ADMIN, Role.ANALYST, Role.SECURITY, Role.AUDITOR, scope=READ),
    ("people-source-rotate", "POST"): _SECRET,
    ("people-source-test", "POST"): row(Role.ADMIN, scope=f"{_SOURCES}:write"),
    ("people-source-disable", "POST"): row(Role.ADMIN),
    ("people-source-let-through", "POST"): _SECRET,
    ("people-source-keep", "POST"): row(Role.ADMIN),
    ("people-source-file", "POST"): row(Role.ADMIN, scope=f"{_SOURCES}:write"),
    ("role-mappings", "GET"): row(Role.ADMIN, Role.ANALYST, Role.SECURITY, Role.AUDITOR, scope=READ),
    ("role-mappings", "POST"): _ROLE_MAP,
    ("role-mapping-confirm", "POST"): _ROLE_MAP,
    ("role-mapping-end", "POST"): _ROLE_MAP,
    ("proposals", "GET"): READABLE,
    ("proposal", "GET"): READABLE,
    ("proposal-accept", "POST"): _ANSWER,
    ("proposal-decline", "POST"): _ANSWER,
    ("delegations", "GET"): READABLE,
    ("delegations", "POST"): _ANSWER,
    ("delegation", "GET"): READABLE,
    ("delegation-end", "POST"): _ANSWER,
    ("agent-combinations", "GET"): READABLE,
    ("agent-calls", "GET"): READABLE,
    ("agent-calls", "POST"): row(Role.ANALYST),
    ("agent-call", "GET"): READABLE,
    ("agent-call-end", "POST"): row(Role.ANALYST, Role.SECURITY),
    ("approval-policies", "GET"): _POLICIES,
    ("approval-policy", "GET"): _POLICIES,
    ("policy-proposals", "GET"): _POLICIES,
    ("policy-proposals", "POST"): _POLICY,
    ("policy-proposal", "GET"): _POLICIES,
    ("policy-proposal-confirm", "POST"): _POLICY,
    ("policy-proposal-withdraw", "POST"): row(Role.ADMIN, Role.SECURITY),
    ("approval-rules", "GET"): _POLICIES,
    ("approval-rules", "POST"): _WEIGHTY_COMBINE,
    ("approval-rule", "GET"): _POLICIES,
    ("approval-rule-confirm", "POST"): row(Role.SECURITY, proven=ALWAYS),
    ("approval-rule-withdraw", "POST"): _COMBINE,
    ("approval-rule-end", "POST"): _COMBINE,
    ("rule-approvals", "GET"): _EVIDENCE,
    ("rule-approval", "GET"): _EVIDENCE,
    ("rule-approval-look", "POST"): _COMBINE,
    ("combination-rules", "GET"): _EVIDENCE,
    ("combination-rules", "POST"): _COMBINE,
    ("combination-rule", "GET"): _EVIDENCE,
    ("combination-rule-holders", "GET"): _EVIDENCE,
    ("combination-rule-publish", "POST"): _WEIGHTY_COMBINE,
    ("combination-rule-withdraw", "POST"): _COMBINE,
    ("combination-exceptions", "GET"): _EVIDENCE,
    ("combination-exceptions", "POST"): row(Role.SECURITY, proven=ALWAYS),
    ("combination-exception", "GET"): _EVIDENCE,
    ("combination-exception-end", "POST"): row(Role.SECURITY),
    ("emergencies", "GET"): READABLE,
    ("emergencies", "POST"): Row(anybody=True, proven=ALWAYS),
    ("emergency", "GET"): READABLE,
    ("emergency-review", "POST"): row(Role.SECURITY),
    ("adoptions", "GET"): READABLE,
    ("adoptions", "POST"): row(Role.ANALYST),
    ("adoption", "GET"): READABLE,
    ("adoption-agents", "GET"): READABLE,
    ("adoption-ask", "POST"): row(Role.ANALYST),
    ("adoption-answer", "POST"): _ANSWER,
    ("adoption-confirm", "POST"): row(Role.ANALYST),
    ("agent-cut-over", "POST"): row(Role.ANALYST),
    ("agent-adoption-undo", "POST"): row(Role.ANALYST),
    ("seen-agents", "GET"): _EVIDENCE,
    ("seen-agents-compared", "GET"): _EVIDENCE,
    ("seen-agent-match", "POST"): row(Role.ANALYST),
    ("seen-agent-block", "POST"): _COMBINE,
    ("seen-agent-unblock", "POST"): _COMBINE,
    ("coverage", "GET"): READABLE,
    ("coverage-summary", "GET"): READABLE,
    ("system-paths", "POST"): row(Role.ANALYST, related="system_owner"),
    ("requests", "GET"): READABLE,
    ("requests", "POST"): _ASK,
    ("request", "GET"): READABLE,
    ("request", "PATCH"): _ASK,
    ("request-question", "POST"): _ANSWER,
    ("request-question-answer", "POST"): _ASK,
    ("request-reassign", "POST"): _ANSWER,
    ("request-appeal", "POST"): _ASK,
    ("request-give-back", "POST"): _ASK,
    ("request-again", "POST"): _ASK,
    ("grant-renew", "POST"): _ASK,
    ("request-narrow", "POST"): _ASK,
    ("request-outlook", "GET"): READABLE,
    ("request-cancel", "POST"): _ASK,
    ("requests-approve", "POST"): _WEIGHTY_ANSWER,
    ("requests-deny", "POST"): _ANSWER,
    ("request-approve", "POST"): _WEIGHTY_ANSWER,
    ("request-deny", "POST"): _ANSWER,
}
MATRIX: Final[Matrix] = declared(with_finer(_ROWS, _KINDS))
