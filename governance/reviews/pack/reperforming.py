"""Taking a population once more, from the record alone, as of the moment of the first time; and what then differs.

Each grant is followed through its events: issued, reduced, suspended, restored, ended. From the tables of today comes
one thing only: whether a grant that the pack does not have fits a condition of the scope on tools or use. Sponsor and
owner of the agent, risk and definition of a tool are not followed: they are as the catalogue had them.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from audit import timeline
from audit.actions import Action
from audit.models import Event
from entitlements.models import Grant
from governance import reviewing
from governance.models import Campaign
from governance.reviews import scoping

from . import verify

_FOLLOWED: Final = [
    Action.GRANT_ISSUED,
    Action.GRANT_REDUCED,
    Action.GRANT_REDUCTION_UNDONE,
    Action.GRANT_SUSPENDED,
    Action.GRANT_RESTORED,
    Action.GRANT_REVOKED,
    Action.GRANT_EXPIRED,
]
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


@dataclass(slots=True)
class Report:
    """What came of it: how many grants the record and the pack have, and each difference as a sentence."""

    derived: int = 0
    packed: int = 0
    out_of_scope: int = 0
    differences: list[str] = field(default_factory=list)


def reperform(pack: zipfile.ZipFile) -> Report:
    """Derive the population of a pack from the record, and compare. Raises what reading another file raises."""
    folder = zipfile.Path(pack)
    scope = json.loads((folder / "02_scope_and_parameters.json").read_bytes())
    packed = {row["grant"]: json.loads(row["payload"]) for row in verify.read(folder, "03_population") if row["grant"]}
    derived = as_of(datetime.fromisoformat(scope["snapshot_at"]))
    report = Report(packed=len(packed))
    report.differences += _digests(folder, scope)
    for grant, said in packed.items():
        if grant not in derived:
            report.differences.append(f"{grant} is in the pack, and by the record not in force at that moment")
        else:
            report.differences += _compare(grant, said, derived[grant])
    missing = {grant: held for grant, held in derived.items() if grant not in packed}
    within = _within(scope, missing)
    report.out_of_scope = len(missing) - len(within)
    report.derived = len(derived) - report.out_of_scope
    report.differences += [
        f"{grant} was in force and in scope by the record, and is not in the pack" for grant in within
    ]
    return report


def as_of(moment: datetime) -> dict[str, dict[str, Any]]:
    """Return what every grant in force at a moment gave, as the record tells it, by grant."""
    held: dict[str, dict[str, Any]] = {}
    told = Event.objects.filter(action__in=_FOLLOWED, at__lte=moment).order_by(*timeline.ORDER)
    for event in told.iterator(chunk_size=2000):
        _apply(held, event)
    return {grant: terms for grant, terms in held.items() if _moment(terms["ends"]) > moment}


def _apply(held: dict[str, dict[str, Any]], event: Event) -> None:
    links = _links(event.about)
    grant, detail = links["grant"][0], event.detail
    if event.action == Action.GRANT_ISSUED:
        held[grant] = _issued(links, detail)
        return
    if grant not in held:
        return
    terms = held[grant]
    terms["version"] += 1
    if event.action == Action.GRANT_REDUCED:
        terms["lines"] = {name: cap for name, cap in terms["lines"].items() if name not in detail["dropped"]}
        terms["lines"] |= detail["tightened"]
        terms["ends"] = detail["expires_at"]
    elif event.action == Action.GRANT_REDUCTION_UNDONE:
        terms["lines"] = terms["lines"] | detail["lines"]
    elif event.action in (Action.GRANT_REVOKED, Action.GRANT_EXPIRED):
        del held[grant]
    else:
        terms["state"] = "suspended" if event.action == Action.GRANT_SUSPENDED else "active"


def _issued(links: Mapping[str, list[str]], detail: Mapping[str, Any]) -> dict[str, Any]:
    people = [f"person:{login}" for login in links.get("person", [])]
    groups = [f"group:{slug}" for slug in links.get("group", [])]
    return {
        "version": 1,
        "agent": links["agent"][0],
        "system": links["system"][0],
        "entitlement": links["entitlement"][0],
        "subjects": sorted(people + groups),
        "state": "active",
        "request": links.get("request", [None])[0],
        "starts_at": detail["starts_at"],
        "ends": detail["expires_at"],
        "lines": dict(detail["lines"]),
    }


def _links(about: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for link in about:
        kind, _, name = link.partition(":")
        found.setdefault(kind, []).append(name)
    return found


def _compare(grant: str, said: Mapping[str, Any], held: Mapping[str, Any]) -> Iterator[str]:
    packed = {
        **{name: said.get(name) for name in COMPARED},
        "subjects": sorted(said["subjects"]),
        "starts_at": _moment(said["starts_at"]),
        "expires_at": _moment(said["expires_at"]),
        "lines": {line["tool"]: line["limits"] for line in said["lines"]},
    }
    derived = {**held, "starts_at": _moment(held["starts_at"]), "expires_at": _moment(held["ends"])}
    for name in COMPARED:
        if packed[name] != derived[name]:
            yield f"{grant}: {name} is {packed[name]} in the pack and {derived[name]} by the record"


def _moment(said: str) -> datetime:
    return datetime.fromisoformat(said).astimezone(UTC)


def _digests(folder: verify.Folder, scope: Mapping[str, Any]) -> Iterator[str]:
    """Name what of the population's own digests does not fit the pack, or what the record said when it was taken."""
    hashes = list[str]()
    for row in verify.read(folder, "03_population"):
        hashes.append(row["row_sha256"])
        if reviewing.row_digest(row["payload"]) != row["row_sha256"]:
            yield f"row {row['seq']} is another than its digest says"
    digest = reviewing.population_digest(hashes)
    about = [f"campaign:{scope['campaign']}"]
    told = Event.objects.filter(action=Action.CAMPAIGN_ACTIVATED, links__contains=about).order_by("at").first()
    if told is None or told.detail["population_sha256"] != digest:
        yield "the population has another digest than the record said when the review began"


def _within(scope: Mapping[str, Any], missing: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return which of these grants the scope takes in."""
    said = scope["scope"]
    found = {
        grant
        for grant, held in missing.items()
        if (not said.get("systems") or held["system"] in said["systems"])
        and (not said.get("agents") or held["agent"] in said["agents"])
    }
    asked = [said["where"]] if said.get("where") else []
    asked += [scoping.PRIVILEGED] if scope["kind"] == Campaign.Kind.PRIVILEGED_TOOLS else []
    moment = datetime.fromisoformat(scope["snapshot_at"])
    for condition in asked:
        rows = Grant.objects.filter(pk__in=found).filter(scoping.compiled(condition, moment))
        found = {str(grant) for grant in rows.values_list("pk", flat=True)}
    return sorted(found)
