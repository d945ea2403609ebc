"""Actions on vendors: register one with its system, edit it, store a person's name there, and the test client."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final, TypedDict, Unpack

from django.conf import settings
from django.db import IntegrityError, transaction

from audit import log
from audit.actions import Action
from audit.context import Principal
from entitlements import addresses
from entitlements.catalog import move, systems
from entitlements.catalog.models import System
from entitlements.clients import aliases
from entitlements.clients.models import Client, ClientAlias
from entitlements.conflicts import independence
from entitlements.definition_watch import discovery_schedule
from entitlements.errors import DomainError, NotFound, ReasonRequired, Stale
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock
from entitlements.people.models import Person
from entitlements.secrets import seal, vault
from entitlements.unmanaged_agents.models import PathTerms
from entitlements.vendors import rules
from entitlements.vendors.models import Vendor, VendorSubject
from entitlements.vendors.rules import ScopeNames, Subjects, WayToJoin

MOST_RESOURCES: Final = 20
_SHORTEST_SECRET: Final = 8
_LONGEST_SECRET: Final = 8192
_PRINTABLE: Final = re.compile(r"[\x21-\x7e]+")
_LONGEST_URL: Final = 500


class VendorMalformed(DomainError):
    """A vendor needs an https issuer of its own without query and fragment, resources, and a known way to join."""

    code, status = "vendor_malformed", HTTPStatus.UNPROCESSABLE_ENTITY


class IssuerTaken(DomainError):
    """The issuer belongs to another system. Enter the further resources there."""

    code, status = "vendor_issuer_taken", HTTPStatus.CONFLICT


class ThroughGateway(DomainError):
    """A vendor that takes no ID-JAGs is reached through the gateway. Register a system of the kind mcp_gateway."""

    code, status = "vendor_through_gateway", HTTPStatus.UNPROCESSABLE_ENTITY


class NameTaken(DomainError):
    """Another person has this name at the vendor. Each name there is of one person."""

    code, status = "vendor_name_taken", HTTPStatus.CONFLICT


class VendorMissing(DomainError):
    """The system has no authorization server of its own. Register it as a vendor to agree on one."""

    code, status = "vendor_missing", HTTPStatus.CONFLICT


class VendorChanges(TypedDict, total=False):
    """What is agreed with a vendor; an absent field is left as it is, or is the default of a new vendor."""

    issuer: str
    resources: Sequence[str]
    joins: str
    issues: bool
    subjects: str
    scope_names: str
    extra_claims: Sequence[str]


GATEWAY: Final = "gateway"
"""The answer to how a vendor joins that makes it a system of another kind."""
_DEFAULTS: Final[Mapping[str, Any]] = {
    "joins": WayToJoin.OUR_ISSUER.value,
    "issues": True,
    "subjects": Subjects.PAIRWISE.value,
    "scope_names": ScopeNames.WHOLE.value,
    "extra_claims": [],
}
_MOVES: Final = frozenset({"issuer", "resources", "joins", "subjects", "extra_claims"})
"""What says whom a person's assertion goes to, and as whom: a change needs a reason."""


@transaction.atomic
def register(
    slug: str,
    *,
    name: str,
    owner: Person | None,
    by: Principal,
    client_ids: Mapping[str, str] | None = None,
    token_seconds: int | None = None,
    signing_algorithm: str | None = None,
    **terms: Unpack[VendorChanges],
) -> System:
    """Add a system of the kind `mcp` with its vendor; `client_ids` are the clients' identifiers there (EMA-I-10).

    Raises VendorMalformed, IssuerTaken, ThroughGateway, NotFound for an unknown client, and what
    registering a system raises.
    """
    fields: dict[str, Any] = {**_DEFAULTS, "issuer": "", "resources": [], **terms}
    check(fields)
    given = {"token_seconds": token_seconds, "signing_algorithm": signing_algorithm}
    options: Any = {option: value for option, value in given.items() if value}
    address = str(fields["resources"][0])
    system = systems.add_system(
        slug, name=name, kind=System.Kind.MCP, owner=owner, upstream_url=address, by=by, detail=fields, **options
    )
    _write(Vendor(system=system, salt=secrets.token_hex(32)), fields)
    for client_id, foreign_id in (client_ids or {}).items():
        name_client(system, client_id=client_id, foreign_id=foreign_id, by=by)
    return system


@transaction.atomic
def edit(
    system: System, *, by: Principal, version: int | None = None, reason: str = "", **terms: Unpack[VendorChanges]
) -> System:
    """Change what is agreed with a vendor. `version` is that of the system which the change was made from.

    Another issuer, resource or way to join needs a reason. The test client is one of the server that it was registered
    at: with another issuer it is forgotten. Raises Stale, VendorMissing, ReasonRequired and as `register`.
    """
    locked, vendor = _locked(system)
    if version is not None and locked.version != version:
        raise Stale
    changed = {name: _plain(value) for name, value in terms.items() if getattr(vendor, name) != _plain(value)}
    if not changed:
        return locked
    if changed.keys() & _MOVES and not reason.strip():
        raise ReasonRequired
    was = {name: getattr(vendor, name) for name in changed}
    check({**{name: getattr(vendor, name) for name in (*_DEFAULTS, "issuer", "resources")}, **changed})
    detail: dict[str, object] = {name: {"from": was[name], "to": value} for name, value in changed.items()}
    if "issuer" in changed:
        detail |= _forget(vendor)
    _write(vendor, changed)
    locked.version += 1
    moves = locked.upstream_url != vendor.resources[0]
    locked.upstream_url = vendor.resources[0]
    locked.save(update_fields=["upstream_url", "version"])
    log.record(Action.SYSTEM_EDITED, about=[f"system:{locked.slug}"], by=by, reason=reason, detail=detail)
    if moves:
        move.quarantine_all(locked, by=by, reason=reason)
        discovery_schedule.schedule_now(locked)
    changes.note(subjects.system(locked.pk))
    return locked


def name_client(system: System, *, client_id: str, foreign_id: str, by: Principal) -> None:
    """Enter under which identifier the vendor's server knows a client.

    Raises VendorMissing, NotFound, VendorMalformed, NameTaken.
    """
    _locked(system)
    client = Client.objects.filter(client_id=client_id).first()
    if client is None:
        raise NotFound
    if not foreign_id or not _PRINTABLE.fullmatch(foreign_id):
        raise VendorMalformed("A client identifier has printable ASCII characters and no spaces.", client=client_id)
    try:
        with transaction.atomic():
            aliases.name_at(client, system, foreign_id, by=by)
    except IntegrityError as error:
        raise NameTaken("Another client has this identifier at the vendor.", client=client_id) from error


@transaction.atomic
def name_person(system: System, *, person: Person, subject: str, by: Principal) -> None:
    """Store by which name the vendor knows a person; an empty one is forgotten. Raises VendorMissing, NameTaken.

    No one names an account of their own: they could be another person there (SelfAppointment). The name is personal
    data: the audit log keeps it sealed, and erasing the person's data erases it.
    """
    independence.check_membership([person], by=by)
    locked, vendor = _locked(system)
    rows = VendorSubject.objects.filter(vendor=vendor, person=person)
    if not subject:
        rows.delete()
    else:
        try:
            with transaction.atomic():
                VendorSubject.objects.update_or_create(vendor=vendor, person=person, defaults={"subject": subject})
        except IntegrityError as error:
            raise NameTaken from error
    link = f"person:{person.login}"
    log.record(
        Action.PERSON_NAMED_AT_SYSTEM,
        about=[link, f"system:{locked.slug}"],
        by=by,
        detail={"stored": bool(subject)},
        personal={link: {"subject": subject}} if subject else {},
    )
    changes.note(subjects.system(locked.pk))


@transaction.atomic
def set_test_client(system: System, *, client_id: str, value: str, by: Principal) -> System:
    """Store a client that is registered at the vendor for tests of trust, its secret sealed.

    Raises VendorMalformed, VendorMissing.
    """
    if not _PRINTABLE.fullmatch(client_id) or not _PRINTABLE.fullmatch(value):
        raise VendorMalformed("The test client's identifier and secret have printable ASCII characters and no spaces.")
    if not _SHORTEST_SECRET <= len(value) <= _LONGEST_SECRET:
        raise VendorMalformed("The test client's secret has 8 to 8192 characters.")
    locked, vendor = _locked(system)
    vendor.test_client_id, vendor.test_fingerprint = client_id, vault.fingerprint(value.encode())
    vendor.test_secret = seal.seal(value.encode(), place(system.pk))
    vendor.save(update_fields=["test_client_id", "test_fingerprint", "test_secret"])
    detail = {"client_id": client_id, "fingerprint": vendor.test_fingerprint, "purpose": "test of trust"}
    log.record(Action.SECRET_SET, about=[f"system:{locked.slug}"], by=by, detail=detail)
    changes.note(subjects.system(locked.pk))
    return locked


def _forget(vendor: Vendor) -> dict[str, object]:
    """Forget what was of the server before: names of people and clients, the test, the lifetime that it measured.

    The pairwise names become others. Returns what the event says of it.
    """
    people, _ = VendorSubject.objects.filter(vendor=vendor).delete()
    clients, _ = ClientAlias.objects.filter(system=vendor.system).delete()
    vendor.test_client_id, vendor.test_secret, vendor.test_fingerprint = "", None, ""
    vendor.trust_test, vendor.tested_at, vendor.salt = None, None, secrets.token_hex(32)
    measured = PathTerms.objects.filter(system=vendor.system, token_basis=PathTerms.Basis.MEASURED)
    measured.update(token_basis=PathTerms.Basis.UNKNOWN, token_seconds=None)
    return {"forgotten": {"people": people, "clients": clients, "test": True}}


@transaction.atomic
def reseal(most: int) -> int:
    """Seal up to `most` secrets of test clients again that lie under another key-encryption key. Raises SealBroken."""
    rows = Vendor.objects.exclude(test_secret=None).order_by("pk").select_for_update()
    others = [row for row in rows if not bytes(row.test_secret or b"").startswith(seal.beginning())][:most]
    for row in others:
        row.test_secret = seal.reseal(bytes(row.test_secret or b""), place(row.system_id))
        row.save(update_fields=["test_secret"])
    return len(others)


def place(system_id: int) -> str:
    """Return what the secret of a test client is bound to, so that it opens in no other row."""
    return f"vendor-test-client:{system_id}"


def check(fields: Mapping[str, Any]) -> None:
    """Refuse terms that cannot be kept. Raises VendorMalformed, ThroughGateway."""
    if fields["joins"] == GATEWAY:
        raise ThroughGateway
    choices: Mapping[str, type[StrEnum]] = {"joins": WayToJoin, "subjects": Subjects, "scope_names": ScopeNames}
    is_known = all(fields[name] in set(choices[name]) for name in choices)
    if not is_known or not set(fields["extra_claims"]) <= set(rules.EXTRA_CLAIMS):
        raise VendorMalformed
    _check_address(fields["issuer"], is_issuer=True)
    resources = fields["resources"]
    if not 0 < len(resources) <= MOST_RESOURCES or len(set(resources)) != len(resources):
        raise VendorMalformed("A vendor has at least one resource, each once.")
    for resource in resources:
        _check_address(resource, is_issuer=False)


def _check_address(text: str, *, is_issuer: bool) -> None:
    """Refuse an address that is no issuer (RFC 8414 section 2) or no resource (RFC 8707 section 2), or is ours."""
    parts = addresses.parts(text)
    schemes = {"https", "http"} if settings.DEMO else {"https"}
    whole = parts and parts.scheme in schemes and parts.hostname and not parts.username and "#" not in text
    if not whole or not _PRINTABLE.fullmatch(text) or len(text) > _LONGEST_URL or (is_issuer and "?" in text):
        what = "The issuer" if is_issuer else "A resource"
        raise VendorMalformed(f"{what} is an https address without user name and fragment.", address=text)
    ours = (settings.CONSOLE_URL, settings.EDGE_URL, settings.GATEWAY_URL)
    if any(text == own or text.startswith(f"{own}/") for own in ours):
        raise VendorMalformed("This address is Mandate's own, not a vendor's.", address=text)


def _write(vendor: Vendor, fields: Mapping[str, Any]) -> None:
    for name, value in fields.items():
        setattr(vendor, name, _plain(value))
    try:
        with transaction.atomic():
            vendor.save()
    except IntegrityError as error:
        raise IssuerTaken(issuer=vendor.issuer) from error


def _locked(system: System) -> tuple[System, Vendor]:
    locks.exclusive((Lock.SYSTEM, system.pk))
    vendor = Vendor.objects.select_related("system").filter(system=system.pk).first()
    if vendor is None:
        raise VendorMissing
    return vendor.system, vendor


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple | list) else value
