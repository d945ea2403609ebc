"""Which algorithms each issuer signs with: the one of its system, and at the identity issuer those of all systems."""

from __future__ import annotations

from entitlements import addresses
from entitlements.catalog.models import System

from . import jws, session_keys


def algorithms(issuer_path: str) -> tuple[str, ...]:
    """Return the algorithms of which an issuer (`idp`, `as/<slug>`, `receipts`) has a key, the usual one first.

    ID tokens are signed with ES256, and an ID-JAG with the algorithm of the system that it is for.
    """
    if issuer_path in session_keys.SEALING:
        return (session_keys.ALGORITHM,)
    if issuer_path == addresses.SIGNALS:  # the CAEP interoperability profile 1.0 asks for it (section 2.6)
        return ("RS256",)
    if issuer_path == addresses.IDP:
        others = System.objects.exclude(signing_algorithm=jws.ES256).order_by("signing_algorithm")
        return jws.ES256, *others.values_list("signing_algorithm", flat=True).distinct()
    of_system = System.objects.filter(slug=issuer_path.removeprefix("as/"))
    is_of_system = issuer_path.startswith("as/")
    set_to = of_system.values_list("signing_algorithm", flat=True).first() if is_of_system else None
    return (set_to or jws.ES256,)


def usual(issuer_path: str) -> str:
    """Return the algorithm with which an issuer signs when nothing else is asked for."""
    return jws.ES256 if issuer_path == addresses.IDP else algorithms(issuer_path)[0]
