"""Clients that register themselves (RFC 7591): the registration, sealed, is the client's identifier.

So nothing is kept for a stranger. It is bound to the issuer at which it was made, and opens for an hour: that is how
long a client has until a person first signs in to it. From then on a row is what counts.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

import msgspec

from entitlements.clients import metadata
from entitlements.clients.metadata import BadMetadata, Metadata
from entitlements.decisions.reads import Reads
from entitlements.errors import DomainError
from entitlements.keys import session_keys
from entitlements.words import LONGEST_CLIENT_ID

LIFE: Final = timedelta(hours=1)
_BEGINNING: Final = "reg."
"""What such an identifier begins with; none that a person gives is an address or begins like this by chance."""
_ISSUER: Final = "registered_at"
"""The member of the document that names the issuer's path."""


class RegistrationUnknown(DomainError):
    """The client's registration is not of this server, or is over: no person signed in within an hour. Register again.

    A client that was registered at one system registers at each other by itself.
    """

    code, status = "client_registration_unknown", HTTPStatus.BAD_REQUEST


class Registration(msgspec.Struct, frozen=True, array_like=True):
    """What an identifier holds: the issuer's path, when it was made (epoch seconds), and what the client says."""

    issuer_path: str
    issued: int
    redirect_uris: tuple[str, ...]
    name: str
    scope: str
    client_uri: str


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Registration).decode


def is_one(client_id: str) -> bool:
    """Say whether a client identifier has the form of a registration, authentic or not."""
    return client_id.startswith(_BEGINNING)


def read(document: object) -> Metadata:
    """Read what a client wants to register: a public client. Raises as `metadata.read`, and BadMetadata."""
    wanted = metadata.read(document)
    if wanted.auth != metadata.NONE:
        raise BadMetadata("A client that registers itself is public: token_endpoint_auth_method is none.")
    return wanted


async def sealed(reads: Reads, issuer_path: str, wanted: Metadata, now: datetime) -> tuple[str, Registration]:
    """Register a client; its identifier comes first. Raises BadMetadata where that would be too long, KeyMissing."""
    registration = Registration(
        issuer_path, int(now.timestamp()), wanted.redirect_uris, wanted.name, wanted.scope, wanted.client_uri
    )
    client_id = _BEGINNING + await session_keys.sealed(reads, _encode(registration), session_keys.REGISTRATIONS)
    if len(client_id) > LONGEST_CLIENT_ID:
        raise BadMetadata("The registration is too long. Give fewer or shorter addresses, and a shorter name.")
    return client_id, registration


async def opened(reads: Reads, client_id: str, issuer_path: str, now: datetime) -> Registration:
    """Return what an identifier holds that was made at this issuer in the last hour. Raises RegistrationUnknown."""
    if not is_one(client_id) or len(client_id) > LONGEST_CLIENT_ID:
        raise RegistrationUnknown
    try:
        plain = await session_keys.opened(reads, client_id.removeprefix(_BEGINNING), session_keys.REGISTRATIONS)
        registration = _decode(plain)
    except (session_keys.NotOurs, msgspec.MsgspecError) as why:
        raise RegistrationUnknown from why
    made = datetime.fromtimestamp(registration.issued, UTC)
    if registration.issuer_path != issuer_path or not made <= now + timedelta(minutes=1) or now >= made + LIFE:
        raise RegistrationUnknown
    return registration


def document(client_id: str, registration: Registration) -> dict[str, Any]:
    """Return the metadata document that a registration stands for, by the names of RFC 7591."""
    optional = {"client_name": registration.name, "scope": registration.scope, "client_uri": registration.client_uri}
    return {
        "client_id": client_id,
        "redirect_uris": [*registration.redirect_uris],
        "token_endpoint_auth_method": metadata.NONE,
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        **{name: value for name, value in optional.items() if value},
        _ISSUER: registration.issuer_path,
    }


def is_of(kept: dict[str, Any], issuer_path: str) -> bool:
    """Say whether a document that was kept is of a registration at this issuer."""
    return bool(kept.get(_ISSUER) == issuer_path)
