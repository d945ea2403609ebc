"""Clients of Node.js, unmodified: people sign in, sign-ins are refreshed, and end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings
from django.db import connections
from joserfc.jwk import ECKey

from audit import clock
from entitlements.keys import jws
from tests.conformance import desk, nodejs

if TYPE_CHECKING:
    from tests.nodes.gateway.world import Gateway, World

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("packages"),
]
node, here, uncalled = desk.node, desk.here, desk.uncalled
packages = nodejs.packages


@dataclass(frozen=True)
class Script:
    """A client of ours with what it is always told."""

    folder: Path
    name: str
    settings: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, browser: desk.Browser | None = None) -> dict[str, Any]:
        """Run it to its end, and return what it prints last."""
        told = (*self.settings, *arguments)
        ended = nodejs.run(self.folder, self.name, *told, browser=browser, environment=self.environment)
        assert ended.code == 0, ended.output
        return dict(json.loads(ended.output.splitlines()[-1]))


def openid_client(folder: Path, act: str, *arguments: str, browser: desk.Browser | None = None) -> dict[str, Any]:
    return Script(folder, "openid_client.mjs").run(act, *arguments, browser=browser)


def let_a_minute_pass() -> None:
    """Let the last rotation be older than the window in which a replaced token is taken."""
    from entitlements.token_families.models import TokenFamily  # noqa: PLC0415 - the settings are known only now

    (family,) = TokenFamily.objects.all()
    moved = settings.REFRESH_REUSE_WINDOW + timedelta(seconds=1)
    family.retired = [at - moved for at in family.retired]
    family.save(update_fields=["retired"])
    connections.close_all()


def test_both_versions_of_the_typescript_sdk_sign_in_refresh_and_sign_in_again(
    node: Gateway, here: World, tmp_path: Path
) -> None:
    server = f"{node.base}/gw/{here.system.slug}/mcp"
    past = clock.now() - timedelta(minutes=6)
    old = here.token(iat=int(past.timestamp()), exp=int((past + timedelta(minutes=5)).timestamp()))
    first_version = nodejs.copy("sdk_v1.mjs", tmp_path)
    for options in ("", f"--import={first_version}"):
        browser, stored = desk.Browser(here.person), tmp_path / "tokens.json"
        client = Script(tmp_path, "sign_in.mjs", (server, desk.CLIENT, str(stored)), {"NODE_OPTIONS": options})
        call = (desk.TOOL, '{"timezone": "Europe/Paris"}')

        printed = client.run(*call, browser=browser)
        assert desk.TOOL in printed["tools"]
        assert "Europe/Paris" in printed["result"]["content"][0]["text"]

        first = json.loads(stored.read_text())
        stored.write_text(json.dumps({**first, "access_token": old}))
        assert not client.run(*call)["result"].get("isError")
        assert json.loads(stored.read_text())["refresh_token"] not in {None, first["refresh_token"]}

        desk.end_sign_in()
        assert desk.TOOL in client.run(browser=browser)["tools"]
        assert len(browser.visits) == 2
        desk.end_sign_in()
        stored.unlink()


def test_the_typescript_sdk_binds_its_tokens_to_a_key(node: Gateway, here: World, tmp_path: Path) -> None:
    from entitlements.token_families.models import TokenFamily  # noqa: PLC0415 - the settings are known only now

    server, stored = f"{node.base}/gw/{here.system.slug}/mcp", tmp_path / "tokens.json"
    client = Script(tmp_path, "sign_in.mjs", (server, desk.CLIENT, str(stored)), {"DPOP": "ES256"})

    printed = client.run(desk.TOOL, '{"timezone": "Europe/Paris"}', browser=desk.Browser(here.person))

    assert "Europe/Paris" in printed["result"]["content"][0]["text"]
    tokens = json.loads(stored.read_text())
    assert tokens["token_type"] == "DPoP"
    assert node.modern(here.system.slug, "tools/list", tokens["access_token"]).status_code == 401
    family = TokenFamily.objects.get()
    assert len(family.jkt) == 43
    connections.close_all()


def test_openid_client_signs_in_refreshes_and_is_refused_a_replaced_token(
    node: Gateway, uncalled: World, tmp_path: Path
) -> None:
    from entitlements import addresses  # noqa: PLC0415 - the settings are known only now

    browser, issuer = desk.Browser(uncalled.person), addresses.issuer(f"as/{uncalled.system.slug}")
    client = (issuer, desk.CLIENT, "-")
    first = openid_client(tmp_path, "code", *client, uncalled.entitlement.scope, browser=browser)
    assert first["scope"] == uncalled.entitlement.scope
    second = openid_client(tmp_path, "refresh", *client, first["refresh_token"])
    assert second["refresh_token"] != first["refresh_token"]
    assert openid_client(tmp_path, "refresh", *client, first["refresh_token"])["access_token"]
    assert node.modern(uncalled.system.slug, "tools/list", second["access_token"]).status_code == 200

    let_a_minute_pass()
    refused = {"error": "invalid_grant", "status": 400}
    reused = openid_client(tmp_path, "refresh", *client, first["refresh_token"])
    assert reused == {**refused, "code": "refresh_token_reused"}
    ended = openid_client(tmp_path, "refresh", *client, second["refresh_token"])
    assert ended == {**refused, "code": "token_family_ended"}
    assert node.modern(uncalled.system.slug, "tools/list", second["access_token"]).status_code == 401


def test_openid_client_binds_its_tokens_to_a_key_from_the_code_to_the_call(
    node: Gateway, here: World, tmp_path: Path
) -> None:
    from entitlements import addresses  # noqa: PLC0415 - the settings are known only now
    from entitlements.token_families.models import TokenFamily  # noqa: PLC0415
    from tests.nodes.gateway import world  # noqa: PLC0415

    issuer, resource = addresses.issuer(f"as/{here.system.slug}"), f"{node.base}/gw/{here.system.slug}/mcp"
    params = {"_meta": world.META, "name": desk.TOOL, "arguments": {"timezone": "Europe/Paris"}}
    named = {"Mcp-Method": "tools/call", "Mcp-Name": desk.TOOL, "MCP-Protocol-Version": world.MODERN}
    headers = {**named, "Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    message = json.dumps({"headers": headers, "body": body})
    browser, client = desk.Browser(here.person), Script(tmp_path, "openid_client.mjs")

    done = client.run("bound", issuer, desk.CLIENT, "-", here.entitlement.scope, resource, message, browser=browser)
    assert done["token_type"] == "dpop"  # oauth4webapi writes it in lower case
    assert "Europe/Paris" in done["answer"]["result"]["content"][0]["text"]
    assert (done["stolen"]["status"], done["stolen"]["code"]) == (401, "proof_invalid")

    idp, scope = addresses.issuer("idp"), "openid offline_access"
    done = client.run("exchange", idp, desk.CLIENT, "-", scope, resource, message, issuer, browser=browser)
    assert done["token_type"] == "dpop"
    assert "Europe/Paris" in done["answer"]["result"]["content"][0]["text"]
    assert (done["stolen"]["status"], done["stolen"]["code"]) == (401, "proof_invalid")
    assert all(len(family.jkt) == 43 for family in TokenFamily.objects.all())


def test_openid_client_signs_in_with_a_key_at_a_system_and_at_the_identity_side(
    node: Gateway, uncalled: World, tmp_path: Path
) -> None:
    from entitlements import addresses  # noqa: PLC0415 - the settings are known only now
    from tests import make  # noqa: PLC0415

    key = ECKey.generate_key("P-256", {"kid": "desk", "use": "sig", "alg": "ES256"})
    private = tmp_path / "key.json"
    private.write_text(json.dumps(key.as_dict(private=True)))
    client, _ = make.client(uncalled.agent, "key-client", jwks={"keys": [key.as_dict(private=False)]})
    make.rewrite(client, redirect_uris=desk.REDIRECT)
    browser, system = desk.Browser(uncalled.person), addresses.issuer(f"as/{uncalled.system.slug}")

    first = openid_client(tmp_path, "code", system, "key-client", str(private), "", browser=browser)
    again = openid_client(tmp_path, "refresh", system, "key-client", str(private), first["refresh_token"])
    assert again["refresh_token"] == first["refresh_token"]
    assert node.modern(uncalled.system.slug, "tools/list", again["access_token"]).status_code == 200

    idp = addresses.issuer("idp")
    known = openid_client(tmp_path, "code", idp, "key-client", str(private), "openid", browser=browser)
    assert (known["claims"]["iss"], known["claims"]["sub"]) == (idp, uncalled.person.login)


def test_the_typescript_sdk_exchanges_an_id_token_and_redeems_the_assertion(
    node: Gateway, here: World, tmp_path: Path
) -> None:
    from audit.context import SYSTEM  # noqa: PLC0415 - the settings are known only now
    from entitlements import addresses  # noqa: PLC0415
    from entitlements.people import people  # noqa: PLC0415
    from entitlements.tokens.models import IssuedToken  # noqa: PLC0415
    from entitlements.trusted_issuers import trust  # noqa: PLC0415
    from tests import make  # noqa: PLC0415
    from tests.entitlements.edge import worlds  # noqa: PLC0415

    key = worlds.new_key("company")
    company = trust.begin(worlds.STUB, purpose="identity", jwks=worlds.key_set(key), by=SYSTEM)
    people.link_identity(here.person, company, "u-alice", by=SYSTEM)
    client, secret = make.client(here.agent, "managed-client", auth="client_secret_basic")
    now = int(clock.now().timestamp())
    claims = {"iss": worlds.STUB, "sub": "u-alice", "aud": client.client_id, "iat": now, "auth_time": now}
    id_token = jws.sign({**claims, "exp": now + 300}, key, "JWT")
    connections.close_all()

    managed = Script(tmp_path, "ema.mjs", (f"{node.base}/gw/{here.system.slug}/mcp", addresses.issuer("idp")))
    issuer = addresses.issuer(f"as/{here.system.slug}")
    printed = managed.run(issuer, client.client_id, str(secret), id_token, desk.TOOL, '{"timezone": "Europe/Paris"}')

    assert desk.TOOL in printed["tools"]
    assert "Europe/Paris" in printed["result"]["content"][0]["text"]
    assert set(IssuedToken.objects.values_list("kind", flat=True)) == {"id_jag", "access_token"}
