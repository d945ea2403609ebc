r"""What a ticket reference looks like, as an administrator writes it: a small part of regular expressions, and a link.

An expression is a row of characters, classes and `\d`, each with a quantifier or none: no group, no alternative, no
look-around, and at most four quantifiers of open length. So a match of a reference, which is short, ends at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit

LONGEST_TICKET: Final = 64
LONGEST_EXPRESSION: Final = 100
LONGEST_NAME: Final = 40
LONGEST_LINK: Final = 300
MOST_PATTERNS: Final = 5
PLACEHOLDER: Final = "{ticket}"
_MOST_OPEN: Final = 4
_CLASS: Final = r"\[[A-Za-z0-9_-]{1,40}\]"
_ATOM: Final = rf"(?:{_CLASS}|\\d|\\[.#/-]|[A-Za-z0-9_#/-])"
_QUANTIFIER: Final = r"(?:[+*?]|\{[0-9]{1,2}(?:,(?:[0-9]{1,2})?)?\})"
_EXPRESSION: Final = re.compile(rf"(?:{_ATOM}{_QUANTIFIER}?){{1,{LONGEST_EXPRESSION}}}")
_OPEN: Final = re.compile(rf"{_ATOM}(?:[+*?]|\{{[0-9]{{1,2}},[0-9]{{0,2}}\}})")


@dataclass(frozen=True, slots=True)
class Pattern:
    """One kind of ticket: what people call the tracker, what its references look like, and the link to one."""

    name: str
    expression: str
    link: str = ""

    def matches(self, ticket: str) -> bool:
        """Whether the whole of a reference is of this kind."""
        return len(ticket) <= LONGEST_TICKET and re.fullmatch(self.expression, ticket, re.ASCII) is not None

    def address(self, ticket: str) -> str:
        """Return where a ticket is read, its reference escaped; empty without a link."""
        return self.link.replace(PLACEHOLDER, quote(ticket, safe=""))

    def as_json(self) -> dict[str, str]:
        """Return it as it is stored."""
        return {"name": self.name, "expression": self.expression, "link": self.link}


def read(patterns: Iterable[Mapping[str, Any]]) -> tuple[Pattern, ...]:
    """Read patterns as they are stored."""
    return tuple(Pattern(each["name"], each["expression"], each["link"]) for each in patterns)


def find(patterns: Iterable[Pattern], ticket: str) -> Pattern | None:
    """Return the first pattern that a reference matches."""
    return next((pattern for pattern in patterns if pattern.matches(ticket)), None)


def is_safe(expression: str) -> bool:
    """Whether an expression is of the allowed part, and compiles."""
    if len(expression) > LONGEST_EXPRESSION or _EXPRESSION.fullmatch(expression) is None:
        return False
    if len(_OPEN.findall(expression)) > _MOST_OPEN:
        return False
    try:
        re.compile(expression, re.ASCII)
    except re.error:
        return False
    return True


def is_link(link: str) -> bool:
    """Whether a link leads by https to a host of its own, with the reference in its path or query alone; or is empty.

    A link with a user name is refused, and one in which the reference would choose the host.
    """
    if not link:
        return True
    if len(link) > LONGEST_LINK or not link.isascii() or any(each in link for each in " \"'<>\\"):
        return False
    try:
        parts = urlsplit(link)
        host = parts.hostname
    except ValueError:
        return False
    within = PLACEHOLDER in parts.path + parts.query + parts.fragment
    return parts.scheme == "https" and bool(host) and "@" not in parts.netloc and "{" not in parts.netloc and within
