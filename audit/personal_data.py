"""Personal values: outside the leaf, encrypted under a key of their subject, erased by destroying that key."""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from cryptography.exceptions import InvalidTag
from django.db import transaction

from audit import chain, encryption, redaction
from audit.models import Event, SubjectKey

_PURPOSE = b"subject keys"
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class SealedValues:
    """Commitments for the body, by subject, and encrypted values for the column beside it."""

    commitments: dict[str, str]
    values: dict[str, dict[str, str]]


@dataclass(frozen=True, slots=True)
class Opening:
    """One subject's values, and the salt by which anyone can check them against the commitment in the body."""

    subject: str
    values: Any
    salt: str


class PersonalDataAltered(RuntimeError):
    """The encrypted personal values of an event do not fit the commitment in its body."""

    code = "personal_data_altered"


def seal(uuid: UUID, personal: Mapping[str, Mapping[str, object]]) -> SealedValues:
    """Encrypt each subject's values for the event `uuid` and commit to them. Runs in the caller's transaction."""
    commitments, values = dict[str, str](), dict[str, dict[str, str]]()
    for subject in sorted(personal):
        key_id, key = _key_for(subject)
        plain = chain.canonical(redaction.clean(personal[subject], f"personal.{subject}"))
        value = encryption.encrypt([key], plain, _place(subject, uuid))
        commitments[subject] = commitment(_salt(key, uuid), plain)
        values[subject] = {"key": str(key_id), "value": base64.b64encode(value).decode()}
    return SealedValues(commitments, values)


def commitment(salt: bytes, plain: bytes) -> str:
    """HMAC-SHA256 over the canonical values: without the salt no one can try out guesses."""
    return hmac.new(salt, plain, hashlib.sha256).hexdigest()


def openings(event: Event) -> list[Opening]:
    """Return what of an event's personal values is still readable. Raises PersonalDataAltered."""
    readable: list[Opening] = []
    for subject, kept in (event.personal or {}).items():
        row = SubjectKey.objects.filter(subject=subject, key_id=kept["key"]).exclude(wrapped=None).first()
        if row is None:
            continue  # erased
        key = _unwrap(row)
        try:
            plain = encryption.decrypt([key], base64.b64decode(kept["value"]), _place(subject, event.uuid))
        except InvalidTag as error:
            message = f"{event.uuid}, {subject}"
            raise PersonalDataAltered(message) from error
        salt = _salt(key, event.uuid)
        if not hmac.compare_digest(commitment(salt, plain), event.parsed.part("personal").text(subject)):
            message = f"{event.uuid}, {subject}"
            raise PersonalDataAltered(message)
        readable.append(Opening(subject, json.loads(plain), salt.hex()))
    return readable


def _key_for(subject: str) -> tuple[UUID, bytes]:
    """The subject's key; a new one where there is none, or where the last was erased."""
    row = SubjectKey.objects.filter(subject=subject).exclude(wrapped=None).first()
    if row is None:
        fresh, key_id = secrets.token_bytes(_KEY_BYTES), uuid4()
        SubjectKey.objects.bulk_create(
            [SubjectKey(subject=subject, key_id=key_id, wrapped=_wrap(subject, key_id, fresh))], ignore_conflicts=True
        )
        SubjectKey.objects.filter(subject=subject, wrapped=None).update(
            key_id=key_id, wrapped=_wrap(subject, key_id, fresh), erased_at=None
        )
        row = SubjectKey.objects.get(subject=subject)  # another transaction's, where it was first
    return row.key_id, _unwrap(row)


@transaction.atomic
def rewrap(after: str, most: int) -> tuple[str, int] | None:
    """Wrap again, of the `most` keys that follow the subject `after`, those that lie under another key-encryption key.

    Returns the last subject looked at and how many were wrapped again; None when no subject follows.
    """
    rows = SubjectKey.objects.filter(subject__gt=after).exclude(wrapped=None).order_by("subject")
    rows_here = list(rows.select_for_update()[:most])
    current = encryption.beginning(_root_keys()[0])
    others = [row for row in rows_here if not bytes(row.wrapped or b"").startswith(current)]
    for row in others:
        row.wrapped = _wrap(row.subject, row.key_id, _unwrap(row))
        row.save(update_fields=["wrapped"])
    return (rows_here[-1].subject, len(others)) if rows_here else None


def _wrap(subject: str, key_id: UUID, key: bytes) -> bytes:
    return encryption.encrypt(_root_keys(), key, f"subject-key {subject} {key_id}")


def _unwrap(row: SubjectKey) -> bytes:
    """Return the subject's key. Raises InvalidTag when it lies under another key-encryption key."""
    return encryption.decrypt(_root_keys(), row.wrapped or b"", f"subject-key {row.subject} {row.key_id}")


def _root_keys() -> list[bytes]:
    return encryption.keys_for(_PURPOSE, "KEY_ENCRYPTION_KEY")


def _place(subject: str, uuid: UUID) -> str:
    return f"personal {subject} {uuid}"


def _salt(key: bytes, uuid: UUID) -> bytes:
    return hmac.new(key, b"commitment " + uuid.bytes, hashlib.sha256).digest()
