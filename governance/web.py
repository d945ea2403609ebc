"""The web process, as ASGI: the WSGI application behind a front that takes whole requests in."""

from governance.wsgi import application as answering  # isort: skip - it sets Django up, which the others need

from django.conf import settings

from governance.front import Front
from governance.sign_in import sessions

application = Front(answering, cookie=settings.SESSION_COOKIE_NAME, is_issued=sessions.is_issued)
