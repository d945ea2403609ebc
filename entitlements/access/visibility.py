"""What a caller may see: one queryset for each kind of row. What is not in it does not exist for the caller (404).

Who holds an admin role with a limit sees what is within it (`role_reach`), beside what they see as anybody.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from django.db.models import Model, Q, QuerySet, TextField, Value
from django.db.models.functions import Concat

from audit.models import Event
from entitlements import addresses
from entitlements.agents.models import Agent
from entitlements.budgets import budgets as budgets_of
from entitlements.budgets.models import Budget
from entitlements.catalog.models import Entitlement, System, Tool
from entitlements.catalog_files.models import CatalogImport
from entitlements.client_documents.models import ClientDocument, ClientHost
from entitlements.clients.models import Client, ClientCredential
from entitlements.connected_accounts.models import ConnectedAccount
from entitlements.connections.models import Connection
from entitlements.connectors.models import Connector
from entitlements.decoys.models import Decoy
from entitlements.grants.models import Grant, GrantSubject
from entitlements.hooks import Hook
from entitlements.networks.models import SystemNetwork
from entitlements.people.models import Group, Person, Role
from entitlements.people.role_limits import EVERYTHING
from entitlements.proposals.models import Proposal
from entitlements.revocation.models import Drill, Revocation
from entitlements.risk.models import RiskSignal, SignalResponse
from entitlements.session_policies.models import SessionPolicy
from entitlements.sessions.models import Session
from entitlements.stdio_commands.models import StdioCommand
from entitlements.token_families.models import TokenFamily
from entitlements.tokens.models import IssuedToken
from entitlements.trusted_issuers.models import IssuerProposal
from entitlements.workload_identity.models import WorkloadRule

from . import role_reach
from .caller import Caller

TIES: Final[Hook[[Person], Q]] = Hook("see grants", "answered")
"""Which other grants a person sees; without an answer, none."""
HIDDEN: Final[Hook[[Person], Collection[str]]] = Hook("see events", "spot checks")
"""Links under which a person would read in the audit log what they must not know yet."""


_DECOY: Final = "decoy_touched"
"""The kind of a signal (`entitlements/risk/rules.py`) of which only people of security know."""
READERS: Final = (Role.ANALYST, Role.SECURITY, Role.AUDITOR)
"""The roles that read the audit log; with a limit, what is about something within it."""


def log_events(caller: Caller, rows: QuerySet[Event]) -> QuerySet[Event]:
    """The events that the caller reads by a role, whatever they are about."""
    limit = EVERYTHING if caller.is_script else caller.reach(*READERS)
    return events(caller, rows if limit.everything else rows.filter(role_reach.within(limit, Event)))


def events(caller: Caller, rows: QuerySet[Event]) -> QuerySet[Event]:
    """The events that the caller sees; a caller who reads the whole audit log sees all.

    An agent is a caller too: like the people who answer for it, it reads nothing of decoys.
    """
    if not (caller.is_script or caller.has(*READERS)) and (links := _decoy_links()):
        rows = rows.exclude(links__overlap=links)
    if caller.sees_everything or (person := caller.human) is None:
        return rows
    links = [link for hidden in HIDDEN.ask(person) for link in hidden]
    return rows.exclude(links__overlap=links) if links else rows


def sees_decoys(caller: Caller) -> bool:
    """Whether the caller may know of decoys: people of security alone, not those who answer for an agent."""
    return caller.has(Role.ANALYST, Role.SECURITY)


def decoys(caller: Caller) -> QuerySet[Decoy]:
    """Decoys: for people of security."""
    rows = Decoy.objects.select_related("system", "beside", "planted_by").prefetch_related("agents")
    return rows if sees_decoys(caller) else rows.none()


def _decoy_links() -> list[str]:
    """Return the links of decoys and of the signals that they gave: only readers of the whole log see such events."""
    signals = RiskSignal.objects.filter(kind=_DECOY).values_list("pk", flat=True)
    keys = Decoy.objects.values_list("pk", flat=True)
    return [*(f"decoy:{key}" for key in keys), *(f"risk:{key}" for key in signals)]


def budgets(caller: Caller) -> QuerySet[Budget]:
    """Budgets of the agents, systems and grants that the caller sees."""
    rows = budgets_of.rows()
    if caller.sees_everything:
        return rows
    seen = Q(agent__in=agents(caller).values("pk")) | Q(grant__in=grants(caller).values("pk"))
    return rows.filter(seen | Q(system__in=systems(caller).values("pk")))


def agents(caller: Caller) -> QuerySet[Agent]:
    """Agents: your own, as sponsor, owner or backup owner; an agent sees itself."""
    rows = Agent.objects.select_related("sponsor", "owner", "backup")
    return _seen(caller, rows, _mine(caller, ""))


def grants(caller: Caller) -> QuerySet[Grant]:
    """Grants of your agents, at your systems, those under which an agent acts for you, and those you decide about."""
    rows = Grant.objects.select_related("agent", "entitlement__system").prefetch_related(
        "lines__tool", "subjects__person", "subjects__group"
    )
    if caller.sees_everything:
        return rows
    if (person := caller.human) is None:
        return rows.filter(_mine(caller, "agent__"))
    ties = [Grant.objects.filter(tie).order_by().values("pk") for tie in TIES.ask(person)]
    mine = Q(pk__in=Grant.objects.filter(_mine(caller, "agent__")).values("pk").union(_naming(person), *ties))
    mine |= role_reach.within(caller.seen_reach, Grant)
    # A system owner sees too many to list beforehand; all others see the grants that name them.
    return rows.filter(mine | Q(entitlement__system__owner=person) if person.owned_systems.exists() else mine)


def naming(login: str) -> Q:
    """Return the condition that a grant names a person, or a group that they are in."""
    person = Person.objects.filter(login=login).first()
    return Q(pk__in=_naming(person)) if person else Q(pk=None)


def _naming(person: Person) -> QuerySet[GrantSubject, Any]:
    directly = GrantSubject.objects.filter(person=person).values("grant")
    return directly.union(GrantSubject.objects.filter(group__memberships__person=person).values("grant"))


def sessions(caller: Caller) -> QuerySet[Session]:
    """Sessions of your agents, and those in which an agent acts for you."""
    rows = Session.objects.select_related("agent", "person", "client")
    return _seen(caller, rows, _mine(caller, "agent__") | _acted_for(caller))


def tokens(caller: Caller) -> QuerySet[IssuedToken]:
    """Tokens of your agents, at your systems, and those that name you."""
    rows = IssuedToken.objects.select_related("agent", "person", "client", "system", "session")
    at_mine = Q(system__owner=caller.human) if caller.human else Q(pk=None)
    return _seen(caller, rows, _mine(caller, "agent__") | _acted_for(caller) | at_mine)


def token_families(caller: Caller) -> QuerySet[TokenFamily]:
    """Sign-ins at clients of your agents, at your systems, and your own."""
    rows = TokenFamily.objects.select_related("agent", "person", "client", "system")
    at_mine = Q(system__owner=caller.human) if caller.human else Q(pk=None)
    return _seen(caller, rows, _mine(caller, "agent__") | _acted_for(caller) | at_mine)


def connections(caller: Caller) -> QuerySet[Connection]:
    """Connections of your agents, and your own."""
    rows = Connection.objects.select_related("agent", "person", "client")
    return _seen(caller, rows, _mine(caller, "agent__") | _acted_for(caller))


def connected_accounts(caller: Caller) -> QuerySet[ConnectedAccount]:
    """Connected accounts of people: your own, and those at your systems."""
    rows = ConnectedAccount.objects.select_related("system__owner", "person", "foreign_token").prefetch_related(
        "consents__client", "consents__agent"
    )
    if caller.sees_everything:
        return rows
    human = caller.human
    return rows.filter(Q(person=human) | Q(system__owner=human)) if human else rows.none()


def clients(caller: Caller) -> QuerySet[Client]:
    """Clients of your agents."""
    rows = Client.objects.select_related("agent")
    return _seen(caller, rows, _mine(caller, "agent__"))


def client_credentials(caller: Caller) -> QuerySet[ClientCredential]:
    """Credentials that were requested or accepted for clients of your agents."""
    rows = ClientCredential.objects.select_related("agent__sponsor", "agent__owner", "agent__backup")
    return _seen(caller, rows, _mine(caller, "agent__"))


def workload_rules(caller: Caller) -> QuerySet[WorkloadRule]:
    """Workload rules of your agents' clients."""
    rows = WorkloadRule.objects.select_related(
        "client__agent__sponsor", "client__agent__owner", "client__agent__backup", "issuer", "credential__acceptor"
    )
    return _seen(caller, rows, _mine(caller, "client__agent__"))


def client_hosts(caller: Caller) -> QuerySet[ClientHost]:
    """Hosts that were proposed or allowed for your agents."""
    rows = ClientHost.objects.select_related(
        "agent__sponsor", "agent__owner", "agent__backup", "proposed_by", "confirmed_by"
    )
    return rows if caller.sees_everything else rows.filter(_mine(caller, "agent__"))


def client_documents(caller: Caller) -> QuerySet[ClientDocument]:
    """Metadata documents of clients: for those who decide about them, and of your agents."""
    rows = ClientDocument.objects.select_related("agent", "stored_by", "decided_by")
    return rows if caller.sees_everything else rows.filter(_mine(caller, "agent__"))


def issuer_proposals(caller: Caller) -> QuerySet[IssuerProposal]:
    """Issuers that were proposed or are trusted: for those who see everything."""
    rows = IssuerProposal.objects.select_related("proposed_by", "confirmed_by")
    return rows if caller.sees_everything else rows.none()


def risk_signals(caller: Caller) -> QuerySet[RiskSignal]:
    """Signals of risk: for those who see everything, and not for whom they are about."""
    rows = RiskSignal.objects.select_related("agent", "person", "session__agent", "decision__by")
    if not sees_decoys(caller):
        rows = rows.exclude(kind=_DECOY)
    return rows if caller.sees_everything else rows.none()


def signal_responses(caller: Caller) -> QuerySet[SignalResponse]:
    """How kinds of signals are answered: for those who see everything."""
    rows = SignalResponse.objects.select_related("proposed_by", "confirmed_by")
    return rows if caller.sees_everything else rows.none()


def stdio_commands(caller: Caller) -> QuerySet[StdioCommand]:
    """Commands of local servers that were proposed or are in force: for those who see everything."""
    rows = StdioCommand.objects.select_related("proposed_by", "confirmed_by")
    return rows if caller.sees_everything else rows.none()


def session_policies(caller: Caller) -> QuerySet[SessionPolicy]:
    """Session policies, proposed, in force or over: for those who see everything."""
    rows = SessionPolicy.objects.select_related("system", "proposed_by", "confirmed_by")
    return rows if caller.sees_everything else rows.none()


def proposals(caller: Caller) -> QuerySet[Proposal]:
    """Changes that two people agree on: your own proposals, and those about tools of your own systems."""
    rows = Proposal.objects.select_related("proposed_by", "confirmed_by")
    if caller.sees_everything:
        return rows
    if caller.human is None:
        return rows.none()
    owned = Tool.objects.filter(system__owner=caller.human)
    links = owned.values_list(Concat(Value("tool:"), "system__slug", Value("/"), "name", output_field=TextField()))
    return rows.filter(Q(proposed_by=caller.human) | Q(subject__in=links))


def revocations(caller: Caller) -> QuerySet[Revocation]:
    """Revocations: your own."""
    return _seen(caller, Revocation.objects.all(), Q(by=str(caller.principal)))


def drills(caller: Caller) -> QuerySet[Drill]:
    """Drills of revocations: your own."""
    return _seen(caller, Drill.objects.all(), Q(by=str(caller.principal)))


def systems(caller: Caller) -> QuerySet[System]:
    """Systems: all for a person responsible for an agent, who must choose what to request; else your own."""
    rows = System.objects.select_related("owner", "secret", "vendor", "client_certificate").exclude(
        slug=addresses.ALL
    )  # it stands for the others
    if not caller.sees_everything and _answers_for_an_agent(caller):
        return rows
    return _seen(caller, rows, Q(owner=caller.human) if caller.human else role_reach.NONE)


def system_networks(caller: Caller) -> QuerySet[SystemNetwork]:
    """Networks of systems, proposed and in force: of your own."""
    rows = SystemNetwork.objects.select_related("system__owner", "proposed_by", "confirmed_by")
    if caller.sees_everything:
        return rows
    return rows.filter(system__owner=caller.human) if caller.human else rows.none()


def connectors(caller: Caller) -> QuerySet[Connector]:
    """Connectors: those of your own systems."""
    rows = Connector.objects.select_related("system__owner", "created_by")
    if caller.sees_everything:
        return rows
    return rows.filter(system__owner=caller.human) if caller.human else rows.none()


def imports(caller: Caller) -> QuerySet[CatalogImport]:
    """Imports: your own."""
    rows = CatalogImport.objects.select_related("owner").defer("offers")
    return rows if caller.sees_everything else rows.filter(by=str(caller.principal))


def tools(caller: Caller) -> QuerySet[Tool]:
    """Tools of the systems that one sees."""
    rows = Tool.objects.select_related("system__owner", "approved", "seen")
    return rows if caller.sees_everything else rows.filter(system__in=systems(caller).values("pk"))


def entitlements(caller: Caller) -> QuerySet[Entitlement]:
    """Entitlements of the systems that you see."""
    rows = Entitlement.objects.select_related("system__owner").prefetch_related("lines__tool")
    return rows if caller.sees_everything else rows.filter(system__in=systems(caller).values("pk"))


def people(caller: Caller) -> QuerySet[Person]:
    """People: yourself."""
    rows = Person.objects.select_related("manager").prefetch_related("roles")
    return _seen(caller, rows, Q(pk=caller.human.pk) if caller.human else role_reach.NONE)


def groups(caller: Caller) -> QuerySet[Group]:
    """Groups that you are in."""
    rows = Group.objects.prefetch_related("people")
    if caller.sees_everything:
        return rows
    return rows.filter(pk__in=Group.objects.filter(people=caller.human).values("pk")) if caller.human else rows.none()


def _seen[M: Model](caller: Caller, rows: QuerySet[M], mine: Q) -> QuerySet[M]:
    """Return the rows that are the caller's own, and those that their roles reach."""
    return rows if caller.sees_everything else rows.filter(mine | role_reach.within(caller.seen_reach, rows.model))


def _mine(caller: Caller, path: str) -> Q:
    if caller.agent is not None:
        return Q(**{f"{path}pk": caller.agent.pk})
    if caller.human is None:
        return Q(pk=None)
    human = caller.human
    return Q(**{f"{path}sponsor": human}) | Q(**{f"{path}owner": human}) | Q(**{f"{path}backup": human})


def _acted_for(caller: Caller) -> Q:
    return Q(person=caller.human) if caller.human else Q(pk=None)


def _answers_for_an_agent(caller: Caller) -> bool:
    return caller.agent is not None or (
        caller.human is not None and Agent.objects.filter(Q(sponsor=caller.human) | Q(owner=caller.human)).exists()
    )
