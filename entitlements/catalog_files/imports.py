"""The actions on imports: preview a file, confirm it, and import it, a batch at a time.

Nothing is approved by an import. A system that the file names first is made; one that is known keeps its name, owner
and address. Its tools are compared with what was seen, by the rule of discovery - unless the server itself has been
asked: then its own list counts, and the file's is ignored. A file never removes anything. Each batch commits
with how far it has come, so that the worker that continues after a killed one does nothing twice.
"""

from __future__ import annotations

import hashlib
import json
import uuid
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final

from django.db import IntegrityError, transaction

from audit import clock, log
from audit.actions import Action
from audit.context import Principal
from entitlements import addresses
from entitlements.catalog import discovery, new_tools, systems
from entitlements.catalog.models import System, Tool
from entitlements.catalog_files import offers
from entitlements.catalog_files.models import CatalogImport
from entitlements.catalog_files.offers import Offer, Problem
from entitlements.definitions import impressions
from entitlements.errors import DomainError, NotFound
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.keys import signing
from entitlements.people.models import Person

SMALL: Final = 200
"""Up to so many systems and tools are taken in while the person waits."""
FORGOTTEN: Final = timedelta(days=1)
"""An import that waits this long for its confirmation is deleted."""
ABANDONED: Final = timedelta(seconds=60)
"""After this long without a batch the worker died."""
GIVEN_UP: Final = timedelta(days=1)
"""An import is retried for this long; after that a person must look at what stops it."""
_SYSTEMS_AT_ONCE, _TOOLS_AT_ONCE = 50, 400
_TRIES: Final = 3
_COUNTED: Final = ("systems_new", "systems_known", "tools_new", "tools_changed", "tools_same", "left_alone", "refused")
_ADDRESS_DIFFERS, _SPEAKS, _BUILT_IN = "address_differs", "speaks_for_itself", "system_built_in"


class NotWaiting(DomainError):
    """The import does not wait for a confirmation: it is running or done."""

    code, status = "import_not_waiting", HTTPStatus.CONFLICT


class Empty(DomainError):
    """The file holds nothing that can be imported. See `problems` for what is wrong with each row."""

    code, status = "import_empty", HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(slots=True)
class _Difference:
    """What one offer would change: nothing is new or changed of a system that speaks for itself."""

    offer: Offer
    system: System | None
    new: list[dict[str, Any]] = field(default_factory=list)
    changed: dict[int, dict[str, Any]] = field(default_factory=dict)
    same: int = 0
    problems: list[Problem] = field(default_factory=list)

    def counts(self) -> Counter[str]:
        kind = "systems_known" if self.system else "systems_new"
        tools = {"tools_new": len(self.new), "tools_changed": len(self.changed), "tools_same": self.same}
        return Counter({kind: 1, **tools, "left_alone": any(each.code != _ADDRESS_DIFFERS for each in self.problems)})


@transaction.atomic
def preview(content: bytes, *, file_name: str, owner: Person, by: Principal) -> CatalogImport:
    """Read a file and keep what it offers and what importing it would change. Nothing else changes.

    `owner` will own the systems that are new. Raises what `offers.read` raises, SystemMalformed, Empty.
    """
    systems.check_owner(owner)
    catalogue = offers.read(content)
    if not catalogue.offers:
        raise Empty(problems=[problem.as_json() for problem in catalogue.problems[:20]])
    differences = _compare(catalogue.offers)
    counts = sum(
        (difference.counts() for difference in differences), Counter({"refused": _refused(catalogue.problems)})
    )
    problems = [problem.as_json() for problem in catalogue.problems] + _problems(differences)
    now = clock.now()
    return CatalogImport.objects.create(
        file_name=impressions.visible(file_name)[:200],
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        form=catalogue.form.value,
        owner=owner,
        by=str(by),
        systems=len(catalogue.offers),
        tools=sum(len(offer.tools) for offer in catalogue.offers),
        counts=_counted(counts),
        problems=problems[: offers.MOST_PROBLEMS],
        problems_left_out=max(0, len(problems) - offers.MOST_PROBLEMS),
        offers=zlib.compress(json.dumps([astuple(offer) for offer in catalogue.offers]).encode()),
        made_at=now,
        touched_at=now,
    )


@transaction.atomic
def confirm(previewed: CatalogImport, *, by: Principal) -> CatalogImport:
    """Confirm an import; `continue_import` then imports it. Raises NotWaiting, NotFound, SystemMalformed."""
    locked = _locked(previewed.pk)
    if locked.state != CatalogImport.State.PREVIEW:
        raise NotWaiting
    systems.check_owner(locked.owner)
    locked.state, locked.by = CatalogImport.State.RUNNING, str(by)
    locked.confirmed_at = locked.touched_at = clock.now()
    locked.counts = _counted(Counter(refused=locked.counts.get("refused", 0)))
    # The comparison with the catalogue is made again: it may have changed since the preview.
    checked_again = (_ADDRESS_DIFFERS, _SPEAKS, _BUILT_IN)
    locked.problems = [problem for problem in locked.problems if problem["code"] not in checked_again]
    locked.save(update_fields=["state", "by", "confirmed_at", "touched_at", "counts", "problems"])
    detail = {"sha256": locked.sha256, "size": locked.size, "form": locked.form, "owner": locked.owner.login}
    counts = {"systems": locked.systems, "tools": locked.tools, "file_name": locked.file_name}
    log.record(Action.IMPORT_CONFIRMED, about=about(locked), by=by, detail=detail | counts)
    return locked


def continue_import(import_id: uuid.UUID) -> bool:
    """Import the next batch; False when nothing is left, or another worker has it."""
    for attempt in range(_TRIES):
        try:
            return _batch(import_id)
        except IntegrityError:  # one of the systems was registered meanwhile: compare again
            if attempt == _TRIES - 1:
                raise
    return False


def is_small(previewed: CatalogImport) -> bool:
    """Whether it can be imported while the person waits."""
    return previewed.systems + previewed.tools <= SMALL


def stalled() -> list[uuid.UUID]:
    """Return the running imports without progress for a while; after a day they stay as they are."""
    now = clock.now()
    stuck = CatalogImport.objects.filter(
        state=CatalogImport.State.RUNNING, touched_at__gt=now - GIVEN_UP, touched_at__lt=now - ABANDONED
    )
    return list(stuck.order_by("touched_at").values_list("pk", flat=True)[:100])


def delete_old_previews() -> int:
    """Delete the imports that were not confirmed in time. Returns how many."""
    old = CatalogImport.objects.filter(state=CatalogImport.State.PREVIEW, touched_at__lt=clock.now() - FORGOTTEN)
    return old.delete()[0]


def about(row: CatalogImport) -> list[str]:
    """Return the links by which the record of an import is found again."""
    return [f"import:{row.pk}", f"person:{row.owner.login}"]


@transaction.atomic
def _batch(import_id: uuid.UUID) -> bool:
    row = CatalogImport.objects.select_for_update(skip_locked=True, of=("self",)).select_related("owner")
    running = row.filter(pk=import_id, state=CatalogImport.State.RUNNING).first()
    if running is None:
        return False
    by = Principal.parse(running.by)
    remaining = _kept(running)[running.position :]
    batch = _next(remaining)
    differences = _compare(batch, lock=True)
    _take_in(differences, running, by=by)
    running.position += len(batch)
    counts = sum((difference.counts() for difference in differences), Counter(running.counts))
    problems = _problems(differences)
    room = max(0, offers.MOST_PROBLEMS - len(running.problems))
    running.counts, running.problems = _counted(counts), [*running.problems, *problems[:room]]
    running.problems_left_out += len(problems[room:])
    running.touched_at = clock.now()
    if more := len(batch) < len(remaining):
        running.save(update_fields=["position", "counts", "problems", "problems_left_out", "touched_at"])
    else:
        running.state, running.finished_at, running.offers = CatalogImport.State.DONE, running.touched_at, None
        running.save()
        detail = {"sha256": running.sha256, **running.counts}
        log.record(Action.IMPORT_FINISHED, about=about(running), by=by, detail=detail)
    return more


def _next(remaining: Sequence[Offer]) -> list[Offer]:
    batch: list[Offer] = []
    tools = 0
    for offer in remaining:
        tools += len(offer.tools)
        if batch and (tools > _TOOLS_AT_ONCE or len(batch) == _SYSTEMS_AT_ONCE):
            break
        batch.append(offer)
    return batch


def _compare(batch: Iterable[Offer], *, lock: bool = False) -> list[_Difference]:
    """Compare offers with what is there, in two queries; `lock` holds the known systems and what changes of them."""
    slugs = [offer.slug for offer in batch]
    known = {system.slug: system for system in System.objects.filter(slug__in=slugs)}
    if lock:
        locks.exclusive(*((Lock.SYSTEM, system.pk) for system in known.values()))
        known = {system.slug: system for system in System.objects.filter(slug__in=slugs)}
    rows = Tool.objects.filter(system__in=[system.pk for system in known.values()])
    tools: dict[int, dict[str, tuple[int, str, str]]] = {}
    for system_id, pk, name, state, sha256 in rows.values_list("system", "pk", "name", "state", "seen__sha256"):
        tools.setdefault(system_id, {})[name] = (pk, state, sha256 or "")
    differences = []
    for offer in batch:
        system = known.get(offer.slug)
        differences.append(_difference(offer, system, tools.get(system.pk, {}) if system else {}))
    return differences


def _difference(offer: Offer, system: System | None, tools: Mapping[str, tuple[int, str, str]]) -> _Difference:
    difference = _Difference(offer, system)
    if system is None:
        difference.new = [raw for _, raw in offer.tools]
        return difference
    if system.kind == System.Kind.BUILTIN:
        _problem(difference, _BUILT_IN, "The system is Mandate itself and cannot be changed in the catalogue.")
        return difference
    if offer.address and offer.address != system.upstream_url:
        _problem(difference, _ADDRESS_DIFFERS, "The system is known with another address, which stays.")
    if system.discovered_at is not None and offer.tools:
        _problem(difference, _SPEAKS, "The server itself was asked for its tools; the file is not listened to.")
        return difference
    for digest, raw in offer.tools:
        pk, state, sha256 = tools.get(raw["name"], (0, "", ""))
        if not pk:
            difference.new.append(raw)
        elif sha256 == digest and state != Tool.State.REMOVED:
            difference.same += 1
        else:
            difference.changed[pk] = raw
    return difference


def _problem(difference: _Difference, code: str, message: str) -> None:
    difference.problems.append(Problem(difference.offer.row, difference.offer.slug, "", code, message, refused=False))


def _problems(differences: Iterable[_Difference]) -> list[dict[str, Any]]:
    return [problem.as_json() for difference in differences for problem in difference.problems]


def _take_in(differences: Sequence[_Difference], running: CatalogImport, *, by: Principal) -> None:
    created = System.objects.bulk_create(
        [_system(difference.offer, running.owner) for difference in differences if difference.system is None]
    )
    by_slug = {system.slug: system for system in created}
    new_tools.add_tools(
        (difference.system or by_slug[difference.offer.slug], raw)
        for difference in differences
        for raw in difference.new
    )
    _change(differences, by=by)
    for system in created:
        if system.upstream_url:
            signing.ensure(addresses.issuer_path(system.slug))
    registered = [_row(difference, running) for difference in differences if difference.system is None]
    log.record_many(Action.SYSTEM_REGISTERED, registered, by=by)
    added = [
        _row(difference, running) for difference in differences if difference.system is not None and difference.new
    ]
    log.record_many(Action.SYSTEM_TOOLS_IMPORTED, added, by=by)


def _change(differences: Iterable[_Difference], *, by: Principal) -> None:
    changed = {pk: raw for difference in differences for pk, raw in difference.changed.items()}
    locks.exclusive(*((Lock.TOOL, pk) for pk in changed))
    for tool in Tool.objects.filter(pk__in=changed).select_related("system", "approved", "seen").order_by("pk"):
        discovery.update_tool(tool, changed[tool.pk], discovery.Discovery(), by=by)


def _system(offer: Offer, owner: Person) -> System:
    """Make the row of a new system: behind the gateway when it has an address, else known and not governed."""
    kind = System.Kind.MCP_GATEWAY if offer.address else System.Kind.KNOWN
    return System(slug=offer.slug, name=offer.name, kind=kind, owner=owner, upstream_url=offer.address)


def _row(difference: _Difference, running: CatalogImport) -> log.Row:
    """Say in one event what came of one system: how many tools, and a hash over their names and hashes."""
    digests = {raw["name"]: digest for digest, raw in difference.offer.tools}
    lines = "".join(sorted(f"{raw['name']} {digests[raw['name']]}\n" for raw in difference.new))
    tools = {"tools": len(difference.new), "tools_sha256": hashlib.sha256(lines.encode()).hexdigest()}
    detail: dict[str, object] = {"import": str(running.pk), **tools}
    if difference.system is None:
        system = _system(difference.offer, running.owner)
        detail |= {"kind": system.kind, "upstream_url": system.upstream_url}
    links = [f"system:{difference.offer.slug}", f"import:{running.pk}", f"person:{running.owner.login}"]
    return log.Row(about=links, detail=detail)


def _kept(running: CatalogImport) -> list[Offer]:
    return [Offer(*fields) for fields in json.loads(zlib.decompress(bytes(running.offers or b"")))]


def _locked(import_id: uuid.UUID) -> CatalogImport:
    rows = CatalogImport.objects.select_for_update(of=("self",)).select_related("owner")
    row = rows.filter(pk=import_id).first()
    if row is None:
        raise NotFound
    return row


def _refused(problems: Iterable[Problem]) -> int:
    return sum(problem.refused for problem in problems)


def _counted(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: counts.get(name, 0) for name in _COUNTED}
