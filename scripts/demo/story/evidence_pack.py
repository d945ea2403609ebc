"""The end of step 8: the evidence of a closed review is sealed, fetched by the auditor, and checked offline."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from joserfc.jwk import ECKey

from scripts.demo.story.stage import Stage, check, done

KEYS, TABLE = "evidence", "05_decisions.csv"


def evidence_verifies(stage: Stage, campaign: str, statement: str) -> None:
    """Seal it, then run the pack's own script in a Python that sees nothing of ours; a changed copy does not pass."""
    sealed = _seal(stage, campaign, statement)
    fetched = stage.api("audrey", proven=True).get(f"campaigns/{campaign}/evidence.zip")
    check(fetched.is_success, f"the pack was answered {fetched}")
    with tempfile.TemporaryDirectory(prefix="mandate-pack-") as folder:
        whole, spoiled = Path(folder, "pack.zip"), Path(folder, "spoiled.zip")
        whole.write_bytes(fetched.raw)
        key = Path(folder, "key.pem")
        key.write_bytes(_public_key(stage, sealed["key"]))
        verdict = _verify(whole, key)
        check(verdict.returncode == 0, f"the pack does not verify: {verdict.stdout}{verdict.stderr}")
        stage.proven(
            8,
            "The evidence is signed off and sealed; its own script finds nothing wrong, offline.",
            f"{len(sealed['files'])} files, sha256 {sealed['sha256'][:16]}, signed off by {sealed['signed_off_by']}",
            *verdict.stdout.splitlines(),
        )
        _spoil(whole, spoiled)
        verdict = _verify(spoiled, key)
        named = verdict.returncode == 1 and TABLE in verdict.stdout
        check(named, f"a changed byte in {TABLE} was not found: {verdict.stdout}{verdict.stderr}")
        stage.proven(8, "One changed byte in a copy is found, and its file is named.", *verdict.stdout.splitlines())


def _seal(stage: Stage, campaign: str, statement: str) -> dict[str, Any]:
    """Sign off as the review's owner, who answered nothing in it, and wait for the worker that seals it."""
    ana = stage.api("ana", proven=True)
    done("Signing the evidence off", ana.post(f"campaigns/{campaign}/seal", {"statement": statement}), 202)

    def pack() -> dict[str, Any] | None:
        run = done("Looking how far the sealing is", ana.get(f"campaigns/{campaign}/sealing"))
        check(not run["refused"], f"the evidence was not sealed: {run['refused']} {run['differences']}")
        return dict(run["pack"]) if run["pack"] else None

    return stage.wait("the worker to seal the evidence", pack)


def _public_key(stage: Stage, kid: str) -> bytes:
    """Fetch the key from where it is published, not from the pack."""
    keys: list[dict[str, Any]] = [key for key in stage.api("audrey").every("keys") if key["kid"] == kid]
    check(len(keys) == 1, f"the key {kid} of the pack is not published")
    return ECKey.import_key(keys[0]["public"]).as_pem(private=False)


def _verify(pack: Path, key: Path) -> subprocess.CompletedProcess[str]:
    script = pack.with_name("verify.py")
    with zipfile.ZipFile(pack) as opened:
        script.write_bytes(opened.read("verify.py"))
    command = [sys.executable, "-I", str(script), str(pack), str(key)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _spoil(whole: Path, spoiled: Path) -> None:
    """Copy the pack with one bit of one table turned."""
    with zipfile.ZipFile(whole) as original, zipfile.ZipFile(spoiled, "w") as copy:
        for name in original.namelist():
            content = bytearray(original.read(name))
            if name == TABLE:
                content[len(content) // 2] ^= 0x01
            copy.writestr(name, bytes(content))
