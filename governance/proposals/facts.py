"""The kinds of changes that need two people: where each is shown, who may confirm it, and what waits for one person."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db.models import F, Model, Q, QuerySet, TextField, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast, Coalesce, Now, Substr
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from audit import bodies
from audit.actions import Action
from audit.models import Event
from entitlements.access import caller as callers
from entitlements.access.caller import Caller
from entitlements.client_documents.models import ClientHost
from entitlements.conflicts import independence
from entitlements.networks.models import SystemNetwork
from entitlements.people.models import GroupMapping, Person, Role
from entitlements.proposals import proposals
from entitlements.proposals.in_force import CONFIRMERS
from entitlements.proposals.models import Proposal
from entitlements.risk.models import SignalResponse
from entitlements.session_policies.models import SessionPolicy
from entitlements.stdio_commands.models import StdioCommand
from entitlements.trusted_issuers.models import IssuerProposal
from governance.approval_policies.models import AutoApprovalRule, PolicyProposal
from governance.credential_policy.models import CredentialPolicyProposal
from governance.guardrails.models import GuardrailProposal
from governance.sod.models import SodPolicy

_PROPOSED: Final = Q(state="proposed")
_NO_TEXT: Final = Value("", TextField())


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of change that one person proposes and another confirms.

    `link` is the kind of the link by which its event names it, and the column of a row that holds the link's key.
    `name` is what people call it, if anything; `page` shows it, at an address with the value of `page_of`.
    """

    event: Action
    label: Any
    model: type[Model]
    link: tuple[str, str]
    page: str
    page_of: str = ""
    name: str | Combinable = ""
    roles: tuple[Role, ...] = CONFIRMERS
    narrowed: Callable[[Caller], Q] = lambda _caller: Q()
    """Which rows holders of these roles may confirm."""
    offices: tuple[str, ...] = ()
    """Whose holders may confirm a row whatever their roles."""
    waits: Q = _PROPOSED

    def rows(self, caller: Caller, accounts: Iterable[Person]) -> QuerySet[Any]:
        """Return what a person with these accounts may confirm: nothing that one of them proposed."""
        may = self.narrowed(caller) if caller.has(*self.roles) else Q(pk__in=[])
        for office in self.offices:
            may |= Q(**{office: caller.human})
        return self.waiting().filter(may).exclude(proposed_by__in=accounts)

    def waiting(self) -> QuerySet[Any]:
        """Return what waits for a second person."""
        return self.model._default_manager.filter(self.waits)  # noqa: SLF001 - Django's


@dataclass(frozen=True, slots=True)
class Waiting:
    """A proposed change as people are told of it."""

    kind: Kind
    key: UUID
    what: str
    address: str
    person: str
    """The name of the person who proposed it; empty where a script did."""
    reason: str

    @property
    def proposed_by(self) -> str:
        """Return what to call the one who proposed it."""
        return self.person or _("a script")


KINDS: Final = (
    Kind(
        event=Action.APPROVAL_POLICY_PROPOSED,
        label=gettext_lazy("Approval policy"),
        model=PolicyProposal,
        link=("approval_policy_proposal", "pk"),
        page="approval-settings",
        name="entitlement__name",
    ),
    Kind(
        event=Action.AUTO_APPROVAL_RULE_PROPOSED,
        label=gettext_lazy("Auto-approval rule"),
        model=AutoApprovalRule,
        link=("approval_rule", "pk"),
        page="approval-settings",
        name="entitlement__name",
        roles=(Role.SECURITY,),
        waits=_PROPOSED & Q(expires_at__gt=Now()),
    ),
    Kind(
        event=Action.CLIENT_HOST_PROPOSED,
        label=gettext_lazy("Host of clients"),
        model=ClientHost,
        link=("client_host", "host"),
        page="client-settings",
        name="host",
        narrowed=lambda _caller: Q(agent=None),
        offices=("agent__sponsor", "agent__owner", "agent__backup"),
    ),
    Kind(
        event=Action.CREDENTIAL_POLICY_PROPOSED,
        label=gettext_lazy("Credential policy"),
        model=CredentialPolicyProposal,
        link=("credential_policy_proposal", "pk"),
        page="credential-policy-page",
    ),
    Kind(
        event=Action.GROUP_MAPPING_PROPOSED,
        label=gettext_lazy("Group mapping"),
        model=GroupMapping,
        link=("mapping", "pk"),
        page="role-map",
        name="value",
        roles=(Role.ADMIN, Role.ANALYST, Role.SECURITY),
        narrowed=lambda caller: Q() if caller.has(Role.ADMIN) else Q(role__in=caller.roles),
    ),
    Kind(
        event=Action.GUARDRAIL_PROPOSED,
        label=gettext_lazy("Guardrail"),
        model=GuardrailProposal,
        link=("guardrail", "key"),
        page="guardrail-page",
        page_of="pk",
        name="name",
    ),
    Kind(
        event=Action.ISSUER_PROPOSED,
        label=gettext_lazy("Trusted issuer"),
        model=IssuerProposal,
        link=("issuer", "issuer"),
        page="trusted-issuers-page",
        name="issuer",
    ),
    Kind(
        event=Action.PROPOSAL_PROPOSED,
        label=gettext_lazy("Erasure of personal data"),
        model=Proposal,
        link=("proposal", "pk"),
        page="change-proposal-list",
        name=Substr("subject", len("person:") + 1),
        waits=_PROPOSED & Q(kind="erasure"),
    ),
    Kind(
        event=Action.PROPOSAL_PROPOSED,
        label=gettext_lazy("Lower class of a tool"),
        model=Proposal,
        link=("proposal", "pk"),
        page="change-proposal-list",
        name=Substr("subject", len("tool:") + 1),
        waits=_PROPOSED & Q(kind="tool_class"),
    ),
    Kind(
        event=Action.SESSION_POLICY_PROPOSED,
        label=gettext_lazy("Session policy"),
        model=SessionPolicy,
        link=("session_policy", "name"),
        page="session-policies-page",
        name="name",
    ),
    Kind(
        event=Action.SIGNAL_RESPONSE_PROPOSED,
        label=gettext_lazy("Response to risk signals"),
        model=SignalResponse,
        link=("signal_response", "pk"),
        page="signal-responses-page",
        name="kind",
    ),
    Kind(
        event=Action.SOD_POLICY_PROPOSED,
        label=gettext_lazy("SoD policy"),
        model=SodPolicy,
        link=("sod_policy", "name"),
        page="rule-page",
        page_of="pk",
        name="name",
        roles=(Role.ANALYST, Role.SECURITY),
    ),
    Kind(
        event=Action.STDIO_COMMAND_PROPOSED,
        label=gettext_lazy("Local server"),
        model=StdioCommand,
        link=("stdio_command", "name"),
        page="stdio-commands-page",
        name="name",
    ),
    Kind(
        event=Action.SYSTEM_NETWORK_PROPOSED,
        label=gettext_lazy("Network of a system"),
        model=SystemNetwork,
        link=("system", "system__slug"),
        page="system-network-page",
        page_of="system__slug",
        name="system__name",
    ),
)


def for_person(caller: Caller, person: Person, most: int) -> list[Waiting]:
    """Return what waits for a person to confirm it, the oldest first, read by one query."""
    accounts = independence.accounts_of(person)
    kinds = [_columns(number, kind, kind.rows(caller, accounts)) for number, kind in enumerate(KINDS)]
    found = kinds[0].union(*kinds[1:], all=True).order_by("shown_since", "shown_key")[:most]
    changes = [_shown(row) for row in found]
    return [change for change in changes if not _is_own(change, person)]


def _columns(number: int, kind: Kind, rows: QuerySet[Any]) -> QuerySet[Any, dict[str, Any]]:
    texts = {"name": kind.name, "page_of": kind.page_of, "by": "proposed_by__name", "why": "reason"}
    columns = {
        f"shown_{name}": Coalesce(Cast(each, TextField()), _NO_TEXT) if each else _NO_TEXT
        for name, each in texts.items()
    }
    return rows.order_by().values(shown_kind=Value(number), shown_key=F("pk"), shown_since=F("proposed_at"), **columns)


def link_of(event: Event) -> str:
    """Return the link by which an event names what it proposed; empty without one."""
    kinds = {kind.link[0] for kind in KINDS if kind.event == event.action}
    return next((link for link in event.about if link.partition(":")[0] in kinds), "")


def find(link: str) -> Waiting | None:
    """Return what a link of the audit log names, if it waits for a second person."""
    of, _colon, key = link.partition(":")
    for number, kind in enumerate(KINDS):
        known, column = kind.link
        if known == of:
            rows = kind.waiting().filter(**{column: bodies.uuid(key) if column == "pk" else key})
            if (row := _columns(number, kind, rows).first()) is not None:
                return _shown(row)
    return None


def people(change: Waiting) -> list[Person]:
    """Return the people who may confirm a change, by the rule that fills their queues."""
    may = Q(pk__in=Person.objects.holding(*change.kind.roles).values("pk"))
    for office in change.kind.offices:
        may |= Q(pk__in=change.kind.waiting().filter(pk=change.key).values(office))
    active = Person.objects.filter(may, is_active=True).order_by("pk")
    return [person for person in active if _may_confirm(change, person)]


def _may_confirm(change: Waiting, person: Person) -> bool:
    rows = change.kind.rows(callers.of(person), independence.accounts_of(person))
    return rows.filter(pk=change.key).exists() and not _is_own(change, person)


def _is_own(change: Waiting, person: Person) -> bool:
    """Whether a person stands behind the script that proposed it."""
    scripts = Proposal.objects.filter(pk=change.key, proposed_by=None) if not change.person else ()
    return any(proposals.is_own(row, person) for row in scripts)


def _shown(row: Mapping[str, Any]) -> Waiting:
    kind = KINDS[row["shown_kind"]]
    of = [row["shown_page_of"]] if kind.page_of else []
    what = f"{kind.label}: {row['shown_name']}" if row["shown_name"] else str(kind.label)
    return Waiting(kind, row["shown_key"], what, reverse(kind.page, args=of), row["shown_by"], row["shown_why"])
