"""The one file with which an auditor verifies a receipt: alone, in a bare interpreter, and true to every field."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwk

from entitlements.keys import jws
from entitlements.revocation import verify_receipt
from entitlements.revocation.verify_receipt import ENDS, PROOF, RECEIPT
from entitlements.signers import algorithms

CLAIMS: dict[str, Any] = {
    "id": "a0f0b38e-4f9b-4f0b-9c0e-3f5d4c3b2a10",
    "target": {"type": "agent", "id": "expense-bot"},
    "drill": False,
    "by": "person:ana",
    "reason": "Laptop stolen.",
    "ticket": "SEC-12",
    "position": 812,
    "committed_at": "2026-11-29T20:00:00+00:00",
    "acknowledged": [{"node": "node-1", "after_ms": 3.1}],
    "missing": [{"node": "node-2", "lease_lapsed_at": "2026-11-29T20:00:02Z"}],
    "effect": {"sessions": 3, "calls_per_hour": 812},
    "covered": {"access_tokens": 2, "id_jags": 0, "sessions": 3},
    "residual": [{"what": "1 access token", "where": "erp", "dies_at": None}],
}
SAVED = ("ES256", "EdDSA", "RS256")
KEYS = {name: algorithms.new_key(f"key-{name}", name) for name in SAVED}
type Run = Callable[..., tuple[int, str]]


def public(key: jwk.Key, **more: object) -> dict[str, Any]:
    return {**key.as_dict(private=False), "issuer": "receipts", "status": "active", **more}


def signed(claims: Mapping[str, Any] = CLAIMS, algorithm: str = "ES256", typ: str = RECEIPT) -> str:
    return jws.sign(claims, jws.Key(f"key-{algorithm}", algorithm, KEYS[algorithm]), typ)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def verify(receipt: str, *proofs: str, keys: object = None) -> tuple[int, str]:
        files = []
        for number, text in enumerate((receipt, *proofs)):
            files.append(tmp_path / f"{number}.jws")
            files[-1].write_text(text + "\n")
        every = {"keys": [public(key) for key in KEYS.values()]}
        (tmp_path / "keys.json").write_text(json.dumps(every if keys is None else keys))
        return _main([*map(str, files), "--keys", str(tmp_path / "keys.json")])

    return verify


def _main(arguments: list[str]) -> tuple[int, str]:
    with contextlib.redirect_stdout(io.StringIO()) as said:
        return verify_receipt.main(arguments), said.getvalue()


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("algorithm", SAVED)
def test_a_receipt_of_each_algorithm_is_valid_as_it_is_and_not_with_another_signature(run: Run, algorithm: str) -> None:
    token = signed(algorithm=algorithm)
    status, said = run(token)
    assert (status, said.splitlines()[0]) == (0, "VALID: signed by a key of the set.")
    for sentence in ('REVOCATION of "agent" "expense-bot"', '"person:ana"', '"Laptop stolen."', "SEC-12", "3.1 ms"):
        assert sentence in said
    head, body, signature = token.split(".")
    raw = bytearray(base64.urlsafe_b64decode(signature + "=="))
    for place in (0, len(raw) // 2, len(raw) - 1):
        raw[place] ^= 1
        altered = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
        assert run(f"{head}.{body}.{altered}")[0] == 1
        raw[place] ^= 1
    for wrong in ("", "AA", base64.urlsafe_b64encode(bytes(len(raw))).rstrip(b"=").decode()):
        assert run(f"{head}.{body}.{wrong}")[0] == 1


@pytest.mark.parametrize("name", sorted(CLAIMS))
def test_a_receipt_in_which_a_field_was_altered_is_not_valid(run: Run, name: str) -> None:
    other: Any = {str: "x", int: 1, bool: True, list: [], dict: {}}[type(CLAIMS[name])]
    head, _, signature = signed().split(".")
    for claims in ({**CLAIMS, name: other}, {key: value for key, value in CLAIMS.items() if key != name}):
        assert run(f"{head}.{part(claims)}.{signature}")[0] == 1


def test_what_is_signed_and_is_no_receipt_is_not_valid(run: Run) -> None:
    assert run(signed(typ="at+jwt"))[0] == 1
    assert run(signed({**CLAIMS, "drill": "no"}))[0] == 1
    assert run(signed({key: value for key, value in CLAIMS.items() if key != "reason"}))[0] == 1
    head, body, signature = signed().split(".")
    assert run(f"{part({'alg': 'none', 'kid': 'key-ES256', 'typ': RECEIPT})}.{body}.{signature}")[0] == 1
    assert run(f"{part({'alg': 'RS256', 'kid': 'key-ES256', 'typ': RECEIPT})}.{body}.{signature}")[0] == 1
    assert run(f"{head}=.{body}.{signature}")[0] == 1


def test_a_key_that_is_unknown_or_leaked_or_was_out_of_use_is_none(run: Run) -> None:
    token, key = signed(), KEYS["ES256"]
    at = 1_795_982_400  # 2026-11-29T20:00:00Z
    assert run(token, keys={"keys": [public(KEYS["EdDSA"])]})[0] == 1
    another = {**public(algorithms.new_key("key-ES256", "ES256"))}
    assert run(token, keys={"keys": [another]})[0] == 1
    for revoked, status in (
        ({"revoked_at": at + 9**9, "reason": "compromised"}, 1),
        ({"revoked_at": at - 1, "reason": "superseded"}, 1),
        ({"revoked_at": at + 1, "reason": "superseded"}, 0),
    ):
        assert run(token, keys={"keys": [public(key, revoked=revoked)]})[0] == status, revoked


def test_what_cannot_be_used_is_neither_valid_nor_altered(run: Run) -> None:
    for receipt, keys in (
        ("no receipt", None),
        (signed(), {"keys": []}),
        (signed(), ["keys"]),
        (signed(), {"keys": [public(KEYS["ES256"]), public(KEYS["ES256"])]}),
        (signed(), {"keys": [{**public(KEYS["ES256"]), "x": "AA"}]}),
    ):
        assert run(receipt, keys=keys)[0] == 2, (receipt, keys)
    assert _main(["/nowhere", "--keys", "/nowhere"])[0] == 2


def test_a_proof_counts_for_the_receipt_that_it_names(run: Run) -> None:
    token = signed()
    proof = {
        "id": "p", "revocation": CLAIMS["id"], "receipt_sha256": hashlib.sha256(token.encode()).hexdigest(),
        "by": "person:ana", "began_at": CLAIMS["committed_at"], "result": "failed",
        "answers": [{"node": "node-1", "status": 200, "code": "allowed"}], "unproven": [],
    }  # fmt: skip
    status, said = run(token, signed(proof, typ=PROOF))
    assert (status, "PROOF FAILED" in said) == (0, True)
    assert run(token, signed({**proof, "receipt_sha256": "0" * 64}, typ=PROOF))[0] == 1
    assert run(token, signed({**proof, "revocation": "another"}, typ=PROOF))[0] == 1
    assert run(token, token)[0] == 1
    assert run(signed(proof, typ=PROOF))[0] == 1


def test_ends_count_for_the_receipt_that_they_name(run: Run) -> None:
    token = signed()
    ends = {
        "id": CLAIMS["id"], "receipt_sha256": hashlib.sha256(token.encode()).hexdigest(),
        "committed_at": CLAIMS["committed_at"], "signed_at": "2026-11-29T20:05:00+00:00",
        "ends": [{"system": "drive", "end": "alive", "vendor_answer": "revoked"}],
    }  # fmt: skip
    good = signed(ends, typ=ENDS)
    status, said = run(token, good)
    assert (status, '"end": "alive"' in said) == (0, True)
    head, _, signature = good.split(".")
    assert run(token, f"{head}.{part({**ends, 'ends': []})}.{signature}")[0] == 1
    assert run(token, signed({**ends, "receipt_sha256": "0" * 64}, typ=ENDS))[0] == 1
    assert run(token, signed({**ends, "id": "another"}, typ=ENDS))[0] == 1
    assert run(good)[0] == 1


def test_the_file_needs_nothing_but_a_bare_interpreter(tmp_path: Path) -> None:
    (tmp_path / "alone.py").write_text(Path(verify_receipt.__file__).read_text())
    (tmp_path / "keys").write_text(json.dumps({"keys": [public(key) for key in KEYS.values()]}))
    good = signed()
    head, body, signature = good.split(".")
    texts = {"good": good, "bad": f"{head}.{part({**CLAIMS, 'by': 'person:x'})}.{signature}", "none": body}
    found = {}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        command = [sys.executable, "-I", "-S", "alone.py", name, "--keys", "keys"]
        found[name] = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode
    assert found == {"good": 0, "bad": 1, "none": 2}
