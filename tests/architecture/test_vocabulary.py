"""What people read says the terms of the trade, and none of the words that they replaced (`vocabulary.py`)."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from typing import Final

import pytest

from scripts import commandindex
from tests.architecture import tree, vocabulary

NEWCOMERS: Final = ("capabilities", "coming-from", "demo", "glossary", "limits")
PAGES: Final = sorted(
    [
        *(tree.ROOT / name for name in ("README.md", *(f"docs/{name}.md" for name in NEWCOMERS))),
        *(tree.ROOT / "docs" / "operate").glob("*.md"),
    ]
)
TO_DO_PAGES: Final[frozenset[str]] = frozenset()
"""The pages that still have old words. A page that has none any more leaves the list."""
TO_DO_LABELS: Final = frozenset(
    {
        "* - A person answers in another's place",
        "* - Access was given in an emergency",
        "* - Adopted",
        "* - Adopted, not moved yet",
        "* - Approved by a rule a week ago",
        "* - The record is sealed up to the end of the review",
    }
)
"""Labels of choices in the API document that migrations hold, so that a migration renames them."""
SHOWN: Final = (
    *("access review", "campaign", "review item", "event-triggered review", "spot check"),
    *("keep", "keep some", "revoke", "don't know", "remediation", "queued", "verified", "verification"),
    *("reviewer", "fallback reviewer", "unassigned", "conflict of interest", "self-approval", "self-certification"),
    *("requestable", "eligible", "entitlement", "entitlement catalog", "auto-approval rule"),
    *("business justification", "sod policy", "sod ruleset", "violation", "exception", "mitigating control"),
    *("lethal trifecta", "break-glass access", "client", "service agent", "workload identity"),
    *("sponsor", "technical owner", "backup owner", "transfer", "acceptance", "orphaned", "onboarding"),
    *("unmanaged agent", "out-of-office delegate", "right-sizing", "privileged access", "privileged tools"),
    *("risk level", "blast radius", "suspend", "kill switch", "revocation receipt", "residual access"),
    *("audit log", "checkpoint", "timeline", "held call", "confirmation", "guardrail", "confirm it's you"),
    *("admin role", "sign-off", "attestation", "pending", "active", "suspended", "retired", "revoked", "expired"),
    *("disabled", "left"),
    *("approval policies", "sod policies", "out of office", "signing keys", "group mapping", "agent types"),
    *("revocations", "api tokens", "token health", "coverage map", "sessions", "guardrails"),
)
"""The terms and page names of the vocabulary that the console needs.

Not among them: *approval routing* and *delegation chain* are words of the API and the docs, *step-up authentication* is
"Confirm it's you" on a page, and *Held calls* has no page of its own.
"""
SEARCHED: Final = ("birthright access", "toxic combination", "joiner")
"""Terms that the search knows, since no page has them in its words."""
_APOSTROPHES: Final = str.maketrans({"\u2019": "'"})
SYNONYMS: Final = "governance/search"
"""The search knows the words that other products use, so that a person who types one finds the page."""


def test_the_api_document_says_the_terms() -> None:
    found, labels = {}, set()
    for place, text in vocabulary.document(commandindex.document()):
        stored = [line for line in text.splitlines() if vocabulary.is_label(line)]
        labels |= {" ".join(line.split()) for line in stored if vocabulary.wrong(line)}
        if wrong := vocabulary.wrong("\n".join(line for line in text.splitlines() if line not in stored)):
            found[place] = wrong
    assert found == {}
    assert labels == TO_DO_LABELS


def test_the_pages_say_the_terms() -> None:
    texts = {str(page.relative_to(tree.ROOT)): vocabulary.prose(page.read_text(encoding="utf-8")) for page in PAGES}
    found = {name: wrong for name, text in texts.items() if (wrong := vocabulary.wrong(text))}
    assert {name: wrong for name, wrong in found.items() if name not in TO_DO_PAGES} == {}
    assert TO_DO_PAGES - found.keys() == set(), "these have no old word any more: take them off the list"


def test_the_console_says_the_terms() -> None:
    found: dict[str, list[str]] = defaultdict(list)
    for folder, text in vocabulary.console():
        found[folder] += vocabulary.wrong(text)
    assert {folder: words for folder, words in found.items() if words and folder != SYNONYMS} == {}


def test_the_console_shows_every_term_that_it_needs() -> None:
    texts: dict[bool, str] = defaultdict(str)
    for folder, text in vocabulary.console():
        texts[folder == SYNONYMS] += f" {text}"
    pages, search = (" ".join(texts[key].lower().translate(_APOSTROPHES).split()) for key in (False, True))
    assert [term for term in SHOWN if not re.search(rf"(?<![\w-]){re.escape(term)}s?(?![\w-])", pages)] == []
    assert [term for term in SEARCHED if term not in search] == []


def test_every_term_stands_in_the_glossary() -> None:
    glossary = (tree.ROOT / "docs/glossary.md").read_text(encoding="utf-8").lower().replace("*", "")
    wanted = {word.strip() for term in vocabulary.TERMS for word in term.split(",")}
    assert {word for word in wanted if word.lower() not in glossary} == set()


@pytest.mark.parametrize(
    "text",
    [
        "Small review: is this still needed?",
        "An emergency is declared for the combination.",
        "Stop this agent; the record keeps it.",
        "Each cut is proven.",
        "Bob answers in your place while you are away.",
        "Adopted from a file",
        "It is asked for a proof of who you are.",
        "State: Stopped",
        "An office without a holder",
    ],
)
def test_an_old_word_is_found(text: str) -> None:
    assert vocabulary.wrong(text) != []


@pytest.mark.parametrize(
    "text",
    [
        "You are out of office; the back office is read-only.",
        "The audit log records it, and a record of the call stays.",
        "An inclusion proof, and proof of possession (DPoP).",
        "A shortcut cuts the way short. The sealer stopped.",
        "A held call waits for approval; the reader holds a token.",
    ],
)
def test_what_only_looks_like_one_is_not(text: str) -> None:
    assert vocabulary.wrong(text) == []


def test_what_people_read_is_read_and_code_is_not() -> None:
    template = (
        '<a title="{% translate "An emergency" %}">{% blocktranslate %}The {{ x }} heir{% endblocktranslate %}</a>'
    )
    assert len(set(vocabulary.wrong(vocabulary.visible(template)))) == 2
    assert vocabulary.wrong(vocabulary.visible('{% url "emergency" %}<i class="adopted"></i>{# the record #}')) == []
    assert vocabulary.wrong(vocabulary.prose("`emergency`, [see](emergency.md)\n```\nadopted\n```")) == []
    module = ast.parse(
        'x = _("The heir")\ny = "the heir"\nclass Late(DomainError):\n  """Stop the agent."""\n  code = "late"'
    )
    assert len(vocabulary.wrong(vocabulary.translated(module))) == 2
