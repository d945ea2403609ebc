"""The token endpoint of a credential is reached over the network of its system where the credential says so."""

from __future__ import annotations

import asyncio
import ssl
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pytest_django.fixtures import Settings

from audit.context import SYSTEM
from audit.models import Event
from entitlements.networks.network import Network
from entitlements.secrets import kinds, vault
from entitlements.secrets.vault import Credential
from entitlements.upstream import authorization, reach
from entitlements.upstream.authorization import Request
from entitlements.upstream.egress import Unreachable
from entitlements.upstream.reach import Stage
from tests import make
from tests.entitlements.networks.certificates import Authority
from tests.entitlements.upstream.token_server import Client, TokenServer
from tests.nodes.gateway import scripted

pytestmark = pytest.mark.loopback
COMPANY = Authority()
SECRET = "secret-of-the-client"
OVER_ITS_OWN = {"token_network": "system"}


def headers(way: Network | None, **settings: str) -> dict[str, str]:
    """Return what authorizes a request to a system of this network. Raises as `Authorization.headers`."""
    known = {"client_id": "mandate", "client_authentication": kinds.SECRET_BASIC, **settings}
    credential = Credential("Authorization", "", SECRET.encode(), kind="oauth_client", settings=known)
    request = Request("GET", "https://api.example/", {})
    return asyncio.run(authorization.of(credential, way).headers(request))


def refused(way: Network | None, **settings: str) -> Unreachable:
    with pytest.raises(Unreachable) as raised:
        headers(way, **settings)
    assert reach.stage(raised.value) is Stage.TOKEN_ENDPOINT
    return raised.value


def test_the_company_ca_vouches_for_it_and_the_certificate_of_the_system_is_not_shown_there(
    tmp_path: Path, settings: Settings
) -> None:
    settings.DEMO = True  # the endpoint is on this machine
    tokens, shown = TokenServer({"mandate": Client("mandate", secret=SECRET)}), list[object]()
    server, client = COMPANY.issue("localhost"), COMPANY.for_client()
    (tmp_path / "server.pem").write_text(server.key + server.certificate)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=COMPANY.pem)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_cert_chain(tmp_path / "server.pem")

    @web.middleware
    async def look(request: web.Request, handler: Any) -> Any:  # noqa: ANN401 - the library's
        assert request.transport is not None
        shown.append(request.transport.get_extra_info("peercert"))
        return await handler(request)

    app = tokens.app()
    app.middlewares.append(look)
    way = Network((), COMPANY.pem, client.certificate, client.key.encode())
    with scripted.served(app, context) as port:
        tokens.issuer = f"https://localhost:{port}/tenant"
        for where in ({"token_url": f"https://localhost:{port}/token"}, {"issuer": tokens.issuer}):
            refused(way, **where)
            refused(None, **where, **OVER_ITS_OWN)
            assert tokens.forms == []
            assert headers(way, **where, **OVER_ITS_OWN) == {"Authorization": f"Bearer {tokens.issued[-1]}"}
            tokens.forms.clear()
    assert shown
    assert not any(shown)


def test_its_private_network_is_open_and_no_other(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    settings.DEMO, connected = False, list[str]()

    async def connect(_loop: object, _socket: object, address: tuple[str, int]) -> None:
        connected.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(asyncio.selector_events.BaseSelectorEventLoop, "sock_connect", connect)
    way = Network((ip_network("10.203.7.0/24"),))
    refused(way, token_url="https://10.203.7.9/token")
    refused(way, token_url="https://10.203.8.9/token", **OVER_ITS_OWN)
    refused(None, token_url="https://10.203.7.9/token", **OVER_ITS_OWN)
    assert connected == []
    refused(way, token_url="https://10.203.7.9/token", **OVER_ITS_OWN)
    assert connected == ["10.203.7.9"]


@pytest.mark.django_db
def test_the_record_says_over_which_network_a_credential_goes() -> None:
    system = make.system()
    where = {"client_id": "mandate", "token_url": "https://sso.corp.example/token"}
    vault.set_secret(system, kind="oauth_client", value=SECRET, settings={**where, **OVER_ITS_OWN}, by=SYSTEM)
    detail = Event.objects.get(action="secret.set").detail
    assert (detail["goes_to"], detail["goes_over"]) == (where["token_url"], "system")
    assert "token_network" not in kinds.checked("oauth_client", SECRET, "Authorization", where)
    with pytest.raises(kinds.CredentialMalformed):
        kinds.checked("oauth_client", SECRET, "Authorization", {**where, "token_network": "public"})
