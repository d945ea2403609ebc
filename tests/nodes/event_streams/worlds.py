"""Our transmitter and our receiver over HTTP: a web process, a node of the edge, and an issuer that trusts ours."""

# ruff: noqa: ANN401 - bodies are any JSON

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.test import override_settings

from entitlements import addresses
from entitlements.event_streams import deliver, poll_settings, profile, receivers, streams, transmit
from entitlements.event_streams.models import EventStream, SignalPoll
from entitlements.event_streams.receivers import NewReceiver
from entitlements.keys import signing
from entitlements.trusted_issuers.models import TrustedIssuer
from scripts.demo.servers import layout
from scripts.devservers import free_port
from tests import make, waits
from tests.audit.make import Archive
from tests.entitlements.edge import worlds
from tests.entitlements.edge.worlds import World
from tests.nodes.gateway import world as gateways

AUDIENCE = "https://receiver.example/events"


@dataclass
class Pair:
    """A transmitter (`web`), a receiver (`node`), and what both know of each other."""

    company: World
    web: httpx2.Client
    node: str
    registered: NewReceiver
    archive: Archive

    def token(self, scope: str = "", *, secret: str = "") -> httpx2.Response:
        form = {"grant_type": "client_credentials", **({"scope": scope} if scope else {})}
        auth = (str(self.registered.receiver.pk), secret or self.registered.secret)
        return self.web.post("/ssf/token", data=form, auth=auth)

    def headers(self, scope: str = "") -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(scope).json()['access_token']}"}

    def ask(self, method: str, path: str, body: Any = None, *, scope: str = "") -> httpx2.Response:
        return self.web.request(method, f"/ssf/{path}", json=body, headers=self.headers(scope))

    def push_stream(self, **more: Any) -> dict[str, Any]:
        delivery = {"method": streams.PUSH, "endpoint_url": f"{self.node}/ssf/events"}
        return self.stream(delivery=delivery, **more)

    def stream(self, **body: Any) -> dict[str, Any]:
        answer = self.ask("POST", "streams", {"events_requested": [*profile.SUPPORTED], **body})
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def transmit(self) -> None:
        """Let the workers do what is due: seal, read the audit log, push."""
        self.archive.seal()
        while transmit.listen():
            pass
        while deliver.deliver_next():
            pass


@contextlib.contextmanager
def web(port: int) -> Iterator[str]:
    """Run the web process as production does, until the block ends."""
    base = f"http://127.0.0.1:{port}"
    command = ["-m", "granian", "--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
    child = subprocess.Popen(
        [sys.executable, *command, *layout.FRONT, layout.WEB],
        cwd=gateways.ROOT,
        env={**os.environ, "DEMO": "1", "CONSOLE_URL": base},
    )
    try:
        waits.until(lambda: gateways.is_ready(base, child))
        yield base
    finally:
        waits.stop(child)


def trust_ours(**more: Any) -> TrustedIssuer:
    """Trust our own issuer of events, as another company would."""
    terms = {
        "purpose": "signals",
        "sends_signals": True,
        "jwks": signing.jwks(addresses.SIGNALS),
        "algorithms": ["RS256"],
        "signal_audience": AUDIENCE,
        **more,
    }
    row, _ = TrustedIssuer.objects.update_or_create(issuer=addresses.issuer(addresses.SIGNALS), defaults=terms)
    return row


@contextlib.contextmanager
def pair(folder: Path) -> Iterator[Pair]:
    """Both sides, until the block ends."""
    port = free_port()
    with (
        override_settings(DEMO=True, CONSOLE_URL=f"http://127.0.0.1:{port}"),
        gateways.gateway("event-streams") as node,
        web(port) as base,
        httpx2.Client(base_url=base, timeout=waits.SECONDS) as client,
    ):
        company = worlds.world()
        registered = receivers.register(
            "partner",
            audience=AUDIENCE,
            push_host=node.base.removeprefix("http://"),
            subject_format="iss_sub",
            by=make.person("pia", roles=["admin"]),
            reason="They want to know.",
        )
        trust_ours()
        transmit.listen()  # from here on
        yield Pair(company, client, node.base, registered, Archive(folder, Ed25519PrivateKey.generate()))


def clear() -> None:
    """Delete the streams, and poll nothing any more."""
    for row in SignalPoll.objects.filter(ended_at=None):
        poll_settings.end(row.pk, by=make.person(roles=["admin"]), reason="over")
    EventStream.objects.all().delete()


def follow(pair: Pair, made: dict[str, Any], **more: Any) -> SignalPoll:
    """Have our receiver poll a stream of our transmitter, with the receiver's own client."""
    terms = {
        "endpoint_url": made["delivery"]["endpoint_url"],
        "token_url": f"{made['iss']}/token",
        "client_id": str(pair.registered.receiver.pk),
        "secret": pair.registered.secret,
        **more,
    }
    by = make.person(roles=["admin"])
    return poll_settings.set_poll(made["iss"], by=by, reason="They tell us.", **terms)
