"""Who may come in at the addresses of floor 3. Who may answer a request is no role: the verbs look at the request."""

from __future__ import annotations

from typing import Final

from entitlements.api.matrix import READ, READABLE, WRITE, Matrix, Row, row
from entitlements.models import Role

REQUEST: Final = "mandate:request"
"""The scope with which an agent asks for itself, and withdraws or narrows what it asked; it gives no other right."""

_ASK: Final = Row(anybody=True, scope=REQUEST)
_ANSWER: Final = Row(anybody=True)
"""People at first hand only: no token of a script or an agent carries a scope that answers."""

_CAMPAIGN: Final = row(Role.ANALYST)
_OFFICE: Final = row(Role.ANALYST)
_EVIDENCE: Final = row(Role.ANALYST, Role.SECURITY, Role.AUDITOR, scope=READ)
_COMBINE: Final = row(Role.ANALYST, Role.SECURITY)

MATRIX: Final[Matrix] = {
    ("campaigns", "GET"): READABLE,
    ("campaigns", "POST"): _CAMPAIGN,
    ("campaign", "GET"): READABLE,
    ("campaign-activate", "POST"): _CAMPAIGN,
    ("campaign-close", "POST"): _CAMPAIGN,
    ("campaign-submissions", "POST"): _ANSWER,
    ("campaign-evidence", "GET"): _EVIDENCE,
    ("campaign-evidence-table", "GET"): _EVIDENCE,
    ("campaign-seal", "POST"): row(Role.ANALYST, Role.SECURITY),
    ("campaign-pack", "GET"): _EVIDENCE,
    ("review-items", "GET"): READABLE,
    ("simulate-reduction", "POST"): READABLE,
    ("review-item", "GET"): READABLE,
    ("review-item-draft", "PUT"): _ANSWER,
    ("review-item-reassign", "POST"): _CAMPAIGN,
    ("agent-sponsor", "POST"): _OFFICE,
    ("agent-owner", "POST"): _OFFICE,
    ("agent-backup", "POST"): _OFFICE,
    ("agent-keep", "POST"): row(Role.ANALYST, related="sponsor owner"),
    ("notices", "GET"): READABLE,
    ("notices-read", "POST"): _ANSWER,
    ("notice-read", "POST"): _ANSWER,
    ("notice-settings", "GET"): READABLE,
    ("notice-settings", "PUT"): _ANSWER,
    ("deliveries", "GET"): row(Role.ADMIN, scope=READ),
    ("delivery-replay", "POST"): row(Role.ADMIN, scope=WRITE),
    ("person-bounced", "POST"): row(Role.ADMIN, scope=WRITE),
    ("webhooks", "GET"): row(Role.ADMIN, scope=READ),
    ("webhooks", "POST"): row(Role.ADMIN),
    ("webhook", "GET"): row(Role.ADMIN, scope=READ),
    ("webhook-rotate", "POST"): row(Role.ADMIN),
    ("webhook-test", "POST"): row(Role.ADMIN, scope=WRITE),
    ("webhook-stop", "POST"): row(Role.ADMIN, scope=WRITE),
    ("webhook-start", "POST"): row(Role.ADMIN),
    ("webhook-messages", "GET"): row(Role.ADMIN, scope=READ),
    ("webhook-message-replay", "POST"): row(Role.ADMIN, scope=WRITE),
    ("role-mappings", "GET"): row(Role.ADMIN, Role.ANALYST, Role.SECURITY, Role.AUDITOR, scope=READ),
    ("role-mappings", "POST"): row(Role.ADMIN, Role.ANALYST, Role.SECURITY),
    ("role-mapping-confirm", "POST"): row(Role.ADMIN, Role.ANALYST, Role.SECURITY),
    ("role-mapping-end", "POST"): row(Role.ADMIN, Role.ANALYST, Role.SECURITY),
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
    ("combination-rules", "GET"): _EVIDENCE,
    ("combination-rules", "POST"): _COMBINE,
    ("combination-rule", "GET"): _EVIDENCE,
    ("combination-rule-holders", "GET"): _EVIDENCE,
    ("combination-rule-publish", "POST"): _COMBINE,
    ("combination-rule-withdraw", "POST"): _COMBINE,
    ("combination-exceptions", "GET"): _EVIDENCE,
    ("combination-exceptions", "POST"): row(Role.SECURITY),
    ("combination-exception", "GET"): _EVIDENCE,
    ("combination-exception-end", "POST"): row(Role.SECURITY),
    ("emergencies", "GET"): READABLE,
    ("emergencies", "POST"): _ANSWER,
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
    ("seen-agent-match", "POST"): row(Role.ANALYST),
    ("seen-agent-block", "POST"): _COMBINE,
    ("seen-agent-unblock", "POST"): _COMBINE,
    ("coverage", "GET"): READABLE,
    ("coverage-summary", "GET"): READABLE,
    ("system-paths", "POST"): row(Role.ANALYST, related="system_owner"),
    ("requests", "GET"): READABLE,
    ("requests", "POST"): _ASK,
    ("request", "GET"): READABLE,
    ("request-again", "POST"): _ASK,
    ("grant-renew", "POST"): _ASK,
    ("request-narrow", "POST"): _ASK,
    ("request-outlook", "GET"): READABLE,
    ("request-cancel", "POST"): _ASK,
    ("requests-approve", "POST"): _ANSWER,
    ("requests-deny", "POST"): _ANSWER,
    ("request-approve", "POST"): _ANSWER,
    ("request-deny", "POST"): _ANSWER,
}
