"""The demo's quick way to its tables: the same as the product's, to the last constraint."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
from pathlib import Path

import psycopg
from psycopg import sql

from scripts import devprograms
from tests import databases

ROOT = Path(__file__).resolve().parents[2]
MAKE = "import django; django.setup(); from scripts.demo.data import tables; tables.make()"
TIMES = re.compile(r"\d{4}-\d\d-\d\d[ T][\d:.]+\+00(:00)?|\\(un)?restrict \w+")


def test_the_tables_of_the_demo_are_those_that_migrate_makes() -> None:
    owner = os.environ[databases.ADMIN]
    name = f"tables_{secrets.token_hex(4)}"
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            environment = {**os.environ, "MIGRATE_DATABASE_URL": databases.at(owner, name), "DEMO": "1"}
            environment["DATABASE_URL"] = databases.at(os.environ["DATABASE_URL"], name)
            subprocess.run([sys.executable, "-c", MAKE], cwd=ROOT, env=environment, check=True)
            made, migrated = dump(databases.at(owner, name)), dump(databases.at(owner, databases.template()))
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
    assert made == migrated


def dump(address: str) -> list[str]:
    """Return the schema of a database, as SQL."""
    program = Path(next(devprograms.postgres_folders())) / "pg_dump"
    command = [str(program), "--schema-only", "--schema=public", address]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return TIMES.sub("", ran.stdout).splitlines()
