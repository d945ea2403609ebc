"""The coverage map: each agent at each system by its path, and the terms of that path, where they are known.

By the gateway each call is seen (A); with a native token only its issuance (B); traffic past the gateway, or to a
vendor for which nothing is issued here, is not seen at all (C). A term that no person described is unknown, and never
a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from django.db import transaction
from django.db.models import Case, CharField, Count, Exists, F, OuterRef, Q, QuerySet, Value, When

from audit import clock, log
from audit.actions import Action
from entitlements.access import role_reach, visibility
from entitlements.access.caller import Caller
from entitlements.agents.models import Agent
from entitlements.catalog.models import System
from entitlements.errors import DomainError, Malformed, NotFound, ReasonRequired
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from entitlements.sessions import sessions
from entitlements.unmanaged_agents.models import PathTerms, UnmanagedAgent, Workflow
from entitlements.vendors.queries import vendor_of
from entitlements.vendors.rules import WayToJoin
from governance.charts import figures

Path, Basis, Bypass = PathTerms.Path, PathTerms.Basis, PathTerms.Bypass
GRADES: Final = {Path.GATEWAY: "A", Path.NATIVE: "B", Path.KNOWN: "C"}
FIGURE: Final = "agents-visible-per-call"
"""The name under which the headline is kept where there are many workflows."""
STOP_SECONDS: Final = 2
"""Promise 2: how long a call may still pass at the gateway after a revocation was acknowledged."""
LONGEST: Final = 366 * 24 * 3600
_DESCRIBED: Final = ("token_seconds", "session_seconds", "reauthentication_seconds", "stop_seconds")
COMPARED: Final = ("token_seconds", "session_seconds", "stop_seconds")


class PathIsOurs(DomainError):
    """The times of the gateway path are set by Mandate. You can only say whether the bypass is closed."""

    code, status = "path_is_ours", HTTPStatus.CONFLICT


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of one path to one system; None where unknown."""

    token_basis: str = Basis.UNKNOWN
    token_seconds: int | None = None
    session_seconds: int | None = None
    reauthentication_seconds: int | None = None
    stop_seconds: int | None = None
    bypass: str = Bypass.NO


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not fit together: two paths to one system that differ, or a path still used after a move."""

    system: System
    what: str
    governed: int | None = None
    known: int | None = None
    agents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Headline:
    """How much of the estate is seen per call: agents all of whose workflows are, and workflows by path.

    `as_of` is None where it was counted just now.
    """

    agents: int
    visible: int
    paths: Mapping[str, int]
    as_of: datetime | None = None

    @property
    def percent(self) -> int | None:
        """The share of agents, rounded down so that all means all; None without agents."""
        return 100 * self.visible // self.agents if self.agents else None


_NOT_ISSUED: Final = ~Q(system__vendor__joins=WayToJoin.OUR_ISSUER) | Q(system__vendor__issues=False)
_PATH: Final = Case(
    When(~Q(state=Workflow.State.GOVERNED), then=Value(Path.KNOWN.value)),
    When(Q(system__vendor__isnull=False) & _NOT_ISSUED, then=Value(Path.KNOWN.value)),
    When(system__kind=System.Kind.MCP, then=Value(Path.NATIVE.value)),
    When(system__kind__in=System.SERVED, then=Value(Path.GATEWAY.value)),
    default=Value(Path.KNOWN.value),
    output_field=CharField(),
)


def rows(caller: Caller) -> QuerySet[Workflow]:
    """Return the workflows that the caller sees, each with its path: granted now, or seen elsewhere."""
    everything = _rows()
    if caller.sees_everything:
        return everything
    own = Q(agent__in=visibility.agents(caller).order_by().values("pk"))
    return everything.filter(own | role_reach.within(caller.seen_reach, Workflow))


def _rows() -> QuerySet[Workflow]:
    grants = Grant.objects.filter(agent=OuterRef("agent"), entitlement__system=OuterRef("system"), ended_at=None)
    workflows = Workflow.objects.select_related("agent__sponsor", "seen", "system__vendor").annotate(path=_PATH)
    return workflows.exclude(agent__status=Agent.Status.RETIRED).filter(Q(origin=Workflow.Origin.SEEN) | Exists(grants))


def agents_seen() -> Q:
    """Return when each call of an agent is seen: it has workflows, and all of them pass the gateway."""
    return Q(Exists(_of_agent())) & ~Q(Exists(_of_agent().exclude(path=Path.GATEWAY)))


def agents_past() -> Q:
    """Return when some workflow of an agent does not pass the gateway."""
    return Q(Exists(_of_agent().exclude(path=Path.GATEWAY)))


def _of_agent() -> QuerySet[Any]:
    return _rows().select_related(None).filter(agent=OuterRef("pk"))


def is_issued(system: System) -> bool:
    """Whether a token for a system is issued here at all: not for a vendor that trusts another, or is switched off."""
    vendor = vendor_of(system)
    return vendor is None or (vendor.issues and vendor.joins == WayToJoin.OUR_ISSUER)


def headline(caller: Caller) -> Headline:
    """Count agents and workflows that the caller sees. An agent seen at no known system counts as not visible.

    For a caller who sees all of many workflows, it is what a worker counted, as of then.
    """
    if not caller.sees_everything:
        return Headline(*_count(rows(caller)))
    kept = None if figures.is_quick(Workflow) else figures.kept(FIGURE)
    return Headline(**kept.value, as_of=kept.as_of) if kept else Headline(**count())


def count() -> dict[str, Any]:
    """Count all agents and workflows, in the form in which it is kept."""
    agents, visible, paths = _count(_rows())
    agents += UnmanagedAgent.objects.filter(agent=None, workflows=None).count()
    return {"agents": agents, "visible": visible, "paths": paths}


def _count(workflows: QuerySet[Workflow]) -> tuple[int, int, dict[str, int]]:
    seen = workflows.select_related(None).order_by()
    paths = {group["by"]: group["n"] for group in seen.values(by=_PATH).annotate(n=Count("pk"))}
    group = seen.values("agent", "seen").annotate(past=Count("pk", filter=~Q(path=Path.GATEWAY)))
    return group.count(), group.filter(past=0).count(), {path.value: paths.get(path.value, 0) for path in Path}


def gaps(caller: Caller) -> QuerySet[Workflow]:
    """Return what could be governed next: last used first, then agents without an owner."""
    known = rows(caller).filter(~Q(state=Workflow.State.GOVERNED))
    return known.order_by(F("last_used_at").desc(nulls_last=True), "pk")


def terms(workflows: Iterable[Workflow]) -> dict[tuple[int, str], Terms]:
    """Return what holds on the paths of these workflows, by system and path."""
    listed = list(workflows)
    systems = {row.system_id: row.system for row in listed}
    described = {
        (path_terms.system_id, path_terms.path): path_terms
        for path_terms in PathTerms.objects.filter(system__in=systems)
    }
    return {
        (system.pk, path.value): _terms(system, path.value, described.get((system.pk, path.value)))
        for system in systems.values()
        for path in Path
    }


def _terms(system: System, path: str, described: PathTerms | None) -> Terms:
    absolute = int(sessions.ABSOLUTE.total_seconds())
    bypass = described.bypass if described else Bypass.NO
    if path == Path.GATEWAY:
        return Terms(Basis.DECLARED, system.token_seconds, absolute, absolute, STOP_SECONDS, bypass)
    times = {name: getattr(described, name, None) for name in _DESCRIBED}
    if path == Path.NATIVE:  # a new token needs a session of ours; one that was issued lives as long as its issuer says
        times["session_seconds"] = times["session_seconds"] or absolute
        times["stop_seconds"] = times["stop_seconds"] or times["token_seconds"]
    return Terms(described.token_basis if described else Basis.UNKNOWN, **times, bypass=bypass)


def findings(caller: Caller, limit: int = 100) -> list[Finding]:
    """Compare the governed path with the one past us wherever a system has both, and name what moved and did not."""
    seen = rows(caller)
    is_governed = Q(state=Workflow.State.GOVERNED)
    by_system = seen.order_by("system__slug").values("system")
    both = by_system.annotate(inside=Count("pk", filter=is_governed), past=Count("pk", filter=~is_governed))
    systems = both.filter(inside__gt=0, past__gt=0).values_list("system", flat=True)[:limit]
    result: list[Finding] = []
    listed = list(
        seen.filter(is_governed, system__in=list(systems)).order_by("system__slug", "pk").distinct("system__slug")
    )
    terms_by_path = terms(listed)
    for row in listed:
        if row.path == Path.KNOWN:  # type: ignore[attr-defined]  # annotated by rows()
            continue
        governed, known = terms_by_path[row.system_id, row.path], terms_by_path[row.system_id, Path.KNOWN]  # type: ignore[attr-defined]
        pairs = [(name, getattr(governed, name), getattr(known, name)) for name in COMPARED]
        result += [Finding(row.system, name, ours, theirs) for name, ours, theirs in pairs if ours != theirs]
    moved = seen.filter(origin=Workflow.Origin.SEEN, state=Workflow.State.GOVERNED, last_used_at__gt=F("changed_at"))
    result += [
        Finding(row.system, "still_used", agents=(row.agent.slug,) if row.agent else ())
        for row in moved.order_by("pk")[:limit]
    ]
    return result[:limit]


@transaction.atomic
def describe(system: System, path: str, *, by: Person, reason: str, **changes: Any) -> PathTerms:  # noqa: ANN401 - seconds and words
    """Describe the terms of a path to a system: token life and its basis, session, re-authentication, stop, bypass.

    Raises ReasonRequired, Malformed, NotFound, PathIsOurs.
    """
    if not reason.strip():
        raise ReasonRequired
    if path not in Path.values or set(changes) - {*_DESCRIBED, "token_basis", "bypass"}:
        raise Malformed
    if path == Path.GATEWAY and set(changes) - {"bypass"}:
        raise PathIsOurs
    basis = changes.get("token_basis", Basis.UNKNOWN)
    if basis not in Basis.values or changes.get("bypass", Bypass.NO) not in Bypass.values:
        raise Malformed
    if (changes.get("token_seconds") is None) != (basis == Basis.UNKNOWN):
        raise Malformed("A token life is declared or measured, or it is unknown and no time.")
    if any(value is not None and not 0 < value <= LONGEST for name, value in changes.items() if name in _DESCRIBED):
        raise Malformed("A time is at least one second and at most a year.")
    if not System.objects.select_for_update().filter(pk=system.pk).exists():
        raise NotFound
    times = {name: changes.get(name) for name in _DESCRIBED}
    fields = {**times, "token_basis": basis, "bypass": changes.get("bypass", Bypass.NO)}
    about = {"said_by": str(by.principal), "said_at": clock.now(), "reason": reason}
    row, _ = PathTerms.objects.update_or_create(system=system, path=path, defaults={**fields, **about})
    detail = {"path": path, **{name.replace("token_", "token_life_"): value for name, value in fields.items()}}
    log.record(Action.PATH_DESCRIBED, about=[f"system:{system.slug}"], by=by.principal, reason=reason, detail=detail)
    return row
