"""The web process: console, back office, REST API, both kinds of issuer and SCIM, as WSGI."""

import gc
import os
from collections.abc import Iterable, Iterator
from typing import Any

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "governance.settings")

_application = get_wsgi_application()

from django.conf import settings  # noqa: E402 - needs the settings

from audit import clock  # noqa: E402 - needs the settings
from audit.database import replication  # noqa: E402 - needs the settings
from entitlements import hooks  # noqa: E402 - needs the settings
from entitlements.traces import telemetry  # noqa: E402 - needs the settings
from governance.operations import health  # noqa: E402 - needs the settings

hooks.require_all()
clock.require_measured()
health.refuse_lost_keys()
replication.refuse(settings.DATABASES["default"])
telemetry.start("mandate-web")

# Import every view before serving: else the first requests do, in several threads at once, and wait for seconds.
_ = get_resolver().url_patterns

# What is loaded by now stays: no collection of garbage looks through it.
gc.collect()
gc.freeze()
gc.set_threshold(100_000, 50, 50)


class _Swept:
    """An answer after which its garbage is collected: rows that were fetched together know each other.

    Left to itself the collector lets the garbage of many requests come together, and looks through it in the middle of
    a later one, who then waits for a third of a second and more.
    """

    def __init__(self, answer: Iterable[bytes]) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._answer)

    def close(self) -> None:
        """Let go of the answer, and of what it leaves."""
        if close := getattr(self._answer, "close", None):
            close()
        del self._answer
        gc.collect(0)


def application(environ: dict[str, Any], start_response: Any) -> _Swept:  # noqa: ANN401 - WSGI
    """Answer one request (PEP 3333)."""
    return _Swept(_application(environ, start_response))
