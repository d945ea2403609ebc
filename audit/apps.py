"""The audit floor as a Django application."""

from django.apps import AppConfig
from django.db import connections
from django.db.models.signals import post_migrate


class AuditConfig(AppConfig):
    """Re-applies the roles' grants after every migration: the one signal in the product."""

    name = "audit"
    label = "audit"
    verbose_name = "Record"

    def ready(self) -> None:
        """Connect the grants to the end of `migrate`."""
        post_migrate.connect(_grant, sender=self, dispatch_uid="audit.roles")


def _grant(*, using: str, **_: object) -> None:
    from audit import roles  # noqa: PLC0415 - models and settings are not ready when this module is imported

    roles.apply(connections[using])
