"""The clients of an agent: register one, show its secret once, rotate it, start it again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from audit import clock
from entitlements import strict
from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.agents import actions as agent_actions
from entitlements.agents.models import Agent
from entitlements.clients import actions, clients, credentials, rotations
from entitlements.clients.actions import ClientInputSerializer
from entitlements.clients.models import Client, ClientCredential
from entitlements.credential_policy import policy
from entitlements.credential_policy.rules import Kind
from entitlements.errors import DomainError, NotFound
from entitlements.people.models import Person
from entitlements.workload_identity.models import WorkloadRule
from governance.connect import recipes
from governance.console import doors, form_fields
from governance.console.kit.components import Crumb

from . import credentials as waiting
from .workload_rules import PLATFORMS

_RESERVED: Final = frozenset({"add"})
_FIELDS: Final = {"client_id_taken": "client_id", "private_key_given": "jwks", "bad_key": "jwks"}
_METHODS: Final = (
    (Client.Auth.PRIVATE_KEY_JWT, gettext_lazy("It signs with a key of its own (private_key_jwt): the strongest")),
    (Client.Auth.CLIENT_SECRET_BASIC, gettext_lazy("A secret that both know (client_secret_basic), shown once")),
    (
        Client.Auth.WORKLOAD_IDENTITY,
        gettext_lazy("With what its platform signs of it (GitHub Actions, Kubernetes, SPIFFE), and no secret"),
    ),
    (Client.Auth.NONE, gettext_lazy("Nothing: a program on a person's machine, sent back to an address")),
)


@dataclass(frozen=True, slots=True)
class ShownRule:
    """A workload rule of the client, and whether the person at the page may end it."""

    rule: WorkloadRule
    may_end: bool


class AddForm(forms.Form):
    """A new client. What it says is checked by what checks it in the API."""

    client_id = forms.CharField(
        label=gettext_lazy("Client identifier"),
        max_length=99,
        widget=forms.TextInput(attrs={"autocapitalize": "none", "spellcheck": "false"}),
        help_text=gettext_lazy("What it calls itself when it signs in. Letters, digits, dots, hyphens."),
    )
    name = forms.CharField(label=gettext_lazy("Name"), max_length=200, required=False)
    auth = forms.ChoiceField(
        label=gettext_lazy("How it proves who it is"),
        choices=_METHODS,
        widget=forms.RadioSelect,
        initial=Client.Auth.PRIVATE_KEY_JWT,
    )
    jwks = forms.CharField(
        label=gettext_lazy("Its public keys (a JSON key set)"),
        required=False,
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "class": "mono"}),
        help_text=gettext_lazy('Only with a key of its own. Public parts alone: {"keys": [{"kty": "EC", …}]}'),
    )
    redirect_uris = forms.CharField(
        label=gettext_lazy("Addresses it may be sent back to, one a line"),
        required=False,
        max_length=10_000,
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
        help_text=gettext_lazy("For clients in which people sign in. A public client needs one."),
    )

    def clean(self) -> dict[str, Any]:
        """Read keys and addresses, and check everything as the API does."""
        data = super().clean() or {}
        if self.errors:
            return data
        values: dict[str, Any] = {
            **{name: data[name] for name in ("client_id", "name", "auth")},
            "jwks": self._keys(data["jwks"]),
            "redirect_uris": data["redirect_uris"].split(),
        }
        if data["client_id"] in _RESERVED:
            self.add_error("client_id", forms.ValidationError(_("Choose another identifier."), "invalid"))
        if data["auth"] == Client.Auth.NONE and not values["redirect_uris"]:
            self.add_error("redirect_uris", forms.ValidationError(_("A public client needs an address."), "required"))
        checked = ClientInputSerializer(data=values)
        if not self.errors and not checked.is_valid():
            for name, problems in checked.errors.items():
                messages = problems if isinstance(problems, list) else ["; ".join(map(str, problems.values()))]
                for problem in messages:
                    self.add_error(name, forms.ValidationError(str(problem), getattr(problem, "code", "invalid")))
        return values

    def _keys(self, text: str) -> dict[str, Any] | None:
        if not text.strip():
            return None
        try:
            key_set = strict.loads(text.encode())
        except strict.NotStrictJson:
            key_set = None
        if not isinstance(key_set, dict) or not strict.is_storable(key_set):
            self.add_error("jwks", forms.ValidationError(_("This is not a JSON object."), "invalid"))
            return None
        return key_set


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def add(request: HttpRequest, slug: str) -> HttpResponse:
    """Register a client of an agent; a secret is shown in the answer, this once."""
    agent = _agent(request, slug)
    doors.permit(request, "clients", agent)
    form = AddForm(request.POST) if request.method == "POST" else AddForm(initial=_initial(request, slug))
    if request.method == "POST":
        created = form_fields.perform(
            request, form, actions.REGISTER, agent, fields=_FIELDS, values=lambda data: {**data, "agent": agent}
        )
        if created:
            return _show_registered(request, created.result)
    context = {
        "title": _("Add client"),
        "crumbs": [Crumb(reverse("agent-list"), _("Agents")), Crumb(reverse("agent-page", args=[slug]), agent.name)],
        "lead": _lead(agent, by=doors.person(request)),
        "away": f"/agents/{slug}/?tab=tokens",
        "act": _("Register client"),
    }
    return form_fields.show(request, "console/kit/form.html", form, context)


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def detail(request: HttpRequest, slug: str, client_id: str) -> HttpResponse:
    """Show a client; rotate its secret, or enable it. The revocation pages disable it, with a receipt."""
    agent = _agent(request, slug)
    client = doors.find(visibility.clients(doors.caller(request)).filter(agent=agent), client_id=client_id)
    doors.about(request, f"client:{client_id}", f"agent:{slug}")
    if request.method != "POST":
        return _show(request, client)
    try:
        return _change(request, client)
    except DomainError as refusal:
        doors.record(request, refusal)
        return _show(request, client, problem=refusal)


def _initial(request: HttpRequest, slug: str) -> dict[str, str]:
    """Return what the form begins with: with `?for=` a program, a client as that program's recipe needs it."""
    recipe = recipes.get(request.GET.get("for", ""))
    if recipe is None:
        return {"client_id": slug}
    return {
        "client_id": f"{slug}-{recipe.key}",
        "name": str(recipe.name),
        "auth": Client.Auth.PRIVATE_KEY_JWT if recipe.with_key else Client.Auth.NONE,
        "redirect_uris": "\n".join(recipe.redirects),
    }


BUTTONS: Final = {
    "rotate": actions.ROTATE,
    "keys": actions.REPLACE_KEYS,
    "revoke-rotation": actions.REVOKE_ROTATION,
    "enable": actions.ENABLE,
}


def _change(request: HttpRequest, client: Client) -> HttpResponse:
    action = doors.pressed(request, BUTTONS)
    values = doors.read(request, action)
    if action is actions.REPLACE_KEYS:
        values["jwks"] = strict.loads(values["jwks"].encode())
    performed = doors.perform(request, action, client, values)
    if isinstance(performed.result, clients.Registered):
        return _show_registered(request, performed.result)
    return redirect(_address(client))


def _show_registered(request: HttpRequest, registered: clients.Registered) -> HttpResponse:
    """Show what came of asking for a client or a secret, and the secret this once."""
    if registered.waiting is not None and registered.secret is None:
        messages.success(request, _("Requested. It works once the sponsor or an owner of the agent accepts it."))
        return redirect(reverse("credential-page", args=[registered.waiting.pk]))
    if registered.waiting is not None:
        return waiting.show(request, registered.waiting, secret=registered.secret or "")
    client = registered.client
    if client is None:  # neither works nor waits: a mistake of ours
        raise NotFound
    if registered.secret is None:
        messages.success(request, _("The client can sign in now."))
        return redirect(_address(client))
    return _show(request, client, secret=registered.secret)


def _lead(agent: Agent, *, by: Person) -> str:
    """Return what a client is, and to a person not responsible for the agent, that it waits for acceptance."""
    lead = _("The software and credential with which %(name)s signs in.") % {"name": agent.name}
    if by in credentials.responsible(agent):
        return lead
    names = ", ".join(person.name for person in credentials.responsible(agent))
    return lead + " " + _("It works once one of these people accepts it: %(names)s.") % {"names": names}


def _show(
    request: HttpRequest, client: Client, *, secret: str = "", problem: DomainError | None = None
) -> HttpResponse:
    caller = doors.caller(request)
    has_secret = client.auth == Client.Auth.CLIENT_SECRET_BASIC
    has_keys = client.auth == Client.Auth.PRIVATE_KEY_JWT and not client.client_id.startswith("https://")
    works_on = client.previous_ends_at is not None and client.previous_ends_at > clock.now()
    previous_ends_at = client.previous_ends_at if works_on else None
    active = client.status == Client.Status.ACTIVE
    context = {
        "client": client,
        "agent": client.agent,
        "secret": secret,
        "problem": problem,
        "keys": [str(key.get("kid") or key.get("kty") or "?") for key in client.jwks.get("keys", [])],
        "addresses": str(client.redirect_uris).split(),
        "waiting": visibility.client_credentials(caller)
        .filter(client_id=client.client_id, state=ClientCredential.State.WAITING, answer_by__gt=clock.now())
        .first(),
        "workloads": _workloads(caller, client),
        "platforms": PLATFORMS if _takes_workloads(client) and doors.may(caller, "workload-rules", client) else {},
        "previous_ends_at": previous_ends_at,
        "ends_at": _ends_at(client),
        "may_replace_keys": has_keys and doors.may(caller, "client-keys", client),
        "may_revoke_rotation": previous_ends_at is not None
        and not rotations.is_rotated_again(client)
        and doors.may(caller, "client-rotation-revoke", client),
        "may_rotate": has_secret and not secret and doors.may(caller, "client-secret", client),
        "may_stop": active and doors.may(caller, "client-disable", client),
        "may_start": not active and client.idle != Client.Idle.DELETED and doors.may(caller, "client-enable", client),
    }
    return render(request, "console/clients/client.html", context, status=problem.status if problem else 200)


def _takes_workloads(client: Client) -> bool:
    return client.auth != Client.Auth.NONE and client.serves == Client.Serves.OWN_AGENT


def _workloads(caller: Caller, client: Client) -> list[ShownRule]:
    rows = visibility.workload_rules(caller).filter(client=client, ended_at=None).order_by("made_at")
    return [ShownRule(rule, doors.may(caller, "workload-rule-end", client)) for rule in rows]


def _ends_at(client: Client) -> datetime | None:
    """Return when the newest credential ends for its age; None for a client that proves nothing by one of ours."""
    kinds = {Client.Auth.CLIENT_SECRET_BASIC: Kind.CLIENT_SECRET, Client.Auth.PRIVATE_KEY_JWT: Kind.CLIENT_KEY}
    kind = kinds.get(Client.Auth(client.auth))
    if kind is None or client.client_id.startswith("https://"):
        return None
    return policy.current().ends_at(kind, client.credential_made_at)


def _agent(request: HttpRequest, slug: str) -> Agent:
    agent: Agent = doors.find_subject(request, agent_actions.AGENT, slug)
    return agent


def _address(client: Client) -> str:
    return reverse("client-page", args=[client.agent.slug if client.agent else "-", client.client_id])
