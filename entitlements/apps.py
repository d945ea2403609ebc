"""Floor 2 as a Django application."""

from django.apps import AppConfig
from django.urls import register_converter


class EntitlementsConfig(AppConfig):
    """Floor 2: who may do what, now."""

    name = "entitlements"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Let paths hold the names of tools."""
        from entitlements.catalog.addresses import ToolName  # noqa: PLC0415 - when the apps are there

        register_converter(ToolName, "tool")
