"""Where an issuer says that its keys stand: OpenID Connect Discovery 1.0, else RFC 8414. By the guarded way out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from entitlements import addresses
from entitlements.errors import DomainError
from entitlements.keys import jws
from entitlements.upstream import egress

from . import spiffe
from .key_sets import NOT_READ

_NO_KEY: Final = "None of its keys signs in a way that we accept."
_SIGNS: Final = "id_token_signing_alg_values_supported"


class IssuerNotDiscovered(DomainError):
    """The issuer's metadata or keys cannot be read. Check its address, or give the address of its key set."""

    code, status = "issuer_not_discovered", HTTPStatus.UNPROCESSABLE_ENTITY


class IssuerNamedOtherwise(IssuerNotDiscovered):
    """The metadata at this address is of another issuer. Enter the name exactly as the metadata gives it."""

    code = "issuer_named_otherwise"


@dataclass(frozen=True, slots=True)
class Found:
    """What an issuer publishes: its metadata, where its keys stand, and with what they sign."""

    document: Mapping[str, Any]
    jwks_uri: str
    algorithms: tuple[str, ...]


def find(issuer: str, *, signs_people_in: bool = False) -> Found:
    """Read the metadata and the keys of an issuer, outside of any transaction; its name is compared exactly.

    Where people sign in at it, only the metadata of OpenID Connect counts.
    Raises IssuerNotDiscovered, IssuerNamedOtherwise.
    """
    candidates = addresses.metadata_of(issuer)
    document = _document(issuer, candidates[:1] if signs_people_in else candidates)
    uri = document.get("jwks_uri")
    if not isinstance(uri, str):
        raise IssuerNotDiscovered("The issuer's metadata names no jwks_uri.")
    offered = document.get(_SIGNS)
    signs = algorithms_at(uri, issuer)
    chosen = tuple(each for each in signs if not isinstance(offered, list) or each in offered)
    if not chosen:
        raise IssuerNotDiscovered(_NO_KEY)
    return Found(document, uri, chosen)


def algorithms_at(jwks_uri: str, issuer: str) -> tuple[str, ...]:
    """Return what the keys of an issuer at an address sign with, in order. Raises IssuerNotDiscovered."""
    try:
        egress.check_url(jwks_uri)
        keys = spiffe.key_set(issuer, egress.read_json(jwks_uri))
    except NOT_READ as problem:
        raise IssuerNotDiscovered(f"The keys at {jwks_uri} cannot be read: {problem}") from problem
    signs = sorted({key.algorithm for key in keys} & jws.ALGORITHMS)
    if not signs:
        raise IssuerNotDiscovered(_NO_KEY)
    return tuple(signs)


def _document(issuer: str, candidates: Sequence[str]) -> Mapping[str, Any]:
    problem: Exception | None = None
    for address in candidates:
        try:
            document = egress.read_json(address)
        except NOT_READ as error:
            problem = problem or error
            continue
        if not isinstance(document, Mapping) or document.get("issuer") != issuer:
            raise IssuerNamedOtherwise
        return document
    raise IssuerNotDiscovered(f"The metadata of {issuer} cannot be read: {problem}") from problem
