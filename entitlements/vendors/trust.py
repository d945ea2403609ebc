"""Test of trust: an ID-JAG for the person who tests is redeemed at the vendor's server, by a client registered there.

The vendor's answer is data: its token is looked at for its lifetime alone, and forgotten. A step that could
not be tried has a sentence too.
"""

from __future__ import annotations

import asyncio
import base64
import re
import uuid
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, urlencode

from django.db import transaction

from audit import clock, log
from audit.actions import Action
from entitlements import addresses, strict
from entitlements.catalog.models import System
from entitlements.decisions import guardrails
from entitlements.errors import DomainError
from entitlements.keys import signing
from entitlements.people.models import Person
from entitlements.secrets import seal
from entitlements.unmanaged_agents.models import PathTerms
from entitlements.upstream import egress
from entitlements.vendors import rules, vendors
from entitlements.vendors.models import Vendor, VendorSubject
from entitlements.vendors.rules import Known, Terms

TYP: Final = "oauth-id-jag+jwt"
GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
PROFILE: Final = "urn:ietf:params:oauth:grant-profile:id-jag"
_LIFETIME: Final = timedelta(seconds=60)
_LONGEST: Final = 366 * 24 * 3600
_LARGEST: Final = 64 * 1024
_WORD: Final = re.compile(r"[a-z_]{1,64}")
_WELL_KNOWN: Final = ("oauth-authorization-server", "openid-configuration")


class Outcome(StrEnum):
    """How a step went."""

    DONE = "done"
    FAILED = "failed"
    UNTRIED = "untried"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a test, with a sentence for people."""

    name: str
    outcome: str
    sentence: str


@dataclass(slots=True)
class TrustTest:
    """How a test went, step by step; `seconds` is how long the vendor's token lives, None where that is not known."""

    steps: list[Step] = field(default_factory=list)
    seconds: int | None = None
    jti: str = ""

    @property
    def is_trusted(self) -> bool:
        """Whether the vendor gave a token for our assertion."""
        return any(step.name == "token" and step.outcome == Outcome.DONE for step in self.steps)

    def done(self, name: str, sentence: str) -> None:
        """Note a step that went well."""
        self.steps.append(Step(name, Outcome.DONE.value, sentence))

    def failed(self, name: str, sentence: str) -> None:
        """Note a step that did not."""
        self.steps.append(Step(name, Outcome.FAILED.value, sentence))

    def untried(self, name: str, sentence: str) -> None:
        """Note what could not be tried, and why."""
        self.steps.append(Step(name, Outcome.UNTRIED.value, sentence))


def test(system: System, *, by: Person) -> System:
    """Test whether the vendor's server takes our ID-JAGs; the network is asked before the transaction begins.

    The row keeps how it went, and a lifetime that was measured becomes that of the native path. Raises VendorMissing.
    """
    vendor = Vendor.objects.filter(system=system).first()
    if vendor is None:
        raise vendors.VendorMissing
    result = TrustTest()
    metadata = _metadata(vendor, result)
    if metadata is not None:
        _redeem(vendor, metadata, result, by)
    else:
        result.untried("token", "No token was asked for: the server's metadata is needed first.")
    return _record(vendor, result, by)


def _metadata(vendor: Vendor, result: TrustTest) -> dict[str, Any] | None:
    """Find the server's metadata (RFC 8414 section 3), and hold it against what is registered."""
    found = _fetched(vendor.issuer)
    if isinstance(found, str):
        result.failed("metadata", f"The server's metadata was not found: {found}")
        return None
    result.done("metadata", "The server's metadata was found.")
    if found.get("issuer") != vendor.issuer:  # section 3.3: it may be another server's
        result.failed("issuer", "The metadata names another issuer than the one that is registered here.")
        return None
    result.done("issuer", "The metadata names exactly the issuer that is registered here.")
    if PROFILE in _listed(found, "authorization_grant_profiles_supported"):
        result.done("profile", "The server lists the grant profile for ID-JAGs.")
    else:
        result.failed("profile", "The server does not list the grant profile for ID-JAGs. It may take them even so.")
    return found


def _fetched(issuer: str) -> dict[str, Any] | str:
    """Return the metadata, or why there is none. The path of the issuer comes after the well-known one, or before."""
    parts = addresses.parts(issuer)
    assert parts is not None  # noqa: S101 - for the type checker: it was checked when it was registered
    base, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    why = ""
    for url in (f"{base}/.well-known/{_WELL_KNOWN[0]}{path}", f"{base}{path}/.well-known/{_WELL_KNOWN[1]}"):
        try:
            found = egress.read_json(url)
        except (DomainError, strict.NotStrictJson) as refusal:
            why = why or str(refusal)
            continue
        if isinstance(found, dict):
            return found
        why = why or "It is no JSON object."
    return why


def _redeem(vendor: Vendor, metadata: dict[str, Any], result: TrustTest, by: Person) -> None:
    terms = terms_of(vendor)
    if (refusal := rules.refusal(terms)) is not None:
        result.untried("token", f"No token was asked for: {_NOT_ISSUED[refusal]}")
        return
    if vendor.system.status != System.Status.ACTIVE or guardrails.is_everything_stopped():
        result.untried("token", "No token was asked for: nothing is issued for this system at this moment.")
        return
    if not vendor.test_client_id or vendor.test_secret is None:
        result.untried(
            "token",
            "No token was asked for: no test client is registered here. Whether the vendor takes our signature, "
            "our subjects and our scopes, and how long its tokens live, is not known.",
        )
        return
    person = rules.person_claims(terms, _known(vendor, by))
    if person is None:
        result.untried("token", "No token was asked for: the vendor knows you by no name. Enter yours first.")
        return
    _ask(vendor, metadata, _assertion(vendor, person, result), result)


_NOT_ISSUED: Final = {
    rules.Refusal.PROVIDER: "the vendor trusts only the company's identity provider, so Mandate issues nothing for it.",
    rules.Refusal.OFF: "issuing for this vendor is switched off.",
}


def terms_of(vendor: Vendor) -> Terms:
    """Return what is agreed with a vendor, as its row says."""
    return Terms(
        vendor.issuer,
        tuple(vendor.resources),
        vendor.joins,
        vendor.issues,
        vendor.subjects,
        tuple(vendor.extra_claims),
        vendor.salt,
        vendor.scope_names,
    )


def _known(vendor: Vendor, person: Person) -> Known:
    stored = VendorSubject.objects.filter(vendor=vendor, person=person).values_list("subject", flat=True).first()
    return Known(person.pk, person.login, stored or "", person.email)


def _assertion(vendor: Vendor, person: dict[str, Any], result: TrustTest) -> str:
    """Sign an ID-JAG for the person who tests, for a minute, with the first scope of the system alone."""
    now, result.jti = clock.now(), str(uuid.uuid4())
    scope = vendor.system.entitlements.filter(enabled=True).order_by("scope").values_list("scope", flat=True).first()
    claims = {
        "iss": addresses.issuer(addresses.IDP),
        "aud": vendor.issuer,
        "client_id": vendor.test_client_id,
        "jti": result.jti,
        "iat": int(now.timestamp()),
        "exp": int((now + _LIFETIME).timestamp()),
        "resource": vendor.resources[0],
        **({"scope": rules.vendor_scope(terms_of(vendor), vendor.system.slug, scope)} if scope else {}),
        **person,
    }
    return signing.sign(addresses.IDP, claims, TYP, vendor.system.signing_algorithm)


def _ask(vendor: Vendor, metadata: dict[str, Any], assertion: str, result: TrustTest) -> None:
    endpoint = metadata.get("token_endpoint")
    if not isinstance(endpoint, str):
        result.failed("token", "The metadata names no token endpoint.")
        return
    form = {"grant_type": GRANT, "assertion": assertion, "resource": vendor.resources[0]}
    secret = seal.unseal(bytes(vendor.test_secret or b""), vendors.place(vendor.system_id)).decode()
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    methods = _listed(metadata, "token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    if "client_secret_basic" in methods:
        pair = f"{quote(vendor.test_client_id, safe='')}:{quote(secret, safe='')}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    else:
        form |= {"client_id": vendor.test_client_id}
        form |= {"client_secret": secret} if "client_secret_post" in methods else {}
    try:
        body = urlencode(form).encode()
        status, answer = asyncio.run(egress.submit(endpoint, body, headers, largest=_LARGEST))
        _read(status, strict.loads(answer), result)
    except (DomainError, strict.NotStrictJson) as refusal:
        result.failed("token", f"The token endpoint gave no answer that can be read: {refusal}")


def _read(status: int, answer: Any, result: TrustTest) -> None:  # noqa: ANN401 - any JSON
    body = answer if isinstance(answer, dict) else {}
    if status != HTTPStatus.OK or not isinstance(body.get("access_token"), str):
        error = body.get("error")
        word = error if isinstance(error, str) and _WORD.fullmatch(error) else "no known error"
        result.failed("token", f"The vendor gave no token. It answered {status} with {word}.")
        return
    result.done("token", "The vendor gave a token for our assertion. It is not kept.")
    seconds = body.get("expires_in")
    if isinstance(seconds, int) and not isinstance(seconds, bool) and 0 < seconds <= _LONGEST:
        result.seconds = seconds
        result.done("lifetime", f"The vendor's token lives {seconds} seconds.")
    else:
        result.failed("lifetime", "The vendor does not say how long its token lives.")


@transaction.atomic
def _record(vendor: Vendor, result: TrustTest, by: Person) -> System:
    now, steps = clock.now(), [asdict(step) for step in result.steps]
    Vendor.objects.filter(pk=vendor.pk).update(trust_test=steps, tested_at=now)
    if result.seconds is not None:
        measured = {"token_basis": PathTerms.Basis.MEASURED, "token_seconds": result.seconds}
        about = {"said_by": str(by.principal), "said_at": now, "reason": "Measured by a test of trust."}
        PathTerms.objects.update_or_create(
            system=vendor.system, path=PathTerms.Path.NATIVE, defaults={**measured, **about}
        )
    log.record(
        Action.SYSTEM_TRUST_TESTED,
        about=[f"system:{vendor.system.slug}", f"person:{by.login}"],
        by=by.principal,
        outcome="success" if result.is_trusted else "failure",
        detail={"steps": steps, "jti": result.jti, "token_life_seconds": result.seconds},
    )
    return vendor.system


def _listed(metadata: dict[str, Any], name: str) -> list[str]:
    values = metadata.get(name)
    return [value for value in values if isinstance(value, str)] if isinstance(values, list) else []
