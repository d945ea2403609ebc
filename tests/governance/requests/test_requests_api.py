from typing import Any
from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from audit.actions import Action
from audit.export import timeline
from entitlements.access import caller as callers
from entitlements.agents.models import Agent
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from governance.approvals import approvals
from governance.eligibility import narrowing
from governance.requests.models import AccessRequest
from tests import make
from tests.entitlements.api import client
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits

pytestmark = pytest.mark.django_db

URL = "/api/v1/requests"
WIDE = {"zone": {"one_of": [f"zone-{n}" for n in range(900)]}}
MANY = {"convert": {f"argument-{n}": {"max_length": 10_000} for n in range(150)}}


@pytest.fixture
def company() -> Company:
    return companies.found()


def body(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    ask = {
        "agent": "research-bot",
        "entitlement": "clock:use",
        "people": ["alice"],
        "groups": [],
        "tools": ["now", "convert"],
        "lasts": "PT8H",
        "reason": "the quarterly report",
    }
    return {**ask, **changes}


def ask(company: Company, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    answer = client.of(company.otto).post(URL, body(**changes))
    assert answer.status_code == 201, answer.json()
    shown: dict[str, Any] = answer.json()
    return shown


def test_a_request_is_made_shown_narrowed_and_approved_in_the_published_form(company: Company) -> None:
    made = ask(company, limits={"convert": {"time": {"max_length": 5}}})
    assert {"id", "state", "etag", "approvals"} <= made.keys()
    assert (made["state"], made["approvals"]) == ("in_approval", [{"stage": "sponsor", "waiting_for": ["sofia"]}])

    sofia = client.of(company.sofia)
    narrowed = sofia.post(f"{URL}/{made['id']}/narrow", {"lasts": "PT2H"}, headers={"If-Match": made["etag"]})
    assert (narrowed.status_code, narrowed.json()["lasts"], narrowed.json()["asked_lasts"]) == (200, "PT2H", "PT8H")
    answer = sofia.post(
        f"{URL}/{made['id']}/approve",
        {"tools": ["now"], "reason": "that will do"},
        headers={"If-Match": narrowed["ETag"]},
    )

    assert answer.status_code == 200
    after = answer.json()
    grant = Grant.objects.get()
    assert (after["state"], after["grant"]) == ("approved", str(grant.pk))
    (stage,) = after["approvals"]
    assert (stage["by"], stage["answer"], stage["waiting_for"]) == ("sofia", "approved", [])
    assert [line.tool.name for line in grant.lines.all()] == ["now"]


def test_the_evidence_of_the_choice_is_for_those_who_see_everything(company: Company) -> None:
    made = ask(company)
    (stage,) = client.of(company.ana).get(f"{URL}/{made['id']}").json()["approvals"]
    assert stage["resolution"]["chosen"] == ["sofia"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("who", "people", "status", "code"),
    [
        ("otto", ["alice"], 403, "self_approval"),
        ("alice", ["alice"], 403, "beneficiary_may_not_approve"),
        ("sofia", ["alice", "sofia"], 403, "beneficiary_may_not_approve"),
        ("resa", ["alice"], 403, "not_an_approver"),
        ("mallory", ["alice"], 404, "not_found"),
    ],
)
def test_each_forbidden_approval_says_its_code_changes_nothing_and_is_recorded_once(
    who: str, people: list[str], status: int, code: str
) -> None:
    company = companies.found()
    made = ask(company, people=people)

    answer = client.of(company.named(who)).post(f"{URL}/{made['id']}/approve", {})

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert AccessRequest.objects.get().state == "in_approval"
    refused = timeline.of("person", who).filter(action=Action.REFUSED)
    assert [event.code for event in refused] == [code]
    if status == 403:
        assert f"request:{made['id']}" in refused[0].links


@pytest.mark.django_db(transaction=True)
def test_the_technical_owner_may_not_approve_what_an_analyst_asked() -> None:
    company = companies.found()
    made = client.of(company.ana).post(URL, body()).json()
    answer = client.of(company.otto).post(f"{URL}/{made['id']}/approve", {})
    assert (answer.status_code, answer.json()["code"]) == (403, "owner_may_not_approve")


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"tools": ["erase"]}, 422, "outside_entitlement"),
        ({"limits": {"convert": {"timezone": {"one_of": ["Asia/Tokyo"]}}}}, 422, "outside_entitlement"),
        ({"limits": {"convert": {"timezone": {"like": "x"}}}}, 422, "limit_malformed"),
        ({"lasts": "P91D"}, 422, "lasts_too_long"),
        ({"lasts": "eight hours"}, 400, "invalid"),
        ({"people": []}, 422, "people_do_not_fit"),
        ({"people": ["nobody"]}, 422, "unknown_name"),
        ({"agent": "no-such-bot"}, 422, "unknown_name"),
        ({"entitlement": "clock:none"}, 422, "unknown_name"),
        ({"denied_call": str(uuid4())}, 422, "denial_unknown"),
        ({"reason": ""}, 400, "invalid"),
        ({"limits": {"now": WIDE, **MANY}}, 422, "limits_too_large"),
        ({"limits": {"now": {"most": {"max": 2**60}}}}, 422, "not_recordable"),
        ({"state": "approved"}, 400, "unknown_field"),
        ({"people": "alice"}, 400, "invalid"),
    ],
)
def test_what_may_not_be_asked_is_refused_with_its_code(
    company: Company, changes: dict[str, Any], status: int, code: str
) -> None:
    answer = client.of(company.otto).post(URL, body(**changes))
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not AccessRequest.objects.exists()


@pytest.mark.parametrize("people", [["alice"], ["nobody-at-all"], ["mallory", "alice"]])
def test_a_stranger_learns_nothing_about_who_exists(company: Company, people: list[str]) -> None:
    answer = client.of(company.mallory).post(URL, body(people=people))
    assert (answer.status_code, answer.json()["code"]) == (403, "may_not_ask")


def test_an_approval_names_what_was_read(company: Company) -> None:
    made, sofia = ask(company), client.of(company.sofia)
    unread = sofia.post(f"{URL}/{made['id']}/approve", {})
    outdated = sofia.post(f"{URL}/{made['id']}/approve", {}, headers={"If-Match": '"7"'})
    weak = sofia.post(f"{URL}/{made['id']}/approve", {}, headers={"If-Match": 'W/"1"'})
    assert [(answer.status_code, answer.json()["code"]) for answer in (unread, outdated, weak)] == [
        (428, "precondition_required"),
        (412, "stale"),
        (412, "stale"),
    ]
    assert not Grant.objects.exists()


def test_whoever_answers_a_request_sees_the_grant_that_came_of_it(company: Company) -> None:
    own = make.agent("alices-bot", kind=Agent.Kind.PERSONAL, sponsor=company.alice, owner=company.otto)
    request = make.request(company.use, own, by=company.alice, people=[company.alice], tools=["now"])
    mona = client.of(company.mona)

    answer = mona.post(f"{URL}/{request.pk}/approve", {}, headers={"If-Match": f'"{request.version}"'})

    grant = answer.json()["grant"]
    assert mona.get(f"/api/v1/grants/{grant}").status_code == 200
    assert [row["id"] for row in mona.get("/api/v1/grants").json()["results"]] == [grant]
    page = visits.as_(company.mona).get(f"/grants/{grant}/")
    assert page.status_code == 200
    assert client.of(company.mallory).get(f"/api/v1/grants/{grant}").status_code == 404


def test_what_is_too_large_for_the_record_is_refused_when_it_is_narrowed_and_approved_too(company: Company) -> None:
    made = ask(company)
    sofia = client.of(company.sofia)
    for limits, code in ((MANY, "limits_too_large"), ({"now": {"most": {"max": 2**60}}}, "not_recordable")):
        for act in ("narrow", "approve"):
            body = {"tools": ["now", "convert"], "limits": {**limits, "now": limits.get("now", WIDE)}}
            answer = sofia.post(f"{URL}/{made['id']}/{act}", body, headers={"If-Match": made["etag"]})
            assert (answer.status_code, answer.json()["code"]) == (422, code)
    with pytest.raises(narrowing.ReasonTooLong):
        approvals.deny(AccessRequest.objects.get().pk, by=company.sofia, reason="x" * 2001)
    assert AccessRequest.objects.get().version == 1


def test_the_same_key_makes_one_request(company: Company) -> None:
    otto = client.of(company.otto)
    first = otto.post(URL, body(), headers={"Idempotency-Key": "k1"})
    again = otto.post(URL, body(), headers={"Idempotency-Key": "k1"})
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert AccessRequest.objects.count() == 1


def test_denying_and_withdrawing(company: Company) -> None:
    first, second = ask(company), ask(company, people=["bob"])
    sofia, otto = client.of(company.sofia), client.of(company.otto)

    assert sofia.post(f"{URL}/{first['id']}/deny", {}).json()["code"] == "reason_required"
    denied = sofia.post(f"{URL}/{first['id']}/deny", {"reason": "not needed"})
    assert sofia.post(f"{URL}/{second['id']}/cancel", {}).json()["code"] == "not_the_requester"
    cancelled = otto.post(f"{URL}/{second['id']}/cancel", {})

    assert (denied.json()["state"], cancelled.json()["state"]) == ("denied", "cancelled")
    again = otto.post(f"{URL}/{second['id']}/cancel", {})
    assert (again.status_code, again.json()["code"]) == (409, "request_decided")


def test_the_list_holds_what_one_may_see_and_finds_what_waits(company: Company) -> None:
    ask(company)
    ask(company, people=["bob"], tools=["remove"])

    def found(who: Person, query: str = "") -> int:
        return len(client.of(who).get(f"{URL}{query}").json()["results"])

    assert (found(company.ana), found(company.alice), found(company.bob), found(company.mallory)) == (2, 1, 1, 0)
    assert found(company.ana, "?waiting_for=sam&state=in_approval&agent=research-bot") == 1
    assert client.of(company.ana).get(f"{URL}?colour=red").status_code == 400


def as_agent(agent: Agent, user: Person | None, *scopes: str) -> APIClient:
    """Come in as an access token of /as/mandate would; that the token itself is checked is tested where it is read."""
    caller = callers.Caller(
        agent.principal,
        person=user,
        agent=agent,
        scopes=frozenset(scopes),
        on_behalf_of=user.principal if user else None,
    )
    api = APIClient()
    api.force_authenticate(user=caller, token=caller)  # type: ignore[arg-type]  # our caller is the user
    return api


def test_an_agent_asks_for_itself_after_a_denial_but_never_answers(company: Company) -> None:
    bot = as_agent(company.bot, company.alice, "mandate:request")

    made = bot.post(URL, body(tools=["now"]))

    assert made.status_code == 201, made.json()
    shown = made.json()
    assert (shown["requested_as"], shown["requested_by"]) == ("agent:research-bot", "alice")
    event = timeline.of("request", shown["id"]).last()
    assert event is not None
    assert (event.actor, event.on_behalf_of) == ("agent:research-bot", "person:alice")
    assert bot.post(URL, body(people=["bob"])).json()["code"] == "may_not_ask"
    assert as_agent(company.bot, company.alice, "mandate:write").post(URL, body()).status_code == 403
    everything = as_agent(company.bot, company.sofia, "mandate:request", "mandate:read", "mandate:write")
    for answer in ("approve", "deny"):
        refused = everything.post(f"{URL}/{shown['id']}/{answer}", {"reason": "fine"}, headers={"If-Match": "*"})
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert bot.post(f"{URL}/{shown['id']}/cancel", {}).json()["state"] == "cancelled"
