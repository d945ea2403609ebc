"""Which expressions are taken as patterns of tickets, how long a match may take, and where a link leads."""

from __future__ import annotations

import time

import pytest

from governance.tickets import rules
from governance.tickets.rules import Pattern

JIRA = Pattern("Jira", r"[A-Z][A-Z0-9]+-\d+", "https://jira.example.com/browse/{ticket}")


@pytest.mark.parametrize(
    "expression", [JIRA.expression, r"(INC|CHG)\d{7}".replace("(INC|CHG)", "INC"), r"GH#\d{1,6}", "[A-Z]+"]
)
def test_plain_expressions_are_taken(expression: str) -> None:
    assert rules.is_safe(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "(a+)+",
        "a|b",
        ".*",
        r"\w+",
        "a++",
        "a{1000}",
        "(?=a)",
        "[^a]",
        "[z-a]",
        "[a",
        "a b",
        "ä",
        "^a$",
        r"\1",
        "a" * 101,
        "[A-Z]*" * 5,
        "a{2,1}",
    ],
)
def test_expressions_outside_the_subset_are_refused(expression: str) -> None:
    assert not rules.is_safe(expression)


def test_the_slowest_expression_that_is_taken_ends_at_once() -> None:
    slowest = Pattern("Slow", r"\d*\d*\d*\d*x", "")
    assert rules.is_safe(slowest.expression)
    began = time.process_time()
    assert not slowest.matches("1" * rules.LONGEST_TICKET)
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("ticket", "fits"),
    [
        ("SEC-12", True),
        ("SEC-12 ", False),
        ("sec-12", False),
        ("SEC-1\n", False),
        ("SEC-\u0661", False),
        ("A1-" + "1" * 70, False),
    ],
)
def test_the_whole_reference_must_match(ticket: str, *, fits: bool) -> None:
    assert JIRA.matches(ticket) is fits


def test_a_reference_is_escaped_in_its_link() -> None:
    odd = Pattern("Odd", r"[A-Z]+/#\d+", "https://t.example/?id={ticket}")
    assert odd.matches("A/#1")
    assert odd.address("A/#1") == "https://t.example/?id=A%2F%231"
    assert JIRA.address("SEC-1") == "https://jira.example.com/browse/SEC-1"
    assert Pattern("None", "A", "").address("A") == ""


@pytest.mark.parametrize(
    ("link", "fits"),
    [
        ("https://jira.example.com/browse/{ticket}", True),
        ("https://t.example/?id={ticket}", True),
        ("", True),
        ("http://jira.example.com/{ticket}", False),
        ("javascript:alert({ticket})", False),
        ("https://{ticket}.example.com/", False),
        ("https://{ticket}/{ticket}", False),
        ("https://me@t.example/{ticket}", False),
        ("https://jira.example.com/browse/", False),
        ("https:///{ticket}", False),
        ("https://[/{ticket}", False),
        ('https://t.example/{ticket}"><script>', False),
    ],
)
def test_a_link_leads_by_https_to_a_fixed_host(link: str, *, fits: bool) -> None:
    assert rules.is_link(link) is fits
