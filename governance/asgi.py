"""The edge process, as ASGI: no Django middleware, no URL resolver; Django is set up for its settings only."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "governance.settings")
django.setup()

from django.conf import settings  # noqa: E402 - needs the settings

from audit.database import replication  # noqa: E402 - needs the settings
from entitlements import hooks  # noqa: E402 - needs the settings
from entitlements.edge.app import Application  # noqa: E402 - needs the settings

hooks.require_all()
replication.refuse(settings.DATABASES["default"], settings.FEED_DATABASE, settings.ISSUE_DATABASE)
application = Application(settings.EDGE_ROLES)

__all__ = ["application"]
