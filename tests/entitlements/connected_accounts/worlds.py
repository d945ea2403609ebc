"""A system that is called with accounts of people, behind an upstream that takes the vendor's tokens alone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from aiohttp import web

from audit.context import SYSTEM
from audit.models import Event
from entitlements.catalog.models import System
from entitlements.connected_accounts import connect, offers, rules
from entitlements.connected_accounts.models import ConnectedAccount
from entitlements.people.models import Person
from entitlements.secrets import vault
from tests.entitlements.connected_accounts.account_server import SECRET, AccountServer
from tests.nodes.gateway import scripted, world
from tests.nodes.gateway.scripted import Scripted
from tests.nodes.gateway.world import World

BROWSER = "the-session-of-this-browser"
SCHEMA = {"type": "object"}


class Guarded(Scripted):
    """An upstream that lets in who has a token of the vendor that works, and notes whose."""

    def __init__(self, vendor: AccountServer, *, is_modern: bool = True) -> None:
        super().__init__(is_modern=is_modern)
        self.vendor = vendor

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Refuse a token that does not work."""
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.vendor.live:
            return web.Response(status=401)
        return await super().handle(request)


@contextlib.contextmanager
def vendor() -> Iterator[AccountServer]:
    server = AccountServer()
    with scripted.served(server.app()) as port:
        server.issuer = f"http://localhost:{port}/tenant"
        yield server


@contextlib.contextmanager
def guarded(server: AccountServer, *, is_modern: bool = True) -> Iterator[Guarded]:
    upstream, app = Guarded(server, is_modern=is_modern), web.Application()
    app.router.add_route("*", "/mcp", upstream.handle)
    with scripted.served(app) as port:
        upstream.url = f"http://localhost:{port}/mcp"
        yield upstream


@dataclass
class Place:
    """A world, the vendor's server, and the system's upstream."""

    here: World
    vendor: AccountServer
    upstream: Guarded

    @property
    def chosen(self) -> list[tuple[int, int]]:
        """The world's own client and agent."""
        return [(self.here.client.pk, self.here.agent.pk)]

    def begin(self, chosen: list[tuple[int, int]] | None = None, *, browser: str = BROWSER) -> str:
        """Begin to connect, as the person; returns where the browser goes."""
        return connect.begin(self.here.system, chosen or self.chosen, by=self.here.person, browser=browser)

    def connect(self, chosen: list[tuple[int, int]] | None = None) -> ConnectedAccount:
        """Connect the person's account."""
        return self.finish(self.vendor.authorize(self.begin(chosen)))

    def finish(self, back: str, *, browser: str = BROWSER, person: Person | None = None) -> ConnectedAccount:
        """Come back as the browser does."""
        who, split = person or self.here.person, urlsplit(back)
        answer = rules.read_answer(parse_qs(split.query), split.path, browser, who.pk)
        return connect.finish(answer, by=who)

    def account(self) -> ConnectedAccount:
        """Return the newest account of the person, as it is now."""
        return ConnectedAccount.objects.filter(person=self.here.person).latest("connected_at")

    def leaked(self) -> list[Event]:
        """Return the events that hold a secret."""
        secrets = self.vendor.secrets
        return [each for each in Event.objects.all() if any(secret in str(each.body) for secret in secrets)]


def register(system: System, server: AccountServer, **settings: str) -> None:
    """Store the credential of a system, and register its redirect address at the vendor."""
    known = {"client_id": "mandate", "issuer": server.issuer, "scope": "read", **settings}
    vault.set_secret(system, kind="oauth_user", value=SECRET, settings=known, by=SYSTEM)
    server.client.redirect_uris.add(connect.redirect_uri(system))


def place(server: AccountServer, upstream: Guarded, **settings: str) -> Place:
    """Make a world of its own, whose person has not connected an account yet."""
    here = world.build(upstream.url, tool="act", schema=SCHEMA)
    register(here.system, server, **settings)
    assert [offer.key for offer in offers.for_person(here.person, here.system)]
    return Place(here, server, upstream)
