"""Idempotency-Key: a POST that is sent again gets the answer of the first, and nothing happens twice.

Where the change is one transaction, the answer is stored in it: a crash between leaves neither. A change that
must commit before it is answered (a revocation waits for the nodes) claims its key first and stores the answer later.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final

from django.db import connection, transaction
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from audit import clock
from entitlements.errors import DomainError, Malformed
from entitlements.idempotency.models import IdempotentAnswer

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotent-Replayed"
LONGEST: Final = 255
ABANDONED: Final = timedelta(seconds=60)
"""After this long an unanswered claim belongs to a process that died."""
SENT_ALONG: Final = ("ETag", "Location")


class Mismatch(DomainError):
    """Another request used the same idempotency key. Use a new key."""

    code, status = "idempotency_mismatch", HTTPStatus.UNPROCESSABLE_ENTITY


class InFlight(DomainError):
    """The first request with this idempotency key is still running. Try again later."""

    code, status = "idempotency_in_flight", HTTPStatus.CONFLICT


class BadKey(Malformed):
    """An idempotency key must have 1 to 255 printable ASCII characters."""

    code = "idempotency_key_malformed"


def once(
    caller: str, request: Request, run: Callable[[], Response], *, durable: bool, secrets: frozenset[str]
) -> Response:
    """Run a change once for each (caller, key). Without a key it simply runs.

    `durable` changes commit on their own; all others run in one transaction with their answer. `secrets` names the
    fields that are shown once: they are not stored, a replay holds null instead. Raises Mismatch, InFlight, BadKey and
    whatever `run` raises, after which nothing is stored and the key is free.
    """
    key = request.headers.get(HEADER)
    if key is None:
        if durable:
            return run()
        with transaction.atomic():
            return run()
    if not 0 < len(key) <= LONGEST or not (key.isascii() and key.isprintable()):
        raise BadKey
    slot = _Slot(_name(caller), key, fingerprint(request), secrets)
    return slot.durably(run) if durable else slot.in_one_transaction(run)


def fingerprint(request: Request) -> str:
    """Return what makes two requests the same: method, address and parsed body."""
    body = json.dumps(request.data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{request.method}\n{request.get_full_path()}\n{body}".encode()).hexdigest()


class _Slot:
    """The place of one key of one caller."""

    def __init__(self, caller: str, key: str, fingerprint: str, secrets: frozenset[str]) -> None:
        self.caller, self.key, self.fingerprint, self.secrets = caller, key, fingerprint, secrets

    def in_one_transaction(self, run: Callable[[], Response]) -> Response:
        with transaction.atomic():
            if (stored := self._stored()) is not None:
                return self._replay(stored)
            response = run()
            IdempotentAnswer.objects.create(**self._where(), fingerprint=self.fingerprint, **self._answer(response))
            return response

    def durably(self, run: Callable[[], Response]) -> Response:
        with transaction.atomic():
            stored = self._stored()
            if stored is not None and (stored.status is not None or stored.created_at > clock.now() - ABANDONED):
                return self._replay(stored)
            IdempotentAnswer.objects.update_or_create(
                principal=self.caller,
                key=self.key,
                defaults={"fingerprint": self.fingerprint, "created_at": clock.now()},
            )
        try:
            response = run()
        except BaseException:
            IdempotentAnswer.objects.filter(**self._where(), status=None).delete()
            raise
        IdempotentAnswer.objects.filter(**self._where()).update(**self._answer(response))
        return response

    def _stored(self) -> IdempotentAnswer | None:
        """Return the stored row, under a lock that only one request with this key gets. Raises InFlight."""
        digest = hashlib.blake2b(f"idempotency:{self.caller}:{self.key}".encode(), digest_size=8).digest()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [int.from_bytes(digest, "big", signed=True)])
            (locked,) = cursor.fetchone() or (False,)
        if not locked:
            raise InFlight
        return IdempotentAnswer.objects.filter(**self._where()).first()

    def _where(self) -> dict[str, str]:
        return {"principal": self.caller, "key": self.key}

    def _replay(self, stored: IdempotentAnswer) -> Response:
        if stored.fingerprint != self.fingerprint:
            raise Mismatch
        if stored.status is None:
            raise InFlight
        return Response(stored.body, status=stored.status, headers={**stored.headers, REPLAYED: "true"})

    def _answer(self, response: Response) -> dict[str, Any]:
        body = json.loads(JSONRenderer().render(response.data) or b"null")
        if isinstance(body, Mapping):
            body = {name: None if name in self.secrets else value for name, value in body.items()}
        headers = {name: response[name] for name in SENT_ALONG if name in response}
        return {"status": response.status_code, "body": body, "headers": headers}


def _name(caller: str) -> str:
    longest = 120
    return caller if len(caller) <= longest else hashlib.sha256(caller.encode()).hexdigest()
