"""What the tool `request_access` lists and submits: what the checks of every request let pass, once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.conf import settings

from audit import clock
from audit.models import Event
from entitlements.catalog.models import Entitlement, Tool
from entitlements.clients.models import Client
from entitlements.errors import DomainError, Malformed, ReasonRequired
from entitlements.gateway.access_requests.requester import AccessAnswer, Ask, Requester
from entitlements.grants import grants
from entitlements.people.models import Person
from governance.approvals import approvals
from governance.eligibility import eligibility
from governance.request_access import answer, requestable, submission
from governance.requests import requests
from governance.requests.models import AccessRequest
from tests import make, shared
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits

pytestmark = pytest.mark.django_db


@dataclass(frozen=True)
class Desk:
    """The company, and alice at a public client of its agent."""

    company: Company
    client: Client

    def call(self, ask: Ask = Ask(), *, person: str = "alice", systems: tuple[str, ...] = ("clock",)) -> AccessAnswer:  # noqa: B008
        """Call the tool."""
        trace = "a" * 32
        requester = Requester(self.company.bot.slug, self.client.client_id, person, trace=trace)
        return answer.answer(requester, systems, ask)

    def listed(self) -> list[str]:
        """Return what the list offers, in its order."""
        return [option["entitlement"] for option in self.call().data["requestable"]]


def _desk() -> Desk:
    company = companies.found()
    system, name = company.system, Tool.objects.get
    make.entitlement(system, name(name="now"), scope="clock:now")
    make.entitlement(system, name(name="now"), name(name="convert"), scope="clock:read")
    make.entitlement(system, name(name="wipe"), scope="clock:wipe")
    Tool.objects.filter(name__in=["remove", "wipe"]).update(action="delete")
    client, _ = make.client(company.bot, "desk-client")
    return Desk(company, client)


made_world, desk = shared.world(_desk)
NOW = Ask("clock:now", "Alice plans a trip.")


def test_the_list_begins_with_the_smallest_that_reads_only(desk: Desk) -> None:
    assert desk.listed() == ["clock:now", "clock:read", "clock:wipe", "clock:use"]
    first = desk.call().data["requestable"][0]
    assert (first["read_only"], first["risk"], [tool["name"] for tool in first["tools"]]) == (True, "low", ["now"])
    assert desk.call().text.splitlines()[1].startswith("1. clock:now ")


def test_the_smallest_is_listed_however_many_come_before_it_in_the_alphabet(desk: Desk) -> None:
    wipe = Tool.objects.get(name="wipe")
    for number in range(requestable.MOST):
        make.entitlement(desk.company.system, wipe, scope=f"clock:a{number:02}")

    listed = desk.listed()

    assert listed[:2] == ["clock:now", "clock:read"]
    assert len(listed) == requestable.MOST


def test_a_client_that_proves_nothing_is_offered_what_it_could_call(desk: Desk) -> None:
    make.rewrite(desk.client, auth=Client.Auth.NONE)
    assert desk.listed() == ["clock:now", "clock:read", "clock:use"]
    assert [tool["name"] for tool in desk.call().data["requestable"][2]["tools"]] == ["convert", "now"]
    made = desk.call(Ask("clock:use", "Alice plans a trip."))
    assert made.data["tools"] == ["convert", "now"]
    with pytest.raises(submission.NotRequestable):
        desk.call(Ask("clock:wipe", "Alice plans a trip."))


def test_what_cannot_be_requested_is_not_listed(desk: Desk) -> None:
    make.grant(desk.company.bot, Entitlement.objects.get(scope="clock:now"), people=[desk.company.alice])
    Entitlement.objects.filter(scope="clock:read").update(enabled=False)
    assert desk.listed() == ["clock:wipe", "clock:use"]
    Tool.objects.exclude(name="now").update(state="quarantined")
    assert desk.listed() == ["clock:use"]


def test_another_systems_entitlements_are_neither_listed_nor_requestable(desk: Desk) -> None:
    other = make.system("git")
    make.entitlement(other, make.tool(other, "log"), scope="git:read")
    assert "git:read" not in desk.listed()
    with pytest.raises(submission.NotRequestable):
        desk.call(Ask("git:read", "Alice reads the log."))
    both = desk.call(systems=("clock", "git")).data["requestable"]
    assert "git:read" in [option["entitlement"] for option in both]


def test_a_request_is_the_agents_on_behalf_of_the_person_for_them_alone(desk: Desk) -> None:
    made = desk.call(NOW)

    request = AccessRequest.objects.get()
    assert made.request == str(request.pk)
    assert (request.requested_by, request.requested_as) == (desk.company.alice, f"agent:{desk.company.bot.slug}")
    assert ([*request.people.all()], [*request.groups.all()]) == ([desk.company.alice], [])
    assert (request.trace, request.reason) == ("a" * 32, NOW.reason)
    assert (made.data["state"], made.data["is_new"], made.data["tools"]) == ("in_approval", True, ["now"])
    assert made.data["approvals"] == [{"stage": "sponsor", "waiting_for": [desk.company.sofia.name]}]
    assert made.data["url"].endswith(f"/requests/{request.pk}/")
    assert desk.company.sofia.name in made.text
    (event,) = Event.objects.filter(action="request.submitted")
    assert (event.actor, event.on_behalf_of) == (f"agent:{desk.company.bot.slug}", "person:alice")


def test_an_approver_reads_that_the_agent_asked(desk: Desk) -> None:
    address = desk.call(NOW).data["url"]
    text = visits.text(visits.as_(desk.company.sofia).get(address.removeprefix(settings.CONSOLE_URL)))
    assert f"{desk.company.alice.name}</bdi> through the agent {desk.company.bot.name}" in text


@pytest.mark.parametrize("login", ["alice", "otto"])
def test_neither_the_person_nor_the_agents_owner_approves_it(desk: Desk, login: str) -> None:
    desk.call(NOW)
    with pytest.raises(DomainError):
        approvals.approve(AccessRequest.objects.get().pk, by=Person.objects.get(login=login))


def test_the_same_call_again_is_the_same_open_request(desk: Desk) -> None:
    first = desk.call(NOW)
    again = desk.call(Ask("clock:now", "Once more.", tools=("now",)))
    assert (again.data["is_new"], again.request) == (False, first.request)
    assert AccessRequest.objects.count() == 1
    assert first.request in desk.call().text
    requests.cancel(AccessRequest.objects.get().pk, desk.company.alice)
    assert desk.call(NOW).data["is_new"] is True


def test_another_persons_request_is_another(desk: Desk) -> None:
    desk.call(NOW)
    assert desk.call(NOW, person="bob").data["is_new"] is True
    assert AccessRequest.objects.count() == 2


def test_lengths_and_tools_may_be_named(desk: Desk) -> None:
    made = desk.call(Ask("clock:read", "Alice plans a trip.", lasts="PT8H", tools=("now",)))
    assert (made.data["lasts"], made.data["tools"]) == ("PT28800S", ["now"])
    for wrong in ("8h", "P0D", "-P1D", "P1Y2M"):
        with pytest.raises(Malformed):
            desk.call(Ask("clock:use", "Why not.", lasts=wrong))


REFUSED: list[tuple[str, Ask, str, type[DomainError]]] = [
    ("an entitlement that is not there", Ask("clock:nothing", "Why not."), "alice", submission.NotRequestable),
    ("a tool outside it", Ask("clock:now", "Why not.", tools=("wipe",)), "alice", grants.OutsideEntitlement),
    ("longer than it lasts", Ask("clock:now", "Why not.", lasts="P900D"), "alice", grants.TooLong),
    ("no reason", Ask("clock:now"), "alice", ReasonRequired),
]


@pytest.mark.parametrize(("ask", "person", "error"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_may_not_be_requested_is_refused_and_changes_nothing(
    desk: Desk, ask: Ask, person: str, error: type[DomainError]
) -> None:
    with pytest.raises(error):
        desk.call(ask, person=person)
    assert not AccessRequest.objects.exists()


def test_a_personal_agent_is_requested_for_by_its_sponsor_alone(desk: Desk) -> None:
    mine = make.agent("alices-bot", sponsor=desk.company.alice, kind="personal")
    client, _ = make.client(mine, "alices-client")
    of_mine = Desk(desk.company, client)
    requester = Requester(mine.slug, client.client_id, "bob")
    assert answer.answer(requester, ["clock"], Ask()).data["requestable"] == []
    with pytest.raises(eligibility.PeopleDoNotFit):
        answer.answer(requester, ["clock"], NOW)
    assert of_mine.client.agent == mine


def test_an_hour_holds_ten_requests_of_a_person_at_an_agent(desk: Desk) -> None:
    for _ in range(submission.MOST_AN_HOUR):
        desk.call(NOW)
        requests.cancel(AccessRequest.objects.get(state="in_approval").pk, desk.company.alice)
    with pytest.raises(submission.TooManyRequests):
        desk.call(NOW)
    assert desk.call(NOW, person="bob").data["is_new"] is True
    AccessRequest.objects.update(asked_at=clock.now() - timedelta(hours=1))
    assert desk.call(NOW).data["is_new"] is True
