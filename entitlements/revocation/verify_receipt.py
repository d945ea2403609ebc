"""Verify a revocation receipt offline: `python verify_receipt.py RECEIPT [STATEMENT ...] --keys JWKS`.

One file, without Django or anything else than Python itself (3.9 or later), so that an auditor can read it whole and
need not trust the installation. RECEIPT is a receipt of a revocation or of a drill as it was downloaded; each STATEMENT
is a signed proof of that revocation, or the signed ends of tokens of other servers; JWKS is the key set of
`/records/jwks.json`, obtained by another way or kept since.

Checks the signature (compact JWS, RFC 7515) with the key that the set has by that name: ES256 and RS256 (RFC 7518
sections 3.3 and 3.4) or EdDSA over Ed25519 (RFC 8032 section 5.1.7). Then that it is a receipt, what it says in form,
that no key which leaked signed it, and that each statement is of this very receipt. Exit status: 0 it holds, 1 it was
altered, is of another key or cannot be relied on, 2 the input cannot be used. What a statement says is printed, and
does not change the status.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import json
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

RECEIPT, PROOF = "mandate-receipt+jwt", "mandate-revocation-proof+jwt"
ENDS = "mandate-measured-ends+jwt"
SAID: dict[str, dict[str, type]] = {
    RECEIPT: {
        "id": str, "target": dict, "drill": bool, "by": str, "reason": str, "position": int, "committed_at": str,
        "acknowledged": list, "missing": list, "effect": dict, "covered": dict, "residual": list,
    },
    PROOF: {
        "id": str, "revocation": str, "receipt_sha256": str, "by": str, "began_at": str, "result": str,
        "answers": list, "unproven": list,
    },
    ENDS: {"id": str, "receipt_sha256": str, "committed_at": str, "signed_at": str, "ends": list},
}  # fmt: skip
"""What each says, and of which type it is; a receipt from before drills says less, and is refused."""
WHEN = {RECEIPT: "committed_at", PROOF: "began_at", ENDS: "signed_at"}
SHORTEST_RSA = 2048


class AlteredError(Exception):
    """It is not what was signed, or the signature cannot be relied on."""


class UnusableError(Exception):
    """The input is no receipt, no statement or no key set."""


# ------------------------------------------------------------------------------------------------- reading


def read_keys(text: str) -> dict[str, dict[str, Any]]:
    """Return the keys of a set (RFC 7517 section 5) by name. Raises UnusableError."""
    try:
        members = json.loads(text)["keys"]
        keys = {str(member["kid"]): member for member in members}
    except (ValueError, KeyError, TypeError) as error:
        message = "the key set is none (RFC 7517): it must be the JSON of /records/jwks.json"
        raise UnusableError(message) from error
    if len(keys) != len(members) or not keys:
        message = "the key set is empty, or names two keys alike"
        raise UnusableError(message)
    return keys


def decode(part: str) -> bytes:
    """Decode unpadded base64url, and only its one spelling. Raises AlteredError."""
    try:
        raw = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        message = "a part of it is not base64url"
        raise AlteredError(message) from error
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != part:
        message = "a part of it is not base64url as it was written"
        raise AlteredError(message)
    return raw


def read_object(part: str) -> dict[str, Any]:
    """Return the JSON object of a part, in which no name stands twice. Raises AlteredError."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            message = "a name stands twice in it"
            raise AlteredError(message)
        return found

    try:
        value = json.loads(decode(part).decode("utf-8"), object_pairs_hook=once)
    except ValueError as error:
        message = "a part of it is no JSON"
        raise AlteredError(message) from error
    if not isinstance(value, dict):
        message = "a part of it is no JSON object"
        raise AlteredError(message)
    return value


# ---------------------------------------------------------------------------------------------- signatures


def number(raw: bytes) -> int:
    """Return the number of big-endian bytes."""
    return int.from_bytes(raw, "big")


def member(key: dict[str, Any], name: str) -> int:
    """Return a number of a JSON Web Key. Raises UnusableError."""
    try:
        return number(decode(key[name]))
    except (AlteredError, KeyError, TypeError) as error:
        message = f"the key {key.get('kid')!r} has no {name}"
        raise UnusableError(message) from error


P256 = 2**256 - 2**224 + 2**192 + 2**96 - 1
P256_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
P256_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
P256_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)


def _p256_add(first: tuple[int, int] | None, second: tuple[int, int] | None) -> tuple[int, int] | None:
    """Add two points of P-256; None is the neutral one (SEC 1 section 2.2.1)."""
    if first is None or second is None:
        return second if first is None else first
    (x1, y1), (x2, y2) = first, second
    if x1 == x2 and (y1 + y2) % P256 == 0:
        return None
    above, below = (3 * x1 * x1 - 3, 2 * y1) if first == second else (y2 - y1, x2 - x1)
    slope = above * pow(below, -1, P256)
    x = (slope * slope - x1 - x2) % P256
    return x, (slope * (x1 - x) - y1) % P256


def _p256_times(factor: int, point: tuple[int, int] | None) -> tuple[int, int] | None:
    """Multiply a point of P-256."""
    result: tuple[int, int] | None = None
    while factor:
        if factor & 1:
            result = _p256_add(result, point)
        point, factor = _p256_add(point, point), factor >> 1
    return result


def _is_es256(key: dict[str, Any], signed: bytes, signature: bytes) -> bool:
    """Check ECDSA over P-256 with SHA-256 (FIPS 186-5 section 6.4.2)."""
    point = x, y = member(key, "x"), member(key, "y")
    if max(point) >= P256 or (y * y - x * x * x + 3 * x - P256_B) % P256:
        message = f"the key {key['kid']!r} is no point of P-256"
        raise UnusableError(message)
    r, s = number(signature[:32]), number(signature[32:])
    if len(signature) != 64 or not (0 < r < P256_N and 0 < s < P256_N):  # noqa: PLR2004 - two numbers of 32 bytes
        return False
    digest, inverse = number(hashlib.sha256(signed).digest()), pow(s, -1, P256_N)
    found = _p256_add(_p256_times(digest * inverse % P256_N, P256_G), _p256_times(r * inverse % P256_N, point))
    return found is not None and found[0] % P256_N == r


ED_P = 2**255 - 19
ED_L = 2**252 + 27742317777372353535851937790883648493
ED_D = -121665 * pow(121666, -1, ED_P) % ED_P
ED_ROOT = pow(2, (ED_P - 1) // 4, ED_P)


def _ed_point(raw: bytes) -> tuple[int, int]:
    """Read a point of edwards25519 (RFC 8032 section 5.1.3). Raises ValueError."""
    y, sign = int.from_bytes(raw, "little") & (2**255 - 1), raw[31] >> 7
    square = (y * y - 1) * pow(ED_D * y * y + 1, -1, ED_P) % ED_P
    x = pow(square, (ED_P + 3) // 8, ED_P)
    if (x * x - square) % ED_P:
        x = x * ED_ROOT % ED_P
    if y >= ED_P or (x * x - square) % ED_P or (x == 0 and sign):
        raise ValueError
    return (ED_P - x if x & 1 != sign else x), y


def _ed_add(first: tuple[int, int], second: tuple[int, int]) -> tuple[int, int]:
    """Add two points of edwards25519."""
    (x1, y1), (x2, y2) = first, second
    product = ED_D * x1 * x2 * y1 * y2 % ED_P
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, ED_P) % ED_P
    return x, (y1 * y2 + x1 * x2) * pow(1 - product, -1, ED_P) % ED_P


def _ed_times(factor: int, point: tuple[int, int]) -> tuple[int, int]:
    """Multiply a point of edwards25519."""
    result = (0, 1)
    while factor:
        if factor & 1:
            result = _ed_add(result, point)
        point, factor = _ed_add(point, point), factor >> 1
    return result


def _is_eddsa(key: dict[str, Any], signed: bytes, signature: bytes) -> bool:
    """Check Ed25519 (RFC 8032 section 5.1.7), the equation without the cofactor."""
    public = decode(str(key.get("x")))
    if key.get("crv") != "Ed25519" or len(public) != 32 or len(signature) != 64:  # noqa: PLR2004 - RFC 8032
        return False
    s = int.from_bytes(signature[32:], "little")
    try:
        a, r = _ed_point(public), _ed_point(signature[:32])
    except ValueError:
        return False
    base = _ed_point(b"\x58" + b"\x66" * 31)
    digest = int.from_bytes(hashlib.sha512(signature[:32] + public + signed).digest(), "little") % ED_L
    return s < ED_L and _ed_times(s, base) == _ed_add(r, _ed_times(digest, a))


def _is_rs256(key: dict[str, Any], signed: bytes, signature: bytes) -> bool:
    """Check RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 section 8.2.2)."""
    n, e = member(key, "n"), member(key, "e")
    length = (n.bit_length() + 7) // 8
    if n.bit_length() < SHORTEST_RSA or len(signature) != length or number(signature) >= n:
        return False
    digest = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(signed).digest()
    expected = b"\x00\x01" + b"\xff" * (length - len(digest) - 3) + b"\x00" + digest
    return pow(number(signature), e, n) == number(expected)


CHECKS = {"ES256": ("EC", _is_es256), "EdDSA": ("OKP", _is_eddsa), "RS256": ("RSA", _is_rs256)}


# ----------------------------------------------------------------------------------- receipts and statements


def verify(token: str, typ: str, keys: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return what a RECEIPT, a PROOF or ENDS say. Raises AlteredError, UnusableError."""
    parts = token.split(".")
    if len(parts) != 3 or not token.isascii():  # noqa: PLR2004 - header, claims, signature
        message = "it is no receipt: it must be a compact JWS, as it was downloaded"
        raise UnusableError(message)
    header, said = read_object(parts[0]), read_object(parts[1])
    key = keys.get(str(header.get("kid")))
    if set(header) != {"alg", "kid", "typ"} or header["typ"] != typ:
        message = f"its header is not that of {typ}"
        raise AlteredError(message)
    if key is None:
        message = f"its key {header['kid']!r} is not in the key set"
        raise AlteredError(message)
    kind, check = CHECKS.get(str(key.get("alg")), ("", None))
    if check is None or header["alg"] != key["alg"] or key.get("kty") != kind:
        message = "its key is for another algorithm"
        raise AlteredError(message)
    if not check(key, f"{parts[0]}.{parts[1]}".encode(), decode(parts[2])):
        message = "its signature does not fit"
        raise AlteredError(message)
    for name, is_a in SAID[typ].items():
        if type(said.get(name)) is not is_a:
            message = f"it does not say {name} as {typ} does"
            raise AlteredError(message)
    check_key(key, said[WHEN[typ]])
    return said


def check_key(key: dict[str, Any], at: str) -> None:
    """Refuse what a key signed that leaked: who has it writes any date. Raises AlteredError."""
    revoked = key.get("revoked")
    if not isinstance(revoked, dict):
        return
    if revoked.get("reason") != "superseded":
        message = "its key is revoked as compromised: rely on the audit log, which says when it was signed"
        raise AlteredError(message)
    try:
        is_later = datetime.fromisoformat(at).timestamp() > float(revoked["revoked_at"])
    except (ValueError, KeyError, TypeError) as error:
        message = "it does not say when it was, and its key is revoked"
        raise AlteredError(message) from error
    if is_later:
        message = "its key was out of use by then"
        raise AlteredError(message)


def verify_statement(text: str, keys: dict[str, dict[str, Any]], receipt: dict[str, Any], token: str) -> list[str]:
    """Return in lines what a PROOF or ENDS of this receipt say. Raises AlteredError, UnusableError."""
    is_ends = read_object(text.partition(".")[0]).get("typ") == ENDS
    said = verify(text, ENDS if is_ends else PROOF, keys)
    named = said["id"] if is_ends else said["revocation"]
    if named != receipt["id"] or said["receipt_sha256"] != hashlib.sha256(token.encode()).hexdigest():
        message = "a statement is of another receipt"
        raise AlteredError(message)
    return describe_ends(said) if is_ends else describe_proof(said)


# -------------------------------------------------------------------------------------------- command line


def describe_receipt(said: dict[str, Any]) -> list[str]:
    """Say a receipt in lines."""
    what = "DRILL (nothing was stopped)" if said["drill"] else "REVOCATION"
    return [
        f"{what} of {_text(said['target'].get('type'))} {_text(said['target'].get('id'))}, {said['id']}",
        f"  by {_text(said['by'])} at {_text(said['committed_at'])}: {_text(said['reason'])}",
        *([f"  ticket {_text(said['ticket'])}"] if "ticket" in said else []),
        *[f"  {name}: {_text(said[name])}" for name in ("effect", "covered")],
        *[f"  node {_text(node.get('node'))} obeyed after {node.get('after_ms')} ms" for node in said["acknowledged"]],
        *[f"  node {_text(node.get('node'))} did not answer" for node in said["missing"]],
        *[f"  may live on: {_text(left)}" for left in said["residual"]],
    ]


def describe_proof(said: dict[str, Any]) -> list[str]:
    """Say a proof in lines."""
    return [
        f"PROOF {said['result'].upper()} by {_text(said['by'])} at {_text(said['began_at'])}, {said['id']}",
        *[f"  {_text(answer)}" for answer in said["answers"]],
        *[f"  not proven: {_text(node)}" for node in said["unproven"]],
    ]


def describe_ends(said: dict[str, Any]) -> list[str]:
    """Say in lines how tokens of other servers ended."""
    return [
        f"ENDS of tokens of other servers, signed at {_text(said['signed_at'])}",
        *[f"  {_text(each)}" for each in said["ends"]],
    ]


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify, say so, and return the exit status."""
    parser = argparse.ArgumentParser(prog="verify_receipt", description="Verify a revocation receipt offline.")
    parser.add_argument("receipt", type=Path)
    parser.add_argument("statements", type=Path, nargs="*", help="signed proofs of it, and signed ends of its tokens")
    parser.add_argument("--keys", type=Path, required=True, help="the key set, as /records/jwks.json has it")
    options = parser.parse_args(arguments)
    lines: list[str] = []
    try:
        keys = read_keys(options.keys.read_text("utf-8"))
        token = options.receipt.read_text("utf-8").strip()
        receipt = verify(token, RECEIPT, keys)
        lines += describe_receipt(receipt)
        for path in options.statements:
            lines += verify_statement(path.read_text("utf-8").strip(), keys, receipt, token)
    except AlteredError as found:
        sys.stdout.write(f"NOT VALID: {found}.\n")
        return 1
    except (UnusableError, OSError, UnicodeDecodeError) as problem:
        sys.stdout.write(f"UNUSABLE: {problem}.\n")
        return 2
    sys.stdout.write("\n".join(["VALID: signed by a key of the set.", *lines, ""]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
