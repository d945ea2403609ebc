"""`manage.py seal`: the sealer process. One is active; another waits for its lock, and takes over within a moment."""

import contextlib
import logging
import signal
import threading
from argparse import ArgumentParser
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from audit import alive, chain
from audit.database import libpq, replication
from audit.seals import anchors, seal_key, seals, standby

RECONNECT_AFTER = 1.0

_POOLED = (
    "A pooler stands between the sealer and PostgreSQL, and the sealer's lock would be lent to others. Set"
    " FEED_DATABASE_URL to the address of PostgreSQL itself; SEAL_DATABASE_URL may then go through the pooler."
)

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    """Turn pending events into leaves and signed checkpoints until stopped."""

    help = "Seal the record: pending events to leaves, signed checkpoints, anchors. Runs until it is stopped."
    requires_system_checks: list[str] = []  # noqa: RUF012 - Django's attribute

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--init-key", action="store_true", help="make the signing key, print its public form, end")
        parser.add_argument("--once", action="store_true", help="seal what is pending now, publish, end")
        parser.add_argument("--restored-as", default="", metavar="ORIGIN", help="after a restore: the log's new name")

    def handle(self, *_: object, init_key: bool, once: bool, restored_as: str, **__: object) -> None:
        """Run."""
        origin = f"{urlsplit(settings.CONSOLE_URL).netloc}/record"
        key_file = Path(settings.SEAL_KEY_FILE or _refuse("SEAL_KEY_FILE"))
        if init_key or not key_file.exists():
            key = seal_key.create(key_file, origin)
            logger.info("seal_key_created", extra={"path": str(key_file)})
        else:
            key = seal_key.load(key_file)
        if init_key:
            self.stdout.write(chain.vkey(origin, key.public_key()))
            return
        to = anchors.places(settings.ANCHOR_FILE or _refuse("ANCHOR_FILE"))
        row = settings.SEAL_DATABASE or _refuse("SEAL_DATABASE_URL")
        replication.refuse(row, settings.FEED_DATABASE)
        stop = _Stop()
        while not stop.is_set():
            try:
                with _connect(libpq.address(row)) as connection, _lock(connection) as lock:
                    wait = partial(stop.wait_or_exit, standby.Standby(connection, key, to))
                    sealer = seals.begin(connection, origin, key, to, lock=lock, restored_as=restored_as, wait=wait)
                    seal_key.export(key_file, sealer.origin, key)
                    restored_as = ""
                    if once:
                        while sealer.seal_batch():
                            pass
                        stop.set()
                    sealer.run(stop.is_set, stop.wait)
            except psycopg.OperationalError as error:
                if once:
                    raise CommandError(str(error)) from error
                logger.warning("sealer_lost_its_connection", extra={"error": str(error)})
                stop.wait(RECONNECT_AFTER)
            except seals.RecordDamaged as error:
                if isinstance(error, seals.RestoredBackup):
                    seals.RESTORED.tell(str(error))
                logger.critical("record_damaged", extra={"error": str(error)})
                raise CommandError(f"The record is damaged: {error}. Sealing stopped.", returncode=3) from error


class _Stop(threading.Event):
    """Set by SIGTERM and SIGINT. Asking for it shows that the process works: a sealer asks once a round."""

    def __init__(self) -> None:
        super().__init__()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.set())

    def is_set(self) -> bool:
        alive.touch()
        return super().is_set()

    def wait_or_exit(self, waiting: standby.Standby, seconds: float) -> None:
        """Wait while another sealer holds the lock, and end the process when it shall stop. Raises RecordDamaged."""
        waiting.follow()
        if self.is_set() or self.wait(seconds):
            raise SystemExit(0)


def _connect(address: str) -> psycopg.Connection[Any]:
    return psycopg.connect(address, autocommit=True, application_name="mandate-sealer")


@contextlib.contextmanager
def _lock(connection: psycopg.Connection[Any]) -> Iterator[psycopg.Connection[Any]]:
    """Connect for the lock: by FEED_DATABASE_URL where that is an address of its own, else the connection itself."""
    feed, serving = map(libpq.address, (settings.FEED_DATABASE, settings.DATABASES["default"]))
    with contextlib.nullcontext(connection) if feed == serving else _connect(feed) as lock:
        if not libpq.is_direct(lock):
            raise CommandError(_POOLED)
        yield lock


def _refuse(name: str) -> NoReturn:
    raise CommandError(f"{name} is not set; the sealer needs it.")
