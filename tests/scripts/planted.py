"""The demo's company in a test's database: planted by the demo's own functions, without a server behind it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.test import override_settings

from entitlements.catalog.models import System
from governance.reviews.usage import usage
from scripts.demo.data import backstory, cast, company
from scripts.demo.servers import layout, office
from tests.audit.make import Archive

REPOSITORY = "/srv/repository"


def fill(archive: Archive) -> None:
    """Fill the database, and seal what happened as far as the demo does."""
    from scripts.demo.data import seed  # noqa: PLC0415 - the product can be imported only now

    drifted: list[bool] = []

    def listed(system: System) -> list[dict[str, Any]]:
        if system.slug in cast.TOOLS:
            return [
                company.ToolSpec(name, said.sentence, said.action).definition()
                for name, said in cast.TOOLS[system.slug].items()
            ]
        return office.offered(system.slug, drifted=bool(drifted))

    offices = backstory.OfficeServers(
        url=lambda slug: f"http://localhost:1/{slug}/mcp",
        secret="not-a-real-one",
        listed=listed,
        drift=lambda: drifted.append(True),
        settle=settling(archive),
    )
    terms = {"digest": "0" * 64, "argv": ["/usr/bin/python3"], "env": {}}
    samples = {slug: {**terms, "folder": f"/srv/{slug}"} for slug in layout.SAMPLES}
    told = {
        "samples": samples,
        "lacking": [],
        "systems": {},
        "repository": REPOSITORY,
        "stub_issuer": "http://localhost:1",
    }
    told["office"] = {"url": "http://localhost:1", "secret": "not-a-real-one"}
    with override_settings(DEMO=True):
        seed.fill(told, offices, seed.found(told))


def settling(archive: Archive) -> Callable[[], None]:
    """Return what seals everything and adds the calls up."""

    def settle() -> None:
        archive.seal()
        while usage.roll_up():
            pass

    return settle


def archive(folder: Path) -> Archive:
    """Return where the record of the planted company is sealed to."""
    return Archive(folder, Ed25519PrivateKey.generate())
