"""What the page of trusted issuers shows: terms in words, what a proposal changes, and keys as a worker saw them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from audit import clock
from entitlements.keys import jws, public_keys
from entitlements.trusted_issuers import proposals, terms, watch
from entitlements.trusted_issuers.models import IssuerKeys, IssuerProposal, TrustedIssuer

LABELS: Final = {
    "purpose": gettext_lazy("Signs"),
    "issues_id_jags": gettext_lazy("Signs ID-JAGs as well"),
    "jwks_uri": gettext_lazy("Address of its keys"),
    "jwks": gettext_lazy("Pinned keys"),
    "algorithms": gettext_lazy("Algorithms"),
    "strict_single_use": gettext_lazy("Each ID-JAG once"),
    "clients": gettext_lazy("Its clients, and ours"),
    "other_audiences": gettext_lazy("Audiences beside the client"),
    "subject_claim": gettext_lazy("Claim of the person"),
    "tenant_claim": gettext_lazy("Claim of the tenant"),
    "tenants": gettext_lazy("Tenants"),
    "contexts": gettext_lazy("Its acr, and ours"),
    "sends_signals": gettext_lazy("Sends security events"),
    "signal_audience": gettext_lazy("Audience of its events"),
    "signal_events": gettext_lazy("Events that are taken"),
}
_PURPOSES: Final = dict(TrustedIssuer.Purpose.choices)


@dataclass(frozen=True, slots=True)
class ShownTerm:
    """One term in words; `before` only where a proposal changes it."""

    label: Any
    value: str
    before: str = ""


@dataclass(frozen=True, slots=True)
class ShownKeys:
    """The keys of an issuer as a worker last saw them, and until when the nodes can do with them."""

    keys: list[str]
    fetched_at: datetime | None
    failing_since: datetime | None
    problem: str
    next_try: datetime
    serves_until: datetime | None

    @property
    def is_over(self) -> bool:
        """Whether no node can check its tokens any more."""
        return self.failing_since is not None and (self.serves_until is None or self.serves_until <= clock.now())


def open_proposals(rows: QuerySet[IssuerProposal]) -> QuerySet[IssuerProposal]:
    """Return what waits for a second person, the oldest first."""
    return rows.filter(state=IssuerProposal.State.PROPOSED).order_by("proposed_at", "id")


def in_force(rows: QuerySet[IssuerProposal]) -> QuerySet[IssuerProposal]:
    """Return what is trusted now, by name."""
    return rows.filter(state=IssuerProposal.State.IN_FORCE).order_by("issuer")


def shown_terms(row: IssuerProposal) -> list[ShownTerm]:
    """Return what an issuer is trusted on: of the usual terms, only the purpose and how its keys are found."""
    named = terms.differences(None, row.terms)
    return [ShownTerm(label(each.name), words(each.name, each.after)) for each in named]


def shown_changes(row: IssuerProposal) -> list[ShownTerm]:
    """Return what a proposal changes of what is in force."""
    return [
        ShownTerm(label(each.name), words(each.name, each.after), words(each.name, each.before))
        for each in proposals.changes_of(row)
    ]


def label(name: str) -> Any:  # noqa: ANN401 - a text, or its translation later
    """Return the name of a term in words."""
    return LABELS.get(name, name)


def words(name: str, value: object) -> str:
    """Return the value of a term in words."""
    if name == "purpose":
        return str(_PURPOSES.get(str(value), value or _("not trusted")))
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if name == "jwks":
        return ", ".join(map(_key, public_keys.read_set(value))) if isinstance(value, Mapping) else _("none")
    if isinstance(value, Mapping):
        return ", ".join(f"{foreign} → {ours}" for foreign, ours in sorted(value.items())) or _("none")
    if isinstance(value, list):
        return ", ".join(map(str, value)) or _("none")
    return str(value or _("none"))


def _key(key: jws.Key) -> str:
    """Return a key by its name and its thumbprint (RFC 7638): two keys may have one name."""
    return f"{key.kid} {key.material.thumbprint()}".strip()


def keys_of(rows: list[IssuerProposal]) -> dict[str, ShownKeys]:
    """Return the keys of issuers by name; of one that no worker has looked at yet, nothing."""
    seen = IssuerKeys.objects.select_related("issuer").filter(issuer__issuer__in=[row.issuer for row in rows])
    return {each.issuer.issuer: _shown_keys(each) for each in seen}


def _shown_keys(seen: IssuerKeys) -> ShownKeys:
    return ShownKeys(
        [f"{key.get('kid') or '?'} ({key.get('alg')})" for key in seen.keys],
        seen.fetched_at,
        seen.failing_since,
        seen.problem,
        seen.tried_at + watch.EVERY,
        seen.fetched_at + watch.SERVES if seen.fetched_at else None,
    )
