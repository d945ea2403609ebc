"""The component kit: each part shows what its context holds, escapes it, and works without script."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.template import Context, Template

from audit import clock
from governance.console import navigation

HOSTILE = "<script>alert(1)</script>\u202e"


def drawn(source: str, **values: object) -> str:
    return Template("{% load console kit %}" + source).render(Context(values))


def test_the_head_of_a_page_escapes_its_title_and_shows_no_empty_row_of_actions() -> None:
    page = drawn(
        "{% crumb '/agents/' 'Agents' as up %}{% page_header name crumbs=up %} {% endpage_header %}", name=HOSTILE
    )
    assert "<script>" not in page
    assert '<a href="/agents/">Agents</a>' in page
    assert "actions" not in page
    assert "actions" in drawn("{% page_header name %}<a href='/x/'>Add</a>{% endpage_header %}", name="Agents")


def test_a_tab_says_which_is_current_and_counts_nothing_where_nothing_is_counted() -> None:
    shown = drawn(
        "{% tabs 'Agent' %}{% tab 'Access' '?tab=a' current=True count=0 %}{% tab 'Log' '?tab=b' %}{% endtabs %}"
    )
    assert shown.count('aria-current="page"') == 1
    assert shown.count('class="count"') == 1


@pytest.mark.parametrize(("reason", "field", "required"), [("required", 1, 1), ("optional", 1, 0), ("none", 0, 0)])
def test_an_action_asks_for_a_reason_as_it_was_told(reason: str, field: int, required: int) -> None:
    shown = drawn("{% action 'Suspend' '/x/' reason=reason confirm=text %}{% endaction %}", reason=reason, text=HOSTILE)
    assert shown.count('name="reason"') == field
    assert shown.count(" required") == required
    assert "<script>" not in shown
    assert "<details" in shown  # opens without script


def test_an_action_takes_only_what_its_context_has() -> None:
    with pytest.raises(TypeError):
        drawn("{% action 'Suspend' '/x/' colour='red' %}{% endaction %}")


def test_a_time_is_told_from_now_with_the_exact_one_in_a_tooltip() -> None:
    at = clock.now() + timedelta(days=7, minutes=1)
    shown = drawn("{% moment at %}", at=at)
    assert ">in 7 days</time>" in shown
    assert at.strftime("%Y-%m-%d %H:%M") in shown
    assert 'class="at"' in drawn("{% moment at exact=True %}", at=at)


def test_the_entry_of_an_address_is_the_one_with_the_longest_match() -> None:
    assert navigation.current("/") == "home"
    assert navigation.current("/settings/approvals/versions/3/") == "approval-settings"
    assert navigation.current("/settings/keys/") == "settings"
    assert navigation.current("/rules-of-another/") == ""


def test_each_icon_of_the_navigation_is_in_the_sprite() -> None:
    from django.contrib.staticfiles import finders  # noqa: PLC0415 - settings first

    sprite = finders.find("icons.svg")
    assert sprite is not None
    with open(sprite) as file:  # noqa: PTH123 - the finder's answer is a text
        drawing = file.read()
    for entry in (entry for group in navigation.GROUPS for entry in group.entries):
        assert f'id="{entry.icon}"' in drawing, entry.icon
