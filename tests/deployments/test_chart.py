"""The Helm chart, rendered from each of deploy/helm/values: what a pod may, holds, and how it starts and stops."""

from __future__ import annotations

import functools
import itertools
import json
import re
import tomllib
from typing import Any

import kubernetes_validate
import pytest
import yaml
from django.conf import settings

from audit.alive import READY
from governance import probe, variables
from tests.architecture import tree
from tests.deployments import helm
from tests.deployments.helm import CASES, CHART, container, environment, pods
from tests.deployments.test_compose import OURS, PACKAGES, substituted

SERVING = {"web", "issuer", "gateway"}
WORKING = {"worker", "beat", "sealer"}
SET_BY_THE_CHART = {
    "CONSOLE_URL", "GATEWAY_URL", "RELAY_URL", "BEHIND_TLS_PROXY", "TRUSTED_PROXIES",
    "EDGE_ROLES", "NODE_ADDRESS", "ALIVE_FILE", "ANCHOR_FILE", "SEAL_KEY_FILE",
}  # fmt: skip
NOT_OFFERED = {"DEMO", "DEBUG", "NODE_ID", "ALLOWED_HOSTS", "EDGE_URL"}
"""For one machine alone; for one node; better as the default; and an address to which no route leads."""


@functools.cache
def is_valid(text: str, version: str) -> bool:
    kubernetes_validate.validate(json.loads(text), version, strict=True)
    return True


@pytest.mark.parametrize("case", CASES)
def test_helm_finds_nothing_to_complain_about(case: str) -> None:
    done = helm.run("lint", str(CHART), "--strict", *helm.files(case))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("case", CASES)
def test_every_object_is_one_of_kubernetes(case: str) -> None:
    for each, version in itertools.product(helm.rendered(case), helm.KUBERNETES):
        if not each["apiVersion"].startswith("gateway.networking.k8s.io/"):
            assert is_valid(json.dumps(each, sort_keys=True), version)
    names = [(each["kind"], each["metadata"]["name"]) for each in helm.rendered(case)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("case", CASES)
def test_every_workload_is_there_and_only_what_is_asked_for(case: str) -> None:
    slack = {"slack"} if case == "everything" else set()
    assert set(pods(case)) == SERVING | WORKING | {"migrate"} | slack, "Socket Mode is off by default"
    kinds = {each["kind"] for each in helm.rendered(case)}
    expected = {"Deployment", "StatefulSet", "Job", "Service", "PodDisruptionBudget", "NetworkPolicy"}
    scaled = set() if case == "two-replicas" else {"HorizontalPodAutoscaler"}
    routed = {"tls": {"Ingress"}, "everything": {"Ingress", "HTTPRoute"}}.get(case, set())
    assert kinds == expected | scaled | routed, "no ServiceAccount, Role, Secret or ConfigMap among them"


# --------------------------------------------------------------------------------------------------- what a pod may


@pytest.mark.parametrize("case", CASES)
def test_a_pod_meets_the_restricted_standard_as_any_user(case: str) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/, and a file system that is only read."""
    for name, pod in pods(case).items():
        spec = pod["spec"]
        assert not spec.keys() & {"hostNetwork", "hostPID", "hostIPC", "initContainers", "serviceAccountName"}
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        group = {"fsGroup", "fsGroupChangePolicy"} if name == "sealer" and case != "openshift" else set()
        assert spec["securityContext"].keys() == {"runAsNonRoot", "seccompProfile"} | group
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container(pod)["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
        kinds = {key for volume in spec["volumes"] for key in volume} - {"name"}
        assert kinds <= {"projected", "emptyDir", "persistentVolumeClaim"}


@pytest.mark.parametrize("case", CASES)
def test_a_pod_writes_where_it_must_and_nowhere_else(case: str) -> None:
    for name, pod in pods(case).items():
        written = {each["mountPath"] for each in container(pod)["volumeMounts"] if not each.get("readOnly")}
        files = {file for file in ("ANCHOR_FILE", "SEAL_KEY_FILE") if name == "sealer"}
        assert written == {"/tmp"} | {environment(pod)[file].rpartition("/")[0] for file in files}  # noqa: S108 - of a container
        assert all(each["emptyDir"]["sizeLimit"] for each in pod["spec"]["volumes"] if "emptyDir" in each)


@pytest.mark.parametrize("case", CASES)
def test_a_pod_asks_for_what_it_needs_and_has_a_limit_of_memory(case: str) -> None:
    for pod in pods(case).values():
        resources = container(pod)["resources"]
        assert resources["requests"].keys() == {"cpu", "memory"}
        assert "memory" in resources["limits"]


# --------------------------------------------------------------------------------------------------- what it holds


@pytest.mark.parametrize("case", CASES)
def test_no_secret_stands_in_what_is_rendered(case: str) -> None:
    secret = {row.name for row in variables.TABLE.values() if row.is_secret}
    public = variables.TABLE.keys() - secret
    for pod in pods(case).values():
        given = environment(pod)
        held = set().union(*helm.secrets(pod).values()) - {"seal_key"}
        assert given.keys() <= public | {f"{name}_FILE" for name in secret}
        files = {key: value for key, value in given.items() if value.startswith("/run/secrets/")}
        assert files == {f"{key.upper()}_FILE": f"/run/secrets/{key}" for key in held}


@pytest.mark.parametrize("case", CASES)
def test_each_role_of_the_database_and_each_key_has_its_holders(case: str) -> None:
    held = {name: set().union(*helm.secrets(pod).values()) for name, pod in pods(case).items()}
    holders = {key: {name for name, keys in held.items() if key in keys} for key in set().union(*held.values())}
    assert holders["migrate_database_url"] == {"migrate"}
    assert holders["seal_database_url"] == holders["seal_key"] == {"sealer"}
    assert holders["issue_database_url"] == {"issuer"}
    assert holders["database_url"] == holders["key_encryption_key"] == set(held) - {"issuer"}
    assert holders["signing_key_encryption_key"] == {"web", "issuer", "worker"}
    assert holders["metrics_token"] == SERVING
    feeds = {"issuer", "gateway", "sealer", "worker"} if case in ("pooler", "everything") else None
    assert holders.get("feed_database_url") == feeds
    assert holders.get("oidc_client_secret") == ({"web"} if case == "everything" else None)
    assert holders.get("mail_url") == ({"web", "worker"} if case == "everything" else None)
    for key in ("anchor_bucket_secret", "anchor_webhook_token"):
        assert holders.get(key) == ({"sealer"} if case == "everything" else None)
    for key in ("transit_token", "pkcs11_pin"):
        assert holders.get(key) == ({"web", "issuer", "worker"} if case == "everything" else None)
    for key in ("key_encryption_key", "signing_key_encryption_key"):
        is_replaced = case in ("external-secrets", "everything")
        assert holders.get(f"{key}_previous") == (holders[key] if is_replaced else None)
    if case == "external-secrets":
        names = {name for pod in pods(case).values() for name in helm.secrets(pod)}
        assert names == {"vault-mandate", "vault-mandate-issuer", "vault-mandate-sealer", "vault-mandate-migrate"}


def test_the_sealing_key_lies_where_the_sealer_looks_for_it() -> None:
    pod = pods("minimal")["sealer"]
    mounted = {each["mountPath"]: each for each in container(pod)["volumeMounts"]}
    key = mounted[environment(pod)["SEAL_KEY_FILE"]]
    assert (key["name"], key["subPath"], key["readOnly"]) == ("secrets", "seal_key", True)


def test_every_documented_variable_is_offered_or_set() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    offered = set(schema["properties"]["config"]["properties"])
    public = {row.name for row in variables.TABLE.values() if not row.is_secret}
    assert offered == public - SET_BY_THE_CHART - NOT_OFFERED
    given = {key for pod in pods("everything").values() for key in environment(pod)}
    assert given >= SET_BY_THE_CHART
    secret = {f"{row.name}_FILE" for row in variables.TABLE.values() if row.is_secret}
    assert given >= secret


def test_values_reach_the_containers_as_they_were_written() -> None:
    config = yaml.safe_load((helm.VALUES / "everything.yaml").read_text())["config"]
    for name, pod in pods("everything").items():
        given = environment(pod)
        assert {key: given[key] for key in config} == config, name
        assert given["TRUSTED_PROXIES"] == "10.244.0.0/16,203.0.113.7"
        assert given.get("RELAY_URL") == ("http://mandate-issuer:8001" if name == "web" else None)
        assert given.get("EDGE_ROLES") == (name if name in ("issuer", "gateway") else None)


def test_certificates_are_mounted_in_every_pod() -> None:
    for pod in pods("everything").values():
        volume = next(each for each in pod["spec"]["volumes"] if each["name"] == "certificates")
        assert volume["projected"]["sources"] == [
            {"secret": {"name": "database-ca", "items": [{"key": "ca.crt", "path": "postgres.crt"}]}},
            {"configMap": {"name": "time-stamps", "items": [{"key": "roots.pem", "path": "time-stamps.pem"}]}},
        ]
        assert "/etc/mandate/certificates" in {each["mountPath"] for each in container(pod)["volumeMounts"]}


def test_the_packages_of_local_servers_are_read_where_the_compose_file_has_them() -> None:
    for case, holders in (("minimal", set()), ("everything", {"web", "gateway", "worker"})):
        found = {
            name: [each for each in container(pod)["volumeMounts"] if each["name"] == "packages"]
            for name, pod in pods(case).items()
        }
        assert {name for name, mounts in found.items() if mounts} == holders
        for name in holders:
            assert found[name] == [{"name": "packages", "mountPath": PACKAGES, "readOnly": True}]
            claim = {"claimName": "packages-on-nfs", "readOnly": True}
            assert {"name": "packages", "persistentVolumeClaim": claim} in pods(case)[name]["spec"]["volumes"]


# ------------------------------------------------------------------------------------------- how it starts and stops


@pytest.mark.parametrize("case", CASES)
def test_a_pod_runs_what_the_compose_file_runs(case: str) -> None:
    stop = ["--stop-seconds", "25"]
    more = {"web": ["--workers-kill-timeout", "40"], "issuer": stop, "gateway": stop}
    image = "registry.example/mandate"
    pinned = f"{image}@sha256:{'0123456789abcdef' * 4}"
    for name, pod in pods(case).items():
        runs = container(pod)
        told = [substituted(str(part), {}) for part in OURS["gateway" if name == "issuer" else name]["command"]]
        assert [part for part in runs["args"] if part not in more.get(name, ())] == told
        assert "command" not in runs
        assert runs["image"] == (pinned if case == "everything" else f"{image}:0.9.0")


def seconds_to_drain(name: str, args: list[str]) -> float:
    """Return the longest that a process goes on after SIGTERM."""
    if name == "worker":
        return float(settings.CELERY_TASK_TIME_LIMIT)
    option = {"web": "--workers-kill-timeout", "issuer": "--stop-seconds", "gateway": "--stop-seconds"}.get(name)
    return float(args[args.index(option) + 1]) if option else 0


@pytest.mark.parametrize("name", sorted(SERVING | WORKING))
def test_a_pod_that_stops_has_the_time_to_end_what_it_began(name: str) -> None:
    pod = pods("minimal")[name]
    before = container(pod).get("lifecycle", {"preStop": {"sleep": {"seconds": 0}}})["preStop"]["sleep"]["seconds"]
    assert (before > 0) is (name in SERVING), "its address is still known for a moment"
    margin = 10
    grace = pod["spec"]["terminationGracePeriodSeconds"]
    assert grace >= before + seconds_to_drain(name, container(pod)["args"]) + margin


@pytest.mark.parametrize("name", sorted(SERVING | WORKING))
def test_probes_name_no_host_and_end_no_process_that_waits(name: str) -> None:
    runs = container(pods("minimal")[name])
    probes = {kind: runs[f"{kind}Probe"] for kind in ("startup", "liveness", "readiness") if f"{kind}Probe" in runs}
    assert "httpHeaders" not in json.dumps(probes)
    if name in SERVING:
        paths = {kind: each["httpGet"] for kind, each in probes.items()}
        alive, ready = ({"path": path, "port": "http"} for path in ("/healthz", "/readyz"))
        assert paths == {"startup": alive, "liveness": alive, "readiness": ready}
        return
    file = environment(pods("minimal")[name])["ALIVE_FILE"]
    when_ready = file + READY if name == "worker" else file  # a queue that is behind restarts nothing
    asked = {kind: each["exec"]["command"] for kind, each in probes.items()}
    command = ["python", "-m", "governance.probe"]
    assert asked == {"liveness": [*command, file], "readiness": [*command, when_ready]}
    patience = probes["liveness"]["periodSeconds"] * probes["liveness"]["failureThreshold"]
    assert patience >= 10 * probe.OLD_SECONDS, "a queue that is away must not end who waits for it"


def test_migrations_are_a_hook_of_their_own_that_may_run_again() -> None:
    job = helm.of_kind("minimal", "Job")["migrate"]
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade,pre-rollback"
    assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never"
    assert "livenessProbe" not in container(job["spec"]["template"])
    needed = json.dumps(job["spec"]["template"]["spec"]["volumes"])
    assert "configMap" not in needed, "a hook runs before the release's own objects are made"


def test_the_chart_has_the_version_of_the_product() -> None:
    project = tomllib.loads((tree.ROOT / "pyproject.toml").read_text())["project"]
    chart: dict[str, Any] = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == chart["version"] == project["version"]
    assert re.fullmatch(rf">={helm.KUBERNETES[0]}\.0-0", chart["kubeVersion"])
