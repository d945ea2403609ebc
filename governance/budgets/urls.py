"""Addresses of the console: budgets."""

from typing import Final

from django.urls import URLPattern, path

from governance.budgets import pages

PAGES: Final[list[URLPattern]] = [
    path("budgets/", pages.listing, name="budget-list"),
    path("budgets/set/", pages.set_budget, name="budget-set"),
    path("budgets/<uuid:budget>/", pages.detail, name="budget-page"),
]
