"""Connect a client: what to type, filled in, and a light that shows how far it has come."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from audit import clock
from entitlements.agents.models import Agent
from entitlements.clients.models import Client
from entitlements.people.models import Person
from governance.connect import queries as read
from governance.connect import recipes
from governance.connect.queries import ConnectionPlace, ConnectionSignal
from governance.connect.recipes import Recipe, Text, Values, Where
from governance.console import doors
from governance.console.kit import combobox


@dataclass(frozen=True, slots=True)
class ShownStep:
    """One step of a recipe, filled in."""

    says: Text
    text: str


@dataclass(frozen=True, slots=True)
class ConnectPage:
    """What the page shows. Without an agent, a client or a place it says what is missing."""

    has_agents: bool
    agent: Agent | None
    client: Client | None = None
    clients: tuple[Client, ...] = ()
    place: ConnectionPlace | None = None
    places: tuple[ConnectionPlace, ...] = ()
    recipe: Recipe | None = None
    tabs: tuple[Recipe, ...] = ()
    where: Where = Where.HERE
    steps: tuple[ShownStep, ...] = ()
    note: Text = ""
    fits: bool = False
    may_add_client: bool = False
    may_roll_out: bool = False
    signals: tuple[ConnectionSignal, ...] = ()
    now: datetime | None = None

    @property
    def where_choices(self) -> dict[Where, Text]:
        """The places where a program may run."""
        return dict(recipes.PLACES)

    @property
    def where_name(self) -> Text:
        """The place where the program runs, in words."""
        return recipes.PLACES[self.where]

    @property
    def can_work(self) -> bool:
        """Whether the steps lead to a sign-in. Those with a key begin before there is a client for them."""
        return self.fits or (self.recipe is not None and self.recipe.with_key)

    @property
    def checked_by(self) -> str:
        """The test that runs this recipe; empty where none does."""
        status = self.recipe.status if self.recipe else None
        return status.test if isinstance(status, recipes.Checked) else ""


@require_safe
@doors.page
def connect(request: HttpRequest) -> HttpResponse:
    """Show how one agent's client connects to one system; the address chooses agent, client, system and program."""
    caller, wanted = doors.caller(request), request.GET
    agents = read.agents(caller)
    agent = agents.filter(slug=combobox.key_of(caller, "connectable_agent", wanted, "agent")).first()
    page = ConnectPage(has_agents=agents.exists(), agent=agent, may_roll_out=doors.may(caller, "systems", None))
    if agent is not None:
        page = _of_agent(request, page, agent)
    return render(request, "console/connect/connect.html", {"page": page})


def _of_agent(request: HttpRequest, page: ConnectPage, agent: Agent) -> ConnectPage:
    caller, wanted = doors.caller(request), request.GET
    clients, places = read.clients(caller, agent), read.places(caller, agent)
    tabs = tuple(each for each in recipes.TABLE if each.with_key == (agent.kind == Agent.Kind.SERVICE))
    recipe = next((each for each in tabs if each.key == wanted.get("how")), tabs[0])
    client = next((each for each in clients if each.client_id == wanted.get("client")), None)
    client = client or next((each for each in clients if read.fits(each, recipe)), clients[0] if clients else None)
    place = next((each for each in places if each.key == wanted.get("system")), places[0] if places else None)
    page = replace(
        page,
        client=client,
        clients=tuple(clients),
        place=place,
        places=tuple(places),
        recipe=recipe,
        tabs=tabs,
        where=_where(wanted.get("where", "")),
        may_add_client=doors.may(caller, "clients", agent),
    )
    if client is None or place is None:
        return page
    return replace(
        page,
        steps=_steps(recipe, page.where, client, place),
        note=recipe.note_at(page.where),
        fits=read.fits(client, recipe),
        signals=tuple(read.signals(client, _only(request, client))),
        now=clock.now(),
    )


def _only(request: HttpRequest, client: Client) -> Person | None:
    """Return whose steps alone a person may see: their own, unless they answer for all that the client does."""
    caller = doors.caller(request)
    sees_all = caller.sees_everything if client.agent is None else read.answers_for(caller, client.agent)
    return None if sees_all else doors.person(request)


def _where(wanted: str) -> Where:
    return Where(wanted) if wanted in Where else Where.HERE


def _steps(recipe: Recipe, where: Where, client: Client, place: ConnectionPlace) -> tuple[ShownStep, ...]:
    values = Values(
        place.server, place.resource, place.issuer, client.client_id, place.scopes, recipe.port or recipes.PORT
    )
    return tuple(ShownStep(step.says, recipes.render(step.text, values)) for step in recipe.steps_at(where))


@require_safe
@doors.page
def light(request: HttpRequest, client_id: str) -> HttpResponse:
    """Answer with the light alone; the page asks for it every few seconds."""
    client = doors.find(read.clients_of_agents(read.agents(doors.caller(request))), client_id=client_id)
    signals = tuple(read.signals(client, _only(request, client)))
    page = ConnectPage(has_agents=False, agent=client.agent, client=client, signals=signals, now=clock.now())
    return render(request, "console/connect/connect.html#light", {"page": page})
