"""`@modelcontextprotocol/conformance`, unmodified: its scenario for clients of enterprise-managed authorization.

The client is the one that plays the demo's story: the exchange by hand, the official SDK's provider for the redemption.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from tests.architecture import tree
from tests.conformance import nodejs
from tests.conformance.test_conformance_suite import PROGRAM

pytestmark = pytest.mark.usefixtures("packages")
packages = nodejs.packages
SCENARIO = "auth/enterprise-managed-authorization"


def test_the_demos_client_passes_the_scenario(tmp_path: Path) -> None:
    command = f"{sys.executable} -m tests.conformance.ema_client"
    environment = {"PYTHONPATH": str(tree.ROOT), "LANG": os.environ.get("LANG", "C.UTF-8")}
    arguments = ("client", "--command", command, "--scenario", SCENARIO, "-o", str(tmp_path / "results"))

    ended = nodejs.run(tmp_path, PROGRAM, *arguments, environment=environment)

    assert ended.code == 0, ended.output
    (found,) = (tmp_path / "results").rglob("checks.json")
    checks = {check["id"]: check["status"] for check in json.loads(found.read_text())}
    assert {"complete-flow-token-exchange", "complete-flow-jwt-bearer"} <= {*checks}
    assert {*checks.values()} <= {"SUCCESS", "INFO"}, checks
