"""Addresses of the console: policy domains."""

from typing import Final

from django.urls import URLPattern, path

from governance.policy_domains.pages import documents, domains

PAGES: Final[list[URLPattern]] = [
    path("policy-domains/", domains.listing, name="policy-domain-list"),
    path("policy-domains/choose/system/", documents.choose, name="policy-domain-choose"),
    path("policy-domains/<slug:slug>/", domains.detail, name="policy-domain-page"),
    path("policy-domains/<slug:slug>/load/", documents.load, name="policy-domain-load"),
]
