"""Check an evidence pack without its maker: `python3 verify.py PACK.zip [public_key.pem]`. Needs Python and openssl.

It checks the signature on the manifest (DSSE v1, ECDSA P-256 with SHA-256), the digest and the number of rows of every
file, that no file is missing or added, the digest of every row of the population, and every equation, from the rows
themselves. Give the public key that you got from elsewhere: the one in the pack only shows that the pack is whole.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ENVELOPE = "manifest.dsse.json"


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
        command = ["openssl", "dgst", "-sha256", "-verify", str(key), "-signature", str(signature), str(message)]
        done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - openssl, by name on purpose
    statement: dict[str, Any] = json.loads(payload) if done.returncode == 0 else {}
    return statement


def rows(content: bytes) -> list[dict[str, Any]]:
    """Read a JSON Lines file; only a line feed ends a line, since the text in one may hold other ends of a line."""
    return [json.loads(line) for line in content.split(b"\n") if line]


def tie_out(tables: dict[str, list[dict[str, Any]]], scope: dict[str, Any]) -> dict[str, int]:
    """Return the differences between what must be equal; all are zero in a complete pack."""
    population, items, lines = tables["03_population"], tables["05_items"], tables["05_decisions"]
    history, cuts = tables["05_history"], tables["06_remediation"]
    hashes = "".join(f"{row['row_sha256']}\n" for row in population).encode()
    changed = [row for row in population if hashlib.sha256(row["payload"].encode()).hexdigest() != row["row_sha256"]]
    counts = {row["decision"] for row in history if row["counts"]}
    cutting = {row["decision"] for row in history if row["counts"] and row["verb"] in ("reduce", "revoke")}
    live = {row["decision"] for row in cuts if row["state"] != "withdrawn"}
    done = {row["decision"] for row in cuts if row["state"] in ("verified", "excepted")}
    decided = [row for row in items if row["outcome"] in ("certify", "reduce", "revoke")]
    return {
        "population_rows_missing": abs(scope["population_rows"] - len(population)),
        "population_rows_changed": len(changed),
        "population_hash_differs": int(hashlib.sha256(hashes).hexdigest() != scope["population_sha256"]),
        "items_without_population": len({row["item"] for row in items} ^ {row["item"] for row in population}),
        "items_without_outcome": sum(row["outcome"] in ("", "in_review", "pending") for row in items),
        "decided_items_without_decision": abs(len(decided) - len(counts)),
        "lines_without_outcome": sum(row["outcome"] in ("", "in_review", "pending") for row in lines),
        "cuts_without_remediation": len(cutting - live),
        "cuts_not_proven": len((cutting & live) - done),
    }


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
    yield from other_rows(pack, statement["predicate"]["rows"])


def other_files(pack: zipfile.ZipFile, said: dict[str, str]) -> Iterator[str]:
    """Name each file that is missing, was added, or is another than the one that was signed."""
    names = set(pack.namelist()) - {ENVELOPE}
    for name in sorted(said.keys() ^ names):
        yield f"{name} is missing from the archive" if name in said else f"{name} is not in the manifest"
    for name in sorted(said.keys() & names):
        if hashlib.sha256(pack.read(name)).hexdigest() != said[name]:
            yield f"{name} is not the file that was signed"


def other_rows(pack: zipfile.ZipFile, counted: dict[str, int]) -> Iterator[str]:
    """Name each table with other rows than were signed, and each equation that does not hold."""
    names = pack.namelist()
    read = {name.removesuffix(".jsonl"): rows(pack.read(name)) for name in names if name.endswith(".jsonl")}
    tables = defaultdict[str, list[dict[str, Any]]](list, read)  # a table that is missing was named before
    for name, count in counted.items():
        if len(tables.get(name, ())) != count:
            yield f"{name} has {len(tables.get(name, ()))} rows, and {count} were signed"
    differences = tie_out(tables, json.loads(pack.read("02_scope_and_parameters.json")))
    for name, difference in differences.items():
        if difference:
            yield f"{name.replace('_', ' ')}: {difference}"
    if differences != json.loads(pack.read("12_tieout.json")):
        yield "12_tieout.json says other differences than the rows"


def main(arguments: list[str]) -> int:
    """Check the pack that is named; 0 when nothing is wrong, 1 otherwise, 2 when it cannot be read."""
    try:
        with zipfile.ZipFile(arguments[0]) as pack:
            wrong = list(faults(pack, Path(arguments[1]).read_bytes() if len(arguments) > 1 else None))
    except (IndexError, OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        print(f"This is no pack that can be read: {error!r}", file=sys.stderr)  # noqa: T201 - a program
        return 2
    for sentence in wrong:
        print(f"WRONG: {sentence}")  # noqa: T201 - as above
    print("Nothing is wrong with this pack." if not wrong else f"{len(wrong)} faults.")  # noqa: T201 - as above
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
