"""The credentials that open upstream systems: written once, sealed, opened only where a call goes out.

No answer, event, log line or export holds a credential: people see its last four characters and its fingerprint.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import msgspec
from django.db import transaction
from django.db.models import BinaryField, Q
from django.db.models.functions import Substr

from audit import clock, log
from audit.actions import Action
from audit.context import Principal
from entitlements.catalog.models import System
from entitlements.credential_policy import policy
from entitlements.credential_policy.rules import Kind, Policy
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock
from entitlements.secrets.models import Secret

from . import kinds, seal

COLUMNS: Final = """
s.kind, s.header, s.sealed, s.changed_at, s.previous_kind, s.previous_header, s.previous_sealed, s.previous_ends_at
"""
"""Of a secret `s`: what `opened` takes, of the newest and of the one before."""
_VALUE_ALONE: Final = frozenset({Secret.Kind.BEARER, Secret.Kind.HEADER})
"""The kinds without settings: what is sealed is the value itself, as the releases before read it."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What opens an upstream. `secret` is the part that must show up nowhere.

    `value` is sent in `header` with each request, and empty for a kind that authorizes each request by itself
    (`upstream.authorization`). `previous` is sent until `previous_ends` where the upstream refuses this one. From
    `ends` on, where there is such a time, neither is sent: this one is too old.
    """

    header: str
    value: str = field(repr=False)
    secret: bytes = field(repr=False)
    previous: Credential | None = None
    previous_ends: datetime | None = None
    ends: datetime | None = None
    kind: str = Secret.Kind.BEARER
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def forms(self) -> tuple[bytes, ...]:
        """Each form of the secret that must not come back from an upstream; of the one before as well."""
        before = () if self.previous is None else self.previous.forms
        return kinds.forms(self.kind, self.secret.decode(), self.settings) + before

    @property
    def identity(self) -> tuple[str, str]:
        """What is the same as long as the credential is: header and value, else the kind and a digest."""
        if self.value:
            return self.header, self.value
        parts = msgspec.json.encode((self.secret, self.settings), order="deterministic")
        return self.kind, hashlib.sha256(parts).hexdigest()

    @property
    def is_too_old(self) -> bool:
        """Whether the policy forbids to send it any longer."""
        return self.ends is not None and clock.now() >= self.ends

    @property
    def fallback(self) -> Credential | None:
        """The credential before, while the overlap lasts."""
        works = self.previous_ends is not None and clock.now() < self.previous_ends
        return self.previous if works else None

    def removed_from(self, text: bytes) -> bytes:
        r"""Return a JSON text without the secret, written in whichever way: `/` is also `\/` and any letter `\u....`.

        Raises msgspec.MsgspecError, UnicodeDecodeError or RecursionError when the text is not JSON.
        """
        return kinds.removed(text, self.forms)


class _Sealed(msgspec.Struct):
    """What is sealed of a credential that has settings."""

    value: str
    settings: dict[str, str]


_read_sealed: Final = msgspec.json.Decoder(_Sealed)


def place(system_id: int, kind: str = Secret.Kind.BEARER) -> str:
    """Return what a system's sealed credential is bound to, so that it opens in no other row.

    One with settings is bound to its kind too: a release that knows no such kind, as the one before, cannot open it and
    sends it nowhere.
    """
    bound = f"upstream-credential:{system_id}"
    return bound if kind in _VALUE_ALONE else f"{bound}:{kind}"


def fingerprint(secret: bytes) -> str:
    """Return what people see of a credential beside its last four characters."""
    return hashlib.sha256(secret).hexdigest()[:16]


@transaction.atomic
def set_secret(
    system: System,
    *,
    kind: str,
    value: str,
    by: Principal,
    header: str = kinds.AUTHORIZATION,
    settings: Mapping[str, str] | None = None,
    keep_previous: bool = False,
) -> Secret:
    """Store the credential that the gateway sends upstream, replacing any before.

    `settings` are those of the kind (`kinds.SETTINGS`). With `keep_previous` the one before is sent, until the overlap
    of the credential policy ends, where the upstream refuses the new one. Raises CredentialMalformed.
    """
    described = kinds.checked(kind, value, header, settings or {})
    printed = fingerprint(value.encode())
    _lock(system)
    secret, _ = Secret.objects.update_or_create(
        system=system,
        defaults={
            **_previous(system, keep=keep_previous),
            "kind": kind,
            "header": header,
            "settings": described,
            "sealed": _sealed(system.pk, kind, value, described),
            "last_four": kinds.last_four(kind, value, described),
            "fingerprint": printed,
            "changed_at": clock.now(),
            "withheld_at": None,
        },
    )
    detail: dict[str, object] = {
        "kind": kind,
        "header": header,
        "fingerprint": printed,
        "keeps_previous": keep_previous,
    }
    if goes_to := described.get("token_url") or described.get("issuer"):
        detail["goes_to"] = goes_to
    if over := described.get("token_network"):
        detail["goes_over"] = over
    log.record(Action.SECRET_SET, about=[f"system:{system.slug}"], by=by, detail=detail)
    changes.note(subjects.system(system.pk))
    return secret


def _sealed(system_id: int, kind: str, value: str, settings: Mapping[str, str]) -> bytes:
    """Seal a credential with its settings, so that a change of the row sends it nowhere else."""
    plain = value.encode() if kind in _VALUE_ALONE else msgspec.json.encode({"value": value, "settings": settings})
    return seal.seal(plain, place(system_id, kind))


@transaction.atomic
def remove_secret(system: System, *, by: Principal) -> None:
    """Delete the credential of a system, and the one before it. Without one, nothing changes."""
    _lock(system)
    row = Secret.objects.filter(system=system).first()
    if row is not None:
        row.delete()
        _changed(Action.SECRET_FORGOTTEN, 1, system, row.fingerprint, by, "")


def _previous(system: System, *, keep: bool) -> dict[str, Any]:
    """Return the columns of the credential before: what is in use now, or none."""
    now = Secret.objects.filter(system=system, withheld_at=None).first() if keep else None
    ends = None if now is None else clock.now() + policy.current().overlap
    return {
        "previous_kind": "" if now is None else now.kind,
        "previous_header": "" if now is None else now.header,
        "previous_sealed": None if now is None else now.sealed,
        "previous_ends_at": ends,
    }


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
    begins = {
        f"{name}_begins": Substr(name, 1, seal.BEGINNING, output_field=BinaryField())
        for name in ("sealed", "previous_sealed")
    }
    under = seal.beginning()
    others = Secret.objects.annotate(**begins).filter(
        ~Q(sealed_begins=under) | (Q(previous_sealed__isnull=False) & ~Q(previous_sealed_begins=under))
    )
    rows = others.order_by("pk").select_for_update()[:most]
    for row in rows:
        row.sealed = seal.reseal(bytes(row.sealed), place(row.system_id, row.kind))
        if row.previous_sealed is not None:
            row.previous_sealed = seal.reseal(bytes(row.previous_sealed), place(row.system_id, row.previous_kind))
        row.save(update_fields=["sealed", "previous_sealed"])
    return len(rows)


def open_for(system: System) -> Credential | None:
    """Open a system's credential for the gateway or discovery alone; None where there is none, or it is withheld.

    Raises SealBroken.
    """
    row = Secret.objects.filter(system=system, withheld_at=None).first()
    if row is None:
        return None
    before = (row.previous_kind, row.previous_header, row.previous_sealed, row.previous_ends_at)
    return opened(system.pk, (row.kind, row.header, row.sealed, row.changed_at), before, policy.current())


type SealedRow = tuple[str, str, bytes | memoryview | None, datetime | None]
"""Kind, header, what is sealed, and when it was made; of the credential before, when it ends."""


def opened(system_id: int, newest: SealedRow, before: SealedRow, in_force: Policy) -> Credential | None:
    """Open rows that were read by other means; None without a credential. Raises SealBroken."""
    credential, previous = _opened(system_id, newest), _opened(system_id, before)
    if credential is None or newest[3] is None:
        return None
    ends = in_force.ends_at(Kind.UPSTREAM_SECRET, newest[3]) if in_force.stops_upstream_secrets else None
    return replace(credential, previous=previous, previous_ends=before[3], ends=ends)


def _opened(system_id: int, row: SealedRow) -> Credential | None:
    kind, header, sealed, _ = row
    return None if sealed is None else unsealed(system_id, kind, bytes(sealed), header)


def unsealed(system_id: int, kind: str, sealed: bytes, header: str = kinds.AUTHORIZATION) -> Credential:
    """Open what is sealed of a credential, and nothing of the one before. Raises SealBroken."""
    plain = seal.unseal(sealed, place(system_id, kind))
    held = _Sealed(plain.decode(), {}) if kind in _VALUE_ALONE else _read_sealed.decode(plain)
    sent = kinds.static_value(kind, held.value, held.settings)
    return Credential(header, sent, held.value.encode(), kind=kind, settings=held.settings)
