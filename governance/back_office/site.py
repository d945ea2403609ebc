"""The back office's own door: no sign-in and no password form of its own, and step-up authentication."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from django.contrib.admin import AdminSite
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import ResolverMatch

from entitlements.access import reauthentication
from entitlements.errors import DomainError, Forbidden
from governance.console import doors

if TYPE_CHECKING:
    from .act_admin import ActAdmin  # which registers, and that needs this site


class Office(AdminSite):
    """Django's admin behind the console's sign-in, which asks for the second factor and limits how often one tries.

    Who may open it is `entitlements.people.models.OFFICE`; what is done there, the permission matrix admits (`acts`).
    """

    site_header = site_title = "Mandate"

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:  # noqa: ANN401 - Django's signature
        """Take our own pages alone: those of libraries show and search what is stored, sealed secrets as well."""
        if admin_class is not None and admin_class.__module__.startswith(("entitlements.", "governance.")):
            super().register(model_or_iterable, admin_class, **options)

    @login_not_required
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Lead a stranger to the console's sign-in; refuse a person who may not come in."""
        del extra_context
        if request.user.is_authenticated:
            return _refused(request, Forbidden())
        return redirect_to_login(request.GET.get("next", "/admin/"))

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:  # noqa: ANN401 - not a template
        """Lead to the console's way out."""
        del request, extra_context
        return redirect("account_logout")

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:  # noqa: ANN401 - not a template
        """Lead to the console's form."""
        del request, extra_context
        return redirect("account_change_password")

    def admin_view(self, view: Callable[..., HttpResponseBase], cacheable: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002 - Django's signature
        """Open the view to people who may use it, after an authentication at most five minutes old."""

        def stepped_up(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
            try:
                reauthentication.demand(request)
            except DomainError as refusal:
                return _refused(request, refusal)
            return view(request, *args, **kwargs)

        return super().admin_view(functools.update_wrapper(stepped_up, view), cacheable)

    def address_of(self, match: ResolverMatch) -> str:
        """Return the address of the row that a page of the console shows; empty where it shows none that is here."""
        for kind in self._registry.values():
            if getattr(kind, "console_page", "") == match.view_name:
                return cast("ActAdmin", kind).address_of(match.kwargs.values())
        return ""


def _refused(request: HttpRequest, refusal: DomainError) -> HttpResponse:
    doors.record(request, refusal)
    return doors.refused(request, refusal)
