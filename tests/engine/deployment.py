"""An installation as an operator makes it: a clone, `scripts/install`, `docker compose`, as root or as another user."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.architecture import tree

CONSOLE, GATEWAY, COMPANY = "console.test", "gateway.test", "company.test"
COMPANY_ADDRESS = "10.77.0.1"
HTTP_PORT, HTTPS_PORT = 8480, 8443


class Failed(Exception):
    """A step did not do what it should; the message says which."""


def check(is_so: object, why: object) -> None:
    """Raise Failed unless it is so."""
    if not is_so:
        raise Failed(why)


@contextlib.contextmanager
def engine(folder: Path) -> Iterator[None]:
    """Use the engine that runs, or start one of our own on a socket of its own, and stop it."""
    if subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0:
        yield
        return
    socket = folder / "docker.sock"
    kept = Path("/var/cache/mandate-engine")
    command: list[str | Path] = ["dockerd", "--data-root", kept, "--exec-root", folder / "exec"]
    command += ["--pidfile", folder / "pid"]
    with (folder / "dockerd.log").open("wb") as log:
        running = subprocess.Popen([*command, "--host", f"unix://{socket}"], stdout=log, stderr=log)
    os.environ["DOCKER_HOST"] = f"unix://{socket}"
    try:
        _wait(lambda: subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0, 60)
        socket.chmod(0o666)  # so that another user than root can be the operator
        yield
    finally:
        running.terminate()
        running.wait(60)


def _wait(is_so: object, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not is_so():  # type: ignore[operator]
        check(time.monotonic() < end, "it took too long")
        time.sleep(0.2)


@contextlib.contextmanager
def names() -> Iterator[None]:
    """Let the names of the test lead to this machine, for browser and curl; containers get an address."""
    hosts = Path("/etc/hosts")
    before = hosts.read_text()
    subprocess.run(["ip", "address", "replace", f"{COMPANY_ADDRESS}/32", "dev", "lo"], check=True)
    hosts.write_text(f"{before}\n127.0.0.1 {CONSOLE} {GATEWAY}\n{COMPANY_ADDRESS} {COMPANY}\n")
    try:
        yield
    finally:
        hosts.write_text(before)
        subprocess.run(["ip", "address", "delete", f"{COMPANY_ADDRESS}/32", "dev", "lo"], check=False)


@dataclass
class Deployment:
    """A clone in a folder, run by one user."""

    folder: Path
    uid: int
    images: Mapping[str, str]
    authorities: Mapping[str, Path]
    """Certificates for deploy/ca: of the test, and of what stands between this machine and the package index."""
    settings: Mapping[str, str] = field(default_factory=dict)

    def install(self) -> None:
        """Clone under a strict umask, add the company's authorities, and prepare `.env` and the secrets."""
        clone: list[str | Path] = ["git", "clone", "--quiet", "--no-local", tree.ROOT, self.root]
        subprocess.run(clone, check=True, umask=0o077)  # by root, who owns the origin
        subprocess.run(["chown", "-R", f"{self.uid}:{self.uid}", self.root], check=True)
        for name, file in self.authorities.items():
            (self.root / "deploy/ca" / f"{name}.crt").write_bytes(file.read_bytes())
        ports = f"--http-port {HTTP_PORT} --https-port {HTTPS_PORT}"
        self._as_user(f"scripts/install --host {CONSOLE} --gateway-host {GATEWAY} {ports}")
        with (self.root / ".env").open("a") as dotenv:
            dotenv.writelines(f"{name}={value}\n" for name, value in {**self.images, **self.settings}.items())
        services = {name: {"extra_hosts": [f"{COMPANY}:{COMPANY_ADDRESS}"]} for name in ("web", "gateway", "worker")}
        (self.root / "docker-compose.override.yml").write_text(json.dumps({"services": services}))

    @property
    def root(self) -> Path:
        """The clone."""
        return self.folder / "mandate"

    def compose(self, command: str, *, seconds: float = 600) -> str:
        """Run a compose command as the operator; returns what it prints. Raises Failed."""
        return self._as_user(f"docker compose {command}", seconds=seconds)

    def run(self, name: str, arguments: list[str]) -> subprocess.CompletedProcess[str]:
        """Run a command in a service's container."""
        command = ["docker", "compose", "exec", "-T", name, *arguments]
        return self._subprocess(shlex.join(command), self.root, 300)

    def kill(self, service: str) -> None:
        """Kill a service's first process, from outside, as a machine out of memory would."""
        container = self.compose(f"ps --quiet {service}").split()[0]
        process = subprocess.run(
            ["docker", "inspect", "--format", "{{.State.Pid}}", container], capture_output=True, text=True, check=True
        )
        os.kill(int(process.stdout), signal.SIGKILL)

    def is_healthy(self) -> bool:
        """Tell whether every service is there and says that it is well."""
        lines = self.compose("ps --all --format json").splitlines()
        rows = [json.loads(line) for line in lines]
        serving = [row for row in rows if row["Service"] != "migrate"]
        return len({row["Service"] for row in serving}) == SERVING and all(
            row["Health"] == "healthy" for row in serving
        )

    def wait_healthy(self, seconds: float = 60) -> float:
        """Wait until all are well; returns after how many seconds. Raises Failed, with what the containers print."""
        began = time.monotonic()
        while not self.is_healthy():
            if time.monotonic() - began > seconds:
                raise Failed(self.compose("ps --all") + self.compose("logs --tail 20"))
            time.sleep(0.5)
        return time.monotonic() - began

    def root_certificate(self) -> bytes:
        """Return the certificate of the proxy's own authority."""
        return (self.root / "data/caddy/caddy/pki/authorities/local/root.crt").read_bytes()

    def _as_user(self, command: str, folder: Path | None = None, seconds: float = 600) -> str:
        done = self._subprocess(command, folder or self.root, seconds)
        check(done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
        return done.stdout

    def _subprocess(self, command: str, folder: Path, seconds: float) -> subprocess.CompletedProcess[str]:
        environment = {name: os.environ[name] for name in ("PATH", "DOCKER_HOST") if name in os.environ}
        return subprocess.run(
            ["sh", "-c", command], cwd=folder, env={**environment, "HOME": str(self.folder)},
            user=self.uid, group=self.uid,
            extra_groups=[], capture_output=True, text=True, timeout=seconds, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip


SERVING = 8
