"""The page between a button and an act: the rows, what follows, a reason, what else it asks, and what was refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from audit.draft import BadEvent
from audit.redaction import Unrepresentable
from entitlements.api import problems
from entitlements.api.actions import Performed
from entitlements.errors import DomainError, Forbidden, Malformed, NotFound, ReasonRequired, Stale
from governance.console import doors

from .acts import Act

if TYPE_CHECKING:
    from .act_admin import ActAdmin

MOST: Final = 50
"""How many rows an act is done to at once: a page of a list."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row on the page, with what is asked of it, and why it was refused."""

    thing: Any
    title: str
    prefix: str
    address: str
    console: str
    facts: Sequence[tuple[str, Any]]
    is_offered: bool
    problem: DomainError | None = None
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def version(self) -> int | None:
        """The version that is shown, of a row that has versions."""
        return getattr(self.thing, "version", None)


def confirm(request: HttpRequest, kind: ActAdmin, act: Act) -> HttpResponse:
    """Show what an act would be done to; once it is confirmed, do it to each row by itself, and say what was refused.

    Raises NotFound, Malformed, and Forbidden where the person may do it to none of the rows.
    """
    things = _chosen(request, kind)
    if request.method != "POST":
        caller = doors.caller(request)
        if not any(act.may(act, caller, thing) for thing in things):
            doors.about(request, *act.action.subject.about(things[0]))
            raise Forbidden
        return _show(request, kind, act, [(thing, None) for thing in things])
    if act.needs_reason and not doors.reason(request):
        problem = ReasonRequired()
        doors.record(request, problem, [link for thing in things for link in act.action.subject.about(thing)])
        return _show(request, kind, act, [(thing, None) for thing in things], problem)
    results = [(thing, _one(request, act, thing)) for thing in things]
    done = [(thing, result) for thing, result in results if isinstance(result, Performed)]
    if done:
        messages.success(request, _said(kind, act, done))
    refused = [(thing, result) for thing, result in results if isinstance(result, DomainError)]
    if not refused:
        return redirect(doors.back(request, kind.address("changelist")))
    again = {
        thing.pk: thing for thing in kind.get_queryset(request).filter(pk__in=[thing.pk for thing, _why in refused])
    }
    return _show(
        request, kind, act, [(again.get(thing.pk, thing), problem) for thing, problem in refused], ok=bool(done)
    )


def _chosen(request: HttpRequest, kind: ActAdmin) -> list[Any]:
    """Find the rows that the address or the form names, of those the person sees. Raises NotFound, Malformed."""
    keys = list(dict.fromkeys((request.POST if request.method == "POST" else request.GET).getlist("key")))
    if len(keys) > MOST:
        raise Malformed(_("One page of a list at a time."))
    is_number = kind.opts.pk.get_internal_type() != "UUIDField"
    wanted = [doors.number(key) if is_number else doors.uuid_of(key) for key in keys]
    found = {thing.pk: thing for thing in kind.get_queryset(request).filter(pk__in=[key for key in wanted if key])}
    if not found:
        raise NotFound
    return [found[key] for key in wanted if key in found]


def _one(request: HttpRequest, act: Act, thing: Any) -> Performed | DomainError:  # noqa: ANN401 - a row
    """Do it to one row in a transaction of its own, from the version that was shown; or return why not, recorded."""
    subject, data, prefix = act.action.subject, request.POST, _prefix(thing)
    try:
        with transaction.atomic():
            doors.permit(request, act.action.address, subject.permitted_on(thing), act.action.method)
            shown = data.get(f"{prefix}version")
            if shown is not None and doors.number(shown) != getattr(thing, "version", None):
                raise Stale
            return act.run(request, act, thing, act.form.read(thing, prefix, data))
    except (DomainError, BadEvent, Unrepresentable) as error:
        refusal, _status = problems.translate(error)
        doors.record(request, refusal, subject.about(thing))
        return refusal


def _said(kind: ActAdmin, act: Act, done: Sequence[tuple[Any, Performed]]) -> str:
    """Say what was done: of one row what its action says."""
    if len(done) > 1:
        return ngettext("%(done)s: %(n)d row.", "%(done)s: %(n)d rows.", len(done)) % {"done": act.done, "n": len(done)}
    ((thing, performed),) = done
    return performed.sentence or _("%(done)s: %(name)s.") % {"done": act.done, "name": kind.label(thing)}


def _show(
    request: HttpRequest,
    kind: ActAdmin,
    act: Act,
    things: Sequence[tuple[Any, DomainError | None]],
    problem: DomainError | None = None,
    *,
    ok: bool = False,
) -> HttpResponse:
    """Show the page; after a refusal with what was sent, under the status of the first."""
    data = request.POST if request.method == "POST" else None
    rows = [_row(request, kind, act, thing, data, refusal) for thing, refusal in things]
    first = problem or next((refusal for _thing, refusal in things if refusal), None)
    context = {
        **kind.admin_site.each_context(request),
        "opts": kind.opts,
        "title": f"{act.label}: {rows[0].title}" if len(rows) == 1 else f"{act.label}: {kind.opts.verbose_name_plural}",
        "act": act,
        "body_class": "delete-confirmation" if act.is_last else "",
        "rows": rows,
        "can": any(row.is_offered or row.problem for row in rows),
        "problem": problem,
        "reason": data.get("reason", "") if data else "",
        "back": doors.back(request, kind.address("changelist")),
        "action": kind.address("act", act.name),
        "list": kind.address("changelist"),
    }
    status = HTTPStatus.OK if ok or first is None else first.status
    return TemplateResponse(request, "admin/act.html", context, status=status).render()


def _row(
    request: HttpRequest,
    kind: ActAdmin,
    act: Act,
    thing: Any,  # noqa: ANN401 - a row
    data: QueryDict | None,
    problem: DomainError | None,
) -> Row:
    prefix, offered = _prefix(thing), act.offers(doors.caller(request), thing)
    return Row(
        thing,
        kind.label(thing),
        prefix,
        kind.address("change", thing.pk),
        kind.console_address(thing),
        kind.facts(thing),
        offered,
        problem,
        act.form.fields(thing, prefix, data) if offered else {},
    )


def _prefix(thing: Any) -> str:  # noqa: ANN401 - a row
    """Return how the inputs of a row begin."""
    return f"{thing.pk}:"
