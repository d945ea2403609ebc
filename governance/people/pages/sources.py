"""People sources: connect a directory, rotate its token, confirm its removals, end it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods

from entitlements.errors import DomainError, Malformed
from entitlements.people.models import Role
from entitlements.people_sources import file_rows, people_files, sources
from entitlements.people_sources.models import PeopleSource
from entitlements.trusted_issuers.models import TrustedIssuer
from governance.console import doors, form_fields
from governance.people import queries as people_queries

_FIELDS: Final = {"source_taken": "slug"}


class AddForm(forms.Form):
    """A new directory."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=200, help_text=gettext_lazy("As people call it."))
    slug = forms.RegexField(
        r"^[a-z0-9][a-z0-9-]{0,63}\Z",
        label=gettext_lazy("Short name"),
        max_length=64,
        help_text=gettext_lazy("Its name in the record, so it never changes."),
    )
    subjects_of = forms.ModelChoiceField(
        TrustedIssuer.objects.filter(purpose=TrustedIssuer.Purpose.IDENTITY, enabled=True).order_by("issuer"),
        label=gettext_lazy("Its external id is the person's subject at"),
        required=False,
        empty_label=gettext_lazy("No sign-in that we know"),
        help_text=gettext_lazy("Then each person it adds can sign in there at once, without linking an account."),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def listing(request: HttpRequest) -> HttpResponse:
    """List the directories, and connect one; its token is shown this once."""
    form = AddForm(request.POST) if request.method == "POST" else AddForm()
    context = {"syncs": people_queries.last(), "ended": _ended(), "may_change": _may_change(request)}
    if request.method == "POST":
        by = doors.person(request).principal
        created = form_fields.submit(request, form, lambda data: sources.make(data.pop("slug"), **data, by=by), _FIELDS)
        if created is not None:
            return _show(request, created[0], fresh=created[1])
    return form_fields.show(request, "console/people/sources.html", form, context)


def _may_change(request: HttpRequest) -> bool:
    return doors.caller(request).has(Role.ADMIN)


def _ended() -> list[PeopleSource]:
    return list(PeopleSource.objects.filter(enabled=False).order_by("name"))


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def detail(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a directory: its address, what it did, what is held, and how to set it up; or act on it."""
    source = doors.find(PeopleSource.objects.all(), slug=slug)
    if request.method != "POST":
        return _show(request, source)
    doors.about(request, str(source.principal))
    try:
        return _act(request, source)
    except DomainError as refusal:
        doors.record(request, refusal)
        return _show(request, source, problem=refusal)


_ACTS: Final = {
    "look": "file",
    "take": "file",
    "test": "test",
    "rotate": "rotate",
    "end": "disable",
    "let": "let-through",
    "refuse": "keep",
}
"""What each button is called by the API."""


def _act(request: HttpRequest, source: PeopleSource) -> HttpResponse:
    verb, by, reason = request.POST.get("verb", ""), doors.person(request).principal, doors.reason(request)
    if (act := _ACTS.get(verb)) is None:
        raise Malformed
    doors.require_reauthentication(request, f"people-source-{act}")
    if verb in {"look", "take"}:
        return _file(request, source, take=verb == "take")
    if verb == "test":
        return _show(request, source, checked=sources.check(source))
    if verb == "rotate":
        return _show(request, source, fresh=sources.rotate(source, by=by))
    if verb == "end":
        sources.disable(source, by=by, reason=reason)
        doors.done(request, _("%(name)s is let in no longer. Its people stay as they are.") % {"name": source.name})
    elif verb == "let":
        count = sources.allow_removals(source, by=by, reason=reason)
        said = ngettext("%(n)d person was shut out.", "%(n)d people were shut out.", count)
        doors.done(request, said % {"n": count})
    else:
        count = sources.refuse_removals(source, by=by, reason=reason)
        doors.done(request, ngettext("%(n)d person stays.", "%(n)d people stay.", count) % {"n": count})
    return redirect(reverse("source-page", args=[source.slug]))


def _file(request: HttpRequest, source: PeopleSource, *, take: bool) -> HttpResponse:
    """Look at a file of people, or take in what was seen of it."""
    complete = bool(request.POST.get("complete"))
    if not take:
        sent = request.FILES.get("file")
        if not isinstance(sent, UploadedFile) or (sent.size or 0) > file_rows.LARGEST:
            raise file_rows.FileTooLarge if sent else file_rows.FileUnreadable
        try:
            text = sent.read().decode()
        except UnicodeDecodeError as why:
            raise file_rows.FileUnreadable from why
        plan = people_files.plan(source, text, complete=complete, by=doors.person(request).principal)
        return _show(request, source, look={"plan": plan, "text": text, "complete": complete})
    text = request.POST.get("text", "").replace("\r\n", "\n")
    by, seen = doors.person(request).principal, request.POST.get("seen", "")
    plan = people_files.apply(source, text, complete=complete, seen=seen, by=by, reason=_("By a file, in the console."))
    return _show(request, source, look={"plan": plan, "text": "", "complete": complete})


_PROBLEMS: Final = {
    "ended": gettext_lazy("It is let in no longer."),
    "never_heard": gettext_lazy("It was never heard: press the test of the connection over there, or give it a file."),
    "silent": gettext_lazy("It was not heard for more than a day."),
    "paused": gettext_lazy("It is paused: a person must confirm its removals."),
    "issuer_distrusted": gettext_lazy("The issuer whose subjects it names is trusted no longer."),
}


def _show(
    request: HttpRequest,
    source: PeopleSource,
    *,
    fresh: str = "",
    problem: DomainError | None = None,
    look: dict[str, Any] | None = None,
    checked: list[str] | None = None,
) -> HttpResponse:
    source.refresh_from_db()
    context: dict[str, Any] = {
        "source": source,
        "sync": next((sync for sync in people_queries.last() if sync.slug == source.slug), None),
        "counts": sources.counts(source),
        "held": sources.held_removals(source),
        "groups": source.groups.filter(removed_at=None).count(),
        "address": f"{settings.CONSOLE_URL}/scim/v2",
        "fresh": fresh,
        "may_change": _may_change(request),
        "problem": problem,
        "look": look,
        "checked": checked is not None,
        "wrong": [_PROBLEMS[code] for code in checked or []],
    }
    answer = render(request, "console/people/source.html", context, status=problem.status if problem else HTTPStatus.OK)
    if fresh:
        answer["Cache-Control"] = "no-store"
    return answer
