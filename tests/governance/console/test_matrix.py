"""The console's matrix: no page without a row, no row without a page, and each row is what really happens.

When a test here fails because of a page you added, its message says what to write where.
"""

from __future__ import annotations

import re
from http import HTTPStatus

import pytest
from django.http import Http404
from django.test import Client, RequestFactory
from django.urls import resolve

from entitlements.agents.models import Agent
from entitlements.catalog.models import System
from entitlements.grants.models import Grant
from entitlements.people.models import Person, Role
from entitlements.sessions.models import Session
from governance.console import matrix, matrix_rows, navigation
from tests import make, shared
from tests.architecture import tree
from tests.governance.console import addresses, visits

pytestmark = pytest.mark.django_db


made_world, world = shared.world(addresses.world)


def _taken(world: addresses.World, routes: dict[str, str]) -> set[tuple[str, str]]:
    """Return the methods that each page takes; one that it does not take is answered 405.

    What is looked at is looked at in test_visits.py, by everybody.
    """
    looked_at = {name for name, method in {**matrix.PAGES, **matrix.SIGN_IN} if method == "GET"}
    taken = {(name, "GET") for name in routes.keys() & looked_at}
    taken |= {(name, "POST") for name in routes.keys() & {"account_logout"}}  # nothing would be asked after it
    browser = visits.as_(world.company.ana)
    browser.raise_request_exception = False
    for name, route in routes.items():
        address = world.address(route)
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            if (name, method) in taken or _is_refused_to_all(method, address):
                continue
            if browser.generic(method, address).status_code != HTTPStatus.METHOD_NOT_ALLOWED:
                taken.add((name, method))
    return taken


def _is_refused_to_all(method: str, address: str) -> bool:
    """Whether the view refuses the method before it looks at who asks."""
    found = resolve(address)
    try:
        answer = found.func(RequestFactory().generic(method, address), *found.args, **found.kwargs)
    except (AttributeError, Http404):  # nobody is signed in, and there is no session
        return False
    return bool(answer.status_code == HTTPStatus.METHOD_NOT_ALLOWED)


def test_every_page_has_a_row_for_each_of_its_methods_and_every_row_a_page(world: addresses.World) -> None:
    own = _taken(world, addresses.own())
    missing = sorted(own - set(matrix.PAGES))
    assert missing == [], f"add a row for each of {missing} to PAGES in governance/console/matrix.py"
    stale = sorted(set(matrix.PAGES) - own)
    assert stale == [], f"take {stale} out of PAGES in governance/console/matrix.py: there is no such page"


def test_every_page_of_signing_in_has_a_row_and_every_row_a_page(world: addresses.World) -> None:
    theirs = {name: route for name, route in addresses.every().items() if name not in addresses.own()}
    taken = {(name, "GET" if method == "GET" else "POST") for name, method in _taken(world, theirs)}
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
        if not navigation.current(f"/{route}")
        and route.partition("/")[0] not in {"search", "welcome", "login", "logout"}
    }
    assert lost == set(), "say in governance/console/navigation.py below which entry these stand"
