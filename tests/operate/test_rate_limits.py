"""Whoever asks too often waits, also while Redis is away, and nobody else does."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from audit.context import SYSTEM
from audit.models import Event, StrangerCount
from entitlements import ratelimits
from entitlements.people import people
from governance import env
from tests import make
from tests.edge import Browser
from tests.governance.console import visits

pytestmark = [pytest.mark.django_db, pytest.mark.loopback]
GOOD = "correct horse battery staple"
NOBODY_LISTENS = env.Secret("redis://127.0.0.1:1/0")


@pytest.fixture(autouse=True)
def limits(settings: Any) -> dict[str, int]:  # noqa: ANN401
    """Small limits, and nobody counted yet."""
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "tokens": 8, "api": 8, "sign_in": 8}
    ratelimits._counts.clear()
    ratelimits._asked_again_at[0] = 0.0
    if time.time() % ratelimits.WINDOW > ratelimits.WINDOW - 5:
        time.sleep(6)  # a window must not end in the middle of a test
    return dict(settings.RATE_LIMITS)


def asks(who: str, times: int) -> int:
    """Ask so many times; return how many were let through."""
    passed = 0
    for _ in range(times):
        try:
            ratelimits.check(ratelimits.API, who)
            passed += 1
        except ratelimits.TooMany:
            continue
    return passed


def test_a_limit_is_kept_for_each_by_themselves() -> None:
    one, other = f"one-{time.time_ns()}", f"other-{time.time_ns()}"
    assert [asks(one, 20), asks(other, 5)] == [8, 5]


def test_two_processes_share_the_count_in_redis() -> None:
    who = f"shared-{time.time_ns()}"
    asks(who, 6)
    ratelimits._counts.clear()  # another process has counted nothing itself
    ratelimits._clients.clear()
    assert asks(who, 6) == 2


def test_without_redis_the_limit_is_stricter_and_one_alone_asks_for_it(
    settings: Any,  # noqa: ANN401
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings.REDIS_URL = NOBODY_LISTENS
    assert asks("somebody", 50) == 2
    assert asks("else", 50) == 2
    assert [each.message for each in caplog.records] == ["rate_limits_are_local"]


def test_redis_is_used_again_when_it_is_back(settings: Any) -> None:  # noqa: ANN401
    good, who = settings.REDIS_URL, f"back-{time.time_ns()}"
    settings.REDIS_URL = NOBODY_LISTENS
    assert asks(who, 4) == 2
    settings.REDIS_URL = good
    ratelimits._asked_again_at[0] = 0.0
    assert asks(who, 20) == 8


def test_a_crowd_of_names_fills_no_memory(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ANN401
    settings.REDIS_URL = NOBODY_LISTENS
    monkeypatch.setattr(ratelimits, "_MOST_KEPT", 10)
    for number in range(50):
        asks(f"name-{number}", 1)
    assert len(ratelimits._counts) <= 11
    assert asks("one-more", 1) == 0, "those beyond are counted together"


def test_the_api_answers_429_and_says_when_to_come_back() -> None:
    person = make.analyst(f"ana-{time.time_ns()}")
    token = people.make_api_token(person, "script", by=SYSTEM)
    headers = {"authorization": f"Bearer {token}"}
    answers = [Client().get("/api/v1/agents", headers=headers) for _ in range(10)]
    assert [answer.status_code for answer in answers] == [200] * 8 + [429] * 2
    assert answers[-1].json()["code"] == "rate_limited"
    assert 1 <= int(answers[-1]["Retry-After"]) <= 60 + ratelimits.SPREAD


def test_the_token_endpoint_tells_a_client_to_slow_down_and_counts_it_by_minute() -> None:
    client, secret = make.client(None, f"script-{time.time_ns()}", auth="client_secret_basic", api_scopes=["x"])
    form = urlencode({"grant_type": "nothing", "client_id": client.client_id, "client_secret": secret})
    kind = "application/x-www-form-urlencoded"
    answers = [Browser().post("/idp/token", form, content_type=kind) for _ in range(10)]
    assert [answer.status_code for answer in answers[-2:]] == [429, 429], answers[-1].content
    assert answers[-1].json()["error"] == "slow_down"
    assert "Retry-After" in answers[-1]
    assert StrangerCount.objects.get(kind="rate_limited").count == 2
    assert Event.objects.filter(action="token.refused").count() == 8


def test_pages_are_limited_for_each_person_by_themselves(settings: Any) -> None:  # noqa: ANN401
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, ratelimits.PAGES: 3}
    ana, eve = make.analyst(f"ana-{time.time_ns()}"), make.analyst(f"eve-{time.time_ns()}")
    browser, events = visits.as_(ana), Event.objects.count()
    answers = [browser.get("/agents/", secure=True) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200] * 3 + [429] * 2
    assert b"rate_limited" in answers[-1].content, "a page that says why, with its code"
    assert 1 <= int(answers[-1]["Retry-After"]) <= 60 + ratelimits.SPREAD
    assert browser.post("/agents/nothing/activate/", secure=True).status_code == 429, "no refusal is recorded either"
    assert Event.objects.count() == events
    assert visits.as_(eve).get("/agents/", secure=True).status_code == 200


def test_guessing_a_password_is_slow_soon_and_the_right_one_waits_as_well() -> None:
    login = f"carol-{time.time_ns()}"
    make.person(login, password=GOOD)
    for _ in range(7):
        Client().post("/login/", {"login": login, "password": "wrong"})
    answer = Client().post("/login/", {"login": login, "password": GOOD})
    assert answer.status_code == 200
    assert not Event.objects.filter(action="person.signed_in").exists()
    assert StrangerCount.objects.get(kind="rate_limited").count >= 1


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5"])
def test_a_limit_must_be_a_number_that_limits(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATE_LIMIT_API", value)
    with pytest.raises(env.BadEnvironmentError, match="RATE_LIMIT_API must be a whole number"):
        env.count("RATE_LIMIT_API")
