"""Policy domains: the list, and one with its parts in pages, its versions, and a question answered right there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django import forms
from django.core.paginator import Page
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from entitlements.catalog.actions import SYSTEM
from entitlements.codes import Code
from entitlements.policy_domains import domains, rules
from entitlements.policy_domains.models import PolicyDomain
from governance.console import doors
from governance.console.kit.lists import address, cells, lists
from governance.console.kit.lists.layout import Column, Facet, Layout
from governance.policy_domains import queries

MOST_VERSIONS: Final = 20
_ENTITIES: Final = ("subject", "action", "resource", "context")
_PLAIN: Final = {"autocapitalize": "none", "spellcheck": "false"}

LAYOUT: Final[Layout[PolicyDomain, PolicyDomain]] = Layout(
    name="policy-domains",
    label=_("Policy domains"),
    columns=(
        Column(
            "system",
            _("System"),
            "system__name",
            sorts="system__name",
            cell=cells.link("system__name", "policy-domain-page", "system__slug"),
            main=True,
        ),
        Column("version", _("Version"), "number", sorts="number", number=True),
        Column("subjects", _("Subjects"), "n_subjects", sorts="n_subjects", number=True),
        Column("resources", _("Resources"), "n_resources", sorts="n_resources", number=True),
        Column("rules", _("Rules"), "n_rules", sorts="n_rules", number=True),
        Column("points", _("Enforcement points"), "n_points", sorts="n_points", number=True),
        Column("loaded", _("Loaded"), "loaded_at", sorts="loaded_at"),
        Column("by", _("Loaded by"), "loaded_by__name", cell=cells.person("loaded_by")),
        Column("sha256", _("SHA-256"), "sha256", usual=False),
        Column("reason", _("Reason"), "reason", usual=False),
    ),
    order="system",
    facets=(Facet("system", _("System"), "system__slug", reference="system"),),
    search=("system__name", "system__slug", "loaded_by__name", "reason"),
    search_label=_("System, person or reason"),
    empty="console/policy_domains/none.html",
)


class QuestionForm(forms.Form):
    """A question, as an enforcement point asks it."""

    subject_type = forms.CharField(label=_("Type of the subject"), max_length=256)
    subject_id = forms.CharField(label=_("Subject"), max_length=256, widget=forms.TextInput(attrs=_PLAIN))
    action = forms.CharField(label=_("Action"), max_length=256)
    resource_type = forms.CharField(label=_("Type of the resource"), max_length=256)
    resource_id = forms.CharField(label=_("Resource"), max_length=256, widget=forms.TextInput(attrs=_PLAIN))
    stated = forms.JSONField(
        label=_("Stated properties"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, **_PLAIN}),
        help_text=_('As JSON: {"resource": {"owner": "alice"}, "context": {"ip": "10.0.0.1"}}'),
    )

    def __init__(self, domain: rules.PolicyDomain, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - the framework's
        """Offer the types and actions of the document."""
        super().__init__(*args, **kwargs)
        actions = dict.fromkeys(name for kind in domain.resource_types.values() for name in kind.actions)
        for name, offered in (
            ("subject_type", domain.subject_types),
            ("action", actions),
            ("resource_type", domain.resource_types),
        ):
            field = self.fields[name]
            field.widget = forms.Select(choices=[(each, each) for each in offered])

    def clean_stated(self) -> dict[str, dict[str, Any]]:
        """Return the properties of each part of the question, and the context."""
        said = {} if self.cleaned_data["stated"] is None else self.cleaned_data["stated"]
        known = isinstance(said, dict) and all(name in _ENTITIES and isinstance(said[name], dict) for name in said)
        if not known:
            raise forms.ValidationError(
                _("Write an object with objects: subject, action, resource, context."), "invalid"
            )
        return {name: said.get(name, {}) for name in _ENTITIES}


@dataclass(frozen=True, slots=True)
class ShownAnswer:
    """What a question is answered with: the decision, its code and sentence, and the rule that permits."""

    is_allowed: bool
    code: str
    sentence: str
    rule: str


@dataclass(frozen=True, slots=True)
class Part:
    """A page of one part of a document, and the addresses of the ones before and after; empty where there is none."""

    page: Page[Any]
    previous: str
    next: str

    @classmethod
    def of(cls, request: HttpRequest, name: str, page: Page[Any]) -> Part:
        """Return the page of a part that the address names by `name`."""
        number = page.number
        before = address.changed(request, **{name: str(number - 1)}) if page.has_previous() else ""
        after = address.changed(request, **{name: str(number + 1)}) if page.has_next() else ""
        return cls(page, before, after)


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponseBase:
    """List the policy domains in force."""
    more = {"may_load": doors.may(doors.caller(request), "system-policy-domain", None, "PUT")}
    return lists.show(request, LAYOUT, queries.in_force(), "console/policy_domains/domains.html", more)


@require_safe
@doors.page
def detail(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the policy domain of a system if it has one, and the answer to a question where one is asked."""
    system = doors.find_subject(request, SYSTEM, slug)
    doors.permit(request, "system-policy-domain", system, "GET")
    may_load = doors.may(doors.caller(request), "system-policy-domain", system, "PUT")
    row = domains.current().filter(system=system).first()
    shown = {"system": system, "may_load": may_load}
    if row is None:
        return render(request, "console/policy_domains/no_domain.html", shown)
    return render(request, "console/policy_domains/domain.html", {**shown, **_shown(request, row)})


def _shown(request: HttpRequest, row: PolicyDomain) -> dict[str, Any]:
    caller, domain = doors.caller(request), rules.read(row.document)
    asked = request.GET.copy()
    asked.setdefault("stated", "")  # which the field would show as null
    form = QuestionForm(domain, asked if "subject_id" in asked else None)
    subjects, strangers = queries.subjects(domain, caller, request.GET)
    versions = list(queries.versions(row)[: MOST_VERSIONS + 1])
    return {
        "row": row,
        "form": form,
        "answer": _answer(row, domain, form) if form.is_bound and form.is_valid() else None,
        "subjects": Part.of(request, "subjects", subjects),
        "strangers": strangers,
        "resources": Part.of(request, "resources", queries.resources(domain, request.GET)),
        "rules": Part.of(request, "rules", queries.rules_of(row.document, request.GET)),
        "types": queries.types(domain),
        "find": request.GET.get("find", ""),
        "sizes": (len(domain.subjects), len(domain.resources)),
        "versions": versions[:MOST_VERSIONS],
        "has_more": len(versions) > MOST_VERSIONS,
    }


def _answer(row: PolicyDomain, domain: rules.PolicyDomain, form: QuestionForm) -> ShownAnswer:
    """Answer by the same rules as a node does. It is no question of an enforcement point, and is not recorded."""
    said = form.cleaned_data
    stated = said["stated"]
    question = rules.Question(
        (said["subject_type"], said["subject_id"]),
        said["action"],
        (said["resource_type"], said["resource_id"]),
        stated["subject"],
        stated["action"],
        stated["resource"],
        stated["context"],
    )
    found = domain.answer(question, is_in_use=row.system.status == row.system.Status.ACTIVE)
    return ShownAnswer(found.code is Code.ALLOWED, found.code.value, found.sentence, found.rule)
