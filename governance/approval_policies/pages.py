"""Who must approve, which rules approve without a person, and what those approved: looked at, proposed, confirmed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from audit import clock
from entitlements.access import visibility
from entitlements.agents.models import Agent
from entitlements.catalog.models import Entitlement
from entitlements.errors import Malformed, NotFound
from entitlements.words import Risk
from governance.approval_policies import actions, policies, rules
from governance.approval_policies.models import ApprovalPolicy, AutoApproval, AutoApprovalRule, PolicyProposal
from governance.approvals import auto_approval_checks
from governance.conflicts_of_interest.routing import GROUP
from governance.console import doors, form_fields, paging
from governance.console.kit import combobox

HERE: Final = "approval-settings"
_MOST_SHOWN: Final = 50
_OFFICES: Final = {
    "sponsor": gettext_lazy("the agent's sponsor"),
    "system_owner": gettext_lazy("the system's owner"),
    "security": gettext_lazy("one person of security"),
}


def words(stages: Mapping[str, Sequence[str]]) -> list[tuple[str, list[str]]]:
    """Say for each risk who must answer."""
    groups = {stage.removeprefix(GROUP) for named in stages.values() for stage in named if stage.startswith(GROUP)}
    names = combobox.labels("group", groups) if groups else {}
    return [(risk.value, [_who(*each, names) for each in Counter(stages.get(risk, ())).items()]) for risk in Risk]


def _who(stage: str, people: int, groups: Mapping[str, str]) -> str:
    if stage.startswith(GROUP):
        slug = stage.removeprefix(GROUP)
        names = {"n": people, "group": groups.get(slug, slug)}
        return ngettext("%(n)d of the group %(group)s", "%(n)d of the group %(group)s", people) % names
    if people > 1:
        return _("%(n)d people of security") % {"n": people}
    return str(_OFFICES.get(stage, stage))


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponse:
    """Show what is in force, what waits for a second person, and what rules approved."""
    caller = doors.caller(request)
    policies.ensure_default()
    newest = ApprovalPolicy.objects.order_by("entitlement", "-number").distinct("entitlement").values("pk")
    current = ApprovalPolicy.objects.filter(pk__in=newest).select_related("entitlement__system")
    found = AutoApprovalRule.objects.filter(state__in=["proposed", "in_force"], expires_at__gt=clock.now())
    rows = found.select_related("entitlement__system", "group", "proposed_by", "confirmed_by").order_by("-proposed_at")
    page = paging.page(request, current, ("created_at", "id"))
    context = {
        "page": page,
        "policies": [(each, words(each.stages)) for each in page.rows],
        "proposals": [_proposal(each) for each in _waiting().order_by("proposed_at")[:_MOST_SHOWN]],
        "rules": list(rows[:_MOST_SHOWN]),
        "looks": list(auto_approval_checks.due(caller.human)[:_MOST_SHOWN])
        if doors.may(caller, "auto-approvals", None, "GET")
        else [],
        "me": doors.person(request),
        "may_propose": doors.may(caller, "policy-proposals", None),
        "may_rule": doors.may(caller, "auto-approval-rules", None),
        "may_confirm_rule": doors.may(caller, "auto-approval-rule-confirm", None),
    }
    return render(request, "console/approval_policies/approvals.html", context)


def _waiting() -> Any:  # noqa: ANN401 - rows of proposals
    rows = PolicyProposal.objects.filter(state=PolicyProposal.State.PROPOSED)
    return rows.select_related("entitlement__system", "proposed_by")


def _proposal(proposal: PolicyProposal) -> dict[str, Any]:
    """Say what a proposal changes: risk by risk who must answer now, and who then."""
    now = policies.current_for(proposal.entitlement) if proposal.entitlement else policies.ensure_default()
    pairs = zip(words(now.stages), words(proposal.stages), strict=True)
    return {
        "row": proposal,
        "now": now,
        "changes": [(risk, before, after) for (risk, before), (_risk, after) in pairs],
    }


@require_safe
@doors.page
def history(request: HttpRequest, policy: int) -> HttpResponse:
    """Show every version of a policy, the newest first."""
    one = doors.find(ApprovalPolicy.objects.select_related("entitlement__system"), pk=policy)
    rows = ApprovalPolicy.objects.filter(entitlement=one.entitlement).order_by("-number")
    versions = [
        (each, words(each.stages))
        for each in rows.select_related("proposal__confirmed_by", "proposal__proposed_by")[:_MOST_SHOWN]
    ]
    return render(request, "console/approval_policies/approval_history.html", {"policy": one, "versions": versions})


class PolicyForm(forms.Form):
    """Who must answer, risk by risk; what the product itself asks for is always there."""

    entitlement = forms.CharField(
        label=gettext_lazy("Entitlement"),
        help_text=gettext_lazy("Its scope. Leave it empty to change the default policy."),
        max_length=128,
        required=False,
        widget=forms.TextInput(attrs={"autocapitalize": "none", "spellcheck": "false"}),
    )
    days = forms.IntegerField(label=gettext_lazy("Days to decide"), min_value=1, max_value=30)
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=500)

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - the framework's signature
        super().__init__(*args, **kwargs)
        for risk, least in rules.DEFAULT_POLICY.items():
            owner = forms.BooleanField(label=gettext_lazy("System owner"), required=False)
            owner.disabled = "system_owner" in least
            self.fields[f"{risk}_system_owner"] = owner
            self.fields[f"{risk}_security"] = forms.IntegerField(
                label=gettext_lazy("People of security"), min_value=int("security" in least), max_value=5
            )
            self.fields[f"{risk}_group"] = combobox.ReferenceField("group", label=gettext_lazy("Group"), required=False)
            self.fields[f"{risk}_people"] = forms.IntegerField(
                label=gettext_lazy("People of the group"), min_value=1, max_value=5
            )
        for field in self.fields.values():
            if isinstance(field.widget, forms.NumberInput):
                field.widget.attrs["class"] = "short"

    def risks(self) -> list[tuple[str, list[Any]]]:
        """Return the fields of each risk."""
        parts = ("system_owner", "security", "group", "people")
        return [(risk.value, [self[f"{risk}_{part}"] for part in parts]) for risk in Risk]


def _initial(policy: ApprovalPolicy) -> dict[str, Any]:
    """Fill the form with what is in force. Raises Malformed for a policy with more groups than the form can say."""
    filled: dict[str, Any] = {"days": max(1, policy.answer_within.days)}
    for risk in Risk:
        asked = Counter(policy.stages.get(risk, ()))
        groups = [stage for stage in asked if stage.startswith(GROUP)]
        if len(groups) > 1:
            raise Malformed(_("This policy names several groups at one risk level. Change it through the API."))
        filled[f"{risk}_system_owner"] = asked["system_owner"] > 0
        filled[f"{risk}_security"] = asked["security"]
        filled[f"{risk}_group"] = groups[0].removeprefix(GROUP) if groups else ""
        filled[f"{risk}_people"] = asked[groups[0]] if groups else 1
    return filled


def _stages(given: Mapping[str, Any]) -> rules.Policy:
    return {
        risk: (
            "sponsor",
            *(["system_owner"] if given[f"{risk}_system_owner"] else []),
            *["security"] * given[f"{risk}_security"],
            *([f"{GROUP}{given[f'{risk}_group'].slug}"] * given[f"{risk}_people"] if given[f"{risk}_group"] else []),
        )
        for risk in Risk
    }


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def propose(request: HttpRequest) -> HttpResponse:
    """Propose who must approve; a second person confirms it."""
    found = _entitlement(request, request.GET.get("entitlement", ""))
    now = policies.current_for(found) if found else policies.ensure_default()
    initial = {**_initial(now), "entitlement": found.scope if found else ""}
    form = PolicyForm(request.POST if request.method == "POST" else None, initial=initial)
    if request.method == "POST":

        def values(given: dict[str, Any]) -> dict[str, Any]:
            return {
                "entitlement": _entitlement(request, given["entitlement"]),
                "stages": _stages(given),
                "answer_within": timedelta(days=given["days"]),
                "reason": given["reason"],
            }

        if form_fields.perform(request, form, actions.PROPOSE, fields={"not_found": "entitlement"}, values=values):
            return redirect(HERE)
    context = {"least": rules.DEFAULT_POLICY}
    return form_fields.show(request, "console/approval_policies/approval_propose.html", form, context)


def _entitlement(request: HttpRequest, scope: str) -> Entitlement | None:
    """Find what a policy is for; None for the default. Raises NotFound."""
    if not scope.strip():
        return None
    return doors.find(visibility.entitlements(doors.caller(request)), scope=scope.strip())


BUTTONS: Final = {"confirm": actions.CONFIRM, "withdraw": actions.WITHDRAW}
RULE_BUTTONS: Final = {"confirm": actions.CONFIRM_RULE, "withdraw": actions.WITHDRAW_RULE, "end": actions.END_RULE}


@require_POST
@doors.page
def decide(request: HttpRequest, proposal: UUID) -> HttpResponse:
    """Confirm what another person proposed, or drop it."""
    found = doors.find_subject(request, actions.PROPOSAL, proposal)
    doors.perform(request, doors.pressed(request, BUTTONS), found)
    return redirect(HERE)


class RuleForm(forms.Form):
    """What shall need no person: only reading, only at low risk."""

    entitlement = forms.CharField(
        label=gettext_lazy("Entitlement"),
        help_text=gettext_lazy("Its scope. Only its low-risk tools that only read are approved."),
        max_length=128,
        widget=forms.TextInput(attrs={"autocapitalize": "none", "spellcheck": "false"}),
    )
    kinds = forms.MultipleChoiceField(
        label=gettext_lazy("Agent types"),
        choices=Agent.Kind.choices,
        widget=forms.CheckboxSelectMultiple,
    )
    group = combobox.ReferenceField("group", label=gettext_lazy("Only for people in the group"), required=False)
    days = forms.IntegerField(label=gettext_lazy("Longest access, in days"), min_value=1, max_value=90, initial=30)
    ends = forms.IntegerField(label=gettext_lazy("Days until the rule ends"), min_value=1, max_value=366, initial=180)
    reason = forms.CharField(label=gettext_lazy("Why no person needs to decide"), max_length=500)


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def propose_rule(request: HttpRequest) -> HttpResponse:
    """Propose a rule that approves without a person; a second person confirms it."""
    form = RuleForm(request.POST if request.method == "POST" else None)
    if request.method == "POST":

        def values(given: dict[str, Any]) -> dict[str, Any]:
            found = _entitlement(request, given["entitlement"])
            if found is None:
                raise NotFound
            return {
                "entitlement": found,
                "longest": timedelta(days=given["days"]),
                "kinds": given["kinds"],
                "group": given["group"],
                "expires_at": clock.now() + timedelta(days=given["ends"]),
                "reason": given["reason"],
            }

        fields = {"auto_approval_rule_out_of_bounds": "days"}
        if form_fields.perform(request, form, actions.PROPOSE_RULE, fields=fields, values=values):
            return redirect(HERE)
    return form_fields.show(request, "console/approval_policies/approval_rule.html", form, {})


@require_POST
@doors.page
def decide_rule(request: HttpRequest, rule: UUID) -> HttpResponse:
    """Confirm a rule, drop it, or end it."""
    found = doors.find_subject(request, actions.RULE, rule)
    doors.perform(request, doors.pressed(request, RULE_BUTTONS), found)
    return redirect(HERE)


@require_POST
@doors.page
def look(request: HttpRequest, approval: UUID) -> HttpResponse:
    """Say of access that a rule gave whether it stays."""
    found = doors.find_subject(request, actions.AUTO_APPROVAL, approval)
    verdict = request.POST.get("verb", "")
    if verdict not in AutoApproval.Verdict.values:
        raise Malformed
    doors.perform(request, actions.REVIEW, found, {"verdict": verdict, "reason": doors.reason(request)})
    return redirect(doors.back(request, reverse(HERE)))
