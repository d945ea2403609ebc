"""A browser's sign-in in the trace of the client that it leads to, and the link to one that was there before."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client as Browser
from django.urls import reverse

from audit.export import timeline
from audit.models import Event
from entitlements.sessions.models import Session
from tests import make, second_factor
from tests.entitlements.edge import sign_ins
from tests.entitlements.edge.worlds import World
from tests.governance.console import visits

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery staple"


@pytest.fixture
def stranger(world: World) -> Browser:
    """Return a browser in which no person is signed in, at a registered client."""
    sign_ins.public_client(world)
    world.alice.set_password(PASSWORD)
    world.alice.save()
    world.http.logout()
    return world.http


def sign_in(browser: Browser, onward: str, code: str = "") -> Any:  # noqa: ANN401 - Django's test response
    """Sign in at the page, with the second factor where there is one; return where the browser is led."""
    answer = _sent(browser, f"/login/?{urlencode({'next': onward})}", login="alice", password=PASSWORD)
    return _sent(browser, answer["Location"], code=code) if code else answer


def _sent(browser: Browser, address: str, **form: str) -> Any:  # noqa: ANN401 - as above
    page = browser.get(address)
    known = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.content.decode())
    assert known, page.content
    return browser.post(address, {**form, "csrfmiddlewaretoken": known[1]})


def trace_of(action: str) -> str:
    return Event.objects.filter(action=action).latest("at").trace


def story() -> list[str]:
    rows = timeline.about(f"trace:{Session.objects.get().trace}")
    return [event.action for event in rows]


@pytest.mark.parametrize("has_factor", [False, True])
def test_a_sign_in_that_leads_to_a_client_is_in_the_trace_of_its_session(
    world: World,
    stranger: Browser,
    has_factor: bool,  # noqa: FBT001 - a test's case
) -> None:
    code = second_factor.code(second_factor.given_to(world.alice)) if has_factor else ""
    led = stranger.get(sign_ins.address(world), sign_ins.question(world))
    assert led["Location"].startswith("/login/"), led["Location"]
    onward = f"{sign_ins.address(world)}?{urlencode(sign_ins.question(world))}"

    assert sign_in(stranger, onward, code)["Location"] == onward
    sign_ins.signed_in(world)

    assert story() == ["person.signed_in", "sign_in.agreed", "session.begun", "token.issued"]
    assert {event.trace for event in timeline.about(f"trace:{Session.objects.get().trace}")} == {
        Session.objects.get().trace
    }


@pytest.mark.parametrize("onward", ["/agents/", "/as/{system}/token?client_id=desk-client", "//evil.example/"])
def test_a_sign_in_that_leads_elsewhere_has_a_trace_of_its_own_and_is_linked_from_the_client(
    world: World, stranger: Browser, onward: str
) -> None:
    sign_in(stranger, onward.format(system=world.system.slug))
    own = trace_of("person.signed_in")
    sign_ins.signed_in(world)

    carried = Session.objects.get().trace
    assert own != carried
    assert story() == ["sign_in.agreed", "session.begun", "token.issued"]
    assert [event.action for event in timeline.about(f"trace:{own}")] == ["person.signed_in", "sign_in.agreed"]

    auditor = visits.as_(make.person("audrey", roles=["auditor"]))
    page = auditor.get(reverse("audit"), {"about": f"trace:{carried}"})
    (earlier,) = page.context["waterfall"].sign_ins
    assert (earlier.action, earlier.trace) == ("person.signed_in", own)
    assert f"?about=trace:{own}" in page.content.decode()


def test_a_client_that_is_named_twice_is_none(world: World, stranger: Browser) -> None:
    twice = urlencode([*sign_ins.question(world).items(), ("client_id", "another")])
    sign_in(stranger, f"{sign_ins.address(world)}?{twice}")
    sign_ins.signed_in(world)

    assert trace_of("person.signed_in") != Session.objects.get().trace


def test_the_trace_that_a_browser_session_keeps_is_one_or_none(world: World, stranger: Browser) -> None:
    sign_in(stranger, "/agents/")
    kept = stranger.session
    kept["sign_in_trace"] = "no trace at all"
    kept.save()
    sign_ins.signed_in(world)

    agreed = Event.objects.get(action="sign_in.agreed")
    assert not [link for link in agreed.links if link.startswith("trace:")]
