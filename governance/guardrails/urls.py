"""Addresses of the console: guardrails."""

from typing import Final

from django.urls import URLPattern, path

from governance.guardrails.pages import guardrails

PAGES: Final[list[URLPattern]] = [
    path("guardrails/", guardrails.listing, name="guardrail-list"),
    path("guardrails/propose/", guardrails.propose, name="guardrail-propose"),
    path("guardrails/<uuid:guardrail>/", guardrails.detail, name="guardrail-page"),
    path("guardrails/<uuid:guardrail>/decide/", guardrails.decide, name="guardrail-decide"),
]
