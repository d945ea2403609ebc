"""The chart's workloads in the container engine: each rendered pod as a container, as a kubelet would start it.

A random user with group 0 (as OpenShift gives), a file system that is only read, no capability, no way to new
privileges, the rendered environment, files and folders; asked by the rendered probes at the container's address.
PostgreSQL and Valkey are those of the compose file.
"""

from __future__ import annotations

import http.client
import json
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from scripts import installer
from tests.deployments import helm
from tests.engine.deployment import CONSOLE, Deployment, Failed, check

NETWORK: Final = "mandate_inside"
FIRST_USER: Final = 1_000_680_000
"""Where OpenShift's users begin."""
READY_SECONDS: Final = 120.0
VALUES: Final = ("--set=image.repository=mandate,image.tag=local", f"--set=consoleUrl=https://{CONSOLE}")


@dataclass
class Pods:
    """The rendered pods, as containers."""

    made: Deployment
    user: int = FIRST_USER + secrets.randbelow(10_000)
    running: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The pod of each container."""

    @property
    def folder(self) -> Path:
        """Where the files and the volumes of pods lie."""
        return self.made.folder / "pods"

    def values(self) -> Mapping[str, str]:
        """Return what the Secrets hold, by key: what scripts/install wrote, and what it does not need."""
        written = {file.name: file.read_text() for file in (self.made.root / "secrets").iterdir()}
        key = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return {"signing_key_encryption_key": installer.random_key(), "seal_key": key.decode(), **written}

    def start(self, name: str, pod: dict[str, Any], values: Mapping[str, str], *, alias: str = "") -> None:
        """Start a pod's container; it is reached by its alias, as by its Service."""
        only = helm.container(pod)
        how = ["--name", f"chart-{name}", "--user", f"{self.user}:0", "--read-only", "--cap-drop", "ALL"]
        how += ["--security-opt", "no-new-privileges", "--network", NETWORK]
        how += ["--network-alias", alias] if alias else []
        how += ["--memory", only["resources"]["limits"]["memory"].replace("Gi", "g").replace("Mi", "m")]
        if group := pod["spec"]["securityContext"].get("fsGroup"):
            how += ["--group-add", str(group)]
        for each in only["env"]:
            how += ["--env", f"{each['name']}={each['value']}"]
        volumes = {each["name"]: each for each in pod["spec"]["volumes"]}
        for mount in only["volumeMounts"]:
            volume = volumes.get(mount["name"], {"name": mount["name"]})
            how += self._mounted(name, mount, volume, values, pod["spec"]["securityContext"].get("fsGroup"))
        docker("run", "--detach", *how, only["image"], *only["args"])
        self.running[name] = pod

    def _mounted(
        self, name: str, mount: dict[str, Any], volume: dict[str, Any], values: Mapping[str, str], group: int | None
    ) -> list[str]:
        place = self.folder / name / volume["name"]
        if "emptyDir" in volume:
            size = volume["emptyDir"]["sizeLimit"].removesuffix("i").lower()
            return ["--tmpfs", f"{mount['mountPath']}:size={size},mode=1777"]
        place.mkdir(parents=True, exist_ok=True)
        if "projected" in volume:
            for source in volume["projected"]["sources"]:
                for item in source["secret"]["items"]:
                    (place / item["path"]).write_text(values[item["key"]])
                    (place / item["path"]).chmod(0o444)
        else:  # a claim: its owner is root, and its group may write
            subprocess.run(["chown", f"0:{group}", place], check=True)
            place.chmod(0o2775)
        is_read_only = ":ro" if mount.get("readOnly") else ""
        return ["--volume", f"{place / mount.get('subPath', '')}:{mount['mountPath']}{is_read_only}"]

    def asks(self, name: str, kind: str) -> bool:
        """Ask a probe once, as a kubelet does: over HTTP at the container's address, or by a command in it."""
        only = helm.container(self.running[name])
        probe = only[f"{kind}Probe"]
        if "exec" in probe:
            command = ["docker", "exec", f"chart-{name}", *probe["exec"]["command"]]
            return subprocess.run(command, capture_output=True, check=False).returncode == 0
        port = next(each["containerPort"] for each in only["ports"] if each["name"] == probe["httpGet"]["port"])
        try:
            return self.answer(name, port, "GET", probe["httpGet"]["path"])[0] == HTTPStatus.OK
        except OSError:
            return False

    def answer(self, name: str, port: int, method: str, path: str, **headers: str) -> tuple[int, bytes]:
        """Ask a container at its own address."""
        connection = http.client.HTTPConnection(self.address(name), port, timeout=5)
        connection.request(method, path, headers={key.replace("_", "-"): value for key, value in headers.items()})
        answered = connection.getresponse()
        return answered.status, answered.read()

    def address(self, name: str) -> str:
        """Return a container's address."""
        (row,) = json.loads(docker("inspect", f"chart-{name}"))
        return str(row["NetworkSettings"]["Networks"][NETWORK]["IPAddress"])

    def wait_ready(self) -> None:
        """Wait until every container is ready and lives. Raises Failed, with what they print."""
        for name in self.running:
            wait(lambda name=name: self.asks(name, "readiness"), lambda name=name: self.log(name))  # type: ignore[misc]
            check(self.asks(name, "liveness"), f"{name} is ready and does not live")

    def log(self, name: str) -> str:
        """Return the end of what a container printed."""
        done = subprocess.run(["docker", "logs", "--tail", "30", f"chart-{name}"], capture_output=True, check=False)
        return f"{name}: {(done.stdout + done.stderr).decode()}"

    def stop(self, name: str) -> float:
        """Stop a container as a kubelet does after preStop; returns after how many seconds. Raises Failed."""
        pod, began = self.running.pop(name), time.monotonic()
        wait_first = helm.container(pod).get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        docker("stop", f"--time={pod['spec']['terminationGracePeriodSeconds'] - wait_first}", f"chart-{name}")
        code = docker("inspect", "--format", "{{.State.ExitCode}}", f"chart-{name}").strip()
        check(code in ("0", "143"), f"{name} ended with {code}: {self.log(name)}")
        return time.monotonic() - began


def docker(*command: str) -> str:
    """Run docker; returns what it prints. Raises Failed."""
    done = subprocess.run(["docker", *command], capture_output=True, text=True, check=False)
    check(done.returncode == 0, f"docker {' '.join(command)}\n{done.stderr}")
    return done.stdout


def wait(is_so: Callable[[], bool], why: Callable[[], str], seconds: float = READY_SECONDS) -> None:
    """Wait until it is so. Raises Failed with the reason."""
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            raise Failed(why())
        time.sleep(0.5)


@contextmanager
def pods(made: Deployment) -> Iterator[Pods]:
    """Bring up PostgreSQL and Valkey; remove all containers in the end."""
    made.compose("up --detach --wait postgres redis")
    found = Pods(made)
    try:
        yield found
    finally:
        left = docker("ps", "--all", "--quiet", "--filter", "name=chart-").split()
        if left:
            docker("rm", "--force", *left)
        made.compose("down --volumes --timeout 5")


def run(found: Pods) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield the steps, each with its name."""
    values, rendered = found.values(), helm.pods("minimal", *VALUES)

    def migrated() -> None:
        found.start("migrate", rendered["migrate"], values)
        code = docker("wait", "chart-migrate").strip()
        check(code == "0", found.log("migrate"))
        del found.running["migrate"]

    def started() -> str:
        for name in ("web", "issuer", "gateway", "worker", "beat"):
            found.start(name, rendered[name], values, alias=f"mandate-{name}")
        for number in range(2):
            found.start(f"sealer-{number}", rendered["sealer"], values)
        found.wait_ready()
        return f"as user {found.user}"

    def handed_on() -> str:
        headers = {"Host": CONSOLE, "X_Forwarded_Proto": "https", "Content_Type": "application/x-www-form-urlencoded"}
        status, body = found.answer("web", 8000, "POST", "/idp/token", **headers)
        check(status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED), f"{status} {body!r}")
        return f"{status} {json.loads(body)['error']}"

    def taken_over() -> str:
        anchors = {name: found.folder / name / "anchor/checkpoints" for name in ("sealer-0", "sealer-1")}
        wait(lambda: any(file.exists() for file in anchors.values()), lambda: "no sealer wrote to its anchor")
        active = next(name for name, file in anchors.items() if file.exists())
        found.stop(active)
        (other,) = set(anchors) - {active}
        wait(anchors[other].exists, lambda: found.log(other), 30)
        return f"{other} after {active}"

    def stopped() -> str:
        return ", ".join(f"{name} {found.stop(name):.1f} s" for name in list(found.running))

    yield "the Job that migrates", migrated
    yield "every workload of the chart starts", started
    yield "a token request at web reaches the issuer", handed_on
    yield "the other sealer takes over", taken_over
    yield "each stops within its time", stopped
