"""What each page shows to each person: whom it is there for, and that it is kept by nobody and hides nothing.

Every page is visited once by each person (`tests/corpus.py`), and each test here judges all the answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import pytest

from entitlements.access.caller import SEE_EVERYTHING
from entitlements.definitions import impressions
from entitlements.people.models import Role
from entitlements.revocation.api import KINDS
from governance.console import matrix
from governance.requests import requests
from tests import corpus, parts
from tests.attacks import hostile
from tests.corpus import Corpus, Visit
from tests.governance.console import addresses

pytestmark = pytest.mark.timeout(900)  # whoever comes first visits
DECOYS: Final[dict[str, frozenset[str]]] = {
    **dict.fromkeys(
        ("analyst", "security"),
        frozenset(
            {"decoy-list", "decoy-page", "risk-signals", "risk-signal-page", "session-page", "audit", "explorer"}
        ),
    ),
    "auditor": frozenset({"audit", "explorer"}),
}
"""Which pages speak of decoys, by role: those of security, and the audit log."""
FIELD: Final = re.compile(r"<(?:input|select|textarea)\b[^>]*>")
LABEL: Final = re.compile(r"<label\b[^>]*>.*?</label>")
TEXTUAL: Final = re.compile(r"(?P<tag><(?P<kind>a|button|summary)\b[^>]*>)(?P<within>.*?)</(?P=kind)>")
NAMED: Final = re.compile(r'\s(?:aria-label|aria-labelledby|title|alt)="[^"]')
TAG: Final = re.compile(r"<[^>]*>")
FILES: Final = ("review-calendar", "review-csv", "review-json")
"""What programs read, which holds each text as it is."""
ONES_OWN: Final = frozenset(
    {
        *("review-work", "request-edit", "spot-check", "inbox-open"),
        *("connected-account-page", "connected-account-callback"),
    }
)
NOWHERE: Final = ("no file",)
"""What no landing changes."""
RELATED: Final = {
    "sofia": "adoption-page coverage-page agent-page emergency-page proposal-page client-page request-page grant-page"
    " grant-narrow-page rest-api-page session-page budget-page"
    " client-add credential-page workload-rule-add system-page tool-page connect-light stop review-page review-items"
    " review-item-page review-work review-submit review-calendar review-one review-question",
    "otto": "session-page coverage-page agent-page emergency-page proposal-page client-page agent-edit request-page"
    " grant-narrow-page rest-api-page budget-page"
    " client-add credential-page workload-rule-add request-edit grant-page system-page tool-page connect-light stop",
    "sam": "spot-check review-question grant-page emergency-page request-page system-page tool-page system-edit"
    " grant-narrow-page entitlement-add entitlement-edit vendor-edit rest-api-page"
    " system-network-page system-credential system-accounts policy-domain-page policy-domain-load",
    "alice": "session-page grant-page emergency-page request-page connect-light",
    "bob": "connected-account-page person-page person-connections group-page connect-light",
    "mallory": "",
}
"""Which pages about the one agent, system, request of this world are there for whom, by what they are to it."""


def _own(pages: Corpus, person: str) -> Iterator[Visit]:
    return (visit for visit in pages.of(person) if visit.name in addresses.own())


def test_everybody_has_visited_every_page_that_can_be_looked_at(pages: Corpus) -> None:
    rows = {name for name, method in {**matrix.PAGES, **matrix.SIGN_IN} if method == "GET"}
    assert set(pages.people) == {*Role.values, *corpus.RELATED}
    for person in pages.people:
        visited = {visit.name for visit in pages.of(person) if visit.status != 405}
        assert visited <= rows, person
        assert [name for name in rows - visited if parts.has_turn(f"{person} {name}", NOWHERE)] == [], person


@pytest.mark.parametrize("role", [*Role.values])
def test_each_role_opens_the_pages_of_its_rows_whatever_they_are_about(role: str, pages: Corpus) -> None:
    for visit in _own(pages, role):
        name, status = visit.name, visit.status
        row = KINDS["agent"].row if name == "stop" else matrix.PAGES[name, "GET"].row
        sees = role in (requests.SEE_EVERYTHING if name.startswith(("request", "review")) else SEE_EVERYTHING)
        if name in ONES_OWN:
            assert status == 404, (role, name)
        elif name == "review-pack" and role in row.roles:  # nothing is sealed: it leads to where it would be
            assert status == 302, (role, name)
        elif role in row.roles or (row.anybody and sees) or (row.anybody and "<" not in addresses.own()[name]):
            assert status == 200, (role, name)
        else:
            assert status in (403, 404), (role, name)


@pytest.mark.parametrize("login", corpus.RELATED)
def test_a_page_about_one_thing_is_there_for_those_it_concerns_and_for_nobody_else(login: str, pages: Corpus) -> None:
    theirs = RELATED[login].split()
    for visit in _own(pages, login):
        name, status = visit.name, visit.status
        if "<" not in addresses.own()[name]:
            row = matrix.PAGES[name, "GET"].row
            assert status == (200 if row.anybody else 403), (login, name)
        elif name == "inbox-open" and login == "bob":  # a notice of his: it leads to what it is about
            assert status == 302, (login, name)
        elif name in theirs:
            assert status == 200, (login, name)
        else:
            assert status in (403, 404), (login, name)


def test_what_is_somebodys_is_never_stored_on_the_way(pages: Corpus) -> None:
    for person in pages.people:
        for visit in pages.of(person):
            assert visit.status < 500, (person, visit.name)
            assert "no-store" in visit.headers.get("Cache-Control", ""), (person, visit.name)


def test_no_page_can_be_framed_or_taken_for_something_else(pages: Corpus) -> None:
    for person in pages.people:
        for visit in pages.of(person):
            assert visit.headers["X-Content-Type-Options"] == "nosniff", (person, visit.name)
            assert visit.headers["Referrer-Policy"] in ("no-referrer", "same-origin"), (person, visit.name)
            assert visit.headers["X-Frame-Options"] == "DENY", (person, visit.name)
            policy = visit.headers["Content-Security-Policy"]
            assert "frame-ancestors 'none'" in policy, (person, visit.name)
            assert "unsafe" not in policy, (person, visit.name)


def test_no_page_holds_a_stored_secret(pages: Corpus) -> None:
    secrets = pages.secrets()
    assert secrets
    for person in pages.people:
        for visit in pages.of(person):
            assert not [value for value in secrets if value in visit.text], (person, visit.name)


def test_no_page_holds_a_hidden_character_or_a_tag_that_is_not_ours(pages: Corpus) -> None:
    for person in pages.people:
        for visit in pages.of(person):
            if visit.name in FILES or visit.headers.get("Content-Type", "") == "application/pdf":  # compressed
                continue
            page = visit.text
            assert not impressions.hidden(page), (person, visit.name)
            for tag in ("<script>window", "<img src=x", "<svg onload", "</textarea></title>", "$49", "owned\x07"):
                assert tag not in page, (person, visit.name, tag)


def test_no_page_but_those_of_security_speaks_of_a_decoy(pages: Corpus) -> None:
    for person in pages.people:
        shown = {visit.name: visit.text for visit in pages.of(person) if visit.status == 200}
        named = {name for name, text in shown.items() if hostile.DECOY in text}
        assert named <= DECOYS.get(person, frozenset()), person
        assert person not in ("analyst", "security") or named >= {"decoy-list"} & shown.keys(), person
        if person in corpus.RELATED:
            assert not [name for name, text in shown.items() if "decoy" in text.lower()], person


def test_every_control_has_a_name_that_is_read_out(pages: Corpus) -> None:
    for person in ("analyst", "sofia", "sam", "bob"):  # between them, they have every form
        for visit in pages.of(person):
            if visit.headers.get("Content-Type", "").startswith("text/html"):
                assert not [*_nameless(visit.text)], (person, visit.name)


def _nameless(page: str) -> Iterator[str]:
    """Yield the fields, buttons and links of a page that have no name of their own, no label and no text."""
    inside = {field.group() for label in LABEL.finditer(page) for field in FIELD.finditer(label.group())}
    labelled = {*re.findall(r'<label\b[^>]*\sfor="([^"]+)"', page)}
    for field in FIELD.finditer(page):
        own = re.search(r'\sid="([^"]+)"', field.group())
        is_labelled = field.group() in inside or (own is not None and own[1] in labelled)
        if not (is_labelled or NAMED.search(field.group()) or re.search(r'\stype="?hidden', field.group())):
            yield field.group()
    for element in TEXTUAL.finditer(page):
        said = TAG.sub("", element["within"]).strip()
        if not (said or NAMED.search(element["tag"]) or NAMED.search(element["within"])):
            yield element.group()


@pytest.mark.parametrize(
    ("page", "is_nameless"),
    [
        ('<input name="x">', True),
        ('<input name="x" aria-label="">', True),
        ('<label for="y">Y</label><input id="x">', True),
        ("<button><svg></svg></button>", True),
        ('<a href="/"><span class="icon"></span></a>', True),
        ('<label for="x">X</label><input id="x">', False),
        ("<label>X <select name=x></select></label>", False),
        ('<textarea aria-labelledby="heading"></textarea>', False),
        ('<input type="hidden" name="x">', False),
        ('<button aria-label="Close"><svg></svg></button>', False),
        ('<a href="/"><b>Home</b></a>', False),
    ],
)
def test_a_control_without_a_name_is_found(page: str, *, is_nameless: bool) -> None:
    assert bool([*_nameless(page)]) is is_nameless
