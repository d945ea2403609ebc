"""Who asks for tokens too often waits: a client, a person at one client, a person at all; and a process in a crowd."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import pytest
from pytest_django.fixtures import Settings

from audit.models import StrangerCount
from entitlements import ratelimits
from entitlements.backlog import Backlog
from entitlements.clients import callers
from entitlements.clients.callers import Caller
from entitlements.decisions import own_connection
from entitlements.decisions.own_connection import READS
from entitlements.edge.delegation import agents
from entitlements.edge.door import Attempt
from entitlements.edge.rate_limits import RateLimits
from entitlements.ratelimits import TooMany
from entitlements.traces.request_trace import RequestTrace
from tests import make
from tests.edge import OUTSIDE
from tests.entitlements.edge import idp_sign_ins as idp
from tests.entitlements.edge import sign_ins, worlds
from tests.entitlements.edge import test_code_flow as flow
from tests.entitlements.edge.worlds import Answer, World

AWAY = "redis://127.0.0.1:1/0"


@pytest.fixture
def limits(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> RateLimits:
    """Two requests a minute for a person by a client, counted as a node counts them; the minute has time left."""
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, ratelimits.PERSON: 2}
    node = RateLimits(AWAY)
    node._answered = math.inf  # as if Redis had answered a moment ago, however slow the machine is
    monkeypatch.setattr(OUTSIDE, "check_rate", node.check)
    if time.time() % ratelimits.WINDOW > ratelimits.WINDOW - 5:
        time.sleep(6)
    return node


type Asks = Callable[[], Answer]


def first_leg(world: World) -> Asks:
    return world.exchange


def second_leg(world: World) -> Asks:
    assertion = world.id_jag()
    return lambda: world.redeem(assertion)


def code_at_idp(world: World) -> Asks:
    flow.sign_in(world)
    make.rewrite(world.client, redirect_uris=flow.BACK)
    code = flow.agree(world, allow=True, client_id=world.client.client_id)["code"]
    return lambda: flow.redeem(world, code, client_id=None, **idp.proof(world))


def refresh_at_idp(world: World) -> Asks:
    token = signed_in_at_idp(world)
    return lambda: idp.refresh(world, token)


def refresh_token_as_subject(world: World) -> Asks:
    token = signed_in_at_idp(world)
    return lambda: idp.exchange_refresh_token(world, token)


def signed_in_at_idp(world: World) -> str:
    flow.sign_in(world)
    return str(idp.begin(world).body["refresh_token"])


def code_at_system(world: World) -> Asks:
    sign_ins.public_client(world)
    code = sign_ins.agree(world)["code"]
    return lambda: sign_ins.redeem(world, code)


def refresh_at_system(world: World) -> Asks:
    sign_ins.public_client(world)
    token = sign_ins.signed_in(world).body["refresh_token"]
    return lambda: sign_ins.refresh(world, token)


ASKS = (
    first_leg,
    second_leg,
    code_at_idp,
    refresh_at_idp,
    refresh_token_as_subject,
    code_at_system,
    refresh_at_system,
)


@pytest.mark.parametrize("asks", ASKS)
def test_a_client_that_asks_too_often_for_one_person_waits_and_nothing_is_written(
    world: World, limits: RateLimits, asks: Callable[[World], Asks]
) -> None:
    ask = asks(world)
    limits._counts.clear()  # what came before is not the question
    for client in (world.client.client_id, sign_ins.CLIENT):
        for _ in range(2):
            limits.check(f"{world.alice.pk} {client}", ratelimits.PERSON)
    before = worlds.standing(), worlds.used(), len(worlds.refusals())
    answer = ask()
    assert answer.error == (429, "slow_down", "rate_limited")
    assert 1 <= int(answer.headers["Retry-After"]) <= ratelimits.WINDOW + ratelimits.SPREAD
    assert (worlds.standing(), worlds.used(), len(worlds.refusals())) == before
    assert StrangerCount.objects.get(kind="rate_limited").count == 1, "counted by minute, for the agent"


def test_the_same_request_is_counted_once_and_another_person_is_not_slowed_down(
    world: World, limits: RateLimits
) -> None:
    assert [world.exchange().status for _ in range(3)] == [200, 200, 429]
    attempt = attempt_now()
    agents.count(attempt, caller_of(world), world.alice.pk + 1)
    agents.count(attempt, caller_of(world), world.alice.pk + 1)
    agents.count(attempt, caller_of(world), world.alice.pk + 1)
    assert limits._counts[ratelimits.PERSON][f"{world.alice.pk + 1} {world.client.client_id}"].here == 1


def test_one_client_does_not_use_up_a_person_for_another_client_and_five_do(world: World, limits: RateLimits) -> None:
    del limits
    clients = [make.client(world.agent, f"client-{number}")[0].client_id for number in range(6)]
    ask = [own_connection.run(callers.find(READS, client)) for client in clients]

    def passes(caller: Caller | None) -> bool:
        assert caller is not None
        try:
            agents.count(attempt_now(), caller, world.alice.pk)
        except TooMany:
            return False
        return True

    assert [passes(ask[0]) for _ in range(100)].count(True) == 2
    assert [passes(ask[1]) for _ in range(2)] == [True, True], "however often the first one asks"
    for other in ask[2:5]:
        assert [passes(other) for _ in range(2)] == [True, True]
    assert not passes(ask[5]), "the person's own limit is that of five clients"


def test_without_redis_the_limit_of_a_person_is_stricter(world: World, limits: RateLimits, settings: Settings) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, ratelimits.PERSON: 8}
    limits._answered = -math.inf
    assert [world.exchange().status for _ in range(3)] == [200, 200, 429]


def test_no_wait_ends_before_its_window_does_and_waits_differ() -> None:
    for now in (0.0, 59.9, 1_000_000_007.5):
        left = ratelimits.WINDOW - now % ratelimits.WINDOW
        waits = {ratelimits.wait(now) for _ in range(300)}
        assert min(waits) >= left
        assert len(waits) == ratelimits.SPREAD
        assert max(waits) <= left + ratelimits.SPREAD + 1


def test_thousands_of_clients_that_ask_now_and_then_are_counted_apart_and_cost_no_exchange(settings: Settings) -> None:
    settings.RATE_LIMITS = {ratelimits.TOKENS: 12_000, ratelimits.PERSON: 1_200}
    limits = RateLimits(AWAY)
    limits._answered = math.inf
    for number in range(6_000):
        limits.check(f"client-{number}")
        limits.check(f"{number} client-{number}", ratelimits.PERSON)
        limits.check(str(number), ratelimits.PERSON_AT_ALL)
    assert limits._due() == []
    assert all("*" not in counts for counts in limits._counts.values())
    for _ in range(120):
        limits.check("client-1")
    assert [(limit, who) for limit, who, _ in limits._due()] == [(ratelimits.TOKENS, "client-1")]


def test_a_crowd_is_told_when_to_come_back_and_what_ends_tokens_never_waits(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = world.access_token()
    monkeypatch.setattr(OUTSIDE, "turn", Backlog(at_once=0, waiting=0).turn)
    before = worlds.standing(), worlds.used()
    for answer in (world.exchange(), world.alone()):
        assert answer.error == (429, "temporarily_unavailable", "issuer_busy")
        assert 1 <= int(answer.headers["Retry-After"]) <= 8
        assert answer.headers["Access-Control-Allow-Origin"] == "*", "a page of another origin reads why"
    assert (worlds.standing(), worlds.used()) == before
    assert StrangerCount.objects.get(kind="issuer_busy").count == 2
    path = f"/as/{world.system.slug}/revoke"
    assert world.post(path, {"token": token, **world.credentials(world.audience)}).status == 200


def attempt_now() -> Attempt:
    return Attempt(OUTSIDE, OUTSIDE.reads(), {}, "", dpop=None, traced=RequestTrace(), source="127.0.0.1")


def caller_of(world: World) -> Caller:
    found = own_connection.run(callers.find(READS, world.client.client_id))
    assert found is not None
    return found


def test_a_public_client_is_counted_where_it_asks_from(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[str] = []
    monkeypatch.setattr(OUTSIDE, "check_rate", lambda who, *_: counted.append(who))
    sign_ins.public_client(world)
    assert sign_ins.redeem(world, "made-up").status == 400
    assert counted == [f"{sign_ins.CLIENT}@127.0.0.1"]
