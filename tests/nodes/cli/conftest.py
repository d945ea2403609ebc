"""`mandate` as a person runs it, as in its other tests."""

from tests.governance.cli.conftest import _unconfigured, company, run

__all__ = ["_unconfigured", "company", "run"]
