"""The gateway process, as ASGI: no Django middleware, no URL resolver; Django is set up for its settings only."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "governance.settings")
django.setup()

from entitlements import hooks  # noqa: E402 - needs the settings
from entitlements.gateway.app import application  # noqa: E402 - needs the settings

hooks.require_all()

__all__ = ["application"]
