"""The official Python client and Inspector, unmodified, after a session policy: the person signs in again once."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import httpx2
import pytest
from django.conf import settings
from django.db import connections

from tests import waits
from tests.conformance import desk, nodejs
from tests.conformance.test_inspector import CALL, Inspector
from tests.conformance.test_sign_in_client import Desk, call, session

if TYPE_CHECKING:
    from tests.nodes.gateway.world import Gateway, World

pytestmark = pytest.mark.django_db(transaction=True)
node, here, packages = desk.node, desk.here, nodejs.packages
SECRET = "correct horse battery staple"
HOUR = 3600


@dataclass
class SignedInBefore(desk.Browser):
    """A browser whose person signed in an hour ago, and signs in again where a page asks for that."""

    asked: int = 0

    def __post_init__(self) -> None:
        """Sign the person in, an hour ago."""
        from governance.sign_in.sessions import SessionStore  # noqa: PLC0415 - the settings are known only now

        self.person.set_password(SECRET)
        self.person.save()
        super().__post_init__()
        kept = SessionStore(self.cookies[settings.SESSION_COOKIE_NAME])
        kept["account_authentication_methods"] = [{"method": "password", "at": time.time() - HOUR}]
        kept.save()

    def allow(self, address: str) -> str:
        """Answer the question; where the page leads to "Confirm it's you" first, send the password there."""
        with httpx2.Client(cookies=self.cookies, trust_env=False, timeout=waits.SECONDS) as http:
            page = http.get(address)
            if page.status_code == 302:
                where = urljoin(address, str(page.headers["location"]))
                assert urlsplit(where).path == "/login/again/", where
                fields = dict(desk._FIELD.findall(http.get(where).text)) | {"password": SECRET}
                origin = "{0.scheme}://{0.netloc}".format(urlsplit(where))
                answer = http.post(where, data=fields, headers={"Referer": where, "Origin": origin})
                assert answer.status_code == 302, answer.text
                self.asked += 1
                self.cookies = {each.name: str(each.value) for each in http.cookies.jar}
        return super().allow(address)


def test_its_person_signs_in_again_once_and_it_goes_on(node: Gateway, here: World) -> None:
    from entitlements.sessions.models import Session  # noqa: PLC0415 - the settings are known only now
    from tests.entitlements.session_policies import agreed  # noqa: PLC0415

    browser = SignedInBefore(here.person)
    server, place = f"{node.base}/gw/{here.system.slug}/mcp", Desk(browser)

    def confirm() -> None:
        agreed.in_force(max_age=timedelta(minutes=30))
        connections.close_all()

    async def story() -> None:
        provider = place.provider(server)
        async with session(server, provider) as client:
            await call(client)
            assert (len(browser.visits), browser.asked) == (1, 0)
            assert place.tokens is not None
            first = place.tokens
            await asyncio.to_thread(confirm)
            await asyncio.sleep(1.0)
            await call(client)
            assert (len(browser.visits), browser.asked) == (2, 1)
            assert place.tokens.access_token != first.access_token
            provider.context.token_expiry_time = 1.0  # as if five minutes had passed
            await call(client)
            assert (len(browser.visits), browser.asked) == (2, 1)

    asyncio.run(story())
    before, after = Session.objects.filter(person=here.person, client__client_id=desk.CLIENT).order_by("started_at")
    assert before.signed_in_at is not None
    assert after.signed_in_at is not None
    assert after.signed_in_at - before.signed_in_at >= timedelta(minutes=59)


def test_a_refresh_that_a_policy_refuses_leads_to_a_sign_in(node: Gateway, here: World) -> None:
    from tests.entitlements.session_policies import agreed  # noqa: PLC0415

    browser = SignedInBefore(here.person)
    server, place = f"{node.base}/gw/{here.system.slug}/mcp", Desk(browser)

    def confirm() -> None:
        agreed.in_force(max_age=timedelta(minutes=30))
        connections.close_all()

    async def story() -> None:
        provider = place.provider(server)
        async with session(server, provider) as client:
            await call(client)
            await asyncio.to_thread(confirm)
            provider.context.token_expiry_time = 1.0
            await call(client)
            assert (len(browser.visits), browser.asked) == (2, 1)

    asyncio.run(story())


@pytest.mark.usefixtures("packages")
def test_the_person_of_inspector_signs_in_again_once_and_it_goes_on(node: Gateway, here: World, tmp_path: Path) -> None:
    from tests.entitlements.session_policies import agreed  # noqa: PLC0415

    browser = SignedInBefore(here.person)
    server = f"{node.base}/gw/{here.system.slug}/mcp"
    inspector = Inspector(
        tmp_path, browser, ("--server-url", server, "--transport", "http", "--client-id", desk.CLIENT)
    )
    assert inspector.run(*CALL)["structuredContent"]["timezone"] == "UTC"
    assert (len(browser.visits), browser.asked) == (1, 0)

    agreed.in_force(max_age=timedelta(minutes=30))
    connections.close_all()
    time.sleep(2)

    for _ in range(2):
        assert inspector.run(*CALL)["structuredContent"]["timezone"] == "UTC"
        assert (len(browser.visits), browser.asked) == (2, 1)
