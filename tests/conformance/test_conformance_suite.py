"""`@modelcontextprotocol/conformance`, unmodified: its leg for authorization servers, at each kind of issuer.

docs/decisions/0081 says which of its checks apply.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scripts.devservers import free_port
from tests.conformance import client_site, desk, nodejs

if TYPE_CHECKING:
    from tests.nodes.gateway.world import World

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("packages"),
]
node, uncalled, described = desk.node, desk.uncalled, client_site.described
packages = nodejs.packages
PROGRAM = "@modelcontextprotocol/conformance/dist/index.js"
METADATA, DOCUMENTS = "authorization-server-metadata", "authorization-server-metadata-cimd"
CODE = "authorization-code-grant"
PASSED = dict.fromkeys((METADATA, DOCUMENTS, CODE), "SUCCESS")


@pytest.fixture
def issuers(uncalled: World) -> list[str]:
    """Return the issuers of the system and of the identity side."""
    from entitlements import addresses  # noqa: PLC0415 - the settings are known only now

    return [addresses.issuer(f"as/{uncalled.system.slug}"), addresses.issuer("idp")]


def checks(folder: Path, issuer: str, client_id: str, uncalled: World, *more: str) -> dict[str, dict[str, Any]]:
    """Run the leg at an issuer, and return its checks by their names."""
    results = folder / issuer.rpartition("/")[2]
    arguments = ("authorization", "--url", issuer, "--client-id", client_id, "--port", str(free_port()), *more)
    nodejs.run(folder, PROGRAM, *arguments, "-o", str(results), browser=desk.Browser(uncalled.person))
    return {check["id"]: check for file in results.rglob("checks.json") for check in json.loads(file.read_text())}


def statuses(found: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    return {name: check["status"] for name, check in found.items()}


def test_it_passes_with_a_public_client_that_is_registered_and_one_that_describes_itself(
    uncalled: World, issuers: list[str], described: str, tmp_path: Path
) -> None:
    for number, client_id in enumerate([desk.CLIENT, described]):
        for issuer in issuers:
            found = checks(tmp_path / str(number), issuer, client_id, uncalled)
            assert statuses(found) == PASSED, found


def test_it_passes_with_a_confidential_client(
    uncalled: World, issuers: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pass where the metadata does not list `none`: where it does, this release of the suite sends no secret at all."""
    from entitlements.edge import metadata  # noqa: PLC0415 - the settings are known only now
    from entitlements.oauth import documents  # noqa: PLC0415
    from tests import make  # noqa: PLC0415

    client, secret = make.client(uncalled.agent, "secret-client", auth="client_secret_basic")
    make.rewrite(client, redirect_uris=desk.REDIRECT)
    more = ("--client-secret", secret)
    as_it_is = checks(tmp_path / "listed", issuers[0], client.client_id, uncalled, *more)
    assert statuses(as_it_is) == {**PASSED, CODE: "FAILURE"}
    assert as_it_is[CODE]["errorMessage"] == "Invalid status code: 401"

    def without_public_clients(path: str, methods: list[str]) -> dict[str, Any]:
        return published(path, [method for method in methods if method != "none"])

    published = metadata._endpoints
    monkeypatch.setattr(metadata, "_endpoints", without_public_clients)
    monkeypatch.setattr(documents, "KEPT_SECONDS", 0)
    for issuer in issuers:
        found = checks(tmp_path / "unlisted", issuer, client.client_id, uncalled, *more)
        assert statuses(found) == PASSED, found
