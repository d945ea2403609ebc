"""The credentials that open upstream systems: written once, sealed, opened only where a call goes out.

No answer, event, log line or export holds a credential: people see its last four characters and its fingerprint.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

import msgspec
from django.db import transaction
from django.db.models import BinaryField
from django.db.models.functions import Substr

from audit import clock, log
from audit.actions import Action
from audit.context import Principal
from entitlements.catalog.models import System
from entitlements.errors import DomainError
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock
from entitlements.secrets.models import Secret

from . import seal

_HEADER: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
_VALUE: Final = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_SHORTEST, _LONGEST = 8, 8192
REMOVED: Final = b"[removed]"
_OURS: Final = frozenset(
    {"host", "content-length", "content-type", "transfer-encoding", "connection", "accept", "cookie", "te", "upgrade"}
)


class CredentialMalformed(DomainError):
    """A credential must have 8 to 8192 printable ASCII characters, and its header must be an ordinary one."""

    code, status = "credential_malformed", HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True)
class Credential:
    """The header that opens an upstream. `secret` is the part that must show up nowhere."""

    header: str
    value: str = field(repr=False)
    secret: bytes = field(repr=False)

    def removed_from(self, text: bytes) -> bytes:
        r"""Return a JSON text without the secret, written in whichever way: `/` is also `\/` and any letter `\u....`.

        Raises msgspec.MsgspecError, UnicodeDecodeError or RecursionError when the text is not JSON.
        """
        written = msgspec.json.encode(self.secret.decode())[1:-1]
        if b"\\u" in text or b"\\/" in text or written != self.secret:
            plain = msgspec.json.encode(msgspec.json.decode(text))
            return plain.replace(written, REMOVED) if written in plain else text
        return text.replace(self.secret, REMOVED) if self.secret in text else text


def place(system_id: int) -> str:
    """Return what a system's sealed credential is bound to, so that it opens in no other row."""
    return f"upstream-credential:{system_id}"


def fingerprint(secret: bytes) -> str:
    """Return what people see of a credential beside its last four characters."""
    return hashlib.sha256(secret).hexdigest()[:16]


@transaction.atomic
def set_secret(system: System, *, kind: str, value: str, by: Principal, header: str = "Authorization") -> Secret:
    """Store the credential that the gateway sends upstream, replacing any before. Raises CredentialMalformed."""
    if kind not in Secret.Kind.values or not _HEADER.fullmatch(header) or header.lower() in _OURS:
        raise CredentialMalformed
    if header.lower().startswith("mcp-") or not _SHORTEST <= len(value) <= _LONGEST or not _VALUE.fullmatch(value):
        raise CredentialMalformed
    printed = fingerprint(value.encode())
    _lock(system)
    secret, _ = Secret.objects.update_or_create(
        system=system,
        defaults={
            "kind": kind,
            "header": header,
            "sealed": seal.seal(value.encode(), place(system.pk)),
            "last_four": value[-4:],
            "fingerprint": printed,
            "changed_at": clock.now(),
            "withheld_at": None,
        },
    )
    log.record(
        Action.SECRET_SET,
        about=[f"system:{system.slug}"],
        by=by,
        detail={"kind": kind, "header": header, "fingerprint": printed},
    )
    changes.note(subjects.system(system.pk))
    return secret


@transaction.atomic
def withhold(system: System, printed: str, *, by: Principal, reason: str) -> bool:
    """Stop sending a credential, and keep it. Returns whether it was in use; another one by now is left alone."""
    _lock(system)
    rows = Secret.objects.filter(system=system, fingerprint=printed, withheld_at=None)
    return _changed(Action.SECRET_WITHHELD, rows.update(withheld_at=clock.now()), system, printed, by, reason)


@transaction.atomic
def resume(system: System, printed: str, *, by: Principal, reason: str) -> bool:
    """Send a credential again that was withheld. Says whether it is there; another one by now is left alone."""
    _lock(system)
    rows = Secret.objects.filter(system=system, fingerprint=printed, withheld_at__isnull=False)
    return _changed(Action.SECRET_GIVEN_BACK, rows.update(withheld_at=None), system, printed, by, reason)


@transaction.atomic
def forget(system: System, printed: str, *, by: Principal, reason: str) -> bool:
    """Forget a credential that is withheld, for good. Says whether it was there; another one by now is left alone."""
    _lock(system)
    gone, _ = Secret.objects.filter(system=system, fingerprint=printed, withheld_at__isnull=False).delete()
    return _changed(Action.SECRET_FORGOTTEN, gone, system, printed, by, reason)


def _lock(system: System) -> None:
    locks.exclusive((Lock.SYSTEM, system.pk))


def _changed(action: Action, count: int, system: System, printed: str, by: Principal, reason: str) -> bool:
    """Record what was done to a credential, and tell the nodes, if there was one to do it to."""
    if not count:
        return False
    log.record(action, about=[f"system:{system.slug}"], by=by, reason=reason, detail={"fingerprint": printed})
    changes.note(subjects.system(system.pk))
    return True


@transaction.atomic
def reseal(most: int) -> int:
    """Seal up to `most` credentials again that lie under another key-encryption key; says how many. Raises SealBroken.

    The credential itself stays, so no node need hear of it.
    """
    others = Secret.objects.annotate(begins=Substr("sealed", 1, seal.BEGINNING, output_field=BinaryField())).exclude(
        begins=seal.beginning()
    )
    rows = others.order_by("pk").select_for_update()[:most]
    for row in rows:
        row.sealed = seal.reseal(bytes(row.sealed), place(row.system_id))
        row.save(update_fields=["sealed"])
    return len(rows)


def open_for(system: System) -> Credential | None:
    """Open a system's credential for the gateway or discovery alone; None where there is none, or it is withheld.

    Raises SealBroken.
    """
    row = Secret.objects.filter(system=system, withheld_at=None).values_list("kind", "header", "sealed").first()
    return None if row is None else opened(system.pk, row[0], row[1], bytes(row[2]))


def opened(system_id: int, kind: str, header: str, sealed: bytes) -> Credential:
    """Open a sealed row that was read by other means. Raises SealBroken."""
    value = seal.unseal(sealed, place(system_id)).decode()
    return Credential(header, f"Bearer {value}" if kind == Secret.Kind.BEARER else value, value.encode())
