"""The web process, as ASGI: the WSGI application behind a front that takes whole requests in."""

from governance.wsgi import application as answering  # isort: skip - it sets Django up, which the others need

from django.conf import settings

from audit.database import libpq
from governance.front import Front
from governance.operations import health, metrics
from governance.sign_in import sessions
from governance.web_server.database_watch import DatabaseWatch

application = Front(
    answering,
    cookie=settings.SESSION_COOKIE_NAME,
    is_issued=sessions.is_issued,
    watch=DatabaseWatch(libpq.address(settings.DATABASES["default"])),
    while_away={health.READY: health.without_database, metrics.METRICS: metrics.without_database},
)
