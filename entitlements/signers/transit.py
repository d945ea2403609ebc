"""Keys in the transit engine of OpenBao or Vault: made, used and deleted there, over TLS, and never exported.

The API is that of `/v1/<mount>/keys/:name` and `/v1/<mount>/sign/:name` (OpenBao and Vault, "Transit secrets engine").
Each key of ours is a key of its own there with a single version, so that a rotation is the same with every signer.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import http.client
import ssl
import time
import weakref
from collections import deque
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from joserfc import jwk

from . import algorithms, handle
from .handle import Handle
from .options import TransitOptions
from .signer import NewKey, SignerUnreachable

SECONDS: Final = 2.0
"""How long an answer may take; twice that, where a connection that was kept turns out to be dead."""
PAUSE: Final = 1.0
"""Seconds without another try after an answer that did not come: else each request would wait for one."""
LARGEST: Final = 256 * 1024
_TYPES: Final = {algorithms.ES256: "ecdsa-p256", algorithms.EDDSA: "ed25519", algorithms.RS256: "rsa-3072"}
_BROKEN: Final = (OSError, http.client.HTTPException)
_DIED: Final = (ConnectionError, http.client.BadStatusLine)
"""How a connection ends that the other side closed while it was kept. A request that timed out is not sent again."""


class TransitSigner:
    """Speaks to one transit engine, by as many connections as threads ask at once; they are kept, and end with it."""

    is_remote = True

    def __init__(self, options: TransitOptions) -> None:
        self._options, self._where = options, urlsplit(options.url)
        self._token, self._closed_until = options.token(), 0.0
        self._idle: deque[http.client.HTTPConnection] = deque()
        weakref.finalize(self, _close, self._idle)

    def make(self, kid: str, algorithm: str) -> NewKey:
        """Make a key that cannot be exported. A name there may not end with a hyphen, as one of 64 ids does."""
        name = f"mandate-{kid}-key"
        self._ask("POST", f"keys/{name}", {"type": _TYPES[algorithm], "exportable": False})
        said = self._ask("GET", f"keys/{name}")
        public = _public(said["data"]["keys"]["1"]["public_key"], algorithm)
        return Handle(name, {**public.as_dict(private=False), **algorithms.described(kid, algorithm)}).new_key()

    def sign(self, kid: str, private: bytes, algorithm: str, data: bytes) -> bytes:
        """Sign there, and check it here."""
        del kid
        key = handle.read(private)
        body: dict[str, Any] = {"input": base64.b64encode(data).decode(), "key_version": 1}
        if algorithm != algorithms.EDDSA:
            body |= {"hash_algorithm": "sha2-256", "marshaling_algorithm": "jws", "signature_algorithm": "pkcs1v15"}
        said = self._ask("POST", f"sign/{key.name}", body)
        return key.checked(algorithm, data, _signature(said))

    def destroy(self, kid: str, private: bytes) -> None:
        """Delete the key there, which an engine allows only for keys that are marked so."""
        del kid
        name = handle.read(private).name
        self._ask("POST", f"keys/{name}/config", {"deletion_allowed": True}, or_gone=True)
        self._ask("DELETE", f"keys/{name}", or_gone=True)

    def _ask(self, method: str, path: str, body: object = None, *, or_gone: bool = False) -> dict[str, Any]:
        """Ask, and return the JSON that comes back. A refused token is read anew once. Raises SignerUnreachable."""
        if time.monotonic() < self._closed_until:
            raise SignerUnreachable
        status, said = self._exchange(method, path, body)
        if status == HTTPStatus.FORBIDDEN:
            self._token = self._options.token()
            status, said = self._exchange(method, path, body)
        if status not in (HTTPStatus.OK, HTTPStatus.NO_CONTENT) and not (or_gone and status in _GONE):
            raise SignerUnreachable(status=status)
        try:
            answer: dict[str, Any] = msgspec.json.decode(said, type=dict) if said else {}
        except msgspec.MsgspecError as error:
            raise SignerUnreachable from error
        return answer

    def _exchange(self, method: str, path: str, body: object) -> tuple[int, bytes]:
        """Send one request. A connection that was kept may have died meanwhile: then a new one is made."""
        try:
            if self._idle:
                with contextlib.suppress(IndexError, *_DIED):
                    return self._send(self._idle.pop(), method, path, body)
            return self._send(self._connection(), method, path, body)
        except _BROKEN as error:
            self._closed_until = time.monotonic() + PAUSE
            raise SignerUnreachable from error

    def _send(self, connection: http.client.HTTPConnection, method: str, path: str, body: object) -> tuple[int, bytes]:
        headers = {"X-Vault-Token": self._token, "X-Vault-Request": "true", "Content-Type": "application/json"}
        if self._options.namespace:
            headers["X-Vault-Namespace"] = self._options.namespace
        sent = None if body is None else msgspec.json.encode(body)
        try:
            connection.request(method, f"/v1/{self._options.mount}/{path}", body=sent, headers=headers)
            answer = connection.getresponse()
            said = answer.read(LARGEST + 1)
        except BaseException:
            connection.close()
            raise
        if len(said) > LARGEST or answer.will_close:
            connection.close()
        else:
            self._idle.append(connection)
        return (HTTPStatus.BAD_GATEWAY, b"") if len(said) > LARGEST else (answer.status, said)

    def _connection(self) -> http.client.HTTPConnection:
        host, port = str(self._where.hostname), self._where.port
        if self._where.scheme == "http":  # on this machine alone, as the settings see to
            return http.client.HTTPConnection(host, port, timeout=SECONDS)
        trusted = ssl.create_default_context(cafile=self._options.ca_file or None)
        return http.client.HTTPSConnection(host, port, timeout=SECONDS, context=trusted)


_GONE: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST)
"""How an engine answers about a key that it does not have."""


def _close(idle: deque[http.client.HTTPConnection]) -> None:
    while idle:
        idle.pop().close()


def _public(written: str, algorithm: str) -> jwk.Key:
    """Read a public key as the engine writes it: in PEM, and Ed25519 as its 32 bytes. Raises SignerUnreachable."""
    try:
        if algorithm == algorithms.EDDSA:
            x = algorithms.base64url(base64.b64decode(written, validate=True))
            return jwk.OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": x})
        return (jwk.RSAKey if algorithm == algorithms.RS256 else jwk.ECKey).import_key(written)
    except ValueError as error:
        raise SignerUnreachable from error


def _signature(said: dict[str, Any]) -> bytes:
    """Read `vault:v1:<signature>`: base64url for JWS, and base64 of the usual alphabet where that is not asked for."""
    try:
        written = str(said["data"]["signature"]).rpartition(":")[2].translate(_TO_URL).rstrip("=")
        return base64.urlsafe_b64decode(written + "=" * (-len(written) % 4))
    except (KeyError, TypeError, binascii.Error) as error:
        raise SignerUnreachable from error


_TO_URL: Final = str.maketrans("+/", "-_")
