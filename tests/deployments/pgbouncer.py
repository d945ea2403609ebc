"""A real PgBouncer in transaction mode before a test's database, with the configuration of docs/operate/scaling.md."""

from __future__ import annotations

import configparser
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from django.db import connections

from scripts.devprograms import Account
from scripts.devservers import free_port
from tests import databases, waits
from tests.architecture import tree

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
INI, PID_FILE = "pgbouncer.ini", "pgbouncer.pid"
SHARED = 4
"""Connections for all processes together, so that they do share them."""


def documented() -> configparser.ConfigParser:
    """Return the configuration that the documentation shows."""
    page = (tree.ROOT / "docs/operate/scaling.md").read_text(encoding="utf-8")
    shown = configparser.ConfigParser(interpolation=None)
    shown.read_string(page.partition("```ini\n")[2].partition("```")[0])
    return shown


@dataclass
class Pooler:
    """PgBouncer in front of this process's database."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def address(self) -> str:
        """Where the role that serves connects."""
        return self.of(databases.addresses().app)

    @property
    def issuers(self) -> str:
        """Where the role that issues connects."""
        return self.of(databases.addresses().issue)

    def of(self, direct: str) -> str:
        """Return the way through the pooler for the role of an address."""
        parts = urlsplit(direct)
        login = parts.netloc.rpartition("@")[0]
        return parts._replace(netloc=f"{login}@127.0.0.1:{self.port}", path="/mandate").geturl()

    @contextlib.contextmanager
    def for_this_process(self) -> Iterator[None]:
        """Let this process use the pooler too, until the block ends."""
        direct = connections["default"]
        row = {**direct.settings_dict, "HOST": "127.0.0.1", "PORT": str(self.port), "NAME": "mandate"}
        connections["default"] = pooled = type(direct)(row, "default")
        try:
            yield
        finally:
            pooled.close()
            connections["default"] = direct


@contextlib.contextmanager
def pgbouncer(*others: str, app: str = "", database: str = "") -> Iterator[Pooler]:
    """Run PgBouncer until the block ends, as an ordinary user: it refuses root.

    It stands before this process's database and its roles, or before that of `app` and of the `others`.
    """
    app, others = app or databases.addresses().app, others or (databases.addresses().issue, databases.addresses().seal)
    account, server, port = Account(), urlsplit(app), free_port()
    with tempfile.TemporaryDirectory(prefix="mandate-pooler-") as made:
        folder = Path(made)
        config = documented()
        where = f"host={server.hostname} port={server.port} dbname={database or databases.here()}"
        config["databases"] = {"mandate": where, "by_session": f"{where} pool_mode=session"}
        config["pgbouncer"].update(
            {
                "listen_addr": "127.0.0.1",
                "listen_port": str(port),
                "unix_socket_dir": "",
                "auth_file": str(folder / "userlist.txt"),
                "pidfile": str(folder / PID_FILE),
                "default_pool_size": str(SHARED),
            }
        )
        roles = [urlsplit(each) for each in (app, *others)]
        users = "".join(f'"{role.username}" "{role.password}"\n' for role in roles)
        (folder / "userlist.txt").write_text(users)
        with (folder / INI).open("w") as file:
            config.write(file)
        for path in (folder, *folder.iterdir()):
            os.chown(path, account.uid, account.gid)
        log = folder / "log"
        with log.open("wb") as out:
            process = account.popen([str(PROGRAM), str(folder / INI)], stdout=out, stderr=out)
        pooler = Pooler(port, process, log)
        try:
            waits.until(lambda: answers(pooler, app))
            yield pooler
        finally:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            process.wait(waits.SECONDS)


def answers(pooler: Pooler, app: str) -> bool:
    assert pooler.process.poll() is None, pooler.log.read_text()
    with contextlib.suppress(psycopg.OperationalError), psycopg.connect(pooler.of(app)):
        return True
    return False
