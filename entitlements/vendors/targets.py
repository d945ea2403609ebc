"""What the identity side needs to know of a vendor and of a person there, by the reads of one request."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from entitlements.clients.callers import Caller, Target
from entitlements.decisions.reads import Reads
from entitlements.vendors import rules
from entitlements.vendors.rules import Known, Subjects, Terms

_VENDOR: Final = """
SELECT y.id, y.slug, y.kind, y.upstream_url, y.token_seconds, y.status, y.signing_algorithm,
       v.issuer, v.resources::text, v.joins, v.issues, v.subjects, v.extra_claims::text, v.salt, v.scope_names,
       (SELECT l.foreign_id FROM entitlements_clientalias l WHERE l.system_id = y.id AND l.client_id = %(client)s)
FROM entitlements_vendor v JOIN entitlements_system y ON y.id = v.system_id WHERE v.issuer = %(issuer)s
"""
_PERSON: Final = """
SELECT coalesce((SELECT s.subject FROM entitlements_vendorsubject s JOIN entitlements_vendor v ON v.id = s.vendor_id
                  WHERE v.system_id = %(system)s AND s.person_id = %(person)s), ''),
       coalesce(vendor_email_v1(%(system)s, %(person)s), '')
"""
_DOCUMENT: Final = "https://"


@dataclass(frozen=True, slots=True)
class VendorTarget(Target):
    """A system with an authorization server of its own. `person` holds the claims about the person there."""

    terms: Terms
    person: Mapping[str, Any] = field(default_factory=dict)

    @property
    def issuer(self) -> str:
        """The vendor's own issuer, to the byte."""
        return self.terms.issuer

    @property
    def resources(self) -> tuple[str, ...]:
        """The resources that its server issues tokens for (EMA-I-6)."""
        return self.terms.resources

    @property
    def refusal(self) -> rules.Refusal | None:
        """Why nothing is issued for it."""
        return rules.refusal(self.terms)

    def presented(self, claims: Mapping[str, Any]) -> dict[str, Any]:
        """Return the claims of an ID-JAG as this vendor gets them."""
        claims_there = rules.presented(self.terms, self.person, claims)
        return claims_there | {"scope": " ".join(self.server_scopes(str(claims_there["scope"]).split(" ")))}

    def own_scopes(self, requested: Iterable[str]) -> tuple[str, ...]:
        """Return what a client asks for by the vendor's names."""
        return tuple(rules.own_scope(self.terms, self.slug, scope) for scope in requested)

    def server_scopes(self, granted: Iterable[str]) -> tuple[str, ...]:
        """Return how the vendor calls what is granted."""
        return tuple(rules.vendor_scope(self.terms, self.slug, scope) for scope in granted)


async def find(reads: Reads, issuer: str, caller: Caller) -> tuple[VendorTarget | None, str]:
    """Find the vendor with exactly this issuer, and the client's identifier there (EMA-I-2, EMA-I-10).

    Without a name there a client is known only by its metadata document, whose address is its identifier everywhere.
    """
    asked = {"issuer": issuer, "client": caller.pk}
    rows = await reads.kept(_VENDOR, asked, lambda rows: [("system_id", rows[0][0]), ("client_id", caller.pk)])
    if not rows:
        return None, ""
    pk, slug, kind, url, seconds, status, algorithm = rows[0][:7]
    at, resources, joins, issues, subjects, claims, salt, names, foreign = rows[0][7:]
    extra = tuple(json.loads(claims))
    terms = Terms(at, tuple(json.loads(resources)), joins, issues, subjects, extra, salt, names)
    own = caller.client_id if caller.client_id.startswith(_DOCUMENT) else ""
    return VendorTarget(pk, slug, kind, url, seconds, status, algorithm, terms), foreign or own


async def for_person(reads: Reads, target: Target, person: int, login: str) -> Target | None:
    """Return the target with the claims about a person for its vendor; as it is where there is no vendor.

    None where the vendor knows no name of the person. Stored names and mail addresses are read where they are chosen
    alone, and never kept.
    """
    if not isinstance(target, VendorTarget):
        return target
    terms, known = target.terms, Known(person, login)
    if terms.extra_claims or terms.subjects in (Subjects.EMAIL, Subjects.STORED):
        rows = await reads.rows(_PERSON, {"system": target.pk, "person": person})
        known = Known(person, login, *rows[0])
    claims = rules.person_claims(terms, known)
    return None if claims is None else replace(target, person=claims)
