"""People, groups, agents and systems are chosen by the combobox of the kit, on every form of the console."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import pytest
from django import forms
from django.urls import get_resolver

from entitlements.agents.models import Agent
from entitlements.catalog.models import System
from entitlements.people.models import Group, Person
from governance.console.kit import combobox
from tests import make
from tests.architecture.tree import ROOT

TEMPLATES: Final = ROOT / "templates"
THINGS: Final = frozenset(
    {
        *("actor", "agent", "agents", "approver", "auditor", "backup", "callee", "caller", "delegate", "group"),
        *("groups", "login", "manager", "member", "members", "of", "owner", "people", "person", "reviewer"),
        *("sponsor", "system", "systems", "to"),
    }
)
"""Words of the names of fields that choose a person, group, agent or system."""
EXCEPTIONS: Final = {
    "account/password_form.html:login": "signs in: who that is is not known yet",
    "console/connect/connect.html:system": "the few places where the chosen agent has access, not all systems",
    "console/requests/decision_bar.html:to": "the few approvers without a conflict of interest; the others are refused",
    "console/reviews/beside.html:to": "the few reviewers without a conflict of interest; the others are refused",
    "console/reviews/talk.html:of": "the few people who know the item; a question to others is refused",
    "console/reviews/options.html:asks_owner": "yes or no",
    "AddForm.login": "the login of a new person",
    **dict.fromkeys(("GuardrailForm.agent_kind", "PolicyForm.agent_kind"), "the few agent types, no agent"),
    "GithubForm.repository_owner_id": "the owner of a repository at GitHub",
    "FileForm.agent": "may name an agent that is not registered",
}
"""Fields that are no combobox, and why."""
OTHER_TYPES: Final = ("date", "hidden", "number", "submit")
_FIELD: Final = re.compile(r"<(?:input|select|textarea)\b((?:[^>{]|\{\{.*?\}\}|\{%.*?%\}|\{)*)>", re.DOTALL)
_NAME: Final = re.compile(r"""\bname="([^"]*)\"""")
_TYPE: Final = re.compile(r"""\btype="([^"]*)\"""")


def names_a_thing(name: str) -> bool:
    words = re.split(r"[^a-z]+", re.sub(r"\{[{%].*?[}%]\}", "", name.lower()))
    return bool(THINGS & set(words))


def plain_fields(source: str) -> Iterator[str]:
    """Yield the names of the fields in a template that choose a thing and are written by hand."""
    for attributes in _FIELD.findall(source):
        name, kind = _NAME.search(attributes), _TYPE.search(attributes)
        if name and names_a_thing(name[1]) and (kind[1] if kind else "") not in OTHER_TYPES:
            yield name[1]


def in_templates() -> set[str]:
    pages = [page for page in TEMPLATES.rglob("*.html") if page.relative_to(TEMPLATES).parts[0] != "admin"]
    return {
        f"{page.relative_to(TEMPLATES)}:{name}"
        for page in pages
        for name in plain_fields(re.sub(r"\{% comment %\}.*?\{% endcomment %\}", "", page.read_text(), flags=re.DOTALL))
    }


def form_classes(above: type[forms.Form] = forms.Form) -> Iterator[type[forms.Form]]:
    for each in above.__subclasses__():
        yield each
        yield from form_classes(each)


def in_forms() -> set[str]:
    get_resolver().url_patterns  # noqa: B018 - imports every page
    found = set()
    for form in form_classes():
        if form.__module__.startswith(("governance.", "entitlements.")) and ".back_office" not in form.__module__:
            fields: dict[str, Any] = form.base_fields
            found |= {f"{form.__name__}.{name}" for name, field in fields.items() if is_plain(name, field)}
    return found


def is_plain(name: str, field: forms.Field) -> bool:
    if isinstance(field, forms.ModelChoiceField) and field.queryset is not None:
        return field.queryset.model in (Agent, Group, Person, System)
    is_text = isinstance(field, forms.CharField | forms.ChoiceField)
    return is_text and names_a_thing(name) and not field.widget.is_hidden


def test_the_check_finds_a_field_that_is_no_combobox() -> None:
    source = (
        '<select id="x" name="system" required>{% for a in b %}</select><input name="sponsor-{{ row.pk }}" list="p">'
    )
    assert list(plain_fields(source)) == ["system", "sponsor-{{ row.pk }}"]
    assert not list(plain_fields('<input type="hidden" name="agent"><input name="to" type="date"><input name="total">'))
    assert is_plain("delegate", forms.CharField())
    assert is_plain("whose", forms.ModelChoiceField(queryset=Agent.objects.none()))
    assert not is_plain("delegate", combobox.ReferenceField("person"))


def test_every_form_chooses_by_the_combobox() -> None:
    assert in_templates() | in_forms() == set(EXCEPTIONS)


@pytest.mark.django_db
class TestNames:
    """What a text in a combobox names."""

    def test_many_are_named_between_commas_by_display_name_or_short_name(self) -> None:
        ana, kim = make.person("ana"), make.person("kim")
        ana.name, kim.name = "Ana Lopez", "Kim Lee"
        ana.save()
        kim.save()
        assert combobox.resolve_many(None, "person", "kim, ana,, kim") == [kim, ana]
        assert combobox.resolve_many(None, "person", "Kim Lee,\nana") == [kim, ana]

    def test_an_unknown_name_among_many_is_named(self) -> None:
        make.person("ana")
        with pytest.raises(combobox.Unresolved, match="nobody-here"):
            combobox.resolve_many(None, "person", "ana, nobody-here")
