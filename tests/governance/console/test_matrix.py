"""The console's matrix: no page without a row, no row without a page, and each row is what really happens.

When a test here fails because of a page you added, its message says what to write where.
"""

from __future__ import annotations

import re
from typing import Final

import pytest
from django.test import Client
from django.urls import resolve

from entitlements.access.caller import SEE_EVERYTHING
from entitlements.agents.models import Agent
from entitlements.catalog.models import System
from entitlements.grants.models import Grant
from entitlements.people.models import Person, Role
from entitlements.revocation.api import KINDS
from entitlements.sessions.models import Session
from governance.console import matrix, matrix_rows, navigation
from governance.requests import requests
from tests import make, shared
from tests.architecture import tree
from tests.governance.console import addresses, visits

pytestmark = pytest.mark.django_db
RELATED: Final = {
    "sofia": "adoption-page coverage-page agent-page emergency-page proposal-page client-page request-page grant-page"
    " grant-narrow-page rest-api-page session-page budget-page"
    " client-add credential-page workload-rule-add system-page tool-page connect-light stop review-page review-items"
    " review-item-page review-work review-submit review-calendar review-one review-question",
    "otto": "session-page coverage-page agent-page emergency-page proposal-page client-page agent-edit request-page"
    " grant-narrow-page rest-api-page budget-page"
    " client-add credential-page workload-rule-add request-edit grant-page system-page tool-page connect-light stop",
    "sam": "spot-check review-question grant-page emergency-page request-page system-page tool-page system-edit"
    " grant-narrow-page entitlement-add entitlement-edit vendor-edit rest-api-page"
    " system-network-page system-credential system-accounts policy-domain-page policy-domain-load",
    "alice": "session-page grant-page emergency-page request-page connect-light",
    "bob": "connected-account-page person-page person-connections group-page connect-light",
    "mallory": "",
}
"""Which pages about the one agent, system, request of this world are there for whom, by what they are to it."""


made_world, world = shared.world(addresses.world)


def _methods(page: str, address: str, person: Person) -> set[str]:
    """Return the methods that a page takes; one that it does not take is answered 405."""
    taken = set()
    browser = visits.as_(person)
    browser.raise_request_exception = False
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        if page == "account_logout" and method != "GET":
            taken.add("POST")
            continue
        if browser.generic(method, address).status_code != 405:
            taken.add(method)
    return taken


def test_every_page_has_a_row_for_each_of_its_methods_and_every_row_a_page(world: addresses.World) -> None:
    ana = world.company.ana
    own = {
        (name, method)
        for name, route in addresses.own().items()
        for method in _methods(name, world.address(route), ana)
    }
    missing = sorted(own - set(matrix.PAGES))
    assert missing == [], f"add a row for each of {missing} to PAGES in governance/console/matrix.py"
    stale = sorted(set(matrix.PAGES) - own)
    assert stale == [], f"take {stale} out of PAGES in governance/console/matrix.py: there is no such page"


def test_every_page_of_signing_in_has_a_row_and_every_row_a_page(world: addresses.World) -> None:
    theirs = {name: route for name, route in addresses.every().items() if name not in addresses.own()}
    taken = {
        (name, "GET" if method == "GET" else "POST")
        for name, route in theirs.items()
        for method in _methods(name, world.address(route), world.company.ana)
    }
    assert taken == set(matrix.SIGN_IN), "bring SIGN_IN in governance/console/matrix.py up to date"


def test_a_stranger_is_sent_to_sign_in_from_every_page_that_is_not_for_strangers(world: addresses.World) -> None:
    rows = {**matrix.PAGES, **matrix.SIGN_IN}
    for name, route in addresses.every().items():
        address = world.address(route)
        for method in ("GET", "POST"):
            page = rows.get((name, method))
            if page is None or page.row.public:
                continue
            answer = Client().generic(method, address)
            assert answer.status_code == 302, (method, address)
            assert answer["Location"].startswith("/login/?next=/"), (method, address)


def _looks(world: addresses.World) -> list[tuple[str, str]]:
    """Return name and address of each page that can be looked at."""
    found = [(name, world.address(route)) for name, route in addresses.own().items() if (name, "GET") in matrix.PAGES]
    return [("audit", "/audit/") if name == "audit" else (name, address) for name, address in found]


@pytest.mark.parametrize("role", [*Role.values])
def test_each_role_opens_the_pages_of_its_rows_whatever_they_are_about(role: str, world: addresses.World) -> None:
    person = make.person("by-role", roles=[role], password="correct horse battery staple")
    browser = visits.as_(person)
    for name, address in _looks(world):
        row = KINDS["agent"].row if name == "stop" else matrix.PAGES[name, "GET"].row
        status = browser.get(address).status_code
        sees = role in (requests.SEE_EVERYTHING if name.startswith(("request", "review")) else SEE_EVERYTHING)
        if name in (
            "review-work",
            "request-edit",
            "spot-check",
            "inbox-open",
            "connected-account-page",
            "connected-account-callback",
        ):  # these are of one person
            assert status == 404, (role, name)
        elif name == "review-pack" and role in row.roles:  # nothing is sealed: it leads to where it would be
            assert status == 302, (role, name)
        elif role in row.roles or (row.anybody and sees) or (row.anybody and "<" not in addresses.own()[name]):
            assert status == 200, (role, name)
        else:
            assert status in (403, 404), (role, name)


@pytest.mark.parametrize("login", RELATED)
def test_a_page_about_one_thing_is_there_for_those_it_concerns_and_for_nobody_else(
    login: str, world: addresses.World
) -> None:
    browser, theirs = visits.as_(world.company.named(login)), RELATED[login].split()
    for name, address in _looks(world):
        status = browser.get(address).status_code
        if "<" not in addresses.own()[name]:
            row = matrix.PAGES[name, "GET"].row
            assert status == (200 if row.anybody else 403), (login, name)
        elif name == "inbox-open" and login == "bob":  # a notice of his: it leads to what it is about
            assert status == 302, (login, name)
        elif name in theirs:
            assert status == 200, (login, name)
        else:
            assert status in (403, 404), (login, name)


def _state(world: addresses.World) -> list[object]:
    """Return what no stranger may move."""
    return [
        *Agent.objects.order_by("pk").values_list("status", "name", "sponsor", "owner"),
        *System.objects.order_by("pk").values_list("status", "name", "owner"),
        *Grant.objects.order_by("pk").values_list("state", "ended_at"),
        *Session.objects.order_by("pk").values_list("ended_at"),
        *Person.objects.exclude(login="mallory").order_by("pk").values_list("is_active", "name"),
        world.company.system.tools.order_by("pk").values_list("state").first(),
    ]


@pytest.mark.parametrize("role", ["", Role.APPROVER, Role.AUDITOR, Role.RESPONDER])
def test_a_form_about_somebody_elses_things_is_refused_and_moves_nothing(role: str, world: addresses.World) -> None:
    mallory = world.company.mallory
    by_role = make.person("by-role", roles=[role]) if role else mallory
    form = {"reason": "x", "verb": "approve", "typed": "everything", "label": "x", "name": "X", "login": "x", "to": "x"}
    before, browser = _state(world), visits.as_(by_role)
    for name, route in addresses.own().items():
        page = matrix.PAGES.get((name, "POST"))
        if page is None or role in page.row.roles or (page.row.anybody and "<" not in route):
            continue
        answer = browser.post(world.address(route), form)
        # A page of several buttons says so when the form names none of them; one with nothing to submit, that.
        nothing = name == "review-submit" and 'role="alert"' in visits.text(answer)
        assert answer.status_code in {400, 403, 404, 422} or nothing, (role, name)
    assert _state(world) == before


def test_a_page_without_a_row_stays_shut(world: addresses.World, monkeypatch: pytest.MonkeyPatch) -> None:
    without = {key: page for key, page in matrix.PAGES.items() if key[0] != "agent-page"}
    monkeypatch.setattr(matrix, "PAGES", without)

    with pytest.raises(matrix.NotDeclared, match=r"add a row for \('agent-page', 'GET'\)"):
        visits.as_(world.company.ana).get("/agents/research-bot/")


def test_a_page_asks_only_rows_that_it_names(world: addresses.World, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = {**matrix.PAGES, ("agent-start", "POST"): matrix_rows.ONES_OWN}
    monkeypatch.setattr(matrix, "PAGES", bare)

    with pytest.raises(matrix.NotDeclared, match="Add 'agent-restore POST' to the row"):
        visits.as_(world.company.ana).post("/agents/research-bot/restore/", {"reason": "x"})


def test_every_page_of_ours_goes_through_a_door() -> None:
    """The theme needs none: it says nothing and touches no row."""
    text = "\n".join(path.read_text() for path in tree.pages())
    guarded = set(re.findall(r"@doors\.page\n(?:@\w+\n)*def (\w+)\(", text))
    for name, route in addresses.own().items():
        filled = re.sub(r"<uuid:\w+>", "00000000-0000-4000-8000-000000000000", "/" + re.sub(r"<int:\w+>", "1", route))
        view = resolve(re.sub(r"<\w+:\w+>", "x", filled)).func
        is_guarded = view.__name__ in guarded or hasattr(view, "action")
        assert name == "theme" or is_guarded, f"put @doors.page over the view of {name!r}"


def test_what_only_a_role_may_do_here_only_that_role_may_do_by_the_api() -> None:
    for key, page in matrix.PAGES.items():
        for row in (matrix_rows.API[each] for each in page.asks):
            assert not row.public, key
    assert matrix_rows.like("agent-restore").row.roles == matrix_rows.API["agent-restore", "POST"].roles


def test_every_page_says_where_in_the_navigation_it_is() -> None:
    pages = {name: route for name, route in addresses.own().items() if (name, "GET") in matrix.PAGES}
    lost = {
        name
        for name, route in pages.items()
        if not navigation.current(f"/{route}") and route.partition("/")[0] not in navigation.NOWHERE
    }
    assert lost == set(), "say in governance/console/navigation.py below which entry these stand"
