"""SPIFFE identifiers (SPIFFE-ID section 2), `spiffe://<trust domain>/<path>`, and the bundles of trust domains. Pure.

An issuer whose name is a trust domain signs JWT-SVIDs, and publishes its keys as a SPIFFE bundle.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from entitlements.keys import jws, public_keys

SCHEME: Final = "spiffe://"
LONGEST: Final = 2048
_TRUST_DOMAIN: Final = re.compile(r"spiffe://[a-z0-9._-]{1,255}")
_IDENTIFIER: Final = re.compile(r"(spiffe://[a-z0-9._-]{1,255})((?:/[A-Za-z0-9._-]+)+)")


def is_trust_domain(text: str) -> bool:
    """Say whether a text names a trust domain and no workload in it."""
    return _TRUST_DOMAIN.fullmatch(text) is not None


def trust_domain(identifier: object) -> str | None:
    """Return the trust domain of a workload's identifier, as `spiffe://<name>`; None for what is not one."""
    match = _IDENTIFIER.fullmatch(identifier) if isinstance(identifier, str) and len(identifier) <= LONGEST else None
    if match is None or {".", ".."} & {*match[2].split("/")}:
        return None
    return match[1]


def key_set(issuer: str, document: object, algorithms: Iterable[str] = jws.ALGORITHMS) -> tuple[jws.Key, ...]:
    """Read the keys of an issuer; of a trust domain, those of its bundle. Raises BadKey and PrivateKeyGiven."""
    return public_keys.read_set(_for_svids(document) if is_trust_domain(issuer) else document, algorithms)


def _for_svids(bundle: object) -> object:
    """Return the keys of a bundle that JWT-SVIDs are signed with: their `use` is `jwt-svid` (JWT-SVID section 6)."""
    members: Any = bundle.get("keys") if isinstance(bundle, Mapping) else None
    if not isinstance(members, list):
        return bundle
    svids = [each for each in members if isinstance(each, Mapping) and each.get("use") == "jwt-svid"]
    return {"keys": [{name: value for name, value in each.items() if name != "use"} for each in svids]}
