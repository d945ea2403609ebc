"""Pages for which agent may hand work to which: preview, allow, end."""

from __future__ import annotations

from typing import Any, Final, cast

from django import forms
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from entitlements.access import visibility
from entitlements.agents.models import Agent
from governance.console import doors, form_fields, paging
from governance.console.kit import combobox
from governance.sod import actions, check
from governance.sod import facts as sod_facts
from governance.sod.models import AgentCall

_FIELDS: Final = {"agent_calls_itself": "callee"}


class AllowForm(forms.Form):
    """Two agents, and why the one hands work to the other."""

    caller = combobox.ReferenceField("agent", label=gettext_lazy("Calling agent"))
    callee = combobox.ReferenceField("agent", label=gettext_lazy("Agent to call"))
    reason = forms.CharField(label=gettext_lazy("Business justification"), max_length=500)


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def listing(request: HttpRequest) -> HttpResponse:
    """List which agent may call which, by agent; look at what one more would mean, and allow it."""
    seen = visibility.agents(doors.caller(request))
    slug = request.GET.get("agent", "")
    form = AllowForm(initial={"caller": slug if seen.filter(slug=slug).exists() else ""})
    context: dict[str, Any] = {
        "may_allow": doors.may(doors.caller(request), "agent-calls", None),
        "may_end": doors.may(doors.caller(request), "agent-call-end", None),
        "slug": slug,
    }
    if request.method == "POST":
        form, allows = AllowForm(request.POST), request.POST.get("verb") == "allow"

        def act(data: dict[str, Any]) -> AgentCall | dict[str, Any]:
            doors.permit(request, actions.ALLOW_CALL.address, None)
            caller, callee = data["caller"], data["callee"]
            doors.about(request, f"agent:{caller.slug}", f"agent:{callee.slug}")
            if allows:
                values = {"caller": caller, "callee": callee, "reason": data["reason"]}
                return cast("AgentCall", doors.perform(request, actions.ALLOW_CALL, None, values).result)
            return _meaning(caller, callee)

        done = form_fields.submit(request, form, act, _FIELDS)
        if isinstance(done, AgentCall):
            return redirect(reverse("agent-call-list"))
        context["meaning"] = done
    calls = _calls(seen)
    if slug:
        calls = calls.filter(Q(caller__slug=slug) | Q(callee__slug=slug))
    context["page"] = paging.page(request, calls, ("-made_at", "-id"))
    return form_fields.show(request, "console/sod/agent_calls.html", form, context)


def _meaning(caller: Agent, callee: Agent) -> dict[str, Any]:
    """Return the tools that the caller gains, and the violations that this would cause."""
    held = sod_facts.held_by([callee.pk])
    return {
        "caller": caller,
        "callee": callee,
        "gains": sorted({str(tool) for tool in held.get(callee.pk, ())}),
        "violations": check.violations_by_call(caller, callee),
    }


def _calls(seen: QuerySet[Agent]) -> QuerySet[AgentCall]:
    """Return the calls with an agent that the person may see."""
    return AgentCall.objects.filter(Q(caller__in=seen) | Q(callee__in=seen)).select_related("caller", "callee")


end = doors.post(actions.END_CALL, lambda _call: reverse("agent-call-list"))
