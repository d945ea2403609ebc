"""The web process: console, back office, REST API, both kinds of issuer and SCIM, as WSGI."""

import gc
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

# What is loaded by now stays: a collection of garbage need not look through it, which takes a third of a second and
# would come while somebody waits for a page. The others are rare, since most of what a request makes goes by itself.
gc.collect()
gc.freeze()
gc.set_threshold(10_000, 50, 50)
