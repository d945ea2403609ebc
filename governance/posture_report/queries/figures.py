"""Count the figures of the posture report for the company and each department, in a fixed number of statements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Case, Count, F, OuterRef, Q, QuerySet, Subquery, TextField, UUIDField, Value, When, Window
from django.db.models.functions import Cast, RowNumber

from audit import clock
from entitlements.agents.models import Agent
from entitlements.clients.models import Client
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from entitlements.revocation.models import Revocation
from entitlements.sessions.models import Session
from entitlements.tokens.models import IssuedToken
from entitlements.unmanaged_agents.models import UnmanagedAgent
from governance.agents.queries import findings
from governance.blast_radius.queries import departments
from governance.charts import figures
from governance.charts.figures import KeptFigure
from governance.coverage_map import coverage_map
from governance.grants import queries as grants
from governance.posture_report.queries.catalog import COUNTED
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items.models import ReviewItem
from governance.reviews.remediation.models import Remediation
from governance.revocations.queries import time_to_revoke

FIGURE: Final = "posture-report"
"""The name under which a worker keeps the figures of much access."""
HEAVIEST: Final = 3
"""How many agents with the biggest blast radius a report names."""
RECENT: Final = timedelta(days=90)

type Numbers = dict[str, int | None]


def agents(now: datetime) -> dict[str, Q]:
    """Return when an agent counts in each figure of agents."""
    active, found = Q(status=Agent.Status.ACTIVE), findings.conditions(now)
    return {
        "active": active,
        "orphaned": found["orphaned"],
        "no_owner": findings.without_owner(),
        "dormant": found["dormant"],
        "seen": coverage_map.agents_seen(),
        "past": coverage_map.agents_past(),
        "old_secret": found["old_secret"],
        "sod": found["sod"],
        "sod_exception": findings.with_exception(now),
        **{f"radius_{band}": active & condition for band, condition in findings.RADII.items()},
    }


def items(now: datetime) -> dict[str, Q]:
    """Return when a review item counts in each figure of review items."""
    done = "current_decision__remediation__"
    state, verified = f"{done}state", Remediation.State.VERIFIED
    return {
        "overdue": Q(state=ReviewItem.State.IN_REVIEW, campaign__state=Campaign.State.ACTIVE, campaign__due_at__lt=now),
        "failed": Q(**{state: Remediation.State.FAILED}),
        "verified": Q(**{state: verified, f"{done}verified_at__gte": now - RECENT}),
    }


def current() -> KeptFigure | None:
    """Return the figures of now: counted now, or by a worker where that takes long; None before its first count."""
    return KeptFigure(count()) if figures.is_quick(Grant) else figures.kept(FIGURE)


def count() -> dict[str, Any]:
    """Count all figures: of the company, and by the name of the department, empty for none; with the heaviest agents.

    In the form in which it is stored: `{"company": report, "departments": {name: report}}`, where a report has
    `figures` and `biggest`.
    """
    now = clock.now()
    counted: dict[str, Numbers] = defaultdict(lambda: dict.fromkeys(COUNTED, 0))
    _add(counted, Agent.objects.all(), "", agents(now))
    _add(counted, Grant.objects.all(), "agent__", grants.conditions(now))
    _add(counted, ReviewItem.objects.all(), "agent__", items(now))
    company: Numbers = {key: sum(numbers[key] or 0 for numbers in counted.values()) for key in COUNTED}
    company["unmanaged"] = UnmanagedAgent.objects.filter(state=UnmanagedAgent.State.UNMATCHED).count()
    medians, biggest = _medians(), _biggest()
    heaviest = sorted((agent for each in biggest.values() for agent in each), key=_weight)[:HEAVIEST]
    return {
        "company": _report({**company, "revoke_ms": time_to_revoke.company()}, heaviest),
        "departments": {
            name: _report(
                {**numbers, "unmanaged": None, "revoke_ms": medians.get(name)},
                biggest.get(name, []),
            )
            for name, numbers in counted.items()
        },
    }


def _report(numbers: Numbers, biggest: list[dict[str, Any]]) -> dict[str, Any]:
    shown = [{key: agent[key] for key in ("slug", "name", "blast_radius")} for agent in biggest]
    return {"figures": numbers, "biggest": shown}


def _weight(agent: Mapping[str, Any]) -> tuple[float, str]:
    return -agent["weight"], agent["slug"]


def _add(counted: dict[str, Numbers], rows: QuerySet[Any], path: str, conditions: Mapping[str, Q]) -> None:
    """Count the rows of each condition by department. Each is a statement, so that the database can join for it."""
    named = rows.order_by().annotate(named=departments.department(path))
    for name in named.values_list("named", flat=True).distinct():
        counted[name].update(dict.fromkeys(conditions, 0))
    for key, condition in conditions.items():
        for name, number in named.filter(condition).values_list("named").annotate(number=Count("pk")):
            counted[name][key] = number


def _biggest() -> dict[str, list[dict[str, Any]]]:
    """Return the active agents of each department with the biggest blast radius, by weight."""
    place = Window(RowNumber(), partition_by=F("named"), order_by=(F("summary__weight").desc(), F("slug").asc()))
    rows = (
        Agent.objects.filter(status=Agent.Status.ACTIVE, summary__blast_radius__gt=0)
        .annotate(named=departments.department())
        .annotate(place=place)
        .filter(place__lte=HEAVIEST)
        .order_by("named", "place")
        .values("named", "slug", "name", blast_radius=F("summary__blast_radius"), weight=F("summary__weight"))
    )
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row["named"]].append({**row})
    return found


def of_department(rows: QuerySet[Revocation]) -> QuerySet[Any]:
    """Annotate revocations with the department of what they took access from: `named`, None where it has none."""
    by_name: dict[str, tuple[QuerySet[Any], str]] = {
        "agent": (Agent.objects.filter(slug=OuterRef("target_id")), ""),
        "client": (Client.objects.filter(client_id=OuterRef("target_id")), "agent__"),
    }
    key = {"pk": Cast(OuterRef("target_id"), UUIDField())}
    by_key: dict[str, tuple[QuerySet[Any], str]] = {
        "grant": (Grant.objects.filter(**key), "agent__"),
        "session": (Session.objects.filter(**key), "agent__"),
        "token": (IssuedToken.objects.filter(**key), "agent__"),
    }
    whens = [
        When(target_type=kind, then=Subquery(found.order_by().values_list(departments.department(path))[:1]))
        for kind, (found, path) in {**by_name, **by_key}.items()
    ]
    person = Person.objects.filter(login=OuterRef("target_id")).values_list(departments.of_person())[:1]
    whens.append(When(target_type="person", then=Subquery(person)))
    return rows.annotate(named=Case(*whens, default=Value(None), output_field=TextField()))


def _medians() -> dict[str, int | None]:
    """Return the median time to revoke of each department, over its latest revocations, in one statement."""
    place = Window(RowNumber(), partition_by=F("named"), order_by=F("committed_at").desc())
    rows = of_department(time_to_revoke.answered()).annotate(place=place)
    rows = rows.filter(place__lte=time_to_revoke.LATEST, named__isnull=False)
    by_name: dict[str, list[Any]] = defaultdict(list)
    for name, acknowledged in rows.values_list("named", "acknowledged"):
        by_name[name].append(acknowledged)
    return {name: time_to_revoke.median_of(nodes) for name, nodes in by_name.items()}
