"""What ours runs on: a durable PostgreSQL with the product's tables, and a small company as its clients know it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg

from scripts import devstack
from scripts.devservers import free_port
from tests import databases
from tests.benchmarks import processes

STOCK = "stock"
_MAIN = "import django; django.setup(); from importlib import import_module; import_module('{}').main()"


@dataclass(frozen=True)
class Stage:
    """The environment of every process of ours, and the ports that its addresses name."""

    environment: dict[str, str]
    web: int
    gateway: int

    def make(self, what: str, *arguments: str) -> dict[str, Any]:
        """Make part of the company; returns what a client of it would know."""
        return dict(json.loads(self._run("-c", _MAIN.format("tests.benchmarks.world"), what, *arguments)))

    def stock(self) -> dict[str, str]:
        """Make a database for django-oauth-toolkit on the same server; returns the environment that names it."""
        owner = self.environment["MIGRATE_DATABASE_URL"]
        with psycopg.connect(owner, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {STOCK}")
            connection.execute(f"CREATE DATABASE {STOCK}")
        environment = {
            "DATABASE_URL": databases.at(owner, STOCK),
            "DJANGO_SETTINGS_MODULE": "tests.benchmarks.stock.settings",
            "SECRET_KEY": self.environment["SECRET_KEY"],
        }
        self._run("-c", _MAIN.format("tests.benchmarks.stock.prepare"), **environment)
        return environment

    def committed(self, position: int) -> float:
        """Return when the change at this place of the feed was committed, in epoch seconds."""
        with psycopg.connect(self.environment["MIGRATE_DATABASE_URL"]) as connection:
            found = connection.execute(
                "SELECT extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8 FROM entitlements_change"
                " WHERE seq = %s",
                [position],
            ).fetchone()
        assert found is not None
        return float(found[0])

    def postgres(self) -> processes.Server:
        """Return PostgreSQL as a server to be watched."""
        with psycopg.connect(self.environment["ADMIN_DATABASE_URL"]) as connection:
            found = connection.execute("SELECT pg_read_file('postmaster.pid')").fetchone()
        assert found is not None
        lines = str(found[0]).splitlines()  # its process, its folder, since when, its port
        return processes.Server(int(lines[0]), int(lines[3]))

    def migrate(self) -> None:
        """Make the product's tables."""
        self._run("manage.py", "migrate", "--database", "owner", "--verbosity", "0")

    def _run(self, *arguments: str, **environment: str) -> str:
        env = {**os.environ, **self.environment, **environment}
        command = [sys.executable, *arguments]
        done = subprocess.run(command, env=env, cwd=processes.ROOT, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{arguments[:3]} failed, for the reason above")
        return done.stdout


@contextlib.contextmanager
def ready() -> Iterator[Stage]:
    """Start the servers, with fsync on, and make the tables; all is gone after the `with` block."""
    web, gateway = free_port(), free_port()
    with devstack.stack(fast=False) as stack:
        _date_commits(stack)
        environment = {
            **stack,
            "DJANGO_SETTINGS_MODULE": "governance.settings",
            "CONSOLE_URL": f"http://{processes.HOST}:{web}",
            "GATEWAY_URL": f"http://{processes.HOST}:{gateway}",
            "DEMO": "1",
            "LOG_LEVEL": "WARNING",
            "RATE_LIMIT_TOKENS": "100000000",  # one client stands for many
            "RATE_LIMIT_PERSON": "100000000",
            "RATE_LIMIT_API": "100000000",
            "RATE_LIMIT_PAGES": "100000000",
        }
        stage = Stage(environment, web, gateway)
        stage.migrate()
        yield stage


def _date_commits(stack: devstack.Stack) -> None:
    """Let PostgreSQL keep the time of each commit, which tells from when a revocation counts."""
    with psycopg.connect(stack["ADMIN_DATABASE_URL"], autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET track_commit_timestamp = on")
    stack.postgres.stop()
    stack.postgres.start()
