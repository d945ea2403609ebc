"""Pages of a search (AuthZEN 1.0, "Pagination"): a token names the question it continues, and where.

The token is opaque and carries no right: who alters it skips results of a search that they may ask as a whole.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from entitlements import strict

from .questions import ENTITIES, Malformed, Target

MOST: Final = 1_000
"""Results of a page at most, and of one whose size is not asked for."""
_LONGEST: Final = 500


@dataclass(frozen=True, slots=True)
class Page:
    """What a caller wants of the results: at most `limit` of them, from the place `begins` on."""

    question: str
    limit: int
    begins: int = 0

    def of(self, found: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Return the page, first in the answer, and its results."""
        ends = self.begins + self.limit
        shown = list(found[self.begins : ends])
        more = self._token(ends) if ends < len(found) else ""
        return {"page": {"next_token": more, "count": len(shown), "total": len(found)}, "results": shown}

    def _token(self, begins: int) -> str:
        return base64.urlsafe_b64encode(strict.dumps([self.question, self.limit, begins])).decode()


def read(body: Mapping[str, Any], target: Target) -> Page:
    """Read which page is asked for. Raises Malformed, also where a token is for another question or page size."""
    asked = body.get("page", {})
    if not isinstance(asked, dict):
        raise Malformed("page must be an object.")
    limit, token = asked.get("limit"), asked.get("token", "")
    if limit is not None and (type(limit) is not int or limit < 0):
        raise Malformed("page.limit must be a whole number, zero or more.")
    if not isinstance(token, str) or len(token) > _LONGEST:
        raise Malformed("page.token must be the next_token of the page before.")
    question = _digest(body, target)
    size = MOST if limit is None else min(limit, MOST)
    if not token:
        return Page(question, size)
    try:
        of_question, kept, begins = strict.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, TypeError, binascii.Error, strict.NotStrictJson) as why:
        raise Malformed("page.token must be the next_token of the page before.") from why
    is_whole = type(kept) is int and type(begins) is int and 0 <= kept <= MOST and begins >= 0
    if of_question != question or not is_whole or (limit is not None and size != kept):
        raise Malformed("page.token belongs to another question. Begin with the first page.")
    return Page(question, kept, begins)


def _digest(body: Mapping[str, Any], target: Target) -> str:
    """Return a digest of the entities of a question, which stay the same from page to page."""
    named = [[name, body.get(name)] for name in ENTITIES]
    return hashlib.sha256(strict.dumps([target.value, named])).hexdigest()[:32]
