"""Several asked for at once: what each would be refused for alone, it is refused for among others, and nothing more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from audit.actions import Action
from audit.export import timeline
from audit.models import Event
from entitlements.agents.models import Agent
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from governance.approvals import approvals
from governance.ownership import ownership
from governance.ownership.models import OwnershipProposal
from governance.requests.models import AccessRequest
from tests import make, shared
from tests.entitlements.api import client
from tests.governance import companies
from tests.governance.approvals.test_bulk_answers import read
from tests.governance.companies import Company

pytestmark = pytest.mark.django_db


made_world, company = shared.world(companies.found)


def several(by: Person, address: str, key: str = "", **body: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - a body
    headers = {"Idempotency-Key": key} if key else {}
    answer = client.of(by).post(f"/api/v1/{address}", body, format="json", headers=headers)
    assert answer.status_code == 207, answer.content
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


def wish(**other: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of a request
    fine = {"agent": "research-bot", "entitlement": "clock:use", "people": ["alice"], "tools": ["now"]}
    return {**fine, "lasts": "PT8H", "reason": "Needed.", **other}


def test_each_request_is_made_for_itself_with_an_event_and_one_that_may_not_be_holds_up_none(company: Company) -> None:
    found = several(
        company.otto, "requests/submit", items=[wish(), wish(tools=["unknown"]), wish(agent="nobody"), wish()]
    )

    assert [(each["status"], each["code"], each["state"]) for each in found] == [
        (200, None, "in_approval"),
        (422, "outside_entitlement", None),
        (422, "unknown_name", None),
        (200, None, "in_approval"),
    ]
    for each in (found[0], found[3]):
        asked = AccessRequest.objects.get(pk=each["request"])
        assert each["etag"] == read(asked)["etag"]
        assert timeline.about(f"request:{asked.pk}").filter(action=Action.REQUEST_SUBMITTED).count() == 1
    assert AccessRequest.objects.count() == 2
    assert Event.objects.filter(action=Action.REFUSED).count() == 2


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("otto", {"tools": ["unknown"]}),
    ("otto", {"lasts": "P3000D"}),
    ("otto", {"reason": " x" * 999, "limits": {"now": {"zone": {"one_of": ["x" * 70_000]}}}}),
    ("otto", {"people": []}),
    ("otto", {"people": ["nobody"]}),
    ("otto", {"tools": ["wipe"], "agent": "lonely"}),
    ("mallory", {}),
    ("mallory", {"people": ["mallory", "alice"]}),
    ("mallory", {"people": ["nobody"]}),
    ("otto", {"denied_call": str(uuid4())}),
]


@pytest.mark.parametrize(("login", "other"), REFUSED)
def test_what_one_may_not_ask_alone_one_may_not_among_others(
    company: Company, login: str, other: dict[str, Any]
) -> None:
    make.agent("lonely", sponsor=company.otto, owner=company.otto)
    person = company.named(login)
    alone = client.of(person).post("/api/v1/requests", wish(**other), format="json")
    (among,) = several(person, "requests/submit", items=[wish(**other)])

    assert (among["status"], among["code"]) == (alone.status_code, alone.json()["code"])
    assert not AccessRequest.objects.exists()


def test_the_same_key_asks_once_and_answers_the_same(company: Company) -> None:
    first, again = (several(company.otto, "requests/submit", key="monday", items=[wish()]) for _ in range(2))

    assert first == again
    assert AccessRequest.objects.count() == 1


@pytest.mark.parametrize(
    ("address", "item", "body"),
    [
        ("requests/submit", wish(), {}),
        ("requests/cancel", {"id": str(uuid4()), "etag": '"1"'}, {}),
        ("grants/renew", {"id": str(uuid4())}, {"lasts": "P7D", "reason": "x"}),
        ("bulk/agents/propose", {"slug": "research-bot", "office": "owner", "person": "bob"}, {"reason": "x"}),
        ("bulk/agents/retire", {"slug": "research-bot"}, {"reason": "x"}),
        ("ownership-proposals/accept", {"id": str(uuid4())}, {}),
    ],
)
def test_none_at_all_or_more_than_two_hundred_or_an_unknown_word_is_refused_whole(
    company: Company, address: str, item: dict[str, str], body: dict[str, str]
) -> None:
    ana = client.of(company.ana)
    for items in ([], [item] * 201, [item, {**item, "all": True}]):
        answer = ana.post(f"/api/v1/{address}", {"items": items, **body}, format="json")
        assert answer.status_code == 400, answer.content
    assert not AccessRequest.objects.exists()
    assert not OwnershipProposal.objects.exists()


def test_one_withdraws_what_one_asked_for_as_one_read_it(company: Company) -> None:
    own, stale, decided, foreign = company.ask(), company.ask(), company.ask(), company.ask(by=company.ana)
    approvals.approve(decided.pk, by=company.sofia)
    items = [read(own), {"id": str(stale.pk), "etag": '"77"'}, read(decided), read(foreign), read(own)]

    found = several(company.otto, "requests/cancel", items=items, reason="No longer.")

    codes = [each["code"] for each in found]
    assert codes[:4] == [None, "stale", "request_decided", "not_the_requester"]
    assert codes[4] in {"request_decided", "stale"}
    assert list(AccessRequest.objects.filter(state="cancelled")) == [own]
    assert Event.objects.filter(action=Action.REQUEST_CANCELLED).count() == 1


def test_grants_are_renewed_each_for_itself_and_never_for_more(company: Company) -> None:
    for tools, person in ((["now"], company.alice), (["now", "convert"], company.bob), (["now"], company.mona)):
        approvals.approve(company.ask(*tools, people=[person]).pk, by=company.sofia)
    one, two, three = Grant.objects.order_by("starts_at", "pk")
    wider = {"id": str(three.pk), "tools": ["remove"]}

    items = [{"id": str(one.pk)}, {"id": str(one.pk)}, wider, {"id": str(uuid4())}, {"id": str(two.pk)}]
    found = several(company.otto, "grants/renew", items=items, lasts="P7D", reason="Still needed.")

    assert [each["code"] for each in found] == [None, "renewal_waits", "not_narrower", "not_found", None]
    renewed = AccessRequest.objects.exclude(renews=None)
    assert {str(each.pk) for each in renewed} == {each["request"] for each in found if each["request"]}
    assert {each.renews_id for each in renewed} == {one.pk, two.pk}
    assert Grant.objects.filter(ended_at=None).count() == 3


def test_a_stranger_renews_nothing_by_asking_for_many(company: Company) -> None:
    approvals.approve(company.ask().pk, by=company.sofia)
    item = {"id": str(Grant.objects.get().pk)}

    (found,) = several(company.mallory, "grants/renew", items=[item], lasts="P7D", reason="x")

    assert found["code"] == "not_found"
    assert not AccessRequest.objects.exclude(renews=None).exists()


def test_an_analyst_asks_people_to_answer_for_many_agents_and_each_accepts_for_herself(company: Company) -> None:
    make.agent("second", sponsor=company.sofia)
    items = [
        {"slug": "research-bot", "office": "owner", "person": "bob"},
        {"slug": "second", "office": "sponsor", "person": "bob"},
        {"slug": "second", "office": "owner", "person": "ana"},
        {"slug": "nothing", "office": "owner", "person": "bob"},
    ]

    found = several(company.ana, "bulk/agents/propose", items=items, reason="Otto leaves.")

    assert [(each["code"], each["state"]) for each in found] == [
        (None, "waiting"),
        (None, "waiting"),
        ("self_appointment", None),
        ("not_found", None),
    ]
    assert Event.objects.filter(action=Action.AGENT_OWNERSHIP_PROPOSED).count() == 2
    assert Agent.objects.get(slug="research-bot").owner == company.otto

    asked = [{"id": each["proposal"]} for each in found[:2]]
    theirs = several(company.ana, "ownership-proposals/accept", items=asked)
    assert {each["code"] for each in theirs} == {"ownership_not_offered"}
    accepted = several(company.bob, "ownership-proposals/accept", items=[*asked, asked[0]])
    assert [each["state"] or each["code"] for each in accepted] == [
        "accepted",
        "accepted",
        "proposal_already_answered",
    ]
    assert Agent.objects.get(slug="research-bot").owner == company.bob
    assert Agent.objects.get(slug="second").sponsor == company.bob


def test_nobody_but_an_analyst_proposes_however_many(company: Company) -> None:
    items = [{"slug": "research-bot", "office": "owner", "person": "bob"}]
    answer = client.of(company.sofia).post("/api/v1/bulk/agents/propose", {"items": items, "reason": "x"})
    assert answer.status_code == 403
    assert not OwnershipProposal.objects.exists()


def test_agents_are_retired_by_their_sponsor_each_for_itself(company: Company) -> None:
    make.agent("foreign", sponsor=company.mona, owner=company.sofia)
    make.grant(company.bot, company.use, people=[company.alice])

    items = [{"slug": slug} for slug in ("research-bot", "research-bot", "foreign", "nothing")]
    found = several(company.sofia, "bulk/agents/retire", items=items, reason="Replaced.")

    assert [(each["state"], each["code"]) for each in found] == [
        ("retired", None),
        (None, "agent_in_wrong_state"),
        (None, "forbidden"),
        (None, "not_found"),
    ]
    assert not Grant.objects.filter(ended_at=None).exists()
    assert Agent.objects.get(slug="foreign").status == "active"


@pytest.mark.parametrize("change", [ownership.decline, ownership.accept])
def test_a_proposal_that_was_answered_meanwhile_is_not_taken_again(
    company: Company, change: Callable[..., OwnershipProposal]
) -> None:
    made = ownership.propose(company.bot, "owner", company.bob, by=company.ana.principal, reason="x")
    said = {"reason": "No."} if change is ownership.decline else {}
    change(made.pk, by=company.bob, **said)

    (found,) = several(company.bob, "ownership-proposals/accept", items=[{"id": str(made.pk)}])

    assert found["code"] == "proposal_already_answered"
