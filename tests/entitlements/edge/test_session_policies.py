"""Session policies at the doors of the issuers: each door, each term; and what the client is told to bring."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from audit.context import SYSTEM
from audit.models import Event
from entitlements.agents.models import Agent
from entitlements.authentication import MULTI_FACTOR, PASSWORD, PHISHING_RESISTANT
from entitlements.session_policies.models import SessionPolicy
from entitlements.sessions import sessions
from entitlements.sessions.models import Session
from entitlements.token_families.models import TokenFamily
from tests import make
from tests.entitlements.edge import idp_sign_ins as idp
from tests.entitlements.edge import sign_ins, test_step_up, worlds
from tests.entitlements.edge import test_code_flow as flow
from tests.entitlements.edge.worlds import Answer, World
from tests.entitlements.session_policies import agreed

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
STRONG: dict[str, Any] = {"acr": MULTI_FACTOR, "amr": ["pwd", "otp", "mfa"]}
TERMS: dict[str, dict[str, Any]] = {
    "idle": {"idle": 10 * MINUTE},
    "absolute": {"idle": 10 * MINUTE, "absolute": 30 * MINUTE},
    "max_age": {"max_age": 30 * MINUTE},
    "unknown": {"max_age": 24 * HOUR},
    "acr": {"acr": [MULTI_FACTOR]},
    "amr": {"amr": ["otp"]},
}
SPOILED: dict[str, dict[str, Any]] = {
    "idle": {"last_used_at": -11 * MINUTE},
    "absolute": {"started_at": -31 * MINUTE},
    "max_age": {"signed_in_at": -31 * MINUTE},
    "unknown": {"signed_in_at": None},
    "acr": {"acr": PASSWORD, "amr": "pwd otp"},
    "amr": {"acr": MULTI_FACTOR, "amr": "pwd mfa"},
}
"""What of the session is changed, once everything is issued; times from now."""


@dataclass
class Held:
    """What alice's client holds before anything is spoiled."""

    world: World
    id_token: str
    id_jag: str
    access_token: str
    refresh_token: str


def spoil(term: str) -> None:
    now = timezone.now()
    changed = {name: now + to if isinstance(to, timedelta) else to for name, to in SPOILED[term].items()}
    Session.objects.update(**changed)
    if "signed_in_at" in changed:
        TokenFamily.objects.update(auth_time=changed["signed_in_at"] or now - 25 * HOUR)
    if "acr" in changed:
        TokenFamily.objects.update(acr=changed["acr"], amr=changed["amr"])


def introspected(world: World, token: str, path: str = "", **who: str) -> Answer:
    credentials = who or world.credentials(world.audience)
    return world.post(path or f"/as/{world.system.slug}/introspect", {"token": token, **credentials})


def refresh(held: Held) -> Answer:
    return sign_ins.refresh(
        held.world, held.refresh_token, client_id=None, **held.world.credentials(held.world.audience)
    )


DOORS: dict[str, Callable[[Held], Answer]] = {
    "exchange": lambda held: held.world.exchange(subject_token=held.id_token),
    "redemption": lambda held: held.world.redeem(held.id_jag),
    "refresh": refresh,
    "introspection of an access token": lambda held: introspected(held.world, held.access_token),
    "introspection of a refresh token": lambda held: introspected(held.world, held.refresh_token),
}
ASKED = (400, "insufficient_user_authentication", "reauthentication_due")
REFUSED: dict[str, object] = {
    "exchange": ASKED,
    "redemption": ASKED,
    "refresh": (400, "invalid_grant", "reauthentication_due"),
    "introspection of an access token": False,
    "introspection of a refresh token": False,
}


@pytest.fixture
def held(world: World) -> Held:
    """Sign alice in by an ID token of her company, and at the page of the system."""
    make.rewrite(world.client, redirect_uris=sign_ins.REGISTERED)
    test_step_up.sign_in(world, test_step_up.PWD, test_step_up.TOTP)
    id_token, used = world.id_token(**STRONG), world.id_token(**STRONG)
    access = world.redeem(world.id_jag(subject_token=used))
    code = sign_ins.agree(world, client_id=world.client.client_id)["code"]
    signed_in = sign_ins.redeem(world, code, client_id=None, **world.credentials(world.audience))
    refresh_token = str(signed_in.body["refresh_token"])
    id_jag = world.id_jag(subject_token=id_token)
    return Held(world, id_token, id_jag, str(access.body["access_token"]), refresh_token)


def outcome(answer: Answer) -> object:
    if "active" in answer.body:
        return answer.body["active"]
    return answer.status if answer.status == 200 else answer.error


@pytest.mark.parametrize("term", TERMS)
def test_each_door_asks_for_a_sign_in_by_each_term(held: Held, term: str) -> None:
    agreed.in_force(**TERMS[term])
    spoil(term)
    assert {door: outcome(ask(held)) for door, ask in DOORS.items()} == REFUSED


def test_a_session_that_meets_every_term_goes_on_at_each_door(held: Held) -> None:
    agreed.in_force(**{name: value for terms in TERMS.values() for name, value in terms.items()})
    assert {outcome(ask(held)) for ask in DOORS.values()} == {200, True}


def test_without_a_policy_only_the_built_in_limits_count(held: Held) -> None:
    for term in ("absolute", "max_age", "acr", "amr"):
        spoil(term)
    assert {outcome(ask(held)) for ask in DOORS.values()} == {200, True}


def test_the_answer_names_the_sign_in_that_would_do_and_the_record_the_policy(held: Held) -> None:
    agreed.in_force("strict", max_age=30 * MINUTE, acr=[MULTI_FACTOR])
    spoil("max_age")
    for answer in (held.world.exchange(subject_token=held.id_token), refresh(held)):
        assert (answer.body["max_age"], answer.body["acr_values"]) == (1800, MULTI_FACTOR)
        assert "strict" in answer.body["reasons"][0]
    last = Event.objects.filter(action="token.refused").latest("at")
    assert (last.detail["max_age"], last.detail["acr_values"]) == (1800, MULTI_FACTOR)


def test_the_sign_in_that_begins_a_session_is_asked(world: World) -> None:
    agreed.in_force(max_age=30 * MINUTE, acr=[MULTI_FACTOR], amr=["otp"])
    now = int(time.time())
    assert world.exchange(subject_token=world.id_token(**STRONG)).status == 200
    for spoiled in (
        {"auth_time": now - 1801},
        {"auth_time": None},
        {"auth_time": now - 1, "acr": PASSWORD, "amr": ["otp"]},
        {"auth_time": now - 2, "amr": ["mfa"]},
        {"auth_time": now - 3, "acr": None, "amr": None},
    ):
        answer = world.exchange(subject_token=world.id_token(**{**STRONG, **spoiled}))
        assert answer.error == ASKED, spoiled
    assert Session.objects.count() == 1
    begun = Session.objects.get()
    assert (begun.acr, begun.amr) == (MULTI_FACTOR, "mfa otp pwd")
    assert begun.signed_in_at is not None
    assert int(begun.signed_in_at.timestamp()) == now - 60


def test_a_session_keeps_no_time_that_its_sign_in_does_not_state(world: World) -> None:
    assert world.exchange(subject_token=world.id_token(auth_time=None)).status == 200
    begun = Session.objects.get()
    assert (begun.signed_in_at, begun.acr, begun.amr) == (None, "", "")
    assert begun.auth_time is not None


def test_a_session_that_was_ended_begins_anew_by_a_fresh_sign_in_alone(world: World) -> None:
    def without_time() -> Answer:
        return world.exchange(subject_token=world.id_token(auth_time=None, iat=int(time.time()) - 1))

    assert world.exchange(subject_token=world.id_token(auth_time=None, iat=int(time.time()) - 5)).status == 200
    sessions.end(Session.objects.get().pk, by=SYSTEM, reason="left the desk")
    agreed.in_force()
    answer = without_time()
    assert answer.error == ASKED
    assert answer.body["max_age"] <= 1
    Session.objects.update(ended_at=timezone.now() - 10 * MINUTE)
    assert without_time().error == ASKED
    assert world.exchange(subject_token=world.id_token(auth_time=int(time.time()) - 660)).error == ASKED
    assert world.exchange(subject_token=world.id_token(auth_time=int(time.time()) - 540)).status == 200
    SessionPolicy.objects.update(renews_without_sign_in=True)
    assert without_time().status == 200


def test_a_sign_in_that_lasts_goes_on_in_another_session_where_the_policy_says_so(held: Held) -> None:
    agreed.in_force(idle=10 * MINUTE)
    family = TokenFamily.objects.get()
    before = family.session_id
    spoil("idle")
    assert outcome(refresh(held)) == REFUSED["refresh"]
    SessionPolicy.objects.update(renews_without_sign_in=True)
    assert introspected(held.world, held.refresh_token).body["active"]
    answer = refresh(held)
    assert answer.status == 200, answer.body
    family.refresh_from_db()
    assert family.session_id != before


def test_a_sign_in_that_lasts_has_no_other_session_by_default(held: Held) -> None:
    Session.objects.update(last_used_at=timezone.now() - 2 * HOUR)
    TokenFamily.objects.update(auth_time=timezone.now() - 3 * HOUR)
    agreed.in_force()
    assert outcome(refresh(held)) == REFUSED["refresh"]


def test_a_code_is_held_to_what_was_confirmed_since_the_page(world: World) -> None:
    sign_ins.public_client(world)
    code = sign_ins.agree(world)["code"]
    agreed.in_force(acr=[MULTI_FACTOR])
    assert sign_ins.redeem(world, code).error == (400, "invalid_grant", "reauthentication_due")


def test_the_identity_side_asks_at_its_code_and_its_refresh(world: World) -> None:
    world.alice.set_password("correct horse battery")
    world.alice.save()
    flow.sign_in(world)
    make.rewrite(world.client, redirect_uris=flow.BACK)
    back = flow.agree(world, allow=True, scope=idp.SCOPE, client_id=world.client.client_id)
    begun = idp.begin(world)
    token = str(begun.body["refresh_token"])
    assert introspected(world, token, "/idp/introspect", **idp.proof(world)).body["active"]
    agreed.in_force(acr=[MULTI_FACTOR])
    refused = (400, "invalid_grant", "reauthentication_due")
    assert flow.redeem(world, back["code"], client_id=None, **idp.proof(world)).error == refused
    assert idp.refresh(world, token).error == refused
    assert idp.exchange_refresh_token(world, token).error == ASKED
    assert not introspected(world, token, "/idp/introspect", **idp.proof(world)).body["active"]


@pytest.mark.parametrize(
    ("applies", "is_asked"),
    [
        ({"agent_kind": "shared"}, True),
        ({"agent_kind": "service"}, False),
        ({"system": "time"}, True),
        ({"system": "other"}, False),
        ({"risk": "low"}, True),
        ({"risk": "critical"}, False),
    ],
    ids=str,
)
def test_a_policy_is_about_its_kind_of_agent_its_system_and_its_risk_level(
    world: World,
    applies: dict[str, str],
    is_asked: bool,  # noqa: FBT001 - a column
) -> None:
    make.system("other")
    Agent.objects.update(kind="shared")
    agreed.in_force(**applies, max_age=24 * HOUR)
    answer = world.exchange(subject_token=world.id_token(auth_time=None))
    assert (answer.status != 200) is is_asked, answer.body


@pytest.mark.parametrize("place", test_step_up.PLACES)
def test_a_page_leads_to_the_sign_in_that_the_policy_asks_for(world: World, place: str) -> None:
    client = sign_ins.public_client(world, "public-client", redirect_uris=flow.BACK)
    world.alice.set_password("correct horse battery")
    world.alice.save()

    def where(**policy: Any) -> str:  # noqa: ANN401 - the terms of a policy
        agreed.in_force(**policy)
        answer = test_step_up.ask(world, place, "")
        return str(answer.get("Location", "")) if answer.status_code == 302 else str(answer.status_code)

    test_step_up.sign_in(world, {**test_step_up.PWD, "at": time.time() - 1900})
    assert where(max_age=HOUR) == "200"
    assert where(max_age=30 * MINUTE).startswith("/login/again/")
    test_step_up.sign_in(world, test_step_up.PWD)
    assert where(max_age=31 * MINUTE) == "200"
    assert "error=unmet_authentication_requirements" in where(acr=[MULTI_FACTOR])
    answer = test_step_up.ask(world, place, "", prompt="none")
    assert "error=" in answer["Location"]
    test_step_up.sign_in(world, test_step_up.PWD, test_step_up.TOTP)
    assert where(acr=[MULTI_FACTOR], amr=["otp"]) == "200"
    assert client.pk


def test_the_code_says_the_context_that_the_policy_asks_for(world: World) -> None:
    sign_ins.public_client(world)
    test_step_up.sign_in(world, test_step_up.PWD, {"method": "mfa", "type": "webauthn"})
    agreed.in_force(acr=[PHISHING_RESISTANT])
    back = sign_ins.agree(world, acr_values=PASSWORD)
    assert "code" in back, back
    answer = sign_ins.redeem(world, back["code"])
    assert answer.status == 200, answer.body
    assert Session.objects.get().acr == PHISHING_RESISTANT


def test_refusals_of_a_policy_are_in_the_record_once(held: Held) -> None:
    agreed.in_force(max_age=30 * MINUTE)
    spoil("max_age")
    refresh(held)
    assert [event.code for event in worlds.refusals()] == ["reauthentication_due"]
