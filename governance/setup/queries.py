"""The lines of the set-up page: how far each is, and what the person can do next."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from django.conf import settings
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from audit import clock
from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.catalog.models import Entitlement, System, Tool
from entitlements.clients.models import ClientCredential
from entitlements.grants.models import Grant
from entitlements.people.models import Person, Role
from entitlements.trusted_issuers.models import TrustedIssuer
from governance.console import doors
from governance.setup import milestones, readiness, setup
from governance.setup.models import Invitation, SetupCheck
from governance.setup.readiness import State

_Line: Final = SetupCheck.Line
NAMES: Final = {
    _Line.SIGN_IN: gettext_lazy("Company sign-in"),
    _Line.SECOND_ADMIN: gettext_lazy("Second administrator"),
    _Line.MAIL: gettext_lazy("Mail"),
    _Line.ANCHOR: gettext_lazy("Anchor of the audit log"),
    _Line.BACKUP: gettext_lazy("Backup"),
    _Line.SYSTEM: gettext_lazy("First system"),
    _Line.AGENT: gettext_lazy("First agent"),
    _Line.CLIENT: gettext_lazy("Connect a client"),
    _Line.CALL: gettext_lazy("First allowed call"),
    _Line.STOP: gettext_lazy("Stop test"),
}
WHY: Final = {
    _Line.SIGN_IN: gettext_lazy(
        "People come in by the account they have; one local account stays sealed for the day it fails."
    ),
    _Line.SECOND_ADMIN: gettext_lazy("One lets the other in again, so that no administrator is alone."),
    _Line.MAIL: gettext_lazy("Invitations and notices reach people."),
    _Line.ANCHOR: gettext_lazy(
        "Each signed checkpoint leaves the database, so that a rewrite of the audit log is detected."
    ),
    _Line.BACKUP: gettext_lazy("The database, and apart from it the key-encryption key."),
    _Line.SYSTEM: gettext_lazy("An MCP server behind the gateway, with a tool that a person has read and approved."),
    _Line.AGENT: gettext_lazy("Who answers for it, and the client with which it signs in."),
    _Line.CLIENT: gettext_lazy("The agent requests access, a person approves, its client gets a token of minutes."),
    _Line.CALL: gettext_lazy("The gateway decides, records, and only then forwards."),
    _Line.STOP: gettext_lazy("Stop what made the call, and read in the receipt which node obeyed after how long."),
}


@dataclass(frozen=True, slots=True)
class NextAction:
    """Something to do next: where, and in what words."""

    address: str
    label: Any


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the page."""

    state: State
    name: Any
    why: Any
    tested: SetupCheck | None = None
    testable: bool = False
    acts: list[NextAction] = field(default_factory=list)
    note: str = ""

    @property
    def key(self) -> str:
        """The word of the line in addresses."""
        return self.state.line.value


def entries(caller: Caller) -> list[Entry]:
    """Return the lines of the page."""
    tests = {row.line: row for row in SetupCheck.objects.select_related("by")}
    result = []
    for state in setup.states():
        acts, note = _next(caller, state)
        entry = Entry(
            state,
            NAMES[state.line],
            WHY[state.line],
            tests.get(state.line) if state.line != _Line.BACKUP else None,
            state.line.value in setup.TESTABLE,
            acts,
            note,
        )
        result.append(entry)
    return result


def groups(lines: list[Entry]) -> list[tuple[Any, list[Entry]]]:
    """Put the lines under headings: what weighty access needs, what a house in order has, the first call."""
    needed = [line for line in lines if line.state.line in readiness.NEEDED]
    order = [line for line in lines if line.state.line in (_Line.MAIL, _Line.BACKUP)]
    walk = [line for line in lines if line not in needed and line not in order]
    return [
        (_("Before high-risk access"), needed),
        (_("A house in order"), order),
        (_("To the first governed call, and back"), walk),
    ]


def _next(caller: Caller, state: State) -> tuple[list[NextAction], str]:
    """Return what the person can do next about a line, or who can instead."""
    if state.line == _Line.SYSTEM:
        return _system(caller)
    if state.line == _Line.AGENT:
        return _agent(caller)
    if state.line == _Line.CLIENT:
        return _client(caller)
    if state.line == _Line.CALL:
        return _call()
    if state.line == _Line.STOP:
        return _stop()
    return [], ""


def _system(caller: Caller) -> tuple[list[NextAction], str]:
    furthest = milestones.first_system()
    if furthest is None:
        if doors.may(caller, "systems", None):
            return [NextAction(reverse("system-add"), _("Register a system"))], ""
        return [], _only(Role.ANALYST, _("registers systems"))
    acts = [NextAction(reverse("system-page", args=[furthest.slug]), furthest.name)]
    if not Entitlement.objects.filter(system=furthest).exists() and doors.may(caller, "entitlements", furthest):
        acts.append(NextAction(reverse("entitlement-add", args=[furthest.slug]), _("Make its tools requestable")))
    return acts, ""


def _agent(caller: Caller) -> tuple[list[NextAction], str]:
    furthest = milestones.first_agent()
    if furthest is None:
        if doors.may(caller, "agents", None):
            return [NextAction(reverse("agent-add"), _("Register an agent"))], ""
        return [], _only(Role.ANALYST, _("registers agents"))
    acts = [NextAction(reverse("agent-page", args=[furthest.slug]), furthest.name)]
    if furthest.clients.exists():
        return acts, ""
    waits = furthest.credentials.filter(state=ClientCredential.State.WAITING, answer_by__gt=clock.now()).first()
    if waits is not None and visibility.client_credentials(caller).filter(pk=waits.pk).exists():
        acts.append(NextAction(reverse("credential-page", args=[waits.pk]), _("See its client")))
        return acts, _("Its client waits until its sponsor or an owner accepts it.")
    if doors.may(caller, "clients", furthest):
        acts.append(NextAction(reverse("client-add", args=[furthest.slug]), _("Add its client")))
    return acts, ""


def _client(caller: Caller) -> tuple[list[NextAction], str]:
    """Lead to what lacks on the way to a token: something to ask for, the ask, its answer, the connection."""
    agent = milestones.first_agent()
    if agent is None or milestones.first_system() is None:
        return [], ""
    offered = Entitlement.objects.filter(system__status=System.Status.ACTIVE, lines__tool__state=Tool.State.APPROVED)
    if not offered.exists():
        return [], _("First make tools of the system requestable.")
    if not Grant.objects.filter(agent=agent, ended_at=None).exists():
        open_request = agent.requests.filter(state="in_approval").order_by("asked_at").first()
        if open_request is not None:
            return [NextAction(reverse("request-page", args=[open_request.pk]), _("See the request"))], _(
                "Its request waits for an answer."
            )
        if visibility.agents(caller).filter(pk=agent.pk).exists():
            return [NextAction(f"{reverse('ask')}?agent={agent.slug}", _("Request access"))], ""
        return [], ""
    return [NextAction(f"{reverse('connect')}?agent={agent.slug}&how=curl", _("Connect a client"))], ""


def _call() -> tuple[list[NextAction], str]:
    agent = milestones.first_agent()
    if agent is None or not Grant.objects.filter(agent=agent).exists():
        return [], ""
    return [NextAction(f"{reverse('agent-page', args=[agent.slug])}?tab=timeline", _("What it did"))], ""


def _stop() -> tuple[list[NextAction], str]:
    revocation = milestones.first_stop()
    if revocation is not None:
        return [NextAction(f"{reverse('receipt', args=[revocation.pk])}?prove", _("The receipt"))], ""
    agent = milestones.first_agent()
    held = Grant.objects.filter(agent=agent, ended_at=None).order_by("starts_at").first() if agent else None
    if held is None or not milestones.call().is_green:
        return [], ""
    address = reverse("stop", args=["grant", str(held.pk)])
    return [NextAction(f"{address}?next={reverse('setup')}", _("Revoke its access"))], ""


def _only(role: str, does: str) -> str:
    names = ", ".join(holders(role)) or _("no one yet: invite one below")
    return _("An analyst %(does)s: %(names)s.") % {"does": does, "names": names}


def holders(role: str) -> list[str]:
    """Return the names of the active people who hold a role."""
    return list(Person.objects.holding(role).order_by("name").values_list("name", flat=True))


def sign_in(person: Person) -> dict[str, Any]:
    """Return what the line of the company's sign-in shows besides: what is configured, trusted, and linked to whom."""
    issuer = settings.OIDC_ISSUER
    trusted = TrustedIssuer.objects.filter(issuer=issuer, enabled=True).first() if issuer else None
    tested = readiness.last_test(_Line.SIGN_IN)
    return {
        "issuer": issuer,
        "trusted": trusted,
        "passed": tested is not None and tested.passed and tested.subject == issuer,
        "linked": trusted is not None and person.identities.filter(issuer=trusted).exists(),
        "callback": settings.CONSOLE_URL + reverse("openid_connect_callback", args=["company"]),
        "local": [admin.name for admin, _when in readiness.administrators() if admin.has_usable_password()],
    }


def invited() -> list[Invitation]:
    """Return the links that are open now."""
    open_now = Q(used_at=None, expires_at__gt=clock.now())
    return list(Invitation.objects.filter(open_now).select_related("person").order_by("expires_at"))
