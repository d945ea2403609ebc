"""How a process without a port shows that it works: it touches a file, whose age the container's health check reads."""

import contextlib
from pathlib import Path
from typing import Final

from django.conf import settings

READY: Final = ".ready"
"""What the name of a worker's second file ends with, which it touches while no queue is behind."""


def touch(suffix: str = "") -> None:
    """Touch ALIVE_FILE, if there is one, or the file beside it that ends so.

    A full or missing disk ends nothing here: the health check notices.
    """
    if settings.ALIVE_FILE:
        with contextlib.suppress(OSError):
            Path(settings.ALIVE_FILE + suffix).touch()
