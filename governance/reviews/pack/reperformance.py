"""Taking a population once more, from the record alone, as of the moment of the first time; and what then differs.

Each grant, or other thing, is followed through its events (`grantsthen`, `thingsthen`). From the tables of today comes
one thing only: whether a grant that the pack does not have fits a condition of the scope on tools or use, or has a
finding. Findings come and go without a word in the record, so what has one today is a doubt and no difference. Risk and
definition of a tool, and who answers for the agent of a grant, are not followed: they are as the catalogue had them.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from audit.actions import Action
from audit.models import Event
from entitlements.grants.models import Grant
from governance.deciders import review_rules
from governance.reviews.campaigns.models import Campaign
from governance.reviews.pack_check import verify
from governance.reviews.pack_tables import past_grants, past_things
from governance.reviews.population import open_findings, scopes

type _Said = Mapping[str, Any]
type _All = dict[str, dict[str, Any]]

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
    """What came of it: how many things the record and the pack have, each difference and each doubt as a sentence."""

    what: str = "grants"
    derived: int = 0
    packed: int = 0
    out_of_scope: int = 0
    differences: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)


def reperform(pack: zipfile.ZipFile) -> Report:
    """Derive the population of a pack from the record, and compare. Raises what reading another file raises."""
    folder = zipfile.Path(pack)
    scope = json.loads((folder / "02_scope_and_parameters.json").read_bytes())
    rows = [(row["grant"], json.loads(row["payload"])) for row in verify.read(folder, "03_population")]
    packed, derived, within = _sides(scope, rows)
    report = Report(what=_CALLED.get(scope["kind"], "grants"), packed=len(packed))
    report.differences += _digests(folder, scope)
    for name, said in packed.items():
        if name not in derived:
            report.differences.append(f"{name} is in the pack, and by the record not in force at that moment")
        else:
            report.differences += _compare(name, said, derived[name])
    missing = {name: held for name, held in derived.items() if name not in packed}
    unexplained = sorted(within(missing))
    report.out_of_scope = len(missing) - len(unexplained)
    report.derived = len(derived) - report.out_of_scope
    if scope["kind"] == Campaign.Kind.FINDINGS:
        told = "was in force by the record, is not in the pack, and has a finding today: since when is not recorded"
        report.doubts += [f"{name} {told}" for name in unexplained]
    else:
        told = "was in force and in scope by the record, and is not in the pack"
        report.differences += [f"{name} {told}" for name in unexplained]
    return report


_CALLED: Final[Mapping[str, str]] = {
    Campaign.Kind.DELEGATION: "delegations",
    Campaign.Kind.OWNERSHIP: "agents",
    Campaign.Kind.CREDENTIAL: "credentials",
    Campaign.Kind.ENTITLEMENT_DEFINITION: "entitlements",
    Campaign.Kind.CONSOLE_ACCESS: "roles and tokens",
}


def _sides(scope: _Said, rows: Iterable[tuple[str, dict[str, Any]]]) -> tuple[_All, _All, Callable[[_All], list[str]]]:
    """Return what the pack says and what the record says, by the same names, and what chooses those in scope."""
    held = past_grants.as_of(past_grants.read(scope["snapshot_at"]))
    if scope["kind"] in past_things.KINDS:
        there = past_things.as_of(scope["kind"], past_grants.read(scope["snapshot_at"]))
        derived = {f"{kind} {key}": said for kind, things in there.items() for key, said in things.items()}
        packed = {f"{said['kind']} {said['key']}": _thing(said) for _, said in rows}
        return packed, derived, lambda missing: _things_within(scope, missing, held)
    if scope["kind"] == Campaign.Kind.DELEGATION:
        derived = dict(_delegated(held))
        packed = {f"{grant} for {said['person']}": _chosen(_DELEGATED, said) for grant, said in rows}
        return packed, derived, lambda missing: _delegated_within(scope, missing, held)
    packed = {grant: _chosen(COMPARED, said) for grant, said in rows}
    derived = {grant: _chosen(COMPARED, _as_packed(terms)) for grant, terms in held.items()}
    return packed, derived, lambda missing: _within(scope, missing)


def _chosen(names: Iterable[str], said: _Said) -> dict[str, Any]:
    """Take these of what is said, each in the one form in which it is compared."""
    chosen = {name: said.get(name) for name in names}
    if "subjects" in chosen:
        chosen["subjects"] = sorted(said["subjects"])
    return {**chosen, "lines": {line["tool"]: line["limits"] for line in said["lines"]}}


def _as_packed(terms: _Said) -> dict[str, Any]:
    """Say what the record tells of a grant as a pack says it."""
    lines = [{"tool": tool, "limits": limits} for tool, limits in terms["lines"].items()]
    return {**terms, "expires_at": terms["ends"], "lines": lines}


def _delegated(held: _All) -> Iterator[tuple[str, dict[str, Any]]]:
    """Say of each grant once for each of its people what a pack of delegations says."""
    for grant, terms in held.items():
        for subject in terms["subjects"]:
            kind, _, login = subject.partition(":")
            if kind == "person":
                said = {**_as_packed(terms), "others": len(terms["subjects"]) - 1, "person": login}
                yield f"{grant} for {login}", _chosen(_DELEGATED, said)


def _thing(said: _Said) -> dict[str, Any]:
    if "lines" not in said:
        return dict(said)
    limits = {line["tool"]: line["limits"] for line in said["lines"]}
    return {**said, "tools": sorted(limits), "limits": limits}


def _compare(name: str, packed: _Said, derived: _Said) -> Iterator[str]:
    """Name each part of which the record tells otherwise than the pack; what begins with `_` is no part of a pack."""
    for part in (part for part in derived if not part.startswith("_")):
        there, told = packed.get(part), derived[part]
        if part in _MOMENTS and there and told:
            there, told = past_grants.read(there), past_grants.read(told)
        if there != told:
            yield f"{name}: {part} is {there} in the pack and {told} by the record"


def _digests(folder: verify.Folder, scope: _Said) -> Iterator[str]:
    """Name what of the population's own digests does not fit the pack, or what the record said when it was taken."""
    hashes = list[str]()
    for row in verify.read(folder, "03_population"):
        hashes.append(row["row_sha256"])
        if review_rules.row_digest(row["payload"]) != row["row_sha256"]:
            yield f"row {row['seq']} is another than its digest says"
    digest = review_rules.population_digest(hashes)
    about = [f"campaign:{scope['campaign']}"]
    told = Event.objects.filter(action=Action.CAMPAIGN_ACTIVATED, links__contains=about).order_by("at").first()
    if told is None or told.detail["population_sha256"] != digest:
        yield "the population has another digest than the record said when the review began"


def _within(scope: _Said, missing: Mapping[str, _Said]) -> list[str]:
    """Return which of these grants the scope takes in."""
    said = scope["scope"]
    found = {
        grant
        for grant, held in missing.items()
        if (not said.get("systems") or held["system"] in said["systems"])
        and (not said.get("agents") or held["agent"] in said["agents"])
    }
    moment = datetime.fromisoformat(scope["snapshot_at"])
    asked = [scopes.compiled(said["where"], moment)] if said.get("where") else []
    asked += [scopes.compiled(scopes.PRIVILEGED, moment)] if scope["kind"] == Campaign.Kind.PRIVILEGED_TOOLS else []
    asked += [open_findings.open_findings()] if scope["kind"] == Campaign.Kind.FINDINGS else []
    for condition in asked:
        rows = Grant.objects.filter(pk__in=found).filter(condition)
        found = {str(grant) for grant in rows.values_list("pk", flat=True)}
    return sorted(found)


def _delegated_within(scope: _Said, missing: _All, held: _All) -> list[str]:
    of = {name: name.partition(" ")[0] for name in missing}
    within = set(_within(scope, {grant: held[grant] for grant in of.values()}))
    return [name for name, grant in of.items() if grant in within]


def _things_within(scope: _Said, missing: _All, held: _All) -> list[str]:
    """Return which of these things the scope takes in: by their names, or by the grants in force at that moment."""
    said = scope["scope"]
    systems, agents = set(said.get("systems") or ()), set(said.get("agents") or ())
    in_scope = [held[grant] for grant in _within(scope, held)] if said else []
    by_grant = {(part, terms[part]) for terms in in_scope for part in ("agent", "system", "entitlement")}

    def asks_for(name: str) -> bool:
        kind, _, key = name.partition(" ")
        thing = missing[name]
        if kind == "agent" or (kind == "client" and thing["agent"]):
            agent = key if kind == "agent" else thing["agent"]
            by_terms = set(said) <= {"agents"} or ("agent", agent) in by_grant
            return by_terms and (not agents or agent in agents) and thing.get("auth") != _PUBLIC
        if kind == "upstream_secret":
            by_terms = set(said) <= {"systems"} or ("system", thing["system"]) in by_grant
            return by_terms and (not systems or thing["system"] in systems)
        if kind == "entitlement":
            by_terms = set(said) <= {"systems"} or ("entitlement", key) in by_grant
            return by_terms and (not systems or thing["system"] in systems)
        return not said and thing.get("auth") != _PUBLIC

    return [name for name in missing if asks_for(name)]


_PUBLIC: Final = "none"
"""A client without a secret is a credential only while it holds a refresh token, of which the record does not tell."""
