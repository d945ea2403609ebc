"""What a receipt shows of tokens of other servers: how each ended, and how that is known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.utils.translation import gettext_lazy, ngettext

from entitlements.foreign_tokens import queries
from entitlements.foreign_tokens.queries import EndRow
from entitlements.foreign_tokens.rules import End, Means, Unknown, VendorAnswer
from entitlements.revocation.models import Revocation

_ANSWERS: Final = {
    VendorAnswer.REVOKED: gettext_lazy("The vendor answered that it revoked them."),
    VendorAnswer.REFUSED: gettext_lazy("The vendor refused to revoke them."),
    VendorAnswer.NOT_OFFERED: gettext_lazy("The vendor offers no revocation."),
    VendorAnswer.NOT_OURS: gettext_lazy("Mandate is no longer the client that may revoke them."),
    VendorAnswer.NO_ANSWER: gettext_lazy("The vendor did not answer when asked to revoke them. It is asked again."),
}
_WORKED: Final = {
    Means.CALL: gettext_lazy("A call with the access token still works."),
    Means.REFRESH: gettext_lazy("The refresh token still gives new tokens."),
    Means.INTROSPECTION: gettext_lazy("The vendor's introspection still calls a token active."),
}
_REFUSED: Final = {
    Means.CALL: gettext_lazy("A call with the access token is refused."),
    Means.REFRESH: gettext_lazy("The refresh token is refused."),
    Means.INTROSPECTION: gettext_lazy("The vendor's introspection calls a token inactive that was active before."),
}
_REASONS: Final = {
    Unknown.NOT_HELD: gettext_lazy("Mandate does not hold these tokens, so it can neither revoke nor try them."),
    Unknown.NO_WAY: gettext_lazy("No try of these tokens would prove anything."),
    Unknown.NO_ANSWER: gettext_lazy("The system or the vendor did not answer the tries."),
    Unknown.NOT_OPENED: gettext_lazy("The stored tokens could not be opened."),
    Unknown.ACCOUNT_STAYS: gettext_lazy("The account did not end, and is still in use."),
}


@dataclass(frozen=True, slots=True)
class Shown:
    """One row: whose tokens, their end with its time, and sentences that say how it is known."""

    system: str
    what: str
    end: str
    at: datetime | None
    sentences: list[Any]


def shown(revoked: Revocation) -> dict[str, Any]:
    """Return the measured ends of a receipt for its page; nothing where it waits for no token of another server."""
    ends = queries.of(revoked)
    return {} if ends is None else {"ends": ends, "end_rows": [_shown(row) for row in queries.rows(ends)]}


def _shown(row: EndRow) -> Shown:
    accounts = ngettext("%(n)s connected account", "%(n)s connected accounts", row.count) % {"n": row.count}
    what = accounts if row.is_held else str(gettext_lazy("tokens that the vendor minted"))
    sentences = [_ANSWERS[VendorAnswer(row.vendor_answer)]] if row.vendor_answer else []
    found = _WORKED if row.end == End.ALIVE else _REFUSED
    sentences += [found[Means(each)] for each in row.found_by]
    sentences += [_REASONS[Unknown(row.why)]] if row.why else []
    return Shown(row.system_name, what, row.end, row.at, sentences)
