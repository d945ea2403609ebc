"""A session policy is proposed by one person and confirmed by another, who see first whom it would ask."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from audit.models import Event
from entitlements.authentication import MULTI_FACTOR, OWN, PASSWORD
from entitlements.catalog.models import System
from entitlements.errors import Forbidden, ReasonRequired
from entitlements.feed import locks, subjects
from entitlements.feed.locks import Lock
from entitlements.feed.models import Change
from entitlements.people.models import Person
from entitlements.session_policies import preview, proposals, rules
from entitlements.session_policies.models import SessionPolicy
from entitlements.session_policies.rules import SignedIn
from entitlements.sessions.models import Session
from entitlements.token_families.models import TokenFamily
from tests import make
from tests.entitlements.api import client as api
from tests.entitlements.session_policies import agreed

pytestmark = pytest.mark.django_db
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def test_what_one_proposes_another_confirms_and_it_concerns_all_that_nodes_know() -> None:
    petra, carl = make.security("petra"), make.security("carl")
    proposed = agreed.propose(by=petra, idle=10 * MINUTE, max_age=24 * HOUR, acr=["phr"])
    assert locks.not_held([(Lock.EVERYTHING, subjects.EVERYTHING)]) != [], "a proposal keeps no call waiting"
    for who, why in (
        (petra, proposals.KIND.proposed_by_own_account),
        (make.analyst(), Forbidden),
        (make.person(), Forbidden),
    ):
        with pytest.raises(why):
            proposals.KIND.confirm(proposed.pk, by=who)
    before = Change.objects.count()
    in_force = proposals.KIND.confirm(proposed.pk, by=carl)
    assert (in_force.state, in_force.confirmed_by, Change.objects.count()) == ("in_force", carl, before + 1)
    assert Change.objects.latest("id").concerns_all
    events = Event.objects.filter(links__contains=["session_policy:strict"]).order_by("at")
    assert [event.action for event in events] == ["session_policy.proposed", "session_policy.confirmed"]
    assert events[1].detail["acr"] == ["phr"]
    with pytest.raises(proposals.KIND.over):
        proposals.KIND.confirm(proposed.pk, by=carl)
    with pytest.raises(proposals.KIND.unchanged):
        agreed.propose(by=petra, idle=10 * MINUTE, max_age=24 * HOUR, acr=["phr"])


def test_other_terms_replace_a_policy_and_a_second_person_ends_it() -> None:
    first = agreed.in_force()
    second = agreed.in_force(idle=HOUR / 2)
    first.refresh_from_db()
    assert (first.state, second.state) == ("replaced", "in_force")
    with pytest.raises(proposals.KIND.proposed_by_own_account):
        proposals.KIND.end(second.pk, by=second.proposed_by, reason="too strict")
    with pytest.raises(ReasonRequired):
        proposals.KIND.end(second.pk, by=make.security(), reason=" ")
    assert proposals.KIND.end(second.pk, by=make.security(), reason="too strict").state == "ended"


def test_one_proposal_of_a_name_waits_and_is_withdrawn() -> None:
    petra = make.security()
    waiting = agreed.propose(by=petra)
    with pytest.raises(proposals.KIND.proposed_already):
        agreed.propose(by=make.analyst(), idle=HOUR / 2)
    assert proposals.KIND.withdraw(waiting.pk, by=petra, reason="not yet").state == "withdrawn"
    with pytest.raises(Forbidden):
        agreed.propose(by=make.person())


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"idle": 4 * MINUTE}, "idle"),
        ({"idle": 61 * MINUTE}, "idle"),
        ({"idle": HOUR, "absolute": 59 * MINUTE}, "absolute"),
        ({"absolute": 13 * HOUR}, "absolute"),
        ({"max_age": MINUTE}, "max_age"),
        ({"max_age": timedelta(days=31)}, "max_age"),
        ({"acr": ["two words"]}, "acr"),
        ({"acr": ['a"b']}, "acr"),
        ({"amr": [str(number) for number in range(11)]}, "amr"),
        ({"system": "nowhere"}, "system"),
    ],
    ids=str,
)
def test_what_cannot_be_agreed_on_is_refused_with_its_field(terms: dict[str, Any], field: str) -> None:
    with pytest.raises(proposals.PolicyMalformed) as refused:
        agreed.propose(by=make.security(), **terms)
    assert refused.value.detail["field"] == field


def test_the_database_has_the_last_word() -> None:
    row = agreed.propose(by=make.security())
    for spoiled in (
        {"state": "in_force"},
        {"state": "in_force", "confirmed_by": row.proposed_by, "confirmed_at": timezone.now()},
        {"absolute_seconds": 43_201},
        {"idle_seconds": 60},
        {"reason": ""},
        {"state": "withdrawn"},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            SessionPolicy.objects.filter(pk=row.pk).update(**spoiled)


def test_over_the_api_as_the_design_has_it() -> None:
    make.system("time")
    petra, carl = make.security("petra"), make.security("carl")
    body = {
        "name": "high",
        "applies_to": {"agent_kind": "shared", "system": "time", "risk": "high"},
        "idle": "PT10M",
        "absolute": "PT8H",
        "max_age": "P1D",
        "acr": ["phr"],
        "reason": "risk",
    }
    made = api.proven(petra).post("/api/v1/session-policies", body, format="json")
    assert made.status_code == 201, made.content
    found = made.json()
    assert {name: found[name] for name in body} == body
    address = f"/api/v1/session-policies/{found['id']}"
    assert api.of(carl).get(f"{address}/preview").json() == {
        "sessions": 0,
        "sign_ins": 0,
        "people": 0,
        "results": [],
        "logins": [],
    }
    assert api.proven(carl).post(f"{address}/confirm").json()["state"] == "in_force"
    listed = api.of(carl).get("/api/v1/session-policies?state=in_force").json()["results"]
    assert [row["confirmed_by"] for row in listed] == ["carl"]
    drift = api.proven(petra).post("/api/v1/session-policies", {**body, "on_drift": "step_up"}, format="json")
    assert (drift.status_code, drift.json()["on_drift"]) == (201, "step_up")
    unknown = api.proven(petra).post("/api/v1/session-policies", {**body, "on_drift": "revoke"}, format="json")
    assert unknown.status_code in (400, 422)
    assert api.of(make.person()).get("/api/v1/session-policies").status_code in (403, 404)


CASES: list[dict[str, Any]] = [
    {},
    {"idle_seconds": 600},
    {"absolute_seconds": 1800},
    {"max_age_seconds": 600},
    {"acr": [PASSWORD]},
    {"acr": [MULTI_FACTOR]},
    {"acr": [OWN[0], "loa3"]},
    {"amr": ["otp"]},
    {"amr": ["mfa", "pwd"], "idle_seconds": 600},
    {"agent_kind": "service", "idle_seconds": 600},
    {"system": "time", "max_age_seconds": 600},
    {"system": "other", "max_age_seconds": 600},
    {"risk": "critical", "max_age_seconds": 600},
]


def test_the_preview_names_whom_the_rule_would_ask() -> None:
    now, people = timezone.now(), [make.person(f"person-{number}") for number in range(4)]
    agent, system = make.agent("bot"), make.system("time")
    client, _ = make.client(agent, "bot-client", auth="client_secret_basic")
    tool = make.tool(system)
    make.grant(agent, make.entitlement(system, tool), people=people[:2])
    signed_in: list[dict[str, Any]] = [
        {"signed_in_at": None},
        {"signed_in_at": now - 9 * MINUTE, "acr": MULTI_FACTOR, "amr": "otp mfa"},
        {"signed_in_at": now - 11 * MINUTE, "acr": PASSWORD, "amr": "pwd mfa"},
        {"signed_in_at": now - MINUTE, "acr": "loa3", "amr": ""},
    ]
    moments = [(1, 1), (20, 1), (20, 11), (40, 2)]
    rows = []
    for number in range(16):
        stated, (began, used) = signed_in[number % 4], moments[number // 4]
        rows.append(
            Session(
                agent=agent,
                client=client,
                person=people[number % 4],
                sign_in_sha256=str(number),
                started_at=now - began * MINUTE,
                last_used_at=now - used * MINUTE,
                expires_at=now + HOUR,
                **stated,
            )
        )
    Session.objects.bulk_create(rows)
    usual = SessionPolicy(name="p", idle_seconds=3600, absolute_seconds=43_200)
    make.system("other")
    for terms in CASES:
        policy = _with(usual, **terms)
        expected = {row.pk for row in rows if _is_asked(policy, row, now, people[:2])}
        asked = preview.of(policy, now)
        assert set(asked.sessions.values_list("pk", flat=True)) == expected, terms
        assert set(asked.people) == {row.person for row in rows if row.pk in expected}, terms


def _with(usual: SessionPolicy, **terms: Any) -> SessionPolicy:  # noqa: ANN401 - columns
    fields = {"name": usual.name, "idle_seconds": usual.idle_seconds, "absolute_seconds": usual.absolute_seconds}
    at = {"system": System.objects.get(slug=terms["system"])} if "system" in terms else {}
    return SessionPolicy(**{**fields, **terms, **at})


def _is_asked(policy: SessionPolicy, row: Session, now: Any, holders: list[Person]) -> bool:  # noqa: ANN401 - a moment
    """Ask the rule of the decision about a row, where the policy is about its agent and its person holds something."""
    if policy.agent_kind and policy.agent_kind != row.agent.kind:
        return False
    if policy.system is not None and (policy.system.slug != "time" or row.person not in holders):
        return False
    if policy.risk == "critical":
        return False
    at = -float("inf") if row.signed_in_at is None else row.signed_in_at.timestamp()
    known = SignedIn(at, row.acr, frozenset(row.amr.split()))
    terms = rules.combined([replace(policy.rule, risk=rules.LEVELS[0])])
    assert terms is not None
    began, used = row.started_at.timestamp(), row.last_used_at.timestamp()
    return rules.shortfall(terms, known, began, used, now.timestamp()) is not None


def test_the_preview_counts_sign_ins_that_last_without_a_session() -> None:
    agent, system = make.agent("bot"), make.system("time")
    client, _ = make.client(agent, "bot-client", auth="client_secret_basic")
    now, alice = timezone.now(), make.person("alice")
    session = Session.objects.create(
        agent=agent, client=client, person=alice, started_at=now - 3 * HOUR, last_used_at=now - 3 * HOUR,
        expires_at=now + HOUR,
    )  # fmt: skip
    make.token_family(session, system)
    policy = SessionPolicy(name="p", idle_seconds=3600, absolute_seconds=43_200)
    asked = preview.of(policy, now)
    assert (asked.sessions.count(), asked.sign_ins.count(), list(asked.people)) == (0, 1, [alice])
    policy.renews_without_sign_in = True
    assert preview.of(policy, now).sign_ins.count() == 0
    TokenFamily.objects.update(auth_time=now - 2 * HOUR)
    policy.max_age_seconds = 3600
    assert preview.of(policy, now).sign_ins.count() == 1


def test_sessions_over_the_api_say_what_is_known_of_the_sign_in() -> None:
    agent = make.agent("bot")
    client, _ = make.client(agent, "bot-client", auth="client_secret_basic")
    now, ana = timezone.now(), make.analyst("ana")
    common = {"agent": agent, "client": client, "person": make.person("alice"), "expires_at": now + HOUR}
    open_one = Session.objects.create(
        **common, sign_in_sha256="1", started_at=now, last_used_at=now, signed_in_at=now, acr="phr", amr="pop mfa"
    )
    idle = Session.objects.create(**common, sign_in_sha256="2", started_at=now - 3 * HOUR, last_used_at=now - 2 * HOUR)
    shown = api.of(ana).get("/api/v1/sessions?state=open").json()["results"]
    assert [(row["id"], row["acr"], row["amr"], row["state"], row["systems"]) for row in shown] == [
        (str(open_one.pk), "phr", ["pop", "mfa"], "open", [])
    ]
    (ended,) = api.of(ana).get("/api/v1/sessions?state=ended&person=alice&agent=bot").json()["results"]
    assert (ended["id"], ended["auth_time"], ended["state"]) == (str(idle.pk), None, "ended")
    assert ended["began_at"] == ended["started_at"]
    done = api.of(ana).post(f"/api/v1/sessions/{open_one.pk}/end", {"reason": "left the desk"}, format="json")
    assert done.status_code == 200, done.content
    assert done.json()["state"] == "ended"


def test_one_session_says_when_it_ends_by_which_term_and_which_policies_can_apply() -> None:
    agent = make.agent("bot", kind="shared")
    client, _ = make.client(agent, "bot-client", auth="client_secret_basic")
    now, ana = timezone.now(), make.analyst("ana")
    row = Session.objects.create(
        agent=agent, client=client, person=make.person("alice"), expires_at=now + HOUR, sign_in_sha256="1",
        started_at=now - HOUR, last_used_at=now, signed_in_at=now - HOUR, acr="low", risk="medium",
    )  # fmt: skip
    one = f"/api/v1/sessions/{row.pk}"
    bare = api.of(ana).get(one).json()
    assert (bare["ends_by"], bare["policies"], bare["risk_level"], bare["held_by_risk"]) == (
        "absolute", [], "medium", False,
    )  # fmt: skip
    agreed.in_force("short", idle=10 * MINUTE)
    agreed.in_force("risky", risk="high", max_age=30 * MINUTE)
    agreed.in_force("personal-agents", agent_kind="personal", max_age=30 * MINUTE)
    agreed.in_force("strong", risk="medium", acr=["phr"])
    agreed.in_force("elsewhere", system=make.system("erp").slug, max_age=30 * MINUTE)

    found = api.of(ana).get(one).json()

    assert (found["ends_by"], found["ends_at"]) == ("idle", found["policies"][0]["ends_at"])
    assert [(each["name"], each["risk"], bool(each["asks"])) for each in found["policies"]] == [
        ("short", None, False), ("strong", None, True), ("risky", "high", True),
    ]  # fmt: skip
    assert "stronger way" in found["policies"][1]["asks"]
    assert "policies" not in api.of(ana).get("/api/v1/sessions").json()["results"][0]
