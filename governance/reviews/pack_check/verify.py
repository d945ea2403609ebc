"""Check an evidence pack without its maker: `python3 verify.py PACK.zip [public_key.pem [time_stamp_ca.pem]]`.

It needs Python and openssl.

It checks the signature on the manifest (DSSE v1, ECDSA P-256 with SHA-256), the digest and the number of rows of every
file, that no file is missing or added, the digest of every row of the population, every equation, from the rows
themselves, and that each sheet's sample is the one that its seed picks. Give the public key that you got from
elsewhere: the one in the pack only shows that the pack is whole. Given the certificate of a time-stamping authority, it
checks as well that the pack has a stamp of it, and says of when (RFC 3161).
"""

from __future__ import annotations

import base64
import csv
import hashlib
import heapq
import io
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

ENVELOPE = "manifest.dsse.json"
STAMP = "manifest.tsr"
SHEETS = "15_ipe_sheets.json"
SAMPLED = 25
QUARTER = 25
MOST_CHECKED = 500
Folder = Path | zipfile.Path  # a pack, unpacked or not


def signed(kind: str, payload: bytes) -> bytes:
    """Return the bytes that DSSE signs: its pre-authentication encoding."""
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)


def check_signature(envelope: dict[str, Any], public_key: bytes) -> dict[str, Any]:
    """Return the statement that an envelope signs; the empty one when the signature does not fit."""
    payload = base64.b64decode(envelope["payload"], validate=True)
    with tempfile.TemporaryDirectory() as folder:
        key, signature, message = (Path(folder) / name for name in ("key.pem", "signature", "message"))
        key.write_bytes(public_key)
        signature.write_bytes(base64.b64decode(envelope["signatures"][0]["sig"], validate=True))
        message.write_bytes(signed(envelope["payloadType"], payload))
        done = _openssl("dgst", "-sha256", "-verify", str(key), "-signature", str(signature), str(message))
    statement: dict[str, Any] = json.loads(payload) if done.returncode == 0 else {}
    return statement


def stamped_at(pack: zipfile.ZipFile, authority: bytes) -> str:
    """Return the moment of the stamp on the manifest, as openssl writes it; empty when there is none that fits.

    Certificates are looked at as they were at that moment (RFC 3161, section 4.3): a pack is kept for longer.
    """
    if STAMP not in pack.namelist():
        return ""
    with tempfile.TemporaryDirectory() as folder:
        roots, stamp, message = (Path(folder) / name for name in ("roots.pem", "stamp", "message"))
        roots.write_bytes(authority)
        stamp.write_bytes(pack.read(STAMP))
        message.write_bytes(pack.read(ENVELOPE))
        response = _openssl("ts", "-reply", "-in", str(stamp), "-text").stdout
        match = re.search(r"^Time stamp: (\w{3} +\d+ [\d:]{8})(?:\.\d+)? (\d{4}) GMT$", response, re.MULTILINE)
        if not match:
            return ""
        at = datetime.strptime(f"{match[1]} {match[2]} +0000", "%b %d %H:%M:%S %Y %z")
        files = ["-in", str(stamp), "-data", str(message), "-CAfile", str(roots)]
        done = _openssl("ts", "-verify", "-attime", str(int(at.timestamp())), *files)
    return at.isoformat() if done.returncode == 0 else ""


def _openssl(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607 - by name on purpose


def rows(content: bytes) -> list[dict[str, Any]]:
    """Read a JSON Lines file; only a line feed ends a line, since the text in one may hold other ends of a line."""
    return [json.loads(line) for line in content.split(b"\n") if line]


def lines(folder: Folder, name: str) -> Iterator[bytes]:
    """Yield the lines of a table one by one, each without its end; a table that is missing has none."""
    if (file := folder / f"{name}.jsonl").exists():
        with file.open("rb") as content:
            for line in content:
                yield line.rstrip(b"\n")


def read(folder: Folder, name: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table one by one."""
    return map(json.loads, lines(folder, name))


def cells(folder: Folder, name: str) -> int:
    """Count the rows of a table as a spreadsheet sees them, without its heading."""
    csv.field_size_limit(2**31 - 1)
    with (folder / f"{name}.csv").open("rb") as content:
        return max(sum(1 for _ in csv.reader(io.TextIOWrapper(content, "utf-8", newline=""))) - 1, 0)


def picked(seed: str, numbers: Iterable[int], wanted: int) -> list[int]:
    """Return the numbers of a random sample: those whose digest with the seed is smallest, in order."""
    digests = ((hashlib.sha256(f"{seed}:{number}".encode()).digest(), number) for number in numbers)
    return sorted(number for _, number in heapq.nsmallest(wanted, digests))


def asked_again(seed: str, share: int, answers: Mapping[int, tuple[bool, str]], more: Collection[str] = ()) -> set[int]:
    """Return the items that a seed picks for spot checks; `answers` has for each whether it was kept, and by whom.

    Of the kept and of the other items it is a share in per cent, rounded up; of the answers of each person in `more` a
    quarter, where that is more: older packs drew more from hasty reviewers. Never more than five hundred.
    """
    drawn = set[int]()
    shares: list[tuple[str, int]] = [("", share), *((login, QUARTER) for login in sorted(more))]
    for login, per_cent in shares:
        for kept in (True, False):
            numbers = [
                number for number, (is_kept, by) in answers.items() if is_kept is kept and (not login or by == login)
            ]
            drawn.update(picked(seed, numbers, -(-len(numbers) * per_cent // 100)))
    return set(picked(seed, drawn, MOST_CHECKED))


def tie_out(folder: Folder, scope: dict[str, Any]) -> dict[str, int]:
    """Return the differences between what must be equal; all are zero in a complete pack."""
    hashes, population, changed = hashlib.sha256(), Counter[int](), 0
    grants: set[str] = set()
    for row in read(folder, "03_population"):
        hashes.update(f"{row['row_sha256']}\n".encode())
        changed += hashlib.sha256(row["payload"].encode()).hexdigest() != row["row_sha256"]
        population[row["item"]] += 1
        grants.add(row["grant"])
    outcomes = Counter(row["outcome"] for row in read(folder, "05_items"))
    items = {row["item"] for row in read(folder, "05_items")}
    late, over = list(read(folder, "03_late_arrivals")), list(read(folder, "03_ephemeral"))
    return {
        "population_rows_missing": abs(scope["population_rows"] - population.total()),
        "population_rows_changed": changed,
        "population_hash_differs": int(hashes.hexdigest() != scope["population_sha256"]),
        "items_without_population": len(items ^ population.keys()),
        "items_without_outcome": sum(outcomes[name] for name in _OPEN),
        "outcome_counts_differ": sum(abs(n) for n in _difference(outcomes, scope["outcomes"]).values()),
        "lines_without_outcome": sum(row["outcome"] in _OPEN for row in read(folder, "05_decisions")),
        "late_arrivals_missing": abs(scope["issued_after"] - sum(bool(row["issued_at"]) for row in late)),
        "late_arrivals_in_population": sum(row["grant"] in grants for row in late),
        "ephemeral_missing": abs(scope["over_before"] - sum(bool(row["recorded_at"]) for row in over)),
        "ephemeral_in_population": sum(row["grant"] in grants for row in over),
        **_of_decisions(folder, sum(outcomes[verb] for verb in ("certify", "reduce", "revoke"))),
        "words_not_as_recorded": len(_texts(folder) ^ _recorded_texts(folder)),
        **_of_spot_checks(folder, scope.get("spot_checks") or {}),
    }


_OPEN = ("", "in_review", "pending")


def _difference(first: dict[str, int], second: dict[str, int]) -> dict[str, int]:
    return {name: first.get(name, 0) - second.get(name, 0) for name in first.keys() | second.keys()}


def _of_decisions(folder: Folder, decided: int) -> dict[str, int]:
    counts, cutting = 0, set[str]()
    for row in read(folder, "05_history"):
        counts += bool(row["counts"])
        if not row["taken_back"] and (row["verb"] in ("reduce", "revoke") or row["valid_until"]):
            cutting.add(row["decision"])  # of an earlier stage as well: what it cut stays cut
    cuts = {row["decision"]: row["state"] for row in read(folder, "06_remediation") if row["state"] != "withdrawn"}
    done = {decision for decision, state in cuts.items() if state in ("verified", "excepted")}
    return {
        "decided_items_without_decision": abs(decided - counts),
        "cuts_without_remediation": len(cutting - cuts.keys()),
        "remediations_without_cut": len(cuts.keys() - cutting),
        "cuts_not_proven": len(cuts.keys() - done),
    }


def _of_spot_checks(folder: Folder, plan: dict[str, Any]) -> dict[str, int]:
    """Compare the spot checks with the counts elsewhere, and with what the seed picks.

    Older packs drew a quarter of some people's answers and do not list them: they have more checks than the share.
    """
    checks = list(read(folder, "09_spot_checks"))
    states, drawn = Counter(row["state"] for row in checks), {row["item"] for row in checks}
    sums = {name: plan.get(name, 0) for name in ("answered", "unanswered", "nobody")}
    unlike = sum(abs(n) for n in _difference(states, sums).values())
    expected = set[int]()
    if plan.get("drawn_at"):
        counting = (row for row in read(folder, "05_history") if row["counts"])
        answers = {row["item"]: (row["verb"] == "certify", row["decided_by"]) for row in counting}
        usual = asked_again(plan["seed"], plan["share"], answers)
        more = {answers[number][1] for number in drawn - usual if number in answers}
        expected = asked_again(plan["seed"], plan["share"], answers, more)
    seed = hashlib.sha256(str(plan.get("seed", "")).encode()).hexdigest()
    return {
        "spot_checks_do_not_add_up": unlike + abs(plan.get("sampled", 0) - len(checks)),
        "spot_checks_not_as_drawn": len(drawn ^ expected),
        "spot_check_seed_differs": int(bool(plan) and seed != plan["seed_sha256"]),
    }


def _texts(folder: Folder) -> set[tuple[str, str, str]]:
    """Return each comment, question and answer of the tables with the digest of its text."""
    comments = [("review.commented", row["comment"], row["text"]) for row in read(folder, "05_comments")]
    table = list(read(folder, "05_questions"))
    questions = [("review.question_asked", row["question"], row["text"]) for row in table]
    answers = [("review.question_answered", row["question"], row["answer"]) for row in table if row["answer"]]
    return {
        (action, key, hashlib.sha256(text.encode()).hexdigest())
        for action, key, text in (*comments, *questions, *answers)
    }


def _recorded_texts(folder: Folder) -> set[tuple[str, str, str]]:
    """Return the same from the events of the log, with the digest of the text in each."""
    recorded = set()
    for line in lines(folder, "13_audit_events"):
        if b"review.commented" in line or b"review.question_" in line:
            event = json.loads(json.loads(line)["body"])
            if event["action"] in _TALK and event["outcome"] == "success":
                recorded.add((event["action"], event["detail"][_TALK[event["action"]]], event["detail"]["sha256"]))
    return recorded


_TALK = {"review.commented": "comment", "review.question_asked": "question", "review.question_answered": "question"}


def faults(pack: zipfile.ZipFile, public_key: bytes | None = None) -> Iterator[str]:
    """Name everything that is wrong with a pack."""
    names = pack.namelist()
    if len(names) != len(set(names)) or ENVELOPE not in names:
        yield "the archive holds a name twice, or no manifest"
        return
    statement = check_signature(json.loads(pack.read(ENVELOPE)), public_key or pack.read("public_key.pem"))
    if not statement:
        yield "the signature on the manifest does not fit"
        return
    yield from other_files(pack, {entry["name"]: entry["digest"]["sha256"] for entry in statement["subject"]})
    yield from other_rows(zipfile.Path(pack), statement["predicate"]["rows"])


def other_files(pack: zipfile.ZipFile, signed_files: dict[str, str]) -> Iterator[str]:
    """Name each file that is missing, was added, or is another than the one that was signed."""
    names = set(pack.namelist()) - {ENVELOPE, STAMP}
    for name in sorted(signed_files.keys() ^ names):
        yield f"{name} is missing from the archive" if name in signed_files else f"{name} is not in the manifest"
    for name in sorted(signed_files.keys() & names):
        with pack.open(name) as content:
            if hashlib.file_digest(content, "sha256").hexdigest() != signed_files[name]:  # type: ignore[arg-type]
                yield f"{name} is not the file that was signed"


def other_rows(folder: Folder, counted: dict[str, int]) -> Iterator[str]:
    """Name each table with other rows than were signed, and each equation that does not hold."""
    for name, count in counted.items():
        number = sum(1 for _ in lines(folder, name))
        if number != count:
            yield f"{name} has {number} rows, and {count} were signed"
        if (folder / f"{name}.csv").exists() and cells(folder, name) != number:
            yield f"{name}.csv has other rows than {name}.jsonl"
    differences = tie_out(folder, json.loads((folder / "02_scope_and_parameters.json").read_bytes()))
    for name, difference in differences.items():
        if difference:
            yield f"{name.replace('_', ' ')}: {difference}"
    if differences != json.loads((folder / "12_tieout.json").read_bytes()):
        yield "12_tieout.json says other differences than the rows"
    for name, sheet in json.loads((folder / SHEETS).read_bytes()).items():
        if sheet["rows"] != counted.get(name) or sample(folder, name, sheet["seed"], sheet["rows"]) != _drawn(sheet):
            yield f"{SHEETS} says other rows of {name} than are there"


def sample(folder: Folder, name: str, seed: str, total: int) -> dict[int, str]:
    """Return the rows that a seed picks from a table: the digest of each line, by its number."""
    wanted = set(picked(seed, range(1, total + 1), SAMPLED))
    numbered = enumerate(lines(folder, name), start=1)
    return {number: hashlib.sha256(line).hexdigest() for number, line in numbered if number in wanted}


def _drawn(sheet: dict[str, Any]) -> dict[int, str]:
    return {row["row"]: row["sha256"] for row in sheet["sample"]}


def main(arguments: list[str]) -> int:
    """Check the pack that is named; 0 when nothing is wrong, 1 otherwise, 2 when it cannot be read."""
    try:
        with zipfile.ZipFile(arguments[0]) as pack:
            key, authority = [*(Path(name).read_bytes() for name in arguments[1:3]), None, None][:2]
            wrong = list(faults(pack, key))
            if authority and not (at := stamped_at(pack, authority)):
                wrong.append(f"{STAMP} is no time stamp of this authority on this manifest")
            elif authority:
                print(f"Stamped at {at} by the authority whose certificate you gave.")  # noqa: T201 - a program
            elif STAMP in pack.namelist():
                print(f"{STAMP} was not looked at: give the certificate of its authority as well.")  # noqa: T201
    except (IndexError, OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        print(f"This is no pack that can be read: {error!r}", file=sys.stderr)  # noqa: T201 - as above
        return 2
    for sentence in wrong:
        print(f"WRONG: {sentence}")  # noqa: T201 - as above
    print("Nothing is wrong with this pack." if not wrong else f"{len(wrong)} faults.")  # noqa: T201 - as above
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
