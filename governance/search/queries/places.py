"""Where the command bar leads: the pages of the navigation and actions, by their words and by those of the trade."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from entitlements.access.caller import Caller
from entitlements.api import permissions
from governance.break_glass import queries as break_glass
from governance.console import matrix, navigation


@dataclass(frozen=True, slots=True)
class Place:
    """A page, or an action that begins on one; `name` is its address's, `query` what follows."""

    name: str
    label: Any
    synonyms: tuple[Any, ...] = ()
    query: str = ""
    is_action: bool = False

    @property
    def address(self) -> str:
        """Where it is."""
        return reverse(self.name) + self.query


ACTIONS: Final = (
    Place("ask", _("Request access"), (_("Access request"),), is_action=True),
    Place(
        "review-new",
        _("New access review"),
        (_("New campaign"), _("Start certification"), _("Recertification"), _("UAR"), _("User access review")),
        is_action=True,
    ),
    Place(
        "emergency-declare", _("Declare break-glass access"), (_("Firefighter"), _("Emergency access")), is_action=True
    ),
    Place("stop-everything", _("Kill switch"), (_("Suspend everything"), _("Stop everything")), is_action=True),
    Place("agent-add", _("Register an agent"), (_("New service account"), _("New NHI"), _("Add")), is_action=True),
    Place("system-add", _("Register a system"), (_("New application"), _("Connector"), _("Add")), is_action=True),
    Place("rule-new", _("New SoD policy"), (_("Toxic combination"), _("Segregation of duties")), is_action=True),
    Place("delegations", _("Set an out-of-office delegate"), (_("Deputy"), _("Vacation")), is_action=True),
    Place(
        "who-can",
        _("Ask who can call a tool, or why a call was denied"),
        (_("Who can call a tool"), _("Effective access"), _("Access analysis"), _("Why was it denied")),
        is_action=True,
    ),
    Place("audit", _("Verify the audit log"), (_("Checkpoint"), _("Tamper evidence")), "?verify=1", is_action=True),
)
"""What can be begun from anywhere; each page checks for itself who may go on."""
_MORE: Final = (
    Place("request-list", _("Requests that wait for you"), (_("Approvals"),), "?waiting=me"),
    Place("review-templates", _("Review templates"), (_("Certification template"),)),
    Place("grant-list", _("Access that ends within a week"), (_("Expiring access"),), "?ending=week"),
    Place("agent-list", _("Orphaned agents"), (_("Ownerless service account"),), "?finding=orphaned"),
    Place("restored", _("Restored backup"), (_("Disaster recovery"),)),
    Place("mfa_index", _("How you sign in"), (_("MFA"), _("Second factor"), _("Passkey"))),
    Place("notice-settings-page", _("Notification settings"), (_("Email"), _("Quiet hours"))),
)
_SYNONYMS: Final = {
    "review-list": (
        *(_("Certification"), _("Recertification"), _("UAR"), _("User access review"), _("Attestation")),
        *(_("Campaign"), _("Reviews")),
    ),
    "event-triggered-list": (_("Micro-certification"),),
    "emergency-list": (_("Firefighter"), _("Emergency access"), _("Breakglass")),
    "rule-list": (
        *(_("Toxic combination"), _("Segregation of duties"), _("Separation of duties"), _("Lethal trifecta")),
    ),
    "exception-list": (_("Exception register"), _("Risk acceptance"), _("Mitigating controls"), _("Waivers")),
    "agent-list": (_("Service account"), _("NHI"), _("Non-human identity"), _("Workload identity"), _("Bots")),
    "grant-list": (_("Grants"), _("Permissions"), _("Assignments")),
    "catalogue": (_("Access profiles"), _("What can be requested")),
    "stops": (_("Revoke"), _("Suspend"), _("Receipts"), _("Kill switch"), _("Drill")),
    "session-list": (_("Sign out"), _("Logout")),
    "my-connections": (_("Connected apps"), _("Connected clients"), _("Sign-ins"), _("Sessions")),
    "risk-signals": (_("Drift"), _("Anomaly"), _("ITDR"), _("Threat detection"), _("Compromised")),
    "budget-list": (_("Rate limits"), _("Quota"), _("Spend limits"), _("Throttling")),
    "policy-domain-list": (_("AuthZEN"), _("PDP"), _("Policy decision point"), _("External authorization")),
    "decoy-list": (_("Honeytoken"), _("Honeypot"), _("Canary token"), _("Deception")),
    "event-streams-page": (_("Shared Signals"), _("SSF"), _("CAEP"), _("RISC"), _("Transmitter")),
    "right-sizing-page": (_("Least privilege"), _("Unused access"), _("Rightsizing")),
    "approval-settings": (_("Approval workflow"), _("Auto-approval rules"), _("Birthright access")),
    "people-list": (_("Users"), _("Identities"), _("Admin roles")),
    "source-list": (_("SCIM"), _("HR"), _("Joiner mover leaver"), _("Directory")),
    "role-map": (_("SSO groups"), _("Admin roles")),
    "audit": (_("Trail"), _("Evidence"), _("SIEM"), _("Timeline")),
    "token-health": (_("Secrets"), _("Rotation"), _("Credentials")),
    "adoption-list": (_("Unmanaged agents"), _("Discovery"), _("Shadow AI")),
    "system-list": (_("Applications"), _("MCP servers"), _("Connectors")),
    "trusted-issuers-page": (
        *(_("Identity providers"), _("IdP"), _("Federation"), _("OpenID Connect"), _("OIDC"), _("SSO"), _("ID-JAG")),
        *(_("Cross App Access"), _("XAA"), _("Okta"), _("Entra"), _("Keycloak"), _("JWKS")),
    ),
}
"""What else people call a page of the navigation."""


def actions(caller: Caller) -> list[Place]:
    """Return the actions that a person may begin."""
    return [place for place in ACTIONS if _lets_in(caller, place.name)]


def find(caller: Caller, text: str) -> Iterator[Place]:
    """Yield the actions and pages whose words begin with the words of a text, and whose page lets the person in."""
    words = text.casefold().split()
    for place in (*ACTIONS, *_pages(), *_MORE):
        if _fits(place, words) and _lets_in(caller, place.name):
            yield place


def _pages() -> Iterator[Place]:
    for page in navigation.PAGES:
        yield Place(page.name, page.label, _SYNONYMS.get(page.name, ()))


def _fits(place: Place, words: list[str]) -> bool:
    """Whether each word begins a word of one name of the place."""
    names = [str(name).casefold().replace("-", " ").split() for name in (place.label, *place.synonyms)]
    wanted = [part for word in words for part in word.replace("-", " ").split()]
    return any(all(any(each.startswith(word) for each in name) for word in wanted) for name in names)


def _lets_in(caller: Caller, name: str) -> bool:
    if name == "emergency-declare" and not break_glass.may_declare(caller):
        return False
    return permissions.lets_in(matrix.find(name, "GET").row, caller)
