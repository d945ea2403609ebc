"""The audit floor as a Django application."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """The record; `manage.py migrate` gives the roles their rights on it (`governance/database/sql_files.py`)."""

    name = "audit"
    label = "audit"
    verbose_name = "Record"
