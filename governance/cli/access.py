"""Who the command acts as: a person's own token, or a client that signs with its key (`private_key_jwt`, RFC 7523)."""

from __future__ import annotations

import json
import os
import time
import uuid
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from joserfc import jwk, jwt
from joserfc.errors import JoseError

from .exits import Ended, Exit

ISSUER: Final = "/as/mandate"
VARIABLES: Final = ("MANDATE_URL", "MANDATE_CLIENT", "MANDATE_KEY_FILE", "MANDATE_TOKEN_FILE", "MANDATE_TOKEN")
"""The variables by which an address and credentials are configured."""
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LASTS: Final = 60
_OTHERS: Final = 0o077
_THIS_MACHINE: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_OF_CURVE: Final = {"P-256": "ES256", "P-384": "ES384", "Ed25519": "EdDSA"}


@dataclass(frozen=True)
class PersonalToken:
    """A person's own token, as the console showed it once."""

    token: str


@dataclass(frozen=True)
class SigningClient:
    """A client and its private key, as a JSON Web Key (RFC 7517)."""

    client_id: str
    member: dict[str, Any]

    def form(self, url: str) -> dict[str, str]:
        """Return what the token endpoint reads: an assertion for this issuer alone, short, and used once."""
        now = int(time.time())
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": url + ISSUER,
            "iat": now,
            "exp": now + _LASTS,
            "jti": str(uuid.uuid4()),
        }
        usual = "RS256" if self.member.get("kty") == "RSA" else _OF_CURVE.get(str(self.member.get("crv")), "")
        algorithm = str(self.member.get("alg", usual))
        header = {"alg": algorithm, "typ": "JWT", **({"kid": kid} if (kid := self.member.get("kid")) else {})}
        try:
            signed = jwt.encode(header, claims, jwk.import_key(dict(self.member)), algorithms=[algorithm])
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise Ended(Exit.USAGE, "key_malformed", "The key file holds no private key that can sign.") from error
        return {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": signed,
        }


type Credentials = PersonalToken | SigningClient


def is_configured(arguments: Namespace) -> bool:
    """Return whether an option or the environment names an address or credentials."""
    options = (arguments.url, arguments.client, arguments.key_file, arguments.token_file)
    return any((*options, *map(os.environ.get, VARIABLES)))


def url(arguments: Namespace) -> str:
    """Return the console's address. Raises Ended where it is missing, or would carry credentials in the clear."""
    return checked(str(arguments.url or os.environ.get("MANDATE_URL", "")))


def demo_folder(checkout: Path) -> Path:
    """Return where a demo of a checkout keeps its files, as `make demo` reads it."""
    return Path(os.environ.get("DEMO_FOLDER") or checkout / "var")


def is_of_this_machine(address: str) -> bool:
    """Return whether an address is on this machine."""
    return urlsplit(address).hostname in _THIS_MACHINE


def checked(address: str) -> str:
    """Return an address without its last slash. Raises Ended as `url`."""
    address = address.rstrip("/")
    try:
        parts = urlsplit(address)
        is_right = bool(parts.hostname) and not (parts.query or parts.fragment or parts.username)
    except ValueError:
        raise Ended(Exit.USAGE, "url_malformed", "The address cannot be read.") from None
    if parts.scheme not in {"http", "https"} or not is_right:
        raise Ended(Exit.USAGE, "url_needed", "Name the console: --url, or MANDATE_URL=https://mandate.example.com")
    if parts.scheme == "http" and parts.hostname not in _THIS_MACHINE:
        raise Ended(Exit.USAGE, "url_insecure", "Over http a token could be read on its way: use https.")
    return address


def credentials(arguments: Namespace) -> Credentials:
    """Return the credentials, from options and environment. Raises Ended where they are missing or ambiguous.

    A token is taken from a file or the environment, never from the command line, which every process can read.
    """
    client = arguments.client or os.environ.get("MANDATE_CLIENT", "")
    key = arguments.key_file or os.environ.get("MANDATE_KEY_FILE", "")
    token_file = arguments.token_file or os.environ.get("MANDATE_TOKEN_FILE", "")
    token = os.environ.get("MANDATE_TOKEN", "")
    if sum(map(bool, (client or key, token_file, token))) != 1 or bool(client) != bool(key):
        raise Ended(
            Exit.USAGE,
            "credentials_needed",
            "Set exactly one of these: MANDATE_CLIENT with MANDATE_KEY_FILE, or MANDATE_TOKEN_FILE, or MANDATE_TOKEN.",
        )
    if not client:
        return PersonalToken(_word(token or private(Path(token_file))))
    try:
        member = json.loads(private(Path(key)))
    except ValueError:
        member = None
    if not isinstance(member, dict):
        raise Ended(Exit.USAGE, "key_malformed", "The key file is not a JSON Web Key.")
    return SigningClient(client, member)


def proof() -> str:
    """Return the proof of a fresh sign-in: from the environment, since other processes can read the command line."""
    return os.environ.get("MANDATE_PROOF", "")


def private(path: Path) -> str:
    """Read a file that only its owner can read. Raises Ended."""
    try:
        with path.open(encoding="utf-8") as opened:
            if os.fstat(opened.fileno()).st_mode & _OTHERS:
                sentence = f"Others can read {path}: chmod 600 it."
                raise Ended(Exit.USAGE, "file_not_private", sentence)
            return opened.read()
    except (OSError, UnicodeDecodeError) as error:
        raise Ended(Exit.USAGE, "file_unreadable", f"{path} cannot be read.") from error


def make_key(path: Path) -> dict[str, Any]:
    """Make a key (ES256) in a new file for its owner alone, and return the public key set to register. Raises Ended."""
    parameters: Any = {"kid": uuid.uuid4().hex, "use": "sig", "alg": "ES256"}
    key = jwk.ECKey.generate_key("P-256", parameters=parameters)
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise Ended(Exit.USAGE, "file_not_made", f"{path} cannot be made, or is there already.") from error
    with os.fdopen(number, "w", encoding="utf-8") as opened:
        json.dump(key.as_dict(private=True), opened)
    return {"keys": [key.as_dict(private=False)]}


def _word(token: str) -> str:
    word = token.strip()
    if not word or not word.isascii() or not word.isprintable() or " " in word:
        raise Ended(Exit.USAGE, "token_malformed", "This is not a token: a token is one word of ASCII characters.")
    return word
