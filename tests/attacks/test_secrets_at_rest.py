"""After a journey with known secrets: none is in the database, the queue, the logs, the record or an answer."""

from __future__ import annotations

import base64
import io
import logging
import logging.config
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.db import connection

from audit.context import SYSTEM
from entitlements import ratelimits
from entitlements.clients.models import Client
from entitlements.people import people
from entitlements.people.models import Person, Role
from entitlements.secrets import vault
from governance import logs
from governance.setup import first_admin
from governance.sign_in import sessions
from tests import make, second_factor
from tests.edge import Browser
from tests.entitlements.api import client as api
from tests.entitlements.edge.worlds import World
from tests.governance.console import visits

pytestmark = [pytest.mark.django_db, pytest.mark.loopback]
PASSWORD = "correct horse battery staple"
VAULT = "upstream-credential-9f8e7d6c5b4a"
TYPED = "typed-into-the-wrong-field-1234567890"


def _signed_in(login: str, secrets: dict[str, str]) -> Browser:
    browser = Browser()
    browser.post("/login/", {"login": login, "password": PASSWORD})
    secrets["session cookie"] = browser.cookies[settings.SESSION_COOKIE_NAME].value
    return browser


def _second_factor(browser: Browser, secrets: dict[str, str]) -> None:
    """Add an authenticator app, stopping halfway once, and look at the recovery codes."""
    browser.post("/login/again/", {"password": PASSWORD})
    page: Any = browser.get("/settings/sign-in/totp/activate/")
    secret = secrets["second factor"] = page.context["form"].secret
    browser.post("/settings/sign-in/totp/activate/", {"code": second_factor.code(secret)})
    secrets["renamed session"] = browser.cookies[settings.SESSION_COOKIE_NAME].value
    codes = visits.text(browser.get("/settings/sign-in/recovery-codes/")).partition("<main")[2]
    for number, each in enumerate(re.findall(r"\b\d{8}\b|\b[A-Za-z0-9]{5}-[A-Za-z0-9]{5}\b", codes)[:3]):
        secrets[f"recovery code {number}"] = each


def _oauth(world: World, secrets: dict[str, str]) -> None:
    secrets["id token"] = world.id_token()
    answer = world.exchange(subject_token=secrets["id token"])
    secrets["id-jag"] = str(answer.body["access_token"])
    secrets["client assertion"] = world.assertion(world.audience)
    secrets["access token"] = str(world.redeem(secrets["id-jag"]).body["access_token"])
    world.redeem(secrets["id-jag"])  # a second time: refused, and recorded
    world.exchange(subject_token=secrets["access token"])
    slug = world.system.slug
    asked = {"token": secrets["access token"], **world.credentials(world.audience)}
    world.post(f"/as/{slug}/introspect", asked)


def _elsewhere(secrets: dict[str, str]) -> None:
    """Send secrets to where they do not belong."""
    for name in ("access token", "api token", "client secret"):
        stranger = Browser(raise_request_exception=False)
        stranger.get("/api/v1/agents", {"access_token": secrets[name]})
        stranger.get("/api/v1/agents", headers={"authorization": f"Bearer {secrets[name]}x"})
        stranger.post("/login/", {"login": secrets[name], "password": secrets[name]})
        stranger.post("/idp/token", {"client_secret": secrets[name], "client_id": "x", "grant_type": "x"})
        stranger.get(f"/welcome/{secrets[name]}/")
    secrets["mistyped"] = TYPED
    Browser().post("/login/", {"login": TYPED, "password": TYPED})


def _rows(table: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT t::text FROM "{table}" t')  # noqa: S608 - a name of the catalogue
        return [row for (row,) in cursor.fetchall()]


def _tables() -> list[str]:
    with connection.cursor() as cursor:
        return list(connection.introspection.table_names(cursor))


def _queue() -> Iterator[str]:
    server = ratelimits._client()
    for key in server.scan_iter():
        yield f"{key!r}"
        if server.type(key) == b"string":
            yield f"{server.get(key)!r}"


def _answers(person: Person) -> Iterator[tuple[str, str]]:
    bearer, page = api.of(person), visits.as_(person)
    for path in (
        "agents",
        "systems",
        "systems/time",
        "clients",
        "people",
        "tokens",
        "sessions",
        "audit-events",
        "keys",
    ):
        yield path, visits.text(bearer.get(f"/api/v1/{path}"))
    exported = bearer.get("/api/v1/audit/export")
    yield "export", b"".join(exported).decode()
    for path in ("/", "/systems/time/", "/settings/", "/audit/", "/admin/entitlements/client/", "/people/ana/"):
        yield path, visits.text(page.get(path))


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Collect what every logger says, as the product writes it down."""
    handler = logging.StreamHandler(into := io.StringIO())
    written = logging.config.DictConfigurator(logs.dictionary("DEBUG"))
    handler.setFormatter(written.configure_formatter(written.config["formatters"]["json"]))
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [*root.handlers, handler])
    monkeypatch.setattr(root, "level", logging.INFO)
    return into


def test_no_secret_of_a_journey_is_left_anywhere(world: World, said: io.StringIO) -> None:
    secrets: dict[str, str] = {"vault": VAULT, "password": PASSWORD}
    vault.set_secret(world.system, kind="bearer", value=VAULT, by=SYSTEM)
    person = make.person("ana", roles=[Role.ANALYST, Role.ADMIN, Role.AUDITOR], password=PASSWORD)
    _, secrets["client secret"] = make.client(world.agent, "basic", auth=Client.Auth.CLIENT_SECRET_BASIC)
    secrets["api token"] = people.make_api_token(person, "script", by=SYSTEM)
    api.of(person).get("/api/v1/agents", headers={"authorization": f"Bearer {secrets['api token']}"})
    _, secrets["invitation"] = first_admin.invite("new@example.org", by=SYSTEM, reason="x", again=True)
    Browser().get(f"/welcome/{secrets['invitation']}/")
    Browser().post(f"/welcome/{secrets['invitation']}/", {"new_password": "x", "again": "y"})
    made = api.of(person).post(
        "/api/v1/clients",
        {"client_id": "made", "auth": "client_secret_basic", "agent": world.agent.slug},
        headers={"Idempotency-Key": "a-key-of-ours-1", "Mandate-Proof": PASSWORD},
    )
    secrets["client secret by api"] = made.json()["secret"]
    _oauth(world, secrets)
    _second_factor(_signed_in("ana", secrets), secrets)
    _elsewhere(secrets)

    places = {table: "\n".join(_rows(table)) for table in _tables()}
    places["queue"] = "\n".join(_queue())
    places["logs"] = said.getvalue()
    assert "/welcome/***/" in places["logs"]
    assert [line for line in places["logs"].splitlines() for each in secrets.values() if each in line] == []
    places |= dict(_answers(person))
    assert len(secrets) > 13
    assert [
        (name, place)
        for name, secret in secrets.items()
        for place, text in places.items()
        if any(form in text for form in (secret, secret.encode().hex(), base64.b64encode(secret.encode()).decode()))
    ] == []


def test_a_sign_in_lies_sealed_under_another_name_than_its_cookies() -> None:
    browser = _signed_in(make.person("ana", password=PASSWORD).login, secrets := dict[str, str]())
    held = Session.objects.get()

    assert held.session_key == sessions.digest(secrets["session cookie"])
    assert db.SessionStore().decode(held.session_data) == {}
    stolen = Browser()
    stolen.cookies[settings.SESSION_COOKIE_NAME] = held.session_key
    assert (stolen.get("/").status_code, browser.get("/").status_code) == (302, 200)
    moved = sessions.SessionStore("another")
    assert moved.decode(held.session_data) == {}, "what is copied to another row opens nothing"


def test_a_session_is_read_kept_renamed_and_deleted_under_its_name() -> None:
    store = sessions.SessionStore()
    store["a"], store[SESSION_KEY] = 1, "7"
    store.save()
    first = str(store.session_key)
    assert sessions.SessionStore(first)["a"] == 1
    assert store.exists(first)
    store.cycle_key()
    store.save()
    assert not store.exists(first)
    assert sessions.SessionStore(store.session_key)["a"] == 1
    store.flush()
    assert not Session.objects.exists()
