"""Workload rules of an agent's client: ask for one by a form for its platform, and end one."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from entitlements.access import visibility
from entitlements.agents import actions as agent_actions
from entitlements.clients import credentials
from entitlements.clients.models import Client
from entitlements.trusted_issuers.models import TrustedIssuer
from entitlements.workload_identity import actions, platforms
from entitlements.workload_identity.platforms import Platform, RuleMalformed, RuleTooWide
from governance.console import doors, form_fields
from governance.console.kit.components import Crumb

_FIELDS: Final = {"workload_issuer_not_trusted": "issuer"}


def _text(label: Any, hint: Any = "", *, required: bool = False) -> forms.CharField:  # noqa: ANN401 - lazy texts
    return forms.CharField(
        label=label,
        help_text=hint,
        required=required,
        max_length=platforms.LONGEST,
        widget=forms.TextInput(attrs={"autocapitalize": "none", "spellcheck": "false", "autocomplete": "off"}),
    )


class RuleForm(forms.Form):
    """What is asked of every platform. `claims` says what a rule would name; what is too wide is said at its field."""

    platform = Platform.JWT
    names: dict[str, str] = {}  # noqa: RUF012 - a constant of each form
    """The field of each claim."""

    issuer: Any = forms.ModelChoiceField(
        label=gettext_lazy("Whose tokens"),
        help_text=gettext_lazy("An issuer that is trusted for workload identity."),
        queryset=TrustedIssuer.objects.none(),
        to_field_name="issuer",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - the framework's signature
        super().__init__(*args, **kwargs)
        trusted = TrustedIssuer.objects.filter(purpose=TrustedIssuer.Purpose.WORKLOAD, enabled=True)
        issuer: Any = self.fields["issuer"]
        issuer.queryset = trusted.order_by("issuer")
        issuer.label_from_instance = lambda row: row.issuer
        reason = _text(gettext_lazy("Why does the workload need the agent's access?"), required=True)
        self.fields["reason"] = reason

    def claims(self) -> dict[str, str]:
        """Return what the rule names."""
        data = self.cleaned_data
        return {claim: data[field] for claim, field in self.names.items() if data.get(field)}

    def clean(self) -> dict[str, Any]:
        """Check the rule as the action does, and say what is wrong beside the field that it is about."""
        data = super().clean() or {}
        if self.errors:
            return data
        issuer, claims = data["issuer"].issuer, self.claims()
        try:
            platforms.check_rule(self.platform, issuer, claims)
        except (RuleTooWide, RuleMalformed) as refusal:
            about = self.names.get(str(refusal.detail.get("claim", "")))
            self.add_error(about, forms.ValidationError(refusal.message, refusal.code))
        return {"issuer": issuer, "platform": str(self.platform), "claims": claims, "reason": data["reason"]}


class GithubForm(RuleForm):
    """A job of GitHub Actions."""

    platform = Platform.GITHUB
    names: dict[str, str] = {  # noqa: RUF012 - as above
        name: name
        for name in (
            *("repository_owner_id", "repository_id", "ref", "environment", "job_workflow_ref"),
            "event_name",
        )
    }

    repository_owner_id = _text(
        gettext_lazy("Number of the repository's owner"),
        gettext_lazy("Not the name, which another account can take over: gh api users/octo-org --jq .id"),
        required=True,
    )
    repository_id = _text(
        gettext_lazy("Number of the repository"),
        gettext_lazy("gh api repos/octo-org/octo-repo --jq .id"),
        required=True,
    )
    ref = _text(
        gettext_lazy("Branch or tag"),
        gettext_lazy("refs/heads/main, or refs/heads/release/* for all below. One of these three is needed."),
    )
    environment = _text(
        gettext_lazy("Environment"), gettext_lazy("One that has reviewers or branch rules on GitHub: production")
    )
    job_workflow_ref = _text(
        gettext_lazy("Workflow file, with its version"),
        gettext_lazy("octo-org/octo-repo/.github/workflows/agent.yml@refs/heads/main"),
    )
    event_name = _text(
        gettext_lazy("Event"),
        gettext_lazy("Only for an event that outsiders can cause, such as pull_request: it is refused else."),
    )


class KubernetesForm(RuleForm):
    """The service account of pods."""

    platform = Platform.KUBERNETES
    names: dict[str, str] = {"sub": "account", "kubernetes.io/serviceaccount/uid": "uid"}  # noqa: RUF012 - as above

    namespace = _text(gettext_lazy("Namespace"), required=True)
    account = _text(
        gettext_lazy("Service account"),
        gettext_lazy("One that only the agent's pods use, not “default”."),
        required=True,
    )
    uid = _text(
        gettext_lazy("Its UID"),
        gettext_lazy(
            "Keeps out an account that is deleted and made again: kubectl get sa NAME -o jsonpath={.metadata.uid}"
        ),
    )

    def claims(self) -> dict[str, str]:
        """Return what the rule names: the subject is made of namespace and account."""
        subject = f"system:serviceaccount:{self.cleaned_data['namespace']}:{self.cleaned_data['account']}"
        return {**super().claims(), "sub": subject}


class SpiffeForm(RuleForm):
    """A SPIFFE workload."""

    platform = Platform.SPIFFE
    names: dict[str, str] = {"sub": "identifier"}  # noqa: RUF012 - as above

    identifier = _text(
        gettext_lazy("SPIFFE ID"),
        gettext_lazy("spiffe://example.org/ns/default/sa/agent, or spiffe://example.org/ns/agent/* for all below."),
        required=True,
    )


class OtherForm(RuleForm):
    """A workload of another platform."""

    names: dict[str, str] = {"sub": "subject"}  # noqa: RUF012 - as above

    subject = _text(
        gettext_lazy("Subject"),
        gettext_lazy("The claim “sub” to the letter. More claims can be named over the API."),
        required=True,
    )


FORMS: Final[dict[str, tuple[type[RuleForm], Any]]] = {
    "github": (GithubForm, gettext_lazy("A job of GitHub Actions")),
    "kubernetes": (KubernetesForm, gettext_lazy("A Kubernetes service account")),
    "spiffe": (SpiffeForm, gettext_lazy("A SPIFFE workload")),
    "jwt": (OtherForm, gettext_lazy("A workload of another platform")),
}


PLATFORMS: Final = {name: title for name, (_kind, title) in FORMS.items()}
"""What a rule can be about, for the links that lead to the forms."""


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def add(request: HttpRequest, slug: str, platform: str, client_id: str) -> HttpResponse:
    """Ask for a rule by which a workload is this client of an agent."""
    agent = doors.find_subject(request, agent_actions.AGENT, slug)
    client = doors.find(visibility.clients(doors.caller(request)).filter(agent=agent), client_id=client_id)
    doors.permit(request, "workload-rules", client)
    if platform not in FORMS:
        raise Http404
    kind, title = FORMS[platform]
    form = kind(request.POST if request.method == "POST" else None)
    if request.method == "POST":
        made = form_fields.perform(
            request, form, actions.PROPOSE, client, fields=_FIELDS, values=lambda data: {**data, "client": client}
        )
        if made and made.result.waiting is not None:
            return redirect(reverse("credential-page", args=[made.result.waiting.pk]))
        if made:
            return redirect(_address(client))
    context = {
        "title": title,
        "crumbs": [Crumb(reverse("agent-page", args=[slug]), agent.name), Crumb(_address(client), client.client_id)],
        "lead": _lead(client, doors.person(request) in credentials.responsible(agent)),
        "away": _address(client),
        "act": _("Add rule"),
    }
    return form_fields.show(request, "console/kit/form.html", form, context)


@require_POST
@doors.page
def end(request: HttpRequest, pk: UUID) -> HttpResponse:
    """End a rule."""
    rule = doors.find_subject(request, actions.RULE, pk)
    doors.perform(request, actions.END, rule)
    return redirect(_address(rule.client))


def _lead(client: Client, is_responsible: bool) -> str:  # noqa: FBT001 - what the sentence depends on
    lead = _("The workload gets tokens as the client %(client)s with what its platform signs: no secret is stored.") % {
        "client": client.client_id
    }
    if is_responsible:
        return lead
    return lead + " " + _("It works once the sponsor or an owner of the agent accepts it.")


def _address(client: Client) -> str:
    return reverse("client-page", args=[client.agent.slug if client.agent else "", client.client_id])
