"""What docs/operate/kubernetes.md tells to type, and the manifest of docs/operate/database.md, without a cluster."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Final

import pytest
import yaml

from audit.seals import seal_key
from governance import env
from tests.architecture import tree
from tests.deployments import helm
from tests.deployments.test_compose import DEPLOY
from tests.deployments.test_pages import commands, parse

COMMANDS: Final = commands(tree.ROOT / "docs/operate/kubernetes.md")
IN_POD: Final = re.compile(r"kubectl --namespace mandate exec (\S+) -- (.+)")


def of(program: str) -> list[str]:
    """Return the commands that begin with a program."""
    return [command for command in COMMANDS if command.startswith(f"{program} ")]


def take(key: str) -> None:
    """Read what lies in the file of a secret, as the product does. Raises an error where it is none."""
    if key == "seal_key":
        seal_key.load(Path(os.environ["SEAL_KEY_FILE"]))
    elif key.endswith("key_encryption_key"):
        env.key(key.upper())
    else:
        env.secret(key.upper(), at_least=50)


def test_every_command_is_one_that_these_tests_know() -> None:
    assert [*of("openssl"), *of("helm"), *of("kubectl")] == COMMANDS


def test_the_secrets_that_the_page_makes_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = set()
    for command in of("openssl"):
        printed = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True).stdout
        for key in command.partition("# ")[2].split(", "):
            made.add(key)
            (tmp_path / key).write_text(printed)
            monkeypatch.delenv(key.upper(), raising=False)
            monkeypatch.setenv(f"{key.upper()}_FILE", str(tmp_path / key))
            take(key)
    assert made <= set().union(
        *(keys for pod in helm.pods("everything").values() for keys in helm.secrets(pod).values())
    )


def test_the_release_is_installed_as_the_page_types_it() -> None:
    (command,) = of("helm")
    words = shlex.split(command)
    assert words[1:3] == ["upgrade", "--install"]
    known = helm.run("upgrade", "--help").stdout
    assert all(re.search(rf" {word}\b", known) for word in words if word.startswith("--"))
    given = [word.replace("my.yaml", str(helm.VALUES / "minimal.yaml")) for word in words[3:]]
    done = helm.run("template", *[str(tree.ROOT / word) if word.startswith("deploy/") else word for word in given])
    assert done.returncode == 0, done.stderr
    assert tuple(yaml.safe_load_all(done.stdout)) == helm.rendered("minimal")


@pytest.mark.parametrize("command", of("kubectl"))
def test_what_is_typed_in_a_pod_is_there(command: str) -> None:
    found = IN_POD.fullmatch(command)
    assert found
    if found[1].startswith("deploy/"):
        assert found[1].removeprefix("deploy/mandate-") in helm.of_kind("minimal", "Deployment")
        parse(shlex.split(found[2]))
        return
    name, number = found[1].removeprefix("mandate-").rsplit("-", 1)
    assert int(number) < helm.of_kind("minimal", "StatefulSet")[name]["spec"]["replicas"]
    assert shlex.split(found[2]) == ["cat", helm.environment(helm.pods("minimal")[name])["ANCHOR_FILE"]]


def test_the_operators_manifest_makes_what_the_roles_script_makes() -> None:
    page = (tree.ROOT / "docs/operate/database.md").read_text()
    spec = yaml.safe_load(page.partition("## CloudNativePG")[2].partition("```yaml\n")[2].partition("```")[0])["spec"]
    script = (DEPLOY / "roles.sh").read_text()
    first = spec["bootstrap"]["initdb"]
    roles = [first["owner"], *(each["name"] for each in spec["managed"]["roles"])]
    assert set(roles) == set(re.findall(r"CREATE ROLE (\w+) LOGIN", script))
    assert f"CREATE DATABASE {first['database']} OWNER {first['owner']} " in script
    told = script.partition("\\connect mandate\n")[2].partition("SQL\n")[0]
    assert [f"{each};" for each in first["postInitApplicationSQL"]] == told.splitlines()
