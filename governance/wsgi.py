"""The web process: console, back office, REST API, both kinds of issuer and SCIM, as WSGI."""

import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "governance.settings")

application = get_wsgi_application()

from audit import clock  # noqa: E402 - needs the settings
from governance import health  # noqa: E402 - needs the settings

clock.require_measured()
health.refuse_lost_keys()

# Import every view before serving: else the first requests do, in several threads at once, and wait for seconds.
_ = get_resolver().url_patterns
