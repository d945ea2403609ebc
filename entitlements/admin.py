"""The back office of this floor: rows to look at. Those that are acted on are in `governance/back_office/`.

What it shows is a fixed list of columns: no secret, no sealed key, no digest is among them. Events, whose key has two
columns, have no page in the stock admin; the console and the API show them.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from . import models


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Django has no subscript for it
    """A page that shows its `list_display` and nothing else, to those who may open the back office."""

    list_per_page = 50
    show_full_result_count = False  # counting a million rows for a footer
    actions = None

    def columns(self) -> list[Any]:
        """Return the columns of the list, people by their name and never by their login."""
        return [_by_name(self.model, name) for name in self.list_display]

    def get_list_display(self, request: HttpRequest) -> Any:  # noqa: ANN401, ARG002 - Django's signature
        """Show the columns."""
        return self.columns()

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:  # noqa: ANN401, ARG002 - as above
        """Show the columns of the list, and what `more` names."""
        return [*self.columns(), *getattr(self, "more", ())]

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:  # noqa: ANN401 - as above
        """Let nothing be written."""
        return self.get_fields(request, obj)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Find rows by what is shown of them: by `password__startswith` one would be read letter by letter."""
        shown = {*self.list_display, *(str(getattr(each, "parameter_name", each)) for each in self.list_filter)}
        return lookup.split("__", maxsplit=1)[0] in shown and super().lookup_allowed(lookup, value, request)  # type: ignore[arg-type]

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002 - as above
        """Nothing is added here."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002 - as above
        """Nothing is changed here."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002 - as above
        """Nothing is deleted here."""
        return False


def _by_name(model: type[Model], column: Any) -> Any:  # noqa: ANN401 - a name, or what shows it
    """Return what shows a person's name where a column is a person, else the column."""
    field = {field.name: field for field in model._meta.fields}.get(column)
    if field is None or field.related_model is not models.Person:
        return column

    @admin.display(description=field.verbose_name, ordering=f"{column}__name")
    def name(row: Model) -> str | None:
        person = getattr(row, column)
        return str(person.name) if person else None

    name.__name__ = column
    return name


@admin.register(models.Entitlement)
class EntitlementAdmin(ReadOnlyAdmin):
    """Entitlements."""

    list_display = ("scope", "system", "name", "longest", "enabled", "created_at")
    list_filter = ("enabled",)
    search_fields = ("scope", "name")
    list_select_related = ("system",)
    more = ("sentence",)


@admin.register(models.Person)
class PersonAdmin(ReadOnlyAdmin):
    """People."""

    list_display = ("login", "name", "is_active", "manager", "created_at", "disabled_at")
    list_filter = ("is_active",)
    search_fields = ("login", "name")
    list_select_related = ("manager",)


@admin.register(models.Session)
class SessionAdmin(ReadOnlyAdmin):
    """Sessions of agents."""

    list_display = ("id", "agent", "person", "client", "started_at", "last_used_at", "expires_at", "ended_at")
    search_fields = ("id", "agent__slug", "person__login")
    list_select_related = ("agent", "person", "client")
    more = ("end_reason", "risk", "labels")


@admin.register(models.IssuedToken)
class IssuedTokenAdmin(ReadOnlyAdmin):
    """What was issued; never a token itself."""

    list_display = ("jti", "kind", "system", "agent", "person", "scope", "issued_at", "expires_at", "revoked_at")
    list_filter = ("kind",)
    search_fields = ("jti", "agent__slug", "person__login")
    list_select_related = ("system", "agent", "person")
    more = ("revoke_reason", "trace", "parent")


@admin.register(models.Revocation)
class RevocationAdmin(ReadOnlyAdmin):
    """Revocations and who obeyed."""

    list_display = ("id", "target_type", "target_id", "by", "committed_at", "position")
    list_filter = ("target_type",)
    search_fields = ("id", "target_id")
    more = ("reason", "covered", "acknowledged", "missing", "residual")


@admin.register(models.SigningKey)
class SigningKeyAdmin(ReadOnlyAdmin):
    """Signing keys, their public halves."""

    list_display = ("kid", "issuer", "algorithm", "state", "created_at", "activates_at", "retires_at")
    list_filter = ("state",)
    search_fields = ("kid", "issuer")
    more = ("public",)


@admin.register(models.GatewayNode)
class GatewayNodeAdmin(ReadOnlyAdmin):
    """Gateway nodes and how far they follow the feed."""

    list_display = ("id", "started_at", "polled_at", "position", "stopped_at")


class ToolkitAdmin(ReadOnlyAdmin):
    """Whatever else django-oauth-toolkit wants to show of its flows: that it is there, and until when."""

    list_display = ("id", "application", "user", "created")
    list_select_related = ("application", "user")
