"""The forms that a client of the issuers sends."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from typing import Any

from joserfc import jwk

from entitlements.keys import jws

STUB = "https://sso.example.org"
"""The trusted issuer that people sign in at."""

FORM = {"content-type": "application/x-www-form-urlencoded"}
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TYPE = "urn:ietf:params:oauth:token-type:"


def basic(client: str, secret: str) -> dict[str, str]:
    """Return the headers of a form sent by a client with a secret."""
    return {**FORM, "authorization": "Basic " + base64.b64encode(f"{client}:{secret}".encode()).decode()}


def leg_1(made: Mapping[str, Any], id_token: str) -> dict[str, str]:
    """Return the form that exchanges a person's ID token."""
    return {
        "grant_type": EXCHANGE,
        "requested_token_type": TYPE + "id-jag",
        "subject_token_type": TYPE + "id_token",
        "subject_token": id_token,
        "audience": made["audience"],
        "resource": made["resource"],
    }


def id_token(key: jwk.Key, client_id: str, login: str, signed_in: int) -> str:
    """Sign an ID token of a person who signed in at this second."""
    now = int(time.time())
    said = {"iss": STUB, "aud": client_id, "iat": now, "exp": now + 3600, "auth_time": signed_in, "sub": login}
    return jws.sign(said, jws.Key("stub", "ES256", key), "JWT")
