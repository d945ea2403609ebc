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
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from entitlements.errors import DomainError
from entitlements.people.models import Role
from entitlements.people_sources import file_rows, sources
from entitlements.people_sources.models import PeopleSource
from governance.console import doors, form_fields
from governance.people import actions
from governance.people import queries as people_queries

_FIELDS: Final = {"source_taken": "slug"}


class AddForm(forms.Form):
    """A new directory."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=200, help_text=gettext_lazy("As people call it."))
    slug = forms.RegexField(
        r"^[a-z0-9][a-z0-9-]{0,63}\Z",
        label=gettext_lazy("Short name"),
        max_length=64,
        help_text=gettext_lazy("Its name in the audit log. It never changes."),
    )
    subjects_of = forms.ModelChoiceField(
        sources.subject_issuers(),
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
    if request.method == "POST" and (made := form_fields.perform(request, form, actions.CONNECT, fields=_FIELDS)):
        source, token = made.result
        return _show(request, source, fresh=token)
    return form_fields.show(request, "console/people/sources.html", form, context)


def _may_change(request: HttpRequest) -> bool:
    return doors.caller(request).has(Role.ADMIN)


def _ended() -> list[PeopleSource]:
    return list(PeopleSource.objects.filter(enabled=False).order_by("name"))


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def detail(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a directory: its address, what it did, what is held, and how to set it up; or act on it."""
    source = doors.find_subject(request, actions.SOURCE, slug)
    if request.method != "POST":
        return _show(request, source)
    try:
        return _act(request, source)
    except DomainError as refusal:
        doors.record(request, refusal)
        return _show(request, source, problem=refusal)


BUTTONS: Final = {
    "look": actions.TAKE_FILE,
    "take": actions.TAKE_FILE,
    "test": actions.TEST,
    "rotate": actions.ROTATE,
    "end": actions.END,
    "let": actions.LET_THROUGH,
    "refuse": actions.KEEP,
}


def _act(request: HttpRequest, source: PeopleSource) -> HttpResponse:
    action = doors.pressed(request, BUTTONS)
    if action is actions.TAKE_FILE:
        return _file(request, source)
    performed = doors.perform(request, action, source)
    if action is actions.TEST:
        return _show(request, source, checked=performed.result)
    if action is actions.ROTATE:
        return _show(request, source, fresh=performed.result)
    return redirect(reverse("source-page", args=[source.slug]))


def _file(request: HttpRequest, source: PeopleSource) -> HttpResponse:
    """Look at a file of people, or take in what was seen of it."""
    doors.require_reauthentication(request, actions.TAKE_FILE.address)
    complete, takes = bool(request.POST.get("complete")), request.POST.get("verb") == "take"
    values: dict[str, Any] = {"complete": complete}
    if takes:
        values |= {
            "text": request.POST.get("text", "").replace("\r\n", "\n"),
            "seen": request.POST.get("seen") or "nothing",
            "reason": _("By a file, in the console."),
        }
    else:
        values["text"] = _sent(request)
    plan = doors.perform(request, actions.TAKE_FILE, source, values).result
    return _show(request, source, look={"plan": plan, "text": "" if takes else values["text"], "complete": complete})


def _sent(request: HttpRequest) -> str:
    """Return the text of the file that was sent. Raises FileTooLarge, FileUnreadable."""
    sent = request.FILES.get("file")
    if not isinstance(sent, UploadedFile) or (sent.size or 0) > file_rows.LARGEST:
        raise file_rows.FileTooLarge if sent else file_rows.FileUnreadable
    try:
        return str(sent.read(), "utf-8")
    except UnicodeDecodeError as why:
        raise file_rows.FileUnreadable from why


_PROBLEMS: Final = {
    "ended": gettext_lazy("The connection has ended."),
    "never_heard": gettext_lazy("No data arrived yet. Run the connection test of the directory, or import a file."),
    "silent": gettext_lazy("No data arrived for more than a day."),
    "paused": gettext_lazy("It is paused: a person must confirm its removals."),
    "issuer_distrusted": gettext_lazy("The issuer whose subjects it names is no longer trusted."),
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
