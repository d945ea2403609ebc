"""Putting a pack together: the same campaign gives the same bytes but for the signature and the moment of sealing."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from audit import chain, proofs
from audit.models import Event
from entitlements import signing
from entitlements.errors import DomainError
from governance import reviewing
from governance.models import Campaign

from . import controls, tables, verify

ISSUER: Final = "evidence"
"""The issuer path whose keys sign packs; their public halves are listed at `/api/v1/keys`."""
KIND: Final = "application/vnd.in-toto+json"
_FIRST_DAY: Final = (1980, 1, 1, 0, 0, 0)
"""The moment that every file in the archive has: what is equal has equal bytes."""


class NotSealedYet(DomainError):
    """The newest events of this review are not in the sealed record yet; try again in a moment."""

    code, status = "record_not_sealed_yet", HTTPStatus.CONFLICT


class DoesNotTieOut(DomainError):
    """The evidence does not add up, so it cannot be sealed; the detail names each difference."""

    code, status = "evidence_does_not_tie_out", HTTPStatus.CONFLICT


@dataclass(frozen=True, slots=True)
class Pack:
    """A built pack: the archive, its files (name, digest, rows of a table), the equations, and who signed."""

    content: bytes
    files: list[dict[str, Any]]
    tie_out: dict[str, int]
    key_id: str

    @property
    def sha256(self) -> str:
        """The digest of the archive."""
        return hashlib.sha256(self.content).hexdigest()


def build(campaign: Campaign, sign_off: Mapping[str, Any]) -> Pack:
    """Build the pack of a campaign with the sign-off in it, and check it as everybody else will.

    Raises NotSealedYet, DoesNotTieOut.
    """
    rows = {name: list(read(campaign)) for name, read in tables.TABLES.items()}
    scope, events = _scope(campaign), _events(campaign)
    differences = verify.tie_out(rows, scope)
    if any(differences.values()):
        raise DoesNotTieOut(differences={name: count for name, count in differences.items() if count})
    files: dict[str, bytes] = {
        "02_scope_and_parameters.json": _json(scope),
        "03_control_totals.json": _json(tables.control_totals(rows["03_population"])),
        "10_signoffs.json": _json([dict(sign_off)]),
        "12_tieout.json": _json(differences),
        "14_control_mapping.csv": _csv(controls.rows()),
        "README.md": controls.README.format(name=campaign.name, slug=campaign.slug).encode(),
        "verify.py": Path(verify.__file__).read_bytes(),
    }
    rows["13_audit_events"] = events
    for name, table in rows.items():
        files[f"{name}.jsonl"] = b"".join(chain.canonical(row) + b"\n" for row in table)
        if name != "13_audit_events":
            files[f"{name}.csv"] = _csv(table)
    key_id = signing.active_kid(ISSUER)
    files["public_key.pem"] = signing.public_pem(key_id)
    counted = {name: len(table) for name, table in rows.items()}
    content = _zip({**files, verify.ENVELOPE: _json(_envelope(campaign, files, counted, key_id))})
    with zipfile.ZipFile(io.BytesIO(content)) as built:
        if wrong := list(verify.faults(built)):
            raise DoesNotTieOut(faults=wrong)
    told = [
        {"name": name, "sha256": hashlib.sha256(files[name]).hexdigest(), "rows": counted.get(name.rpartition(".")[0])}
        for name in sorted(files)
    ]
    return Pack(content, told, differences, key_id)


def _scope(campaign: Campaign) -> dict[str, Any]:
    return {
        "campaign": campaign.slug,
        "name": campaign.name,
        "kind": campaign.kind,
        "owner": campaign.owner.login,
        "scope": campaign.scope,
        "scope_sha256": campaign.scope_sha256,
        "made_at": tables.utc(campaign.created_at),
        "snapshot_at": tables.utc(campaign.snapshot_at),
        "due_at": tables.utc(campaign.due_at),
        "closed_at": tables.utc(campaign.closed_at),
        "population_rows": campaign.population_rows,
        "population_sha256": campaign.population_sha256,
    }


def _events(campaign: Campaign) -> list[dict[str, Any]]:
    """Return every event about the campaign with its place in the sealed record, and the way from it to its head."""
    found = []
    rows = Event.objects.filter(links__contains=[f"campaign:{campaign.slug}"]).order_by("at", "sequence")
    for event in rows:
        try:
            proof = proofs.inclusion(event.producer, event.sequence)
        except proofs.NoSuchProof as error:
            raise NotSealedYet from error
        found.append(
            {
                "uuid": str(event.uuid),
                "index": proof.index,
                "leaf": proof.leaf.hex(),
                "body": event.body,
                "proof": [node.hex() for node in proof.path],
                "checkpoint": proof.note,
            }
        )
    return found


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True).encode() + b"\n"


def _csv(table: Iterable[Mapping[str, Any]]) -> bytes:
    """Write a table for a spreadsheet, in which no cell is a formula; the raw values are in the JSON Lines."""
    written = io.StringIO()
    out = csv.writer(written, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    for number, row in enumerate(table):
        if number == 0:
            out.writerow(row)
        out.writerow([reviewing.cell(_flat(value)) for value in row.values()])
    return written.getvalue().encode()


def _flat(value: object) -> object:
    return json.dumps(value, ensure_ascii=False, sort_keys=True) if isinstance(value, dict | list) else value


def _envelope(campaign: Campaign, files: Mapping[str, bytes], rows: Mapping[str, int], key_id: str) -> dict[str, Any]:
    """Sign the digests of all files: an in-toto statement (v1) in a DSSE envelope (v1)."""
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [
            {"name": name, "digest": {"sha256": hashlib.sha256(files[name]).hexdigest()}} for name in sorted(files)
        ],
        "predicateType": "https://mandate.example/evidence/v1",
        "predicate": {"campaign": campaign.slug, "rows": dict(rows)},
    }
    payload = _json(statement)
    signature = signing.sign_bytes(key_id, verify.signed(KIND, payload))
    return {
        "payloadType": KIND,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": key_id, "sig": base64.b64encode(signature).decode()}],
    }


def _zip(files: Mapping[str, bytes]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name, _FIRST_DAY), files[name], zipfile.ZIP_DEFLATED)
    return written.getvalue()
