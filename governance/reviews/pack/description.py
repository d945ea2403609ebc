"""The description in a pack: the control in words, the parameters, and a sheet for each table."""

from __future__ import annotations

import hashlib
import html
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import django
from django.core.exceptions import EmptyResultSet
from django.db import connection

from audit.actions import Action
from audit.models import Event
from entitlements.definitions import impressions
from governance.reviews.campaigns.models import Campaign
from governance.reviews.deadlines import undecided
from governance.reviews.items import review_rules
from governance.reviews.pack_check import verify
from governance.reviews.pack_tables import contents, period, spot_checks
from governance.reviews.pack_tables.tables import Table, issued_after, over_before, utc
from governance.reviews.population import scopes
from governance.reviews.quality import blast_radius
from governance.reviews.suggestions import judgement
from governance.reviews.suggestions.models import Suggestion

from . import controls


def scope(campaign: Campaign) -> dict[str, Any]:
    """Return the scope of a review: its statement, times, people, program, and the numbers that must tie out."""
    since, until = period.bounds(campaign)
    statement, values = scopes.as_sql(
        scopes.matching(campaign.scope, campaign.kind, campaign.snapshot_at or until), "scope"
    )
    begun = Event.objects.filter(action=Action.CAMPAIGN_ACTIVATED, links__contains=[f"campaign:{campaign.slug}"])
    first = begun.order_by("at").first()
    return {
        "campaign": campaign.slug,
        "name": campaign.name,
        "kind": campaign.kind,
        "mode": campaign.mode,
        "framework": campaign.framework,
        "strategies": review_rules.strategies(campaign.strategies),
        "fallback_group": campaign.fallback_group.slug if campaign.fallback_group else "",
        "asks_owner": campaign.asks_owner,
        "owner": campaign.owner.login,
        "scope": campaign.scope,
        "scope_sha256": campaign.scope_sha256,
        "statement": statement,
        "statement_sha256": hashlib.sha256(statement.encode()).hexdigest(),
        "statement_parameters": {name: _plain(value) for name, value in values.items()},
        "run_by": first.actor if first else "",
        "run_at": utc(campaign.snapshot_at),
        "program": _program(),
        "time_zone": "UTC",
        "made_at": utc(campaign.created_at),
        "snapshot_at": utc(campaign.snapshot_at),
        "due_at": utc(campaign.due_at),
        "closed_at": utc(campaign.closed_at),
        "period": {"since": utc(since) if since > period.BEGINNING else "", "until": utc(until)},
        "population_rows": campaign.population_rows,
        "population_sha256": campaign.population_sha256,
        "outcomes": undecided.outcomes(campaign),
        "spot_checks": spot_checks.plan(campaign),
        "issued_after": len(issued_after(campaign)),
        "over_before": over_before(campaign),
    }


def blast(campaign: Campaign) -> dict[str, Any]:
    """Return the blast radius of each agent before and after the removals, and how many agents are not listed."""
    changes = blast_radius.changes(campaign)
    rows = changes.rows if changes else []
    agents = [{"agent": row.slug, "before": row.before, "after": row.after} for row in rows]
    return {"agents": agents, "hidden": changes.hidden if changes else 0}


def source_sha256(root: Path) -> str:
    """Return the digest of the source below `root`: the code, texts and layouts of the three floors."""
    digest = hashlib.sha256()
    for floor in ("audit", "entitlements", "governance"):
        for file in sorted(path for path in (root / floor).rglob("*") if path.suffix in {".py", ".sql", ".md", ".typ"}):
            digest.update(f"{file.relative_to(root)}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


@cache
def _program() -> dict[str, str]:
    """Identify this program: by the digest of its source, since it may be installed without its history."""
    return {
        "name": "Mandate",
        "source_sha256": source_sha256(Path(__file__).parents[3]),
        "django": django.get_version(),
        "reviewers": review_rules.ENGINE,
        "suggestions": judgement.VERSION,
    }


def _plain(value: object) -> object:
    return value if isinstance(value, str | int | bool | None) else str(value)


_STRATEGIES: Final[Mapping[str, str]] = {
    review_rules.Strategy.FIRST_DECIDES: "one person decides",
    review_rules.Strategy.ANY_DENY_DENIES: "two people, either may remove it, else the strictest answer wins",
    review_rules.Strategy.ALL_MUST_KEEP: "two people, both must keep all of it, and silence stops it",
}


def control(campaign: Campaign, data: dict[str, Any]) -> bytes:
    """Return the control in words."""
    engines = Suggestion.objects.filter(item__campaign=campaign).order_by("version").values_list("version", flat=True)
    values = {
        **{name: data[name] for name in ("kind", "mode", "framework", "owner", "snapshot_at", "due_at", "closed_at")},
        "name": display_name(campaign),
        "strategies": "; ".join(f"{risk}: {_STRATEGIES[chosen]}" for risk, chosen in data["strategies"].items()),
        "fallback": _fallback(data),
        "spot_checks": spot_checks.sentence(campaign),
        "population": campaign.population_rows,
        "items": sum(data["outcomes"].values()),
        "engine": review_rules.ENGINE,
        "suggestions": ", ".join(engines.distinct()) or judgement.VERSION,
        "rehearsal": "yes, nothing was stopped" if campaign.is_rehearsal else "no",
    }
    return controls.CONTROL.format(**values).encode()


def _fallback(data: dict[str, Any]) -> str:
    """Return who is asked where the chain finds no reviewer."""
    group = [f"whoever of the group {data['fallback_group']} has least"] if data["fallback_group"] else []
    owner = ["the owner of the review"] if data["asks_owner"] else []
    return ", then ".join([*group, *owner]) or "Nobody: it waits for a name"


def display_name(campaign: Campaign) -> str:
    """Return the name of a campaign for a text page: without markup and without invisible characters."""
    return html.escape(impressions.visible(" ".join(campaign.name.split())))


def sheets(campaign: Campaign, folder: Path, rows: dict[str, int]) -> dict[str, Any]:
    """Return a sheet for each table: its query with parameters, rows, totals, and a random sample traced to events.

    The seed comes from the hash of the population, so it cannot be chosen, and every reader draws the same rows.
    """
    return {name: _sheet(campaign, folder, name, table, rows[name]) for name, table in contents.TABLES.items()}


def _sheet(campaign: Campaign, folder: Path, name: str, table: Table, total: int) -> dict[str, Any]:
    query = table.query(campaign)
    try:
        statement, values = query.query.sql_with_params()
    except EmptyResultSet:  # reviews of this kind have no such rows, so no query runs
        statement, values = "", ()
    seed = hashlib.sha256(f"{campaign.population_sha256}:{name}".encode()).hexdigest()[:16]
    picked, totals = verify.sample(folder, name, seed, total), {field: Counter[str]() for field in table.totals}
    sampled = []
    for number, row in enumerate(verify.read(folder, name), start=1):
        for field, counter in totals.items():
            counter[str(row[field])] += 1
        if number in picked:
            sampled.append({"row": number, "sha256": picked[number], "events": _events(table, row)})
    return {
        "source": query.model._meta.db_table,
        "database": connection.vendor,
        "query": statement,
        "parameters": [_plain(value) for value in values],
        "rows": total,
        "totals": totals,
        "seed": seed,
        "sample": sampled,
    }


def _events(table: Table, row: dict[str, Any]) -> list[str]:
    """Return the first events about a row; none where the log has no event about the row alone."""
    if row.get("event"):
        return [row["event"]]
    link = table.about.format(**row) if table.about else ""
    if not link.partition(":")[2]:
        return []
    events = Event.objects.filter(links__contains=[link]).order_by("at", "sequence")
    return [str(uuid) for uuid in events.values_list("uuid", flat=True)[:3]]
