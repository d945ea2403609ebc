"""Floor 2 as a Django application."""

from django.apps import AppConfig


class EntitlementsConfig(AppConfig):
    """Floor 2: who may do what, now."""

    name = "entitlements"
    default_auto_field = "django.db.models.BigAutoField"
