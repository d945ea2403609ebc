"""`scripts/install` as an operator runs it: private files, nothing overwritten, an ordinary user will do."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.architecture import tree

SCRIPTS = tree.ROOT / "scripts"


def install(folder: Path, *arguments: str, uid: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run the script from a copy, since an ordinary user may not be able to read where the project lies."""
    for name in ("install", "installer.py"):
        if not (folder / name).exists():
            shutil.copy(SCRIPTS / name, folder / name)
    if uid is not None:
        os.chown(folder, uid, uid)
        folder.chmod(0o755)
    account = {} if uid is None else {"user": uid, "group": uid, "extra_groups": []}
    command = ["/bin/sh", str(folder / "install"), "--host", "mandate.example", "--folder", str(folder), *arguments]
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False, **account)  # type: ignore[call-overload,no-any-return]


def contents(folder: Path) -> dict[str, str]:
    return {str(path): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that an ordinary user can reach, unlike those of the test runner."""
    with tempfile.TemporaryDirectory(prefix="mandate-install-") as made:
        yield Path(made)


def test_everything_that_the_compose_file_mounts_is_made_for_its_owner_alone(place: Path) -> None:
    done = install(place)
    assert done.returncode == 0, done.stderr
    compose = yaml.safe_load((tree.ROOT / "docker-compose.yml").read_text())
    for name in compose["secrets"]:
        assert stat.S_IMODE((place / "secrets" / name).stat().st_mode) == 0o600, name
    for name in compose["volumes"]:
        assert stat.S_IMODE((place / "data" / name).stat().st_mode) == 0o700, name
    said = (place / ".env").read_text()
    needed = set(re.findall(r"\$\{(\w+):\?", (tree.ROOT / "docker-compose.yml").read_text()))
    assert {line.partition("=")[0] for line in said.splitlines()} >= needed
    assert "CONSOLE_HOST=mandate.example\nGATEWAY_HOST=gateway.mandate.example\n" in said
    assert "CONSOLE_URL=https://mandate.example\nGATEWAY_URL=https://gateway.mandate.example\n" in said
    assert "TLS_BY=internal\n" in said
    assert "MANDATE_UID=0\n" not in said


def test_each_secret_is_new_and_fits_where_it_goes(place: Path) -> None:
    install(place)
    read = {path.name: path.read_text().strip() for path in (place / "secrets").iterdir()}
    assert len(read["secret_key"]) >= 50
    assert len(read["key_encryption_key"]) == 43
    assert read["postgres_app"] in read["database_url"]
    assert read["redis_password"] in read["redis_url"]
    assert f"requirepass {read['redis_password']}" in read["redis_conf"]
    assert read["postgres_issue"] in read["issue_database_url"]
    passwords = [read[f"postgres_{name}"] for name in ("superuser", "owner", "app", "seal", "issue")]
    assert len(set(passwords)) == 5
    assert not any(secret in done for secret in passwords for done in [install(place).stdout])


def test_doing_it_again_changes_nothing(place: Path) -> None:
    install(place)
    before = contents(place)
    again = install(place)
    assert again.returncode == 0
    assert "Everything was there already." in again.stdout
    assert contents(place) == before


def test_what_a_newer_release_needs_is_added_beside_what_is_there(place: Path) -> None:
    install(place)
    (place / "secrets/metrics_token").unlink()
    kept = (place / ".env").read_text().replace("TLS_BY=internal\n", "LOG_LEVEL=DEBUG\n")
    (place / ".env").write_text(kept)

    done = install(place)

    assert "metrics_token" in done.stdout
    assert (place / ".env").read_text() == kept + "TLS_BY=internal\n"


def test_another_host_is_refused_in_words(place: Path) -> None:
    install(place)
    before = contents(place)
    refused = install(place, "--gateway-host", "elsewhere.example")
    assert refused.returncode == 1
    assert "says GATEWAY_HOST=gateway.mandate.example" in refused.stderr
    assert contents(place) == before


def test_a_secret_that_others_can_read_is_refused(place: Path) -> None:
    install(place)
    (place / "secrets/secret_key").chmod(0o644)
    refused = install(place)
    assert refused.returncode == 1
    assert "chmod 600" in refused.stderr


@pytest.mark.parametrize("host", ["https://mandate.example", "a b", "-x.example", "x.example/y", "$(id)"])
def test_a_host_must_be_a_host(place: Path, host: str) -> None:
    assert install(place, "--host", host).returncode == 2
    assert not (place / "secrets").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else; elsewhere every test here is one")
def test_an_ordinary_user_will_do(place: Path) -> None:
    done = install(place, uid=65534)
    assert done.returncode == 0, done.stderr
    assert (place / "secrets/secret_key").stat().st_uid == 65534
    assert "MANDATE_UID=65534\n" in (place / ".env").read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands files over")
def test_root_hands_the_secrets_to_an_account_that_is_not_root(place: Path) -> None:
    install(place)
    assert {(place / "secrets" / name).stat().st_uid for name in ("secret_key", "database_url")} == {10001}
    assert (place / "data/postgres").stat().st_uid == 10001


def test_other_ports_are_in_the_public_addresses(place: Path) -> None:
    assert install(place, "--http-port", "8080", "--https-port", "8443").returncode == 0
    lines = (place / ".env").read_text().splitlines()
    assert {"HTTP_PORT=8080", "HTTPS_PORT=8443", "CONSOLE_URL=https://mandate.example:8443"} <= set(lines)


def test_what_the_containers_mount_can_be_read_by_their_account(place: Path) -> None:
    """A clone under umask 077 keeps its files from everybody else."""
    (place / "deploy").mkdir()
    for name in ("Caddyfile", "roles.sh"):
        (place / "deploy" / name).touch(mode=0o600)
    assert install(place).returncode == 0
    assert {stat.S_IMODE(path.stat().st_mode) for path in (place / "deploy").iterdir()} == {0o644}
