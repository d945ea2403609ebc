"""Builds an evidence pack: the same campaign gives the same bytes, but for the signature and the moment of sealing.

Tables are written row by row to a temporary folder, and the archive to a file beside it, so that a large review needs
little memory.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from http import HTTPStatus
from itertools import tee
from pathlib import Path
from typing import Any, BinaryIO, Final

from django.db import transaction
from django.db.models import QuerySet

from audit import chain
from audit.actions import Action
from audit.models import Event
from audit.seals import proofs
from entitlements import spreadsheets
from entitlements.errors import DomainError
from entitlements.keys import signing
from entitlements.revocation import record_keys
from governance.database import cursors
from governance.reviews.campaigns.models import Campaign
from governance.reviews.pack_check import verify
from governance.reviews.pack_tables import contents
from governance.reviews.pack_tables.tables import Row, Totals
from governance.reviews.quality import measures

from . import controls, description, time_stamp

ISSUER: Final = record_keys.EVIDENCE
"""The issuer path whose keys sign packs; their public halves stay published at `/records/jwks.json`."""
KIND: Final = "application/vnd.in-toto+json"
_FIRST_DAY: Final = (1980, 1, 1, 0, 0, 0)
"""The time of every file in the archive, so that equal contents give equal bytes."""


class NotSealedYet(DomainError):
    """The newest events of this review are not sealed in the audit log yet. Try again in a moment."""

    code, status = "record_not_sealed_yet", HTTPStatus.CONFLICT


class DoesNotTieOut(DomainError):
    """The evidence does not tie out, so it cannot be sealed. The detail names each difference."""

    code, status = "evidence_does_not_tie_out", HTTPStatus.CONFLICT


@dataclass(frozen=True, slots=True)
class Pack:
    """A built pack: its archive with the digest, its files (name, digest, rows), the tie-out, and the signing key.

    `stamped_at` is the time of the time-stamping authority, where one is configured.
    """

    archive: BinaryIO
    sha256: str
    files: list[dict[str, Any]]
    tie_out: dict[str, int]
    key_id: str
    stamped_at: datetime | None


type Progress = Callable[[int, int], object]
"""Called with the number of tables written and of their rows; with `PARTS` tables when the pack is being checked."""
PARTS: Final = len(contents.TABLES) + 2
"""The number of tables, with the controls and the events."""


@contextmanager
def build(campaign: Campaign, sign_off: Mapping[str, Any], progress: Progress = lambda *_: None) -> Iterator[Pack]:
    """Build the pack of a campaign with its sign-off, and check it with the shipped `verify.py`.

    Raises NotSealedYet, DoesNotTieOut, NoTimeStamp.
    """
    with tempfile.TemporaryDirectory(prefix="evidence-") as path, tempfile.TemporaryFile() as file:
        folder = Path(path)
        rows = _write_tables(folder, campaign, progress)
        scope = description.scope(campaign)
        differences = verify.tie_out(folder, scope)
        if any(differences.values()):
            raise DoesNotTieOut(differences={name: count for name, count in differences.items() if count})
        blast = description.blast(campaign)
        contents: dict[str, bytes] = {
            "01_control.md": description.control(campaign, scope),
            "02_scope_and_parameters.json": _json(scope),
            "05_blast_radius.json": _json(blast),
            "09_measures.json": _json(asdict(measures.Measures.count(campaign))),
            "10_signoffs.json": _json([dict(sign_off)]),
            "12_tieout.json": _json(differences),
            verify.SHEETS: _json(description.sheets(campaign, folder, rows)),
            "README.md": controls.README.format(name=description.display_name(campaign), slug=campaign.slug).encode(),
            "verify.py": Path(verify.__file__).read_bytes(),
        }
        results = {"tie_out": differences, "sign_off": sign_off, "rows": rows, "blast": blast}
        from . import summary, workbook  # noqa: PLC0415 - they take memory, and few processes ever write a pack

        workbook.write(folder, rows, campaign.closed_at or campaign.due_at)
        contents["00_README.pdf"] = summary.pdf(folder, scope, results)
        key_id = signing.active_kid(ISSUER)
        contents["public_key.pem"] = signing.public_pem(key_id)
        for name, content in contents.items():
            (folder / name).write_bytes(content)
        digests = {file.name: _digest(file) for file in sorted(folder.iterdir())}
        envelope = _json(_envelope(campaign, digests, rows, key_id))
        (folder / verify.ENVELOPE).write_bytes(envelope)
        if stamp := time_stamp.stamp(envelope):
            (folder / verify.STAMP).write_bytes(stamp.content)
        _archive_and_check(folder, file)
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        files = [
            {"name": name, "sha256": digest, "rows": rows.get(Path(name).stem)} for name, digest in digests.items()
        ]
        yield Pack(file, sha256, files, differences, key_id, stamp.at if stamp else None)


def _write_tables(folder: Path, campaign: Campaign, progress: Progress) -> dict[str, int]:
    """Write every table as JSON Lines and CSV, the events, and the population's totals; return the rows of each."""
    totals = Totals()
    rows: dict[str, int] = {}
    for name, table in contents.TABLES.items():
        progress(len(rows), sum(rows.values()))
        with transaction.atomic():
            counted_rows = _counting(table.rows(campaign), totals) if name == "03_population" else table.rows(campaign)
            rows[name] = _write(folder, name, counted_rows)
    rows["14_control_mapping"] = _write(folder, "14_control_mapping", controls.rows())
    progress(len(rows), sum(rows.values()))
    with transaction.atomic():
        rows["13_audit_events"] = _write_lines(folder / "13_audit_events.jsonl", _events(campaign))
    progress(len(rows), sum(rows.values()))
    (folder / "03_control_totals.json").write_bytes(_json(totals.counted))
    return rows


def _counting(rows: Iterable[Row], totals: Totals) -> Iterator[Row]:
    for row in rows:
        totals.add(row)
        yield row


def _write(folder: Path, name: str, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write a table as JSON Lines, and as CSV in which no cell is a formula."""
    with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as sheet:
        return _write_lines(folder / f"{name}.jsonl", _also_as_csv(rows, sheet))


def _also_as_csv(rows: Iterable[Mapping[str, Any]], sheet: Any) -> Iterator[Mapping[str, Any]]:  # noqa: ANN401 - a text file
    for number, row in enumerate(rows):
        if number == 0:
            sheet.write(spreadsheets.line(row))
        sheet.write(spreadsheets.line(map(_flat, row.values())))
        yield row


def _write_lines(file: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    count = 0
    with file.open("wb") as lines:
        for count, row in enumerate(rows, start=1):  # noqa: B007 - the last number is how many
            lines.write(chain.canonical(row) + b"\n")
    return count


def events(campaign: Campaign) -> QuerySet[Event]:
    """Return every event about the campaign, except those about the evidence itself.

    Reading the evidence, or asking for its sealing, changes nothing in it, and the pack does not wait for such events.
    """
    about = Event.objects.filter(links__contains=[f"campaign:{campaign.slug}"])
    return about.exclude(action__in=_OF_ITSELF).order_by("at", "sequence")


_OF_ITSELF: Final = (Action.EVIDENCE_LOOKED_AT, Action.EVIDENCE_SEALING, Action.EVIDENCE_SEALING_FAILED)


def _events(campaign: Campaign) -> Iterator[dict[str, Any]]:
    """Yield each event with its index in the sealed log and its inclusion proof. Raises NotSealedYet."""
    listed, placed = tee(cursors.in_parts(events(campaign), 1000))
    try:
        proven = proofs.inclusions((event.producer, event.sequence) for event in placed)
        for event, proof in zip(listed, proven, strict=True):
            yield {
                "uuid": str(event.uuid),
                "index": proof.index,
                "leaf": proof.leaf.hex(),
                "body": event.body,
                "proof": [node.hex() for node in proof.path],
                "checkpoint": proof.note,
            }
    except proofs.NoSuchProof as error:
        raise NotSealedYet from error


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True).encode() + b"\n"


def _flat(value: object) -> object:
    return json.dumps(value, ensure_ascii=False, sort_keys=True) if isinstance(value, dict | list) else value


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _envelope(campaign: Campaign, digests: Mapping[str, str], rows: Mapping[str, int], key_id: str) -> dict[str, Any]:
    """Sign the digests of all files: an in-toto statement (v1) in a DSSE envelope (v1)."""
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in digests.items()],
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


def _archive_and_check(folder: Path, file: BinaryIO) -> None:
    """Write the folder to an archive, and check it with `verify.py`. Raises DoesNotTieOut."""
    archive(folder, file)
    with zipfile.ZipFile(file) as pack:
        if faults := list(verify.faults(pack)):
            raise DoesNotTieOut(faults=faults)
    file.seek(0)


def archive(folder: Path, file: BinaryIO) -> None:
    """Write the files of a folder to an archive whose bytes depend only on the files."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as out:
        for path in sorted(folder.iterdir()):
            entry = zipfile.ZipInfo(path.name, _FIRST_DAY)
            entry.compress_type = zipfile.ZIP_DEFLATED
            with path.open("rb") as content, out.open(entry, "w") as target:
                shutil.copyfileobj(content, target)
