"""Who may open which page: one row for each URL name and method of the console. A page without a row is closed.

A page does by hand what the API does for machines, so nearly every row is the API's own: `like("agent-restore")` is
the row of `POST /agents/{key}/restore`, and a change to that row changes both. The door (`doors.page`) checks the row
first; the page checks again about its object (`doors.permit`), and only rows named here.
Rows that a person may not see are filtered out for every page (`entitlements.access.visibility`).

To add a page: write its row below, or in `matrix_systems.py` or `matrix_reviews.py`, under the name that its address
has in `urls.py`, once for each method it takes (GET, POST), and run `make reference`, which writes
`docs/reference/roles.md`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from entitlements.access.caller import SEE_EVERYTHING
from entitlements.people.models import OFFICE as OFFICE_ROLES
from entitlements.people.models import Role
from entitlements.permissions.matrix import ALWAYS, Row, row
from entitlements.revocation.api import EVERYTHING, KINDS
from governance.back_office.asks import ACTS as BACK_OFFICE
from governance.event_streams.page_rows import ROWS as EVENT_STREAMS
from governance.policy_domains.page_rows import ROWS as POLICY_DOMAINS
from governance.risk.page_rows import ROWS as RISK

from .matrix_reviews import REVIEWS
from .matrix_rows import API, ONES_OWN, STRANGERS, Page, Pages, both, like
from .matrix_systems import SYSTEMS


class NotDeclared(LookupError):
    """A page without a row, or one that asks a row it does not name: a programming error, which closes the page."""


OFFICE: Final = Page(Row(frozenset(OFFICE_ROLES)))
"""Each page of the back office at /admin/ that shows rows."""
OFFICE_ACTS: Final = {
    (f"admin:{model}_act", method): Page(
        replace(OFFICE.row, proven=ALWAYS), frozenset((name, "POST") for name in names)
    )
    for model, names in BACK_OFFICE.items()
    for method in ("GET", "POST")
}
"""Each page of the back office that acts on rows, after step-up authentication; it asks the rows of its acts."""
_SEERS: Final = Page(Row(frozenset(SEE_EVERYTHING)))
_SETUP: Final = Page(row(Role.ADMIN))
_STEP_UP_SETUP: Final = Page(row(Role.ADMIN, proven=ALWAYS))
_EVERYTHING: Final = Page(EVERYTHING)
"""The page demands step-up authentication; the API does not, as for each revocation: a page may have been left open."""
_STOP: Final = Page(
    Row(
        frozenset().union(*(kind.row.roles for kind in KINDS.values())),
        frozenset().union(*(kind.row.related for kind in KINDS.values())),
    )
)

SIGN_IN: Final[Pages] = {
    **both(STRANGERS, "account_login", "account_logout", "welcome", "mfa_authenticate", "mfa_login_webauthn"),
    **both(STRANGERS, "openid_connect_login", "openid_connect_callback"),
    ("account_inactive", "GET"): STRANGERS,
    **both(ONES_OWN, "account_reauthenticate", "account_change_password", "mfa_reauthenticate"),
    **both(ONES_OWN, "mfa_activate_totp", "mfa_deactivate_totp", "mfa_generate_recovery_codes", "mfa_add_webauthn"),
    **both(ONES_OWN, "mfa_remove_webauthn", "mfa_edit_webauthn", "mfa_reauthenticate_webauthn"),
    **both(ONES_OWN, "mfa_download_recovery_codes"),
    ("company_again", "GET"): ONES_OWN,
    ("mfa_index", "GET"): ONES_OWN,
    ("mfa_view_recovery_codes", "GET"): ONES_OWN,
    ("mfa_list_webauthn", "GET"): ONES_OWN,
}
"""Signing in. Most are django-allauth's pages without a door of ours: its decorators and the middleware keep these."""

PAGES: Final[Pages] = {
    ("home", "GET"): ONES_OWN,
    ("theme", "POST"): ONES_OWN,
    **both(ONES_OWN, "keys"),
    ("search", "GET"): ONES_OWN,
    ("search-options", "GET"): ONES_OWN,
    ("audit", "GET"): like("audit-events GET"),
    ("restored", "GET"): _SEERS,
    ("why", "GET"): like("decisions-why GET"),
    ("who-can", "GET"): like("decisions-who-can GET"),
    ("what-if-list", "GET"): like("decisions-what-if-result GET"),
    ("what-if-page", "GET"): like("decisions-what-if-result GET"),
    **both(like("decisions-what-if"), "what-if-grant"),
    ("settings", "GET"): ONES_OWN,
    ("setup", "GET"): ONES_OWN,
    **{(f"setup-{act}", "POST"): _SETUP for act in ("test", "backup")},
    **{(f"setup-{act}", "POST"): _STEP_UP_SETUP for act in ("invite", "trust", "link")},
    ("credential-policy-page", "GET"): like("credential-policies GET"),
    **both(like("credential-policy-proposals"), "credential-policy-propose"),
    ("credential-policy-decide", "POST"): like(
        "credential-policy-proposal-confirm", "credential-policy-proposal-withdraw"
    ),
    ("guardrail-list", "GET"): like("guardrails GET", also=("guardrails",)),
    ("guardrail-page", "GET"): like(
        "guardrail GET", also=("guardrail-confirm", "guardrail-replay", "guardrail-withdraw", "guardrail-end")
    ),
    **both(like("guardrails", also=("decisions-what-if",)), "guardrail-propose"),
    ("guardrail-propose", "POST"): like("guardrails", "decisions-what-if"),  # "only replay it" asks for no proof
    ("guardrail-decide", "POST"): like("guardrail-confirm", "guardrail-replay", "guardrail-withdraw", "guardrail-end"),
    ("ticket-settings", "GET"): like("ticket-policies GET"),
    ("ticket-settings", "POST"): like("ticket-policies"),
    ("approval-settings", "GET"): like("approval-policies GET"),
    **both(like("policy-proposals"), "policy-propose"),
    ("policy-history", "GET"): like("approval-policy GET"),
    ("policy-decide", "POST"): like("policy-proposal-confirm", "policy-proposal-withdraw"),
    **both(like("auto-approval-rules"), "auto-approval-rule-propose"),
    ("auto-approval-rule-decide", "POST"): like(
        "auto-approval-rule-confirm", "auto-approval-rule-withdraw", "auto-approval-rule-end"
    ),
    ("auto-approval-answer", "POST"): like("auto-approval-look"),
    **both(like("delegations"), "delegations"),
    ("delegation-end", "POST"): like("delegation-end"),
    ("view-save", "POST"): like("saved-views"),
    ("view-delete", "POST"): like("saved-view-delete"),
    ("inbox", "GET"): ONES_OWN,
    ("inbox-open", "GET"): ONES_OWN,
    ("inbox-read", "POST"): like("notice-read"),
    ("inbox-read-all", "POST"): like("notices-read"),
    **both(ONES_OWN, "notice-settings-page"),
    ("discovery-list", "GET"): like("discovery-sources GET"),
    **both(like(*(f"discovery-source-{kind}" for kind in ("okta", "entra", "fleet"))), "discovery-add"),
    ("discovery-page", "GET"): like("discovery-source GET"),
    ("discovery-page", "POST"): like(
        *(f"discovery-source-{act}" for act in ("run", "credential", "change", "disable", "enable"))
    ),
    ("chat-settings", "GET"): like("chat-connections GET"),
    ("chat-settings", "POST"): like(
        *(f"chat-connection-{act}" for act in ("slack", "teams", "names", "test", "disconnect"))
    ),
    ("webhook-list", "GET"): like("webhooks GET"),
    ("webhook-list", "POST"): like("webhooks"),
    ("webhook-page", "GET"): like("webhook GET"),
    ("webhook-page", "POST"): like(
        "webhook-rotate", "webhook-test", "webhook-stop", "webhook-start", "webhook-message-replay"
    ),
    ("role-map", "GET"): like("group-mappings GET"),
    ("role-map", "POST"): like("group-mappings", "group-mapping-confirm", "group-mapping-end"),
    ("delivery-list", "GET"): like("deliveries GET"),
    ("delivery-again", "POST"): like("delivery-replay"),
    ("make-token", "POST"): Page(Row(anybody=True, proven=ALWAYS)),
    ("end-token", "POST"): ONES_OWN,
    ("connect", "GET"): ONES_OWN,
    ("connect-light", "GET"): ONES_OWN,
    **dict.fromkeys([("rollout", "GET"), ("rollout-file", "GET")], like("systems")),
    # Asking and answering
    ("catalogue", "GET"): like("entitlements GET"),
    ("entitlement-list", "GET"): like("entitlements GET"),
    ("request-list", "GET"): like("requests GET"),
    ("request-page", "GET"): like("request GET"),
    ("request-page", "POST"): like(
        *("request-approve", "request-deny", "request-cancel", "request-question", "request-question-answer"),
        *("request-reassign", "request-appeal", "request-give-back"),
    ),
    **both(like("request PATCH"), "request-edit"),
    **both(like("requests"), "ask"),
    ("emergency-list", "GET"): like("emergencies GET"),
    **both(like("emergencies"), "emergency-declare"),
    ("emergency-page", "GET"): like("emergency GET", also=("grant-revoke",)),
    ("emergency-page", "POST"): like("emergency-review"),
    # Agents and what they hold
    ("agent-list", "GET"): like("agents GET"),
    ("blast-radius", "GET"): like("grants GET"),
    ("review-of-selected", "POST"): Page(like("campaigns").row),
    ("agent-page", "GET"): like("agent GET"),
    **both(like("agents"), "agent-add"),
    **both(like("agent PATCH"), "agent-edit"),
    ("agent-people", "POST"): like("agent-sponsor", "agent-owner", "agent-backup"),
    ("agent-activate-page", "POST"): like("agent-activate"),
    ("agent-rate", "POST"): like("agent-criticality PUT"),
    ("agent-delegate", "POST"): like("agent-delegates"),
    ("agent-delegate-withdraw", "POST"): like("delegation-withdraw"),
    ("agent-kinds-page", "GET"): like("kinds-of-agents GET"),
    ("agent-kinds-page", "POST"): like("kind-of-agents PUT"),
    ("agent-needed", "POST"): like("agent-keep", "agent-retire"),
    ("proposal-page", "GET"): like("proposal GET"),
    ("proposal-page", "POST"): like("proposal-accept", "proposal-decline"),
    **both(like("clients"), "client-add"),
    ("client-page", "GET"): like("client GET"),
    ("client-page", "POST"): like("client-secret", "client-keys", "client-rotation-revoke", "client-enable"),
    ("client-settings", "GET"): like(
        "client-hosts GET", also=("client-hosts", "client-host-confirm", "client-host-withdraw", "client-host-end")
    ),
    **both(like("client-hosts"), "client-host-propose"),
    ("client-host-decide", "POST"): like("client-host-confirm", "client-host-withdraw", "client-host-end"),
    ("trusted-issuers-page", "GET"): like(
        "trusted-issuers GET",
        also=("trusted-issuers", "trusted-issuer-confirm", "trusted-issuer-withdraw", "trusted-issuer-end"),
    ),
    **both(like("trusted-issuers"), "trusted-issuer-propose"),
    ("trusted-issuer-decide", "POST"): like("trusted-issuer-confirm", "trusted-issuer-withdraw", "trusted-issuer-end"),
    ("client-document-page", "GET"): like(
        "client-document GET", also=("client-document-approve", "client-document-refuse")
    ),
    ("client-document-page", "POST"): like("client-document-approve", "client-document-refuse"),
    ("credential-page", "GET"): like("client-credential GET"),
    ("credential-page", "POST"): like("client-credential-accept", "client-credential-refuse"),
    **both(like("workload-rules"), "workload-rule-add"),
    ("workload-rule-end-page", "POST"): like("workload-rule-end"),
    ("agent-start", "POST"): like("agent-restore"),
    ("my-agents", "GET"): ONES_OWN,
    **both(ONES_OWN, "my-connections"),
    ("person-connections", "GET"): like("person GET"),
    **both(ONES_OWN, "connected-account-page"),
    ("connected-account-callback", "GET"): ONES_OWN,
    ("account-disconnect", "POST"): like("connected-account-end"),
    ("session-list", "GET"): like("sessions GET"),
    ("session-page", "GET"): like("session GET", also=("session-end", "risk GET")),
    ("end-session", "POST"): like("session-end"),
    ("token-health", "GET"): like("token-health GET", also=("clients GET",)),
    ("token-list", "GET"): like("token-health-tokens GET"),
    ("grant-list", "GET"): like("grants GET"),
    ("grant-page", "GET"): like("grant GET", also=("grant-narrow", "decisions-what-if")),
    **both(like("grant-narrow"), "grant-narrow-page"),
    ("grant-renew", "POST"): like("grant-renew"),
    ("request-again", "POST"): like("request-again"),
    ("grant-pause", "POST"): like("grant-suspend"),
    ("grant-resume", "POST"): like("grant-restore"),
    # Access elsewhere, and the map of all of it
    ("adoption-list", "GET"): like("adoptions GET"),
    **both(like("adoptions"), "adoption-add"),
    ("adoption-compare", "GET"): like("unmanaged-agents-compared GET"),
    ("adoption-page", "GET"): like("adoption GET"),
    ("adoption-page", "POST"): like("adoption-ask", "adoption-answer", "adoption-confirm"),
    ("seen-decide", "POST"): like("seen-agent-match", "seen-agent-block", "seen-agent-unblock"),
    **{(f"coverage-{name}", "GET"): like("coverage GET") for name in ("map", "csv", "page")},
    ("coverage-page", "POST"): like("agent-cut-over", "agent-adoption-undo", "system-paths"),
    **SYSTEMS,
    # Posture report and revocations
    **{(name, "GET"): like("posture-report GET") for name in ("posture", "posture-report", "posture-report-pdf")},
    ("posture-items", "GET"): like("review-items GET"),
    ("stops", "GET"): like("revocation GET"),
    ("receipt", "GET"): like("revocation GET"),
    ("receipt-prove", "POST"): like("revocation-prove"),
    **{(name, "GET"): like("drill GET") for name in ("drill-list", "drill-receipt")},
    **both(_STOP, "stop"),
    **both(_EVERYTHING, "stop-everything"),
    ("stop-several", "POST"): like("grant-suspend", "grant-revoke", "agent-suspend", "session-end"),
    ("start-again", "POST"): like("revocations-everything-restore"),
    # Combinations that no agent may hold
    ("rule-list", "GET"): like("sod-policies GET"),
    ("rule-propose", "POST"): like("sod-policies"),
    **both(like("sod-policies"), "rule-new"),
    ("agent-call-list", "GET"): like("agent-calls GET"),
    ("agent-call-list", "POST"): like("agent-calls"),
    ("agent-call-stop", "POST"): like("agent-call-end"),
    ("rule-page", "GET"): like("sod-policy GET"),
    ("rule-publish", "POST"): like("sod-policy-publish"),
    ("rule-withdraw", "POST"): like("sod-policy-withdraw"),
    ("rule-except", "POST"): like("sod-exceptions"),
    ("exception-list", "GET"): like("exceptions GET"),
    ("budget-list", "GET"): like("budgets GET", also=("budgets",)),
    ("budget-page", "GET"): like("budget GET", also=("budget-end",)),
    ("budget-page", "POST"): like("budget-end"),
    **both(like("budgets"), "budget-set"),
    ("decoy-list", "GET"): like("decoys GET", also=("decoys",)),
    ("decoy-page", "GET"): like("decoy GET", also=("decoy-end",)),
    ("decoy-page", "POST"): like("decoy-end"),
    **both(like("decoys"), "decoy-plant"),
    **RISK,
    **POLICY_DOMAINS,
    **EVENT_STREAMS,
    ("exception-end", "POST"): like("sod-exception-end"),
    **REVIEWS,
    # People
    ("people-list", "GET"): Page(replace(_SEERS.row, limitable=True)),
    **both(like("people"), "person-add"),
    ("person-page", "GET"): like("person GET"),
    ("person-start", "POST"): like("person-enable"),
    ("person-erase", "POST"): like("person-erase"),
    **both(like("person PATCH"), "person-edit"),
    ("person-role", "POST"): like("person-role-give", "person-role-take"),
    ("source-list", "GET"): _SEERS,
    ("source-list", "POST"): like("people-sources"),
    ("source-page", "GET"): _SEERS,
    ("source-page", "POST"): like(
        *(f"people-source-{act}" for act in ("rotate", "test", "disable", "let-through", "keep", "file"))
    ),
    ("group-list", "GET"): like("groups GET"),
    **both(like("groups"), "group-add"),
    ("group-page", "GET"): like("group GET"),
    ("group-join", "POST"): like("group-join"),
    ("group-leave", "POST"): like("group-leave"),
}


def find(name: str, method: str) -> Page:
    """Return the row of a page; HEAD is a GET without its body. Raises NotDeclared, with what to write."""
    key = (name, "GET" if method in ("HEAD", "OPTIONS") else method)
    if (page := PAGES.get(key) or SIGN_IN.get(key) or OFFICE_ACTS.get(key)) is None:
        message = f"This page is closed: add a row for {key} to PAGES in governance/console/matrix.py."
        raise NotDeclared(message)
    return page


def api_row(name: str, method: str, api_key: tuple[str, str]) -> Row:
    """Return a row of the API that a page checks about its object. Raises NotDeclared, with what to write."""
    if api_key not in find(name, method).asks:
        message = (
            f"Add {' '.join(api_key)!r} to the row of {(name, method)} in governance/console/matrix.py: it asks it."
        )
        raise NotDeclared(message)
    return API[api_key]
