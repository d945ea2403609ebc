"""Where Django learns of this floor."""

from importlib import import_module

from django.apps import AppConfig
from django.contrib.admin import apps as admin


class GovernanceConfig(AppConfig):
    """Floor 3: people and processes, and the Django project itself."""

    name = "governance"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the start-up checks and what ties people to grants; make the task queue the one of `delay()`."""
        import_module("governance.operations.checks")
        import_module("governance.celery")
        import_module("governance.ties").register()


class OfficeConfig(admin.AdminConfig):
    """Django's admin, behind our own door."""

    default = False  # of this module; the settings name it
    default_site = "governance.back_office.site.Office"
