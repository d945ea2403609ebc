"""Tokens that are to be refused, with the words of RFC 8935, and a transmitter that offers them to a poll."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from joserfc import jws as jose

from tests.entitlements.edge.worlds import PARTNER, World, new_key
from tests.entitlements.risk.worlds import ALICE, CAEP, claims, token

REVOKED = f"{CAEP}session-revoked"


def cases(company: World) -> dict[str, tuple[str, str]]:
    """Return each case: the token, and the word with which it is refused."""
    _, body, signature = token(company).split(".")
    unsigned = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "secevent+jwt"}).encode()).rstrip(b"=")
    critical = {"alg": "ES256", "kid": "stub", "typ": "secevent+jwt", "crit": ["b64"], "b64": True}
    registry, material = jose.JWSRegistry(algorithms=["ES256"]), company.stub_key.material
    old: dict[str, Any] = {"sub_id": None, "events": {REVOKED: {"subject": ALICE}}}
    two: dict[str, Any] = {REVOKED: {}, f"{CAEP}token-claims-change": {}}
    return {
        "wrong audience": (token(company, claims(aud="https://other.example")), "invalid_audience"),
        "wrong issuer": (token(company, claims(iss=PARTNER)), "invalid_issuer"),
        "unsigned": (f"{unsigned.decode()}.{body}.", "authentication_failed"),
        "unsigned with a signature": (f"{unsigned.decode()}.{body}.{signature}", "authentication_failed"),
        "signed by another": (token(company, key=new_key("stub")), "authentication_failed"),
        "signed by an unknown key": (token(company, key=new_key("unknown")), "invalid_key"),
        "unknown critical header": (
            jose.serialize_compact(critical, json.dumps(claims()), material, registry=registry),
            "invalid_request",
        ),
        "old format": (token(company, claims(**old)), "invalid_request"),
        "both formats": (token(company, claims(events={REVOKED: {"subject": ALICE}})), "invalid_request"),
        "an ID token": (company.id_token(), "invalid_request"),
        "with exp": (token(company, claims(exp=2_000_000_000)), "invalid_request"),
        "two events": (
            token(company, claims(events=two)),
            "invalid_request",
        ),
        "unknown type": (token(company, claims(f"{CAEP}session-established")), "access_denied"),
    }


@dataclass
class Transmitter:
    """A server that answers polls with what stands in `sets` until it was answered, and keeps what it was asked."""

    sets: dict[str, str] = field(default_factory=dict)
    asked: list[Mapping[str, Any]] = field(default_factory=list)
    url: str = ""

    def answer(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Take out what was acknowledged or refused; return the rest."""
        self.asked.append(body)
        for jti in (*body.get("ack", ()), *body.get("setErrs", {})):
            self.sets.pop(jti, None)
        return {"sets": dict(self.sets)}

    @property
    def refused(self) -> dict[str, str]:
        """The words with which events were refused."""
        return {jti: said["err"] for body in self.asked for jti, said in body.get("setErrs", {}).items()}


@contextlib.contextmanager
def transmitter() -> Iterator[Transmitter]:
    """Serve until the block ends."""
    made = Transmitter()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            answer = json.dumps(made.answer(body)).encode()
            self.send_response(200 if self.headers["authorization"] == "Bearer the-token-of-theirs" else 401)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}/poll"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
