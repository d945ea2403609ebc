"""Re-performs a population from the audit log alone, as of the moment of the first snapshot, and reports differences.

Each grant, or other subject, is followed through its events (`past_grants`, `past_things`). Today's tables answer one
question only: whether a grant that the pack lacks fits a condition of the scope on tools, use or departments, or has a
finding.
Findings come and go without an event, so a grant with one today is a doubt and no difference. The risk level and the
definition of a tool, and the owners of a grant's agent, are not followed.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.db.models import Q

from audit.actions import Action
from audit.models import Event
from entitlements.access import role_reach
from entitlements.agents.models import Agent
from entitlements.grants.models import Grant
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items import review_rules
from governance.reviews.pack_check import verify
from governance.reviews.pack_tables import past_grants, past_things
from governance.reviews.population import open_findings, scopes

type _Values = Mapping[str, Any]
type _ByName = dict[str, dict[str, Any]]

COMPARED: Final = (
    "version",
    "agent",
    "system",
    "entitlement",
    "subjects",
    "state",
    "request",
    "starts_at",
    "expires_at",
    "lines",
)
_DELEGATED: Final = ("version", "agent", "system", "entitlement", "state", "expires_at", "lines", "others", "person")
_MOMENTS: Final = frozenset({"starts_at", "expires_at"})


@dataclass(slots=True)
class Report:
    """The result: the numbers of subjects in the log and in the pack, each difference and each doubt as a sentence."""

    what: str = "grants"
    derived: int = 0
    packed: int = 0
    out_of_scope: int = 0
    differences: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)


def reperform(pack: zipfile.ZipFile) -> Report:
    """Derive the population of a pack from the audit log, and compare. Raises the errors of reading a bad file."""
    folder = zipfile.Path(pack)
    scope = json.loads((folder / "02_scope_and_parameters.json").read_bytes())
    rows = [(row["grant"], json.loads(row["payload"])) for row in verify.read(folder, "03_population")]
    packed, derived, within = _sides(scope, rows)
    report = Report(what=_CALLED.get(scope["kind"], "grants"), packed=len(packed))
    report.differences += _digests(folder, scope)
    for name, values in packed.items():
        if name not in derived:
            report.differences.append(f"{name} is in the pack, and by the audit log not in force at that moment")
        else:
            report.differences += _compare(name, values, derived[name])
    missing = {name: held for name, held in derived.items() if name not in packed}
    unexplained = sorted(within(missing))
    report.out_of_scope = len(missing) - len(unexplained)
    report.derived = len(derived) - report.out_of_scope
    if scope["kind"] == Campaign.Kind.FINDINGS:
        sentence = (
            "was in force by the audit log, is not in the pack, and has a finding today: since when is not recorded"
        )
        report.doubts += [f"{name} {sentence}" for name in unexplained]
    else:
        sentence = "was in force and in scope by the audit log, and is not in the pack"
        report.differences += [f"{name} {sentence}" for name in unexplained]
    return report


_CALLED: Final[Mapping[str, str]] = {
    Campaign.Kind.DELEGATION: "delegations",
    Campaign.Kind.OWNERSHIP: "agents",
    Campaign.Kind.CREDENTIAL: "credentials",
    Campaign.Kind.ENTITLEMENT_DEFINITION: "entitlements",
    Campaign.Kind.CONSOLE_ACCESS: "roles and tokens",
}


def _sides(
    scope: _Values, rows: Iterable[tuple[str, dict[str, Any]]]
) -> tuple[_ByName, _ByName, Callable[[_ByName], list[str]]]:
    """Return the values in the pack and in the log, by the same names, and a function that filters those in scope."""
    held = past_grants.as_of(past_grants.read(scope["snapshot_at"]))
    if scope["kind"] in past_things.KINDS:
        existing = past_things.as_of(scope["kind"], past_grants.read(scope["snapshot_at"]))
        derived = {f"{kind} {key}": values for kind, things in existing.items() for key, values in things.items()}
        packed = {f"{values['kind']} {values['key']}": _thing(values) for _, values in rows}
        return packed, derived, lambda missing: _things_within(scope, missing, held)
    if scope["kind"] == Campaign.Kind.DELEGATION:
        derived = dict(_delegated(held))
        packed = {f"{grant} for {values['person']}": _chosen(_DELEGATED, values) for grant, values in rows}
        return packed, derived, lambda missing: _delegated_within(scope, missing, held)
    packed = {grant: _chosen(COMPARED, values) for grant, values in rows}
    derived = {grant: _chosen(COMPARED, _as_packed(terms)) for grant, terms in held.items()}
    return packed, derived, lambda missing: _within(scope, missing)


def _chosen(names: Iterable[str], values: _Values) -> dict[str, Any]:
    """Return these values, each in the form in which it is compared."""
    chosen = {name: values.get(name) for name in names}
    if "subjects" in chosen:
        chosen["subjects"] = sorted(values["subjects"])
    return {**chosen, "lines": {line["tool"]: line["limits"] for line in values["lines"]}}


def _as_packed(terms: _Values) -> dict[str, Any]:
    """Return a grant's terms from the log in the form of a pack."""
    lines = [{"tool": tool, "limits": limits} for tool, limits in terms["lines"].items()]
    return {**terms, "expires_at": terms["ends"], "lines": lines}


def _delegated(held: _ByName) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each grant once for each of its people, in the form of a pack of delegations."""
    for grant, terms in held.items():
        for subject in terms["subjects"]:
            kind, _, login = subject.partition(":")
            if kind == "person":
                values = {**_as_packed(terms), "others": len(terms["subjects"]) - 1, "person": login}
                yield f"{grant} for {login}", _chosen(_DELEGATED, values)


def _thing(values: _Values) -> dict[str, Any]:
    if "lines" not in values:
        return dict(values)
    limits = {line["tool"]: line["limits"] for line in values["lines"]}
    return {**values, "tools": sorted(limits), "limits": limits}


def _compare(name: str, packed: _Values, derived: _Values) -> Iterator[str]:
    """Yield each value that differs between the pack and the log; names that begin with `_` are not in a pack."""
    for part in (part for part in derived if not part.startswith("_")):
        in_pack, recorded = packed.get(part), derived[part]
        if part in _MOMENTS and in_pack and recorded:
            in_pack, recorded = past_grants.read(in_pack), past_grants.read(recorded)
        if in_pack != recorded:
            yield f"{name}: {part} is {in_pack} in the pack and {recorded} by the audit log"


def _digests(folder: verify.Folder, scope: _Values) -> Iterator[str]:
    """Yield each digest of the population that does not fit the pack, or the log's event of its snapshot."""
    hashes = list[str]()
    for row in verify.read(folder, "03_population"):
        hashes.append(row["row_sha256"])
        if review_rules.row_digest(row["payload"]) != row["row_sha256"]:
            yield f"row {row['seq']} is another than its digest says"
    digest = review_rules.population_digest(hashes)
    about = [f"campaign:{scope['campaign']}"]
    activation = Event.objects.filter(action=Action.CAMPAIGN_ACTIVATED, links__contains=about).order_by("at").first()
    if activation is None or activation.detail["population_sha256"] != digest:
        yield "the population has another digest than the event of the review's beginning"


def _within(scope: _Values, missing: Mapping[str, _Values]) -> list[str]:
    """Return the grants that are in the scope."""
    criteria = scope["scope"]
    grants = {
        grant
        for grant, held in missing.items()
        if (not criteria.get("systems") or held["system"] in criteria["systems"])
        and (not criteria.get("agents") or held["agent"] in criteria["agents"])
    }
    moment = datetime.fromisoformat(scope["snapshot_at"])
    conditions = [scopes.compiled(criteria["where"], moment)] if criteria.get("where") else []
    if departments := criteria.get("departments"):
        conditions += [Q(agent__in=role_reach.agents_of(departments))]
    conditions += (
        [scopes.compiled(scopes.PRIVILEGED, moment)] if scope["kind"] == Campaign.Kind.PRIVILEGED_TOOLS else []
    )
    conditions += [open_findings.open_findings()] if scope["kind"] == Campaign.Kind.FINDINGS else []
    for condition in conditions:
        rows = Grant.objects.filter(pk__in=grants).filter(condition)
        grants = {str(grant) for grant in rows.values_list("pk", flat=True)}
    return sorted(grants)


def _delegated_within(scope: _Values, missing: _ByName, held: _ByName) -> list[str]:
    grant_of = {name: name.partition(" ")[0] for name in missing}
    within = set(_within(scope, {grant: held[grant] for grant in grant_of.values()}))
    return [name for name, grant in grant_of.items() if grant in within]


def _things_within(scope: _Values, missing: _ByName, held: _ByName) -> list[str]:
    """Return the subjects that are in the scope: by their names, or by the grants in force at that moment."""
    criteria = scope["scope"]
    systems, agents = set(criteria.get("systems") or ()), set(criteria.get("agents") or ())
    rows = Agent.objects.filter(pk__in=role_reach.agents_of(criteria.get("departments") or ()))
    of_departments = set(rows.values_list("slug", flat=True))
    in_scope = [held[grant] for grant in _within(scope, held)] if criteria else []
    by_grant = {(part, terms[part]) for terms in in_scope for part in ("agent", "system", "entitlement")}

    def is_in_scope(name: str) -> bool:
        kind, _, key = name.partition(" ")
        thing = missing[name]
        if kind == "agent" or (kind == "client" and thing["agent"]):
            agent = key if kind == "agent" else thing["agent"]
            by_terms = set(criteria) <= {"agents", "departments"} or ("agent", agent) in by_grant
            is_named = (not agents or agent in agents) and ("departments" not in criteria or agent in of_departments)
            return by_terms and is_named and thing.get("auth") != _PUBLIC
        if kind == "upstream_secret":
            by_terms = set(criteria) <= {"systems"} or ("system", thing["system"]) in by_grant
            return by_terms and (not systems or thing["system"] in systems)
        if kind == "entitlement":
            by_terms = set(criteria) <= {"systems"} or ("entitlement", key) in by_grant
            return by_terms and (not systems or thing["system"] in systems)
        return not criteria and thing.get("auth") != _PUBLIC

    return [name for name in missing if is_in_scope(name)]


_PUBLIC: Final = "none"
"""A client without a secret is a credential only while it holds a refresh token, which the log does not show."""
