"""Addresses of the console: SoD policies, their exceptions, and agents that call agents."""

from typing import Final

from django.urls import URLPattern, path

from governance.sod.pages import agent_calls, policies, policy_form

PAGES: Final[list[URLPattern]] = [
    path("sod-policies/", policies.listing, name="rule-list"),
    path("sod-policies/propose/", policies.propose, name="rule-propose"),
    path("sod-policies/new/", policy_form.own, name="rule-new"),
    path("agent-calls/", agent_calls.listing, name="agent-call-list"),
    path("agent-calls/<uuid:pk>/end/", agent_calls.end, name="agent-call-stop"),
    path("sod-policies/<uuid:pk>/", policies.detail, name="rule-page"),
    path("sod-policies/<uuid:pk>/publish/", policies.publish, name="rule-publish"),
    path("sod-policies/<uuid:pk>/withdraw/", policies.withdraw, name="rule-withdraw"),
    path("sod-policies/<uuid:pk>/except/", policies.give, name="rule-except"),
    path("exceptions/<uuid:pk>/end/", policies.end, name="exception-end"),
]
