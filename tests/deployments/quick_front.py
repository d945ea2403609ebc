"""The web process with deadlines that a test can wait for."""

from governance import web  # isort: skip - it sets Django up

from governance import front

front.STRANGER_SECONDS = 3.0  # type: ignore[misc]
application = web.application
