"""Drafting a review in three steps: a template, the scope with a live preview, then reviewers and dates.

The first two steps keep what was chosen in the address, so that any list can lead to them with its filters:
`/reviews/new/?agent=<slug>&agent=<slug>&system=<slug>&risk=high&unused=yes`, and `&template=<slug>&step=scope` to go
straight to the scope. The last step sends all of it as a form. What is refused comes back as it was filled in.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from audit import clock
from entitlements.errors import DomainError, Malformed
from governance.blast_radius.queries import departments
from governance.charts import geometry
from governance.console import doors
from governance.reviews.campaigns import actions
from governance.reviews.campaigns.models import Campaign
from governance.reviews.campaigns.pages.campaigns import permit
from governance.reviews.items.errors import BadScope
from governance.reviews.staging import preview
from governance.reviews.templates import actions as template_actions
from governance.reviews.templates import queries as template_queries
from governance.reviews.templates import templates
from governance.reviews.templates.models import CampaignTemplate
from governance.reviews.templates.pages import resolved, shown

_USUAL: Final = timedelta(days=30)
"""How long a review usually runs."""
_MOST_LOADS: Final = 12
TEMPLATE, SCOPE, REVIEWERS = "template", "scope", "reviewers"
STEPS: Final = (TEMPLATE, SCOPE, REVIEWERS)
_NO_FIELDS: Final = ("csrfmiddlewaretoken", "step", "preview", "do")
_OPTIONS: Final = ("framework", "mode")


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def new(request: HttpRequest) -> HttpResponse:
    """Show a step; draft a campaign or save a template; or preview it, as the form changes and by a button."""
    permit(request, "campaigns")
    sent = resolved(doors.caller(request), request.POST if request.method == "POST" else request.GET)
    step = sent.get("step") if sent.get("step") in STEPS else TEMPLATE
    if request.method == "POST" and "preview" not in sent:
        if step != REVIEWERS and "step" in sent:
            return redirect(_address(sent, str(step)))
        return _finish(request, sent)
    if step == TEMPLATE and request.method != "POST":
        return _choose(request, sent)
    return _fill(request, sent, SCOPE if step == SCOPE else REVIEWERS)


def _choose(request: HttpRequest, sent: QueryDict) -> HttpResponse:
    """Show the templates and the other starting points; a filter that led here goes along."""
    rows = CampaignTemplate.objects.filter(stopped_at=None).select_related("owner").order_by("name")
    given = [name for name in template_queries.SCOPE_FIELDS if name in sent]
    context = {
        "step": TEMPLATE,
        "templates": [(each, _address(sent, SCOPE, template=each.slug)) for each in rows],
        "starters": [
            (title, words, _address(sent, SCOPE, **fields)) for title, words, fields in template_queries.STARTERS
        ],
        "given_scope": template_queries.read(sent).echo if given else "",
    }
    return render(request, "console/reviews/campaigns/new_template.html", context)


def _finish(request: HttpRequest, sent: QueryDict) -> HttpResponse:
    """Draft the review or save the template; what is refused is shown at the step where its field stands."""
    try:
        data, template = _filled(sent)
        form = _read(data, template)
        if not form.slug:
            raise Malformed(_("Enter a name with letters or digits."))
        if request.POST.get("do") == "save-template":
            _save_template(request, form)
            return redirect("review-templates")
        made = reverse("review-page", args=[_make(request, form, template).slug])
        return redirect(f"{made}?launch=yes" if request.POST.get("do") == "launch" else made)
    except DomainError as refusal:
        doors.record(request, refusal)
        return _fill(request, sent, _step_of(refusal, sent), refusal)


def _step_of(refusal: DomainError, sent: QueryDict) -> str:
    """Return the step at which the fields stand that a refusal is about."""
    try:
        template_queries.scope_of(sent)
    except Malformed:
        return SCOPE
    return SCOPE if isinstance(refusal, BadScope) else REVIEWERS


def _fill(request: HttpRequest, sent: QueryDict, step: str, problem: DomainError | None = None) -> HttpResponse:
    """Show the form of a step, filled in, with the preview of what it would review."""
    data, template = _filled(sent)
    form, seen = None, None
    try:
        form = _read(data, template)
        if problem is None:
            seen = preview.preview(form.scope, form.options, by=doors.person(request))
    except DomainError as refusal:
        doors.record(request, refusal)
        problem = problem or refusal
    context = {
        "step": step,
        "problem": problem,
        "form": form,
        "template": template,
        "keeps_scope": template is not None and template_queries.form_values(template) is None,
        "given": data,
        "hidden": _hidden(data, step),
        "back": _address(data, TEMPLATE),
        **form_choices(request, data, form),
        **preview_context(seen),
    }
    return render(request, f"console/reviews/campaigns/new_{step}.html", context)


def form_choices(request: HttpRequest, data: QueryDict, form: template_queries.Form | None) -> dict[str, Any]:
    """Return what the fields of scope and reviewers offer."""
    return {
        "kinds": template_queries.KINDS,
        "named": shown(doors.caller(request), data),
        "departments": departments.names(),
        "of_departments": data.getlist("department"),
        "choices": template_queries.choices(form.options.strategies if form else {}),
    }


def _filled(sent: QueryDict) -> tuple[QueryDict, CampaignTemplate | None]:
    """Return the fields as given, and where a step was not filled in yet those of the template, which is named."""
    data = sent.copy()
    rows = CampaignTemplate.objects.filter(stopped_at=None).select_related("fallback_group")
    template = rows.filter(slug=sent.get("template", "")).first()
    if template is None:
        data.pop("template", None)
    if "kind" not in sent:
        for name, values in _scope_fields(template).items():
            if name not in sent:
                data.setlist(name, values)
    if "due" not in sent:
        for name, value in _option_fields(template, data.get("kind", "")).items():
            if name not in sent and value:
                data[name] = str(value)
    return data, template


def _scope_fields(template: CampaignTemplate | None) -> dict[str, list[str]]:
    if template is None:
        return {"kind": [Campaign.Kind.AGENT_OWNER]}
    values = template_queries.form_values(template) or {}
    texts = {name: value if isinstance(value, list) else [str(value)] for name, value in values.items()}
    return {"kind": [template.kind], **texts}


def _option_fields(template: CampaignTemplate | None, kind: str) -> dict[str, object]:
    now, month = clock.now(), date_format(clock.now(), "F Y")
    if template is None:
        title = template_queries.KINDS.get(kind, (_("Review"), ""))[0]
        return {"name": f"{title}, {month}", "due": (now + _USUAL).date().isoformat()}
    return {
        "name": f"{template.name}, {month}",
        "due": (now + timedelta(days=template.days)).date().isoformat(),
        **{name: getattr(template, name) for name in (*_OPTIONS, "carry_days", "spot_share")},
        **{f"who_{risk}": strategy for risk, strategy in template.strategies.items()},
        "fallback_group": template.fallback_group.slug if template.fallback_group else "",
        "asks_owner": "yes" if template.asks_owner else "",
    }


def _hidden(data: QueryDict, step: str) -> list[tuple[str, str]]:
    """Return the fields of the other steps, which go along unseen."""
    is_shown = (lambda name: name in template_queries.SCOPE_FIELDS) if step == SCOPE else _is_option
    return [
        (name, value)
        for name, values in data.lists()
        for value in values
        if name not in _NO_FIELDS and not is_shown(name)
    ]


def _is_option(name: str) -> bool:
    return name not in template_queries.SCOPE_FIELDS and name != "template"


def _address(data: QueryDict, step: str, **fields: str) -> str:
    """Return the address of a step with all that was given so far; `fields` replace what was given."""
    kept = data.copy()
    for name in (*_NO_FIELDS, *fields):
        kept.pop(name, None)
    kept.update({"step": step, **fields})
    return f"{reverse('review-new')}?{kept.urlencode()}"


def _read(data: QueryDict, template: CampaignTemplate | None) -> template_queries.Form:
    """Read the form. A scope that it has no words for stays that of the template."""
    has_words = template is None or template_queries.form_values(template) is not None
    return template_queries.read(data, None if has_words or template is None else template.scope)


def _save_template(request: HttpRequest, form: template_queries.Form) -> None:
    recurrence = template_queries.recurrence(request.POST, clock.now())
    by = doors.person(request)
    templates.save(
        form.slug[:48], name=form.name[:180], scope=form.scope, options=form.options, recurrence=recurrence, by=by
    )
    messages.success(request, _("The template is saved."))


def _make(request: HttpRequest, form: template_queries.Form, template: CampaignTemplate | None) -> Campaign:
    if template is not None:
        draft = templates.CampaignDraft(form.slug, form.name, form.due_at, form.scope, form.options)
        performed = doors.perform(request, template_actions.START, template, {"draft": draft})
    else:
        values = {name: getattr(form, name) for name in ("slug", "name", "due_at", "scope", "options")}
        performed = doors.perform(request, actions.MAKE, None, values)
    made: Campaign = performed.result
    return made


def preview_context(seen: preview.Preview | None) -> dict[str, Any]:
    """Return what the preview panel shows."""
    if seen is None:
        return {"preview": None}
    loads: Sequence[tuple[str, int, str]] = [
        (load.name or _("Unassigned"), load.items, load.level) for load in seen.loads[:_MOST_LOADS]
    ]
    bars = geometry.bars(loads, preview.MANY)
    return {"preview": seen, "bars": bars, "loads": list(zip(seen.loads, bars, strict=False)), "width": geometry.WIDTH}
