"""Which mailbox an address of mail leads to: two accounts whose addresses lead to one mailbox are one human's."""

from __future__ import annotations

import unicodedata
from typing import Final

DOTS_MEAN_NOTHING: Final = frozenset({"gmail.com", "googlemail.com"})
"""Domains that are known to leave dots in the local part out, and to be one domain (support.google.com/mail/10313)."""


def mailbox(email: str) -> str:
    """Return the address without what does not change where mail goes; an empty address leads nowhere.

    The rule, which the database's function `entitlements_mailbox` repeats (a test compares the two):
    - Characters are taken in their compatible form (Unicode NFKC), letters as small ones, surrounding spaces left out.
    - A dot at the end of the domain is left out (RFC 1034, section 3.1).
    - A quoted local part counts as the same one without quotes (RFC 5321, section 4.1.2).
    - What follows the first plus sign of the local part is a tag and is left out (RFC 5233), at every domain: where a
      tag does name another mailbox, two people count as one, and a second person is asked for once too often.
    - Dots in the local part are left out only where that is known; elsewhere they name another mailbox.

    The two spellings of an international domain, with letters and as `xn--`, stay different.
    """
    small = _small(unicodedata.normalize("NFKC", email)).strip(" ")
    local, at, domain = small.rpartition("@")
    if not at:
        return small
    domain = domain.rstrip(".")
    if len(local) > 1 and local.startswith('"') and local.endswith('"'):
        local = local[1:-1].replace("\\", "")
    local = local.partition("+")[0] or local
    if domain in DOTS_MEAN_NOTHING:
        local, domain = local.replace(".", "") or local, "gmail.com"
    return f"{local}@{domain}"


def human(email: str, login: str) -> str:
    """Return what names the human of an account: the mailbox, or the login where there is no address."""
    return mailbox(email) or login


def _small(text: str) -> str:
    """Return the text with each letter as one small letter, as PostgreSQL does: never as two."""
    return "".join("i" if letter == "\u0130" else letter.lower() for letter in text)
