"""Strangers fail to sign in as often as they like: that slows them, and locks no person out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any
from unittest import mock

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from audit.context import SYSTEM
from audit.models import Event, StrangerCount
from entitlements import ratelimits
from entitlements.people import attempts, people
from entitlements.people.models import Person, Role
from governance import env
from tests import make, second_factor

pytestmark = [pytest.mark.django_db, pytest.mark.loopback]
PASSWORD = "correct horse battery staple"
FAILS_TO_WAIT = attempts.FREE + 2
"""Seconds for signing in and revoking on a machine that does much else."""
STRANGER, OFFICE = "203.0.113.66", "198.51.100.7"


ANYWHERE = pytest.mark.parametrize("limited", ["redis", "alone"], indirect=True)


@pytest.fixture
def limited(request: pytest.FixtureRequest, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Limits as in production, of fewer failures; a wait is a long one at once, since a test machine may be slow."""
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "sign_in": 10}
    monkeypatch.setattr(attempts, "rising", lambda failures, longest: longest if failures >= attempts.FREE else 0)
    if getattr(request, "param", "redis") == "alone":
        settings.REDIS_URL = env.Secret("redis://127.0.0.1:1/0")
    _forget()
    yield
    _forget()


def _forget() -> None:
    """Let nothing be counted yet, anywhere."""
    attempts._own._values.clear()
    ratelimits._asked_again_at[0] = 0.0

    def forget(server: Any) -> bool:  # noqa: ANN401
        for key in server.scan_iter("attempts:*"):
            server.delete(key)
        return True

    ratelimits.shared(forget)
    ratelimits._asked_again_at[0] = 0.0


def _sign_in(browser: Client, login: str, password: str = PASSWORD, source: str = OFFICE) -> Any:  # noqa: ANN401
    answer: Any = browser.post("/login/", {"login": login, "password": password}, REMOTE_ADDR=source)
    return answer


def _is_in(answer: Any) -> bool:  # noqa: ANN401
    return bool(answer.status_code == 302)


def _wait(answer: Any) -> int:  # noqa: ANN401
    """Return the seconds that the page says to wait; 0 when it says none."""
    sentence = re.search(r"Wait (\d+) seconds", answer.content.decode())
    return int(sentence[1]) if sentence else 0


@pytest.fixture
def ana() -> Person:
    return make.person("ana-of-lockouts", roles=[Role.ANALYST], password=PASSWORD)


@pytest.fixture
def known(ana: Person) -> Client:
    """A browser in which Ana signed in before, and out again."""
    browser = Client()
    assert _is_in(_sign_in(browser, ana.login))
    browser.post("/logout/")
    assert browser.get("/").status_code == 302
    return browser


def _fail(times: int, login: str, source: str = STRANGER) -> None:
    for number in range(times):
        _sign_in(Client(), login.format(number), "wrong", source)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("failures", [40, pytest.param(1000, marks=pytest.mark.soak)])
def test_after_many_failures_of_a_stranger_an_analyst_signs_in_and_revokes_at_once(
    limited: None, ana: Person, known: Client, failures: int
) -> None:
    del limited
    agent = make.agent()
    _fail(failures // 2, ana.login, OFFICE)  # from where she is herself, with her login
    _fail(failures // 2, "invented-{}", OFFICE)
    assert _is_in(_sign_in(known, ana.login))
    assert known.post(f"/stop/agent/{agent.slug}/", {"reason": "It misbehaves."}, REMOTE_ADDR=OFFICE).status_code == 302
    agent.refresh_from_db()
    assert agent.status == "suspended"


def test_failures_of_one_address_leave_every_other_address_as_it_was(limited: None, ana: Person) -> None:
    del limited
    _fail(FAILS_TO_WAIT, ana.login)
    assert _wait(_sign_in(Client(), ana.login, source=STRANGER)) > 0
    assert _is_in(_sign_in(Client(), ana.login, source=OFFICE)), "the first attempt from a source never waits"


def test_failures_of_one_login_leave_other_logins_of_that_address_as_they_were(limited: None, ana: Person) -> None:
    del limited
    _fail(12, "another-login", OFFICE)
    assert _is_in(_sign_in(Client(), ana.login))


@ANYWHERE
def test_one_source_that_fails_very_often_is_slow_whatever_the_login(
    limited: None, ana: Person, settings: Settings
) -> None:
    del limited
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "sign_in": 1}
    _fail(12, "invented-{}")
    waits = [_wait(_sign_in(Client(), f"other-{number}", "wrong", STRANGER)) for number in range(4)]
    assert 1 <= max(waits) <= attempts.LONGEST_BY_SOURCE, "a second passes between two of these at most once"
    for number in range(12):
        _sign_in(Client(), f"more-{number}", "wrong", f"2001:db8:6:6::{number:x}")
    waits = [_wait(_sign_in(Client(), f"yet-{number}", "wrong", f"2001:db8:6:6:{number}::1")) for number in range(4)]
    assert max(waits) >= 1, "an IPv6 source is a /64"
    assert _is_in(_sign_in(Client(), ana.login, source="2001:db8:6:7::1"))


@ANYWHERE
def test_a_login_that_fails_everywhere_waits_nowhere_else_even_after_a_slip(limited: None, ana: Person) -> None:
    del limited
    for number in range(50):
        _sign_in(Client(), ana.login, "wrong", f"192.0.2.{number}")
    mistyped = Client()
    assert _wait(_sign_in(mistyped, ana.login, "wrong")) == 0
    assert _is_in(_sign_in(mistyped, ana.login))


def test_waiting_is_enough_and_asking_meanwhile_makes_it_no_longer(ana: Person, settings: Settings) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "sign_in": 30}
    settings.REDIS_URL = env.Secret("redis://127.0.0.1:1/0")
    ratelimits._asked_again_at[0] = float("inf")  # Redis is away, and time is ours
    now = [1000.0]
    with mock.patch("entitlements.people.attempts.time.monotonic", side_effect=lambda: now[0]):
        _fail(30, ana.login)
        wait = _wait(_sign_in(Client(), ana.login, source=STRANGER))
        assert 0 < wait <= attempts.LONGEST
        now[0] += wait + 0.1
        assert _is_in(_sign_in(Client(), ana.login, source=STRANGER))
    _forget()


def test_failures_of_other_logins_at_her_address_keep_nobody_out_before_there_are_hundreds(
    ana: Person, known: Client, settings: Settings
) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "sign_in": 30}  # as it is shipped
    settings.REDIS_URL = env.Secret("redis://127.0.0.1:1/0")
    ratelimits._asked_again_at[0] = float("inf")
    now = [1000.0]
    with (
        mock.patch("entitlements.people.attempts.time.monotonic", side_effect=lambda: now[0]),
        mock.patch("entitlements.ratelimits.STRICTER", 1),
    ):
        _fail(31, "invented-{}", OFFICE)
        _sign_in(Client(), "another", "wrong")  # a stranger who takes every turn that comes
        assert _is_in(_sign_in(Client(), ana.login)), "there, in a new browser"
        attempts._own.add([attempts._key("source", OFFICE)], 270)
        _sign_in(Client(), "yet-another", "wrong")
        assert _is_in(_sign_in(Client(), ana.login, source=STRANGER)), "elsewhere"
        assert _is_in(_sign_in(known, ana.login)), "there, in a browser of hers"
        assert _wait(_sign_in(Client(), ana.login)) == attempts.LONGEST_BY_SOURCE
        now[0] += attempts.LONGEST_BY_SOURCE + 0.1
        assert _is_in(_sign_in(Client(), ana.login)), "there, in a new browser, a moment later"
    _forget()


def test_waits_double_from_the_fifth_failure_on_and_end_at_a_minute() -> None:
    waits = [attempts.rising(failures, attempts.LONGEST) for failures in range(1, 12)]
    assert waits == [0, 0, 0, 0, 2, 4, 8, 16, 32, 60, 60]
    assert attempts.rising(10**9, attempts.LONGEST_OF_CODES) == 300


def test_the_answer_is_the_same_whether_the_login_exists_or_not(limited: None, ana: Person) -> None:
    del limited

    def answers(login: str, source: str) -> list[str]:
        pages = [_sign_in(Client(), login, "wrong", source) for _ in range(9)]
        return [_plain(page.content.decode(), login) for page in pages]

    assert answers(ana.login, "192.0.2.200") == answers("no-such-login-here", "192.0.2.201")


def _plain(page: str, login: str) -> str:
    return re.sub(r'nonce="[^"]*"|name="csrfmiddlewaretoken" value="[^"]*"', "", page.replace(login, "LOGIN"))


def test_a_known_device_has_failures_of_its_own_and_then_counts_as_any_other(
    limited: None, ana: Person, known: Client
) -> None:
    del limited
    for _ in range(attempts.OF_A_DEVICE):
        assert _wait(_sign_in(known, ana.login, "wrong")) == 0
    _fail(FAILS_TO_WAIT, ana.login, OFFICE)
    assert _wait(_sign_in(known, ana.login)) > 0


def test_a_device_is_known_for_its_own_person_alone(limited: None, known: Client) -> None:
    del limited
    other = make.person("bob-of-lockouts", password=PASSWORD)
    _fail(FAILS_TO_WAIT, other.login, OFFICE)
    assert _wait(_sign_in(known, other.login)) > 0


def test_a_known_device_ends_when_the_person_is_disabled_and_stays_ended(
    limited: None, ana: Person, known: Client
) -> None:
    del limited
    people.disable(ana, by=SYSTEM, reason="left")
    people.enable(ana, by=make.person("second-of-lockouts").principal, reason="came back")
    _fail(FAILS_TO_WAIT, ana.login, OFFICE)
    assert _wait(_sign_in(known, ana.login)) > 0


def test_a_changed_password_ends_every_device_but_the_one_it_was_changed_in(
    limited: None, ana: Person, known: Client
) -> None:
    del limited
    here, fresh = Client(), "another horse battery staple"
    _sign_in(here, ana.login)
    passwords = {"oldpassword": PASSWORD, "password1": fresh, "password2": fresh}
    assert here.post("/settings/password/", passwords, REMOTE_ADDR=OFFICE).status_code == 302
    here.post("/logout/")
    _fail(FAILS_TO_WAIT, ana.login, OFFICE)
    assert _wait(_sign_in(known, ana.login, fresh)) > 0
    assert _is_in(_sign_in(here, ana.login, fresh))


@pytest.mark.parametrize("spoiled", ["", "x", "eyJkZXZpY2UiOiJ4In0:1:y"])
def test_an_invented_device_is_unknown(limited: None, ana: Person, known: Client, spoiled: str) -> None:
    del limited
    (name,) = [name for name in known.cookies if "device" in name]
    known.cookies[name] = spoiled
    _fail(FAILS_TO_WAIT, ana.login, OFFICE)
    assert _wait(_sign_in(known, ana.login)) > 0


def test_the_cookie_is_for_this_host_and_the_browser_alone(ana: Person, settings: Settings) -> None:
    settings.IS_HTTPS, settings.SESSION_COOKIE_SECURE = True, True
    browser = Client()
    _sign_in(browser, ana.login)
    (cookie,) = [cookie for name, cookie in browser.cookies.items() if name.startswith("__Host-device-")]
    assert (cookie["secure"], cookie["httponly"], cookie["samesite"], cookie["path"], cookie["domain"]) == (
        True, True, "Strict", "/", "",
    )  # fmt: skip
    assert cookie["max-age"] > 300 * 24 * 60 * 60
    assert ana.login not in f"{cookie.key}{cookie.value}"


def test_a_person_who_is_signed_in_proves_it_again_whatever_strangers_do(limited: None, ana: Person) -> None:
    del limited
    browser = Client()
    _sign_in(browser, ana.login)
    for name in [name for name in browser.cookies if "device" in name]:
        del browser.cookies[name]
    _fail(FAILS_TO_WAIT, ana.login, OFFICE)
    proven = browser.post("/login/again/", {"password": PASSWORD}, REMOTE_ADDR=OFFICE)
    assert proven.status_code == 302, proven.content


def test_codes_of_strangers_who_know_the_password_do_not_use_up_those_of_a_known_device(
    limited: None, ana: Person, known: Client
) -> None:
    del limited
    secret = second_factor.given_to(ana)
    stranger = Client()
    _sign_in(stranger, ana.login, source=STRANGER)
    guesses: list[Any] = [
        stranger.post("/settings/sign-in/authenticate/", {"code": "000000"}, REMOTE_ADDR=STRANGER) for _ in range(8)
    ]
    assert 0 < _wait(guesses[-1]) <= attempts.LONGEST_OF_CODES
    elsewhere = Client()
    _sign_in(elsewhere, ana.login, source="192.0.2.9")
    code = second_factor.code(secret)
    refused: Any = elsewhere.post("/settings/sign-in/authenticate/", {"code": code}, REMOTE_ADDR="192.0.2.9")
    assert _wait(refused) > 0, "all unknown devices share the attempts at a code of six digits"
    _sign_in(known, ana.login)
    assert known.post("/settings/sign-in/authenticate/", {"code": code}).status_code == 302
    assert known.get("/settings/sign-in/").status_code == 200


def test_a_passkey_is_asked_for_and_taken_however_many_strangers_failed_with_theirs(limited: None) -> None:
    del limited
    junk = {"credential": "{}"}
    answers = [
        Client().post("/settings/sign-in/webauthn/login/", junk, REMOTE_ADDR=OFFICE).status_code for _ in range(15)
    ]
    assert set(answers) == {302}, "none is refused by how often this address asked"


def test_behind_a_trusted_proxy_the_visitors_own_address_counts_and_is_recorded(
    limited: None, ana: Person, settings: Settings
) -> None:
    del limited
    proxy = "172.31.254.2"
    settings.TRUSTED_PROXIES = (ip_network(f"{proxy}/32"),)

    def through_the_proxy(login: str, password: str, client: str) -> Any:  # noqa: ANN401
        answer: Any = Client().post(
            "/login/",
            {"login": login, "password": password},
            REMOTE_ADDR=proxy,
            headers={"x-forwarded-for": f"192.0.2.1, {client}"},
        )
        return answer

    for _ in range(FAILS_TO_WAIT):
        through_the_proxy(ana.login, "wrong", STRANGER)
    assert _wait(through_the_proxy(ana.login, PASSWORD, STRANGER)) > 0
    assert _is_in(through_the_proxy(ana.login, PASSWORD, OFFICE))
    assert Event.objects.get(action="person.signed_in").source == OFFICE
    assert set(StrangerCount.objects.values_list("source", flat=True)) == {STRANGER}
