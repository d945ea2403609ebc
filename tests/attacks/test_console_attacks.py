"""What a page elsewhere, a link or a header would try on the console: each address of the URLconf, so new ones too."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client

from entitlements.people.models import Person
from governance.console import matrix
from tests import make, shared
from tests.entitlements.api import client as api
from tests.governance.console import addresses, visits

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery staple"
ELSEWHERE = [
    "https://evil.example/",
    "//evil.example/",
    "///evil.example/",
    "/\\evil.example/",
    "\\\\evil.example/",
    "https:evil.example",
    "javascript:alert(1)",
    "/\t/evil.example",
    "\t//evil.example",
    "http://testserver@evil.example/",
    "https://testserver.evil.example/",
]
FORM = {"reason": "x", "verb": "approve", "typed": "everything", "label": "x", "lasts": "7", "name": "X", "login": "x"}


made_world, world = shared.world(addresses.world)


def signed_in(person: Person, **options: Any) -> Client:  # noqa: ANN401 - Django's options
    browser = Client(**options)
    browser.force_login(person)
    session = browser.session
    session["account_authentication_methods"] = [{"method": "password", "at": time.time()}]
    session["account_authentication_methods_user"] = str(person.pk)
    session.save()
    return browser


def changing() -> list[tuple[str, str]]:
    """Return name and route of each address of the console that takes a form."""
    rows = {**matrix.PAGES, **matrix.SIGN_IN}
    return [(name, route) for name, route in addresses.every().items() if (name, "POST") in rows]


def rows_of_everything() -> dict[str, int]:
    """Count what statistics would: the rows of each table that a form could reach."""
    with connection.cursor() as cursor:
        names = [name for name in connection.introspection.table_names(cursor) if "session" not in name]
        counted = {}
        for name in names:
            cursor.execute(f"SELECT count(*), md5(string_agg(t::text, '' ORDER BY t::text)) FROM \"{name}\" t")  # noqa: S608
            counted[name] = cursor.fetchone()
    return counted


@pytest.mark.parametrize("said", [{}, {"csrfmiddlewaretoken": "A" * 64}], ids=["none", "somebody's"])
def test_a_form_from_elsewhere_changes_nothing_at_any_address(said: dict[str, str], world: addresses.World) -> None:
    browser = signed_in(world.company.ana, enforce_csrf_checks=True)
    before = rows_of_everything()
    for name, route in changing():
        answer = browser.post(world.address(route), {**FORM, **said})
        assert answer.status_code == 403, (name, answer.status_code)
        assert "csrf_failed" in visits.text(answer), name
    assert browser.get("/").status_code == 200, "nor is anybody signed out"
    assert rows_of_everything() == before


def test_a_page_elsewhere_with_a_stolen_form_is_known_by_its_origin(world: addresses.World) -> None:
    browser = signed_in(world.company.ana, enforce_csrf_checks=True)
    page = visits.text(browser.get("/agents/research-bot/edit/"))
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    assert token is not None
    form = {**FORM, "csrfmiddlewaretoken": token[1]}
    for origin in ("https://evil.example", "null", "http://testserver.evil.example"):
        answer = browser.post("/settings/theme/", form, headers={"origin": origin})
        assert answer.status_code == 403, origin


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_header_or_field_makes_another_method_of_a_request(method: str, world: addresses.World) -> None:
    browser = signed_in(world.company.ana)
    before = rows_of_everything()
    override = {"x-http-method-override": "POST", "x-method-override": "DELETE", "x-http-method": "PUT"}
    for name, route in addresses.own().items():
        if (name, method) in matrix.PAGES:
            continue
        answer = browser.generic(method, world.address(route) + "?_method=POST&reason=x", headers=override)
        assert answer.status_code == 405, name
    after = rows_of_everything()
    assert {name for name in before if before[name] != after[name]} <= {"events", "events_default", "pending"}


@pytest.mark.parametrize("elsewhere", ELSEWHERE)
def test_no_way_in_or_out_leads_elsewhere(elsewhere: str, world: addresses.World) -> None:
    make.person("carol", password=PASSWORD)
    wanted = {"next": elsewhere}
    answers = [
        Client().post("/login/", {"login": "carol", "password": PASSWORD, **wanted}),
        Client().post("/login/", {"login": "carol", "password": PASSWORD}, query_params=wanted),
        signed_in(world.company.ana).get("/login/", wanted),
        signed_in(world.company.ana).post("/logout/", wanted),
        signed_in(world.company.ana).post("/settings/theme/", {"theme": "dark", **wanted}),
        signed_in(world.company.ana).post(f"/sessions/{world.session.pk}/end/", {"reason": "x", **wanted}),
        signed_in(world.company.ana).post("/login/again/", {"password": PASSWORD, **wanted}),
        signed_in(world.company.ana).get("/admin/login/", wanted),
        Client().get("/admin/login/", wanted),
    ]
    for answer in answers:
        assert re.match(r"/(?![/\\])|$", answer.headers.get("Location", "")), answer.headers["Location"]
        assert f'href="{elsewhere}"' not in visits.text(answer)
    for page in ("/stop/agent/research-bot/", "/login/", "/logout/"):
        shown = visits.text(signed_in(world.company.ana).get(page, wanted))
        assert f'href="{elsewhere}"' not in shown


def test_a_session_has_another_name_after_each_proof_of_who_it_is(world: addresses.World) -> None:
    make.person("carol", password=PASSWORD)
    browser = Client()
    browser.get("/login/")
    browser.cookies[settings.SESSION_COOKIE_NAME] = "planted"
    browser.post("/login/", {"login": "carol", "password": PASSWORD})
    first = browser.cookies[settings.SESSION_COOKIE_NAME].value
    browser.post("/login/again/", {"password": PASSWORD})
    second = browser.cookies[settings.SESSION_COOKIE_NAME].value
    browser.post("/logout/")
    assert len({"planted", first, second}) == 3
    for old in ("planted", first, second):
        stale = Client()
        stale.cookies[settings.SESSION_COOKIE_NAME] = old
        assert stale.get("/").status_code == 302, "an old name opens nothing"
    del world


def kinds_of_answer(world: addresses.World) -> dict[str, Any]:
    """Return one answer of each kind that the web process gives."""
    ana = signed_in(world.company.ana)
    broken = signed_in(world.company.ana, raise_request_exception=False)
    return {
        "page": ana.get("/"),
        "part": ana.get("/search/?q=bot", headers={"hx-request": "true"}),
        "not found": ana.get("/agents/nobody/"),
        "nowhere": ana.get("/nothing-of-the-kind"),
        "forbidden": signed_in(world.company.mallory).get("/reviews/new/"),
        "wrong method": ana.get("/settings/theme/"),
        "refused form": signed_in(world.company.ana, enforce_csrf_checks=True).post("/settings/theme/"),
        "redirect": ana.post("/settings/theme/", {"theme": "dark"}),
        "sign-in": Client().get("/login/"),
        "stranger": Client().get("/"),
        "bad host": broken.get("/", headers={"host": "evil.example"}),
        "table": ana.get("/reviews/q4/evidence.csv"),
        "json": ana.get("/reviews/q4/evidence.json"),
        "back office": ana.get("/admin/"),
        "api": api.of(world.company.ana).get("/api/v1/agents"),
        "api problem": Client().get("/api/v1/agents"),
        "api page": Client().get("/api/v1/docs"),
        "consent": ana.get("/idp/authorize"),
        "metadata": Client().get("/.well-known/oauth-authorization-server/idp"),
        "health": Client().get("/readyz"),
    }


def test_no_answer_of_any_kind_can_be_framed_or_taken_for_something_else(world: addresses.World) -> None:
    for kind, answer in kinds_of_answer(world).items():
        assert answer.status_code < 500, kind
        assert answer.headers["X-Content-Type-Options"] == "nosniff", kind
        assert answer.headers["Referrer-Policy"] in ("no-referrer", "same-origin"), kind
        if kind == "bad host":  # refused before any page is made
            continue
        assert answer.headers["X-Frame-Options"] == "DENY", kind
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"], kind
        assert "unsafe" not in answer.headers["Content-Security-Policy"], kind


def test_what_is_somebodys_is_never_stored_on_the_way(world: addresses.World) -> None:
    shared = {"health", "metadata", "api page", "nowhere", "bad host", "stranger", "wrong method"}
    for kind, answer in kinds_of_answer(world).items():
        if kind not in shared:
            assert "no-store" in answer.headers.get("Cache-Control", ""), kind


@pytest.mark.parametrize(
    "host", ["evil.example", "testserver.evil.example", "testserver:80@evil.example", "", "a b", "[::1"]
)
def test_an_unknown_host_gets_nothing(host: str, world: addresses.World) -> None:
    browser = signed_in(world.company.ana, raise_request_exception=False)
    for path in ("/", "/login/", "/api/v1/agents", "/idp/jwks.json", "/.well-known/oauth-authorization-server/idp"):
        answer = browser.get(path, headers={"host": host})
        assert answer.status_code == 400, path
        assert host not in answer.headers.get("Location", "") or not host


def test_no_link_is_made_from_a_host_or_a_forwarding_header(world: addresses.World, settings: Any) -> None:  # noqa: ANN401
    settings.ALLOWED_HOSTS = ["*"]
    told = {"host": "evil.example", "x-forwarded-host": "evil.example", "forwarded": "host=evil.example"}
    browser = signed_in(world.company.ana)
    looked = [
        "/",
        "/connect/?agent=research-bot",
        "/settings/",
        "/agents/research-bot/",
        "/grants/",
        "/idp/authorize?client_id=x",
        "/.well-known/oauth-authorization-server/idp",
        "/.well-known/oauth-authorization-server/as/clock",
        "/api/v1/schema",
        "/api/v1/agents?limit=1",
    ]
    for path in looked:
        answer = browser.get(path, headers=told)
        assert "evil.example" not in visits.text(answer), path
        assert "evil.example" not in str(answer.headers), path
    assert "evil.example" not in Client().get("/agents/", headers=told)["Location"]


def test_cookies_are_nobody_elses_to_read(world: addresses.World) -> None:
    browser = Client()
    make.person("carol", password=PASSWORD)
    browser.get("/login/")
    answer = browser.post("/login/", {"login": "carol", "password": PASSWORD})
    for name in (settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME):
        cookie = {**browser.cookies, **answer.cookies}[name]
        assert cookie["httponly"], name
        assert cookie["samesite"] in ("Lax", "Strict"), name
        assert not cookie["domain"], name
        assert cookie["path"] == "/", name
    del world


def test_a_token_of_the_api_opens_no_page_and_a_cookie_changes_nothing_by_the_api(world: addresses.World) -> None:
    bearer = api.of(world.company.ana)
    for name, route in addresses.own().items():
        if (name, "GET") in matrix.PAGES:
            assert bearer.get(world.address(route)).status_code == 302, name
    browser = signed_in(world.company.ana, enforce_csrf_checks=True)
    body = {"slug": "new", "name": "New", "people": []}
    assert browser.post("/api/v1/groups", body, content_type="application/json").status_code in (401, 403)


def test_what_was_tried_by_name_is_in_the_record(world: addresses.World) -> None:
    mallory = signed_in(world.company.mallory)
    mallory.post(f"/grants/{world.grant.pk}/pause/", {"reason": "x"})
    mallory.post("/agents/research-bot/restore/", {"reason": "x"})

    assert visits.refusals() == [("person:mallory", "not_found"), ("person:mallory", "forbidden")]


def test_whoever_signs_in_at_the_company_has_no_password_to_change(world: addresses.World) -> None:
    answer = signed_in(world.company.ana).get("/settings/password/")

    assert (answer.status_code, "no_password" in visits.text(answer)) == (409, True)


def test_no_number_is_too_long_for_a_form(world: addresses.World) -> None:
    ana, long = visits.as_(world.company.ana), "9" * 5000  # more digits than Python reads
    item = str(world.samples["reviews/item"])
    forms: list[tuple[str, str, dict[str, str]]] = [
        ("ana", "requests/<uuid:pk>/", {"verb": "approve", "version": long, "tool": "wipe"}),
        ("ana", "requests/<uuid:pk>/edit/", {"version": long, "tool": "wipe", "lasts": long}),
        ("ana", "onboarding/<uuid:pk>/", {"act": "ask", "sponsor-" + long: "sofia", "reason": "x"}),
        ("ana", "audit/samples/<uuid:sample>/", {"item": long, "finding": "pass"}),
        ("ana", "reviews/<slug:slug>/audit/", {"do": "draw", "wanted": long}),
        ("sofia", "event-triggered-reviews/<slug:slug>/", {"verb": "reduce", "keep": long, "reason": "unused"}),
        ("sofia", "reviews/<slug:slug>/items/<uuid:item>/draft/", {f"verb:{item}": "reduce", f"keep:{item}": long}),
        ("sofia", "reviews/<slug:slug>/items/<uuid:item>/draft/", {f"verb:{item}": "certify", f"rev:{item}": long}),
    ]
    for login, route, form in forms:
        browser = ana if login == "ana" else visits.as_(world.company.named(login))
        answer = browser.post(world.address(route), form)
        assert 400 <= answer.status_code < 500 or answer.status_code == 302, (route, answer.status_code)
    draft = {"verb": "reduce", "reason_code": "unused", "limits": {long: {}}, "kept": [1]}
    sofia = api.of(world.company.sofia)
    assert sofia.put(f"/api/v1/review-items/{item}/draft", draft, headers={"If-Match": '"0"'}).status_code == 400
