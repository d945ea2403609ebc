"""Whether commits survive a failover, and what is said where they do not."""

from __future__ import annotations

import os

import psycopg
import pytest
from django.conf import LazySettings as Settings
from django.conf import settings as configured

from audit.database import replication
from audit.database.replication import Failover, State

ALONE = State(is_standby=False, role="mandate_app", commit="on", names="", standbys=0)
ASYNCHRONOUS = State(is_standby=False, role="mandate_app", commit="on", names="", standbys=1)
SYNCHRONOUS = State(is_standby=False, role="mandate_app", commit="on", names='"two"', standbys=1)


@pytest.mark.parametrize(
    ("state", "failover"),
    [
        (ALONE, Failover.AUTO),
        (ALONE._replace(commit="local"), Failover.AUTO),
        (SYNCHRONOUS, Failover.AUTO),
        (SYNCHRONOUS._replace(commit="remote_apply"), Failover.YES),
        (SYNCHRONOUS._replace(standbys=0), Failover.YES),
        (ASYNCHRONOUS, Failover.NO),
    ],
)
def test_a_server_whose_answers_hold_is_served_from(state: State, failover: Failover) -> None:
    assert replication.problem(state, failover) is None


@pytest.mark.parametrize(
    ("state", "failover", "sentence"),
    [
        (ASYNCHRONOUS, Failover.AUTO, "mandate.E016: Commits are asynchronous and the database has 1 standby(s)"),
        (ALONE, Failover.YES, "mandate.E016: Commits are asynchronous and DATABASE_FAILOVER is yes"),
        (SYNCHRONOUS._replace(commit="local"), Failover.AUTO, "synchronous_commit is local for the role mandate_app"),
        (SYNCHRONOUS._replace(commit="remote_write"), Failover.YES, "ALTER ROLE mandate_app SET synchronous_commit"),
        (ALONE._replace(commit="off"), Failover.AUTO, "synchronous_commit is off"),
        (ALONE._replace(commit="off"), Failover.NO, "synchronous_commit is off"),
        (SYNCHRONOUS._replace(is_standby=True), Failover.NO, "mandate.E017: The database address leads to a standby"),
    ],
)
def test_a_server_that_would_forget_a_revocation_is_refused(state: State, failover: Failover, sentence: str) -> None:
    assert sentence in str(replication.problem(state, failover))


@pytest.mark.django_db
def test_a_process_ends_with_the_sentence_where_its_own_role_commits_without_waiting(settings: Settings) -> None:
    row = configured.DATABASES["default"]
    replication.refuse(row)
    careless = {**row, "OPTIONS": {**row["OPTIONS"], "options": "-c synchronous_commit=off"}}
    with pytest.raises(SystemExit, match="E016: synchronous_commit is off"):
        replication.refuse(row, careless)
    settings.DATABASE_FAILOVER = "yes"
    with pytest.raises(SystemExit, match="DATABASE_FAILOVER is yes"):
        replication.refuse(row)


def test_a_database_that_does_not_answer_says_nothing() -> None:
    row = {"NAME": "mandate", "USER": "x", "PASSWORD": "x", "HOST": "127.0.0.1", "PORT": "1", "OPTIONS": {}}
    replication.refuse(row)


@pytest.mark.django_db
def test_every_role_may_read_what_is_asked() -> None:
    for name in ("DATABASE_URL", "SEAL_DATABASE_URL", "ISSUE_DATABASE_URL"):
        with psycopg.connect(os.environ[name]) as connection:
            state = replication.of(connection.execute(replication.STATE).fetchone())
        assert (state.is_standby, state.commit, state.standbys) == (False, "on", 0)
