"""Actions on systems: register, edit, disable, enable, and the one that is Mandate itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, TypedDict, Unpack

from django.conf import settings
from django.db import IntegrityError, transaction

from audit import log
from audit.actions import Action
from audit.context import SYSTEM, Principal
from audit.export import timeline
from audit.models import Event
from entitlements import addresses
from entitlements.catalog.models import System
from entitlements.conflicts import independence
from entitlements.definition_watch import discovery_schedule
from entitlements.errors import NotFound, ReasonRequired, Stale
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock
from entitlements.keys import signing
from entitlements.networks import certificates, networks
from entitlements.people.models import Person
from entitlements.secrets.models import Secret
from entitlements.upstream import egress
from entitlements.vendors.models import Vendor

from . import errors, move

STDIO_SCHEME: Final = "stdio:"
"""What stands before the command's name where another system has its address."""
_SLUG: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class SystemOptions(TypedDict, total=False):
    """How a system is spoken to."""

    denial_shape: str
    token_seconds: int
    signing_algorithm: str


class SystemChanges(SystemOptions, total=False):
    """What can be changed; the slug, being an address, cannot."""

    name: str
    owner: Person
    upstream_url: str


@transaction.atomic
def register_system(
    slug: str,
    *,
    name: str,
    kind: str,
    owner: Person | None,
    upstream_url: str = "",
    by: Principal,
    **options: Unpack[SystemOptions],
) -> System:
    """Add a system and give its issuer a signing key. `options`: denial_shape, token_seconds, signing_algorithm.

    Raises SystemMalformed, SystemKindNotServed and SystemSlugTaken. `register_known` adds one that is not governed.
    """
    _check_name(slug, kind)
    check_kind(kind)
    return add_system(slug, name=name, kind=kind, owner=owner, upstream_url=upstream_url, by=by, **options)


@transaction.atomic
def register_known(
    slug: str, *, name: str, owner: Person | None, by: Principal, **options: Unpack[SystemOptions]
) -> System:
    """Add a system that is not behind the gateway, so that a policy domain can be about it; it has no address.

    Raises SystemMalformed and SystemSlugTaken.
    """
    kind = System.Kind.KNOWN
    return add_system(slug, name=name, kind=kind, owner=owner, upstream_url="", by=by, **options)


@transaction.atomic
def add_system(
    slug: str,
    *,
    name: str,
    kind: str,
    owner: Person | None,
    upstream_url: str,
    by: Principal,
    detail: Mapping[str, object] | None = None,
    **options: Unpack[SystemOptions],
) -> System:
    """Do as `register_system` for a kind that its own room registers, whose `detail` the event holds as well."""
    _check_name(slug, kind)
    check_owner(owner)
    _check_address(kind, upstream_url)
    if slug in addresses.RESERVED:
        raise errors.SystemSlugTaken(slug=slug)
    try:
        with transaction.atomic():
            system = System.objects.create(
                slug=slug, name=name, kind=kind, owner=owner, upstream_url=upstream_url, **options
            )
    except IntegrityError as error:
        raise errors.SystemSlugTaken(slug=slug) from error
    if kind != System.Kind.MCP:  # a vendor has an issuer of its own
        signing.ensure(addresses.issuer_path(slug), system.signing_algorithm)
    if system.signing_algorithm != System.SigningAlgorithm.ES256:
        signing.ensure(addresses.IDP, system.signing_algorithm)
    links = [f"system:{slug}", *([f"person:{owner.login}"] if owner else [])]
    described = {"kind": kind, "upstream_url": upstream_url, **(detail or {})}
    log.record(Action.SYSTEM_REGISTERED, about=links, by=by, detail=described)
    return system


def ensure_builtin() -> System:
    """Return the built-in system whose resources are our own API and decision point; make it when it is not there."""
    return _ensure(addresses.MANDATE, "Mandate")


def ensure_all_systems() -> System:
    """Return the built-in system that stands for every system behind the gateway; make it when it is not there."""
    return _ensure(addresses.ALL, "All systems")


@transaction.atomic
def _ensure(slug: str, name: str) -> System:
    locks.exclusive((Lock.SYSTEM, slug))
    system, created = System.objects.get_or_create(slug=slug, defaults={"name": name, "kind": System.Kind.BUILTIN})
    if created:
        log.record(Action.SYSTEM_REGISTERED, about=[f"system:{system.slug}"], by=SYSTEM, detail={"kind": system.kind})
    signing.ensure(addresses.issuer_path(system.slug))
    return system


@transaction.atomic
def edit_system(
    system: System, *, by: Principal, version: int | None = None, reason: str = "", **fields: Unpack[SystemChanges]
) -> System:
    """Change name, owner, upstream_url, denial_shape, token_seconds or signing_algorithm; never the slug, an address.

    Another owner or address needs a reason. A credential goes to the place that it was given for and to no other:
    with another host it is forgotten, and so are the network that was agreed on and the client certificate. What
    was approved at one address was never seen at another: its tools are quarantined until the new place has been
    asked (`record_seen`) and a person approves them again. `version` is what the change was made from. Raises
    Stale, SystemMalformed, BuiltIn, NotFound, ReasonRequired, and SelfAppointment when the caller makes themselves
    the owner.
    """
    locked = _locked(system)
    if locked.kind == System.Kind.BUILTIN:
        raise errors.BuiltIn
    if version is not None and locked.version != version:
        raise Stale
    changed = {name: value for name, value in fields.items() if getattr(locked, name) != value}
    if not changed:
        return locked
    _check_changes(locked, changed, by=by, reason=reason)
    was = {name: _as_json(getattr(locked, name)) for name in changed}
    for name, value in changed.items():
        setattr(locked, name, value)
    locked.version += 1
    locked.save(update_fields=[*changed, "version"])
    detail: dict[str, object] = {name: {"from": was[name], "to": _as_json(value)} for name, value in changed.items()}
    if "upstream_url" in changed and _place(str(was["upstream_url"])) != _place(locked.upstream_url):
        forgotten, _ = Secret.objects.filter(system=locked).delete()
        detail |= {"credential_forgotten": True} if forgotten else {}
        detail |= {"network_ended": True} if networks.end_of(locked) else {}
        detail |= {"client_certificate_forgotten": True} if certificates.forget_of(locked) else {}
    links = [f"system:{locked.slug}", *(f"person:{login}" for login in _owners(was, locked) if "owner" in changed)]
    log.record(Action.SYSTEM_EDITED, about=links, by=by, reason=reason, detail=detail)
    if "upstream_url" in changed:
        move.quarantine_all(locked, by=by, reason=reason)
        discovery_schedule.schedule_now(locked)
    if "signing_algorithm" in changed:
        signing.switch(locked.slug, locked.signing_algorithm, has_issuer=locked.kind != System.Kind.MCP, by=by)
    changes.note(subjects.system(locked.pk))
    return locked


@transaction.atomic
def disable_system(system: System, *, by: Principal, reason: str) -> System:
    """Stop a system at once: no token for it, no call to it. Doing it twice changes and records nothing.

    What stands for all systems cannot be stopped: its calls belong to the systems that carry them. Raises BuiltIn.
    """
    return _set(system, System.Status.DISABLED, Action.SYSTEM_DISABLED, by=by, reason=reason)


@transaction.atomic
def close_after_restore(system: System, *, by: Principal, reason: str) -> System:
    """Stop a system of which a restored backup may have brought back access, until two people open it."""
    detail = {"restored": True}
    return _set(system, System.Status.DISABLED, Action.SYSTEM_DISABLED, by=by, reason=reason, detail=detail)


def is_closed_by_restore(system: System) -> bool:
    """Say whether a restore closed a system, and no person who is still here has proposed to open it since."""
    last = _closing(system)
    if last is not None and last.action == Action.SYSTEM_OPENING_PROPOSED:
        return not Person.objects.filter(login=Principal.parse(last.actor).name, is_active=True).exists()
    return last is not None and bool(last.detail.get("restored"))


def _closing(system: System) -> Event | None:
    """Return how a disabled system was last stopped, or proposed to be opened after a restore."""
    if system.status != System.Status.DISABLED:
        return None
    actions = (Action.SYSTEM_DISABLED, Action.SYSTEM_OPENING_PROPOSED)
    return timeline.about(f"system:{system.slug}").filter(action__in=actions).last()


@transaction.atomic
def enable_system(system: System, *, by: Principal, reason: str) -> System:
    """Enable a disabled system, by another person than the one who disabled it. Raises SecondPersonNeeded.

    Doing it twice changes and records nothing. What a restore closed takes two people: the first proposes to open it,
    and it stays disabled until another one does the same.
    """
    if is_closed_by_restore(locked := _locked(system)):
        if by.kind != "person":
            raise independence.SecondPersonNeeded
        log.record(Action.SYSTEM_OPENING_PROPOSED, about=[f"system:{locked.slug}"], by=by, reason=reason)
        return locked
    return _set(system, System.Status.ACTIVE, Action.SYSTEM_ENABLED, by=by, reason=reason)


def _set(
    system: System,
    status: System.Status,
    action: Action,
    *,
    by: Principal,
    reason: str,
    detail: Mapping[str, object] | None = None,
) -> System:
    locked = _locked(system)
    if locked.slug == addresses.ALL:
        raise errors.BuiltIn
    if locked.status == status:
        return locked
    if status == System.Status.ACTIVE:
        last = _closing(locked)
        stopped = Action(last.action) if last is not None else Action.SYSTEM_DISABLED
        independence.check_start(f"system:{locked.slug}", stopped, by)
    locked.status = status
    locked.version += 1
    locked.save(update_fields=["status", "version"])
    log.record(action, about=[f"system:{locked.slug}"], by=by, reason=reason, detail=detail)
    changes.note(subjects.system(locked.pk))
    return locked


def _locked(system: System) -> System:
    locks.exclusive((Lock.SYSTEM, system.pk))
    try:
        return System.objects.select_related("owner").get(pk=system.pk)
    except System.DoesNotExist as error:
        raise NotFound from error


def _check_name(slug: str, kind: str) -> None:
    if not _SLUG.fullmatch(slug) or kind not in System.Kind.values or kind == System.Kind.BUILTIN:
        raise errors.SystemMalformed(slug=slug, kind=kind)


def check_kind(kind: object) -> None:
    """Refuse a kind that the gateway does not serve at an address. Raises SystemKindNotServed."""
    if kind not in System.AT_ADDRESS:
        raise errors.SystemKindNotServed(kind=str(kind), served=[str(served) for served in System.AT_ADDRESS])


def check_owner(owner: Person | None) -> None:
    """Refuse a person who cannot own a system. Raises SystemMalformed."""
    if owner is None or not owner.is_active:
        raise errors.SystemMalformed("A system needs an active owner.")


def _check_address(kind: str, address: str) -> None:
    """Refuse what could never be forwarded to; where it leads is the outbound guard's business on every call."""
    if kind == System.Kind.KNOWN and not address:
        return
    parts = addresses.parts(address)
    schemes = {"https", "http"} if settings.DEMO else {"https"}
    whole = parts and parts.scheme in schemes and parts.hostname and not parts.username and not parts.fragment
    if kind == System.Kind.STDIO:
        whole = address.startswith(STDIO_SCHEME)
    if not whole:
        raise errors.SystemMalformed("The address is https, without user name and fragment.", upstream_url=address)
    if kind != System.Kind.STDIO and parts and not egress.may_be_reached(parts.hostname or ""):
        message = "The address leads to Mandate's own machine or links, which no system is reached at."
        raise errors.SystemMalformed(message, upstream_url=address)


def _place(address: str) -> tuple[str, str | None, int | None]:
    """Name who is spoken to at an address."""
    parts = addresses.parts(address)
    return (parts.scheme, parts.hostname, parts.port) if parts else (address, None, None)


def _check_changes(system: System, changed: Mapping[str, Any], *, by: Principal, reason: str) -> None:
    if changed.keys() & {"owner", "upstream_url"} and not reason.strip():
        raise ReasonRequired
    if "owner" in changed:
        check_owner(changed["owner"])
        independence.check_appointment(changed["owner"], present=system.owner, by=by)
    if "upstream_url" in changed:
        if system.kind == System.Kind.STDIO:
            raise errors.SystemMalformed("A local server has a command instead of an address.")
        _check_address(system.kind, changed["upstream_url"])
        if Vendor.objects.filter(system=system).exists():
            raise errors.SystemMalformed("The address of this system is the first resource of its vendor: edit that.")


def _owners(was: Mapping[str, object], system: System) -> list[str]:
    """Name the owner before and the owner now."""
    return [str(login) for login in (was.get("owner"), system.owner and system.owner.login) if login]


def _as_json(value: object) -> object:
    return value.login if isinstance(value, Person) else value
