"""The reasons that a form offers, each with the decisions that it fits."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from governance.console.tags import REASONS
from governance.reviews.items import review_rules
from governance.reviews.items.review_rules import FITTING

type Options = list[tuple[str, Promise | str, str]]


def groups() -> list[tuple[Promise | str, Options]]:
    """Return the groups of reasons: of keeping, of reducing and revoking, of not knowing.

    An option is a code, its words and the verbs that offer it, with spaces between; a form without script shows all.
    """
    titles = (
        (_("To keep"), review_rules.KEEP),
        (_("To keep some or revoke"), review_rules.DROP),
        (_("Not to decide"), review_rules.ABSTAIN),
    )
    return [(title, [(code, REASONS[code], _verbs(code)) for code in codes]) for title, codes in titles]


def fitting(verb: str) -> list[tuple[str, Promise | str]]:
    """Return the reasons that are offered for one decision, at most five: a code and its words each."""
    return [(code, REASONS[code]) for code in FITTING[review_rules.Verb(verb)]]


def _verbs(code: str) -> str:
    return " ".join(verb for verb, codes in FITTING.items() if code in codes)
