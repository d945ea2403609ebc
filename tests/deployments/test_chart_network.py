"""The Helm chart around its pods: who reaches whom, what scales, what stays, and which values it refuses."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from django.conf import settings
from django.urls import URLPattern

from entitlements.edge import issuer
from entitlements.oauth import relay
from entitlements.oauth.urls import urlpatterns
from tests.architecture import tree
from tests.deployments import helm
from tests.deployments.helm import CASES, CHART, Object, container, of_kind, pods, rendered

SERVING = {"web", "issuer", "gateway"}
MANY = SERVING | {"worker", "sealer"}
PORTS = {"web": 8000, "issuer": 8001, "gateway": 8001}
BETWEEN_NODES = 8002
"""Where nodes of the gateway ask one another for their local servers, and the console proves revocations."""


def selects(selector: Object, pod: Object) -> bool:
    return bool(selector["matchLabels"].items() <= pod["metadata"]["labels"].items())


def selected(selector: Object, case: str) -> set[str]:
    return {name for name, pod in pods(case).items() if selects(selector, pod)}


@pytest.mark.parametrize("case", CASES)
def test_each_object_finds_its_own_pods_and_no_others(case: str) -> None:
    for name, service in of_kind(case, "Service").items():
        assert selected({"matchLabels": service["spec"]["selector"]}, case) == {name}
        (port,) = service["spec"]["ports"]
        assert port["port"] == PORTS[name]
        assert {each["name"] for each in container(pods(case)[name])["ports"]} == {port["targetPort"]}
    assert set(of_kind(case, "Service")) == SERVING
    assert set(of_kind(case, "PodDisruptionBudget")) == MANY
    for name, budget in of_kind(case, "PodDisruptionBudget").items():
        assert selected(budget["spec"]["selector"], case) == {name}
        assert budget["spec"]["maxUnavailable"] == 1
    for kind in ("Deployment", "StatefulSet"):
        for name, each in of_kind(case, kind).items():
            assert selected(each["spec"]["selector"], case) == {name}
    for name, pod in pods(case).items():
        spread = pod["spec"]["topologySpreadConstraints"]
        assert all(selected(each["labelSelector"], case) == {name} for each in spread)
        assert [each["topologyKey"] for each in spread] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]


@pytest.mark.parametrize("case", CASES)
def test_what_serves_scales_and_nothing_else_says_how_many_there_are(case: str) -> None:
    scalers = of_kind(case, "HorizontalPodAutoscaler")
    fixed = {"two-replicas": SERVING, "everything": {"issuer"}}.get(case, set())
    assert set(scalers) == SERVING - fixed
    for name, each in of_kind(case, "Deployment").items():
        assert ("replicas" in each["spec"]) is (name not in scalers), "an upgrade would undo what was scaled"
        if name in scalers:
            target = scalers[name]["spec"]["scaleTargetRef"]
            assert target == {"apiVersion": "apps/v1", "kind": "Deployment", "name": each["metadata"]["name"]}
            assert scalers[name]["spec"]["minReplicas"] < scalers[name]["spec"]["maxReplicas"]
        assert each["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert of_kind(case, "Deployment")["beat"]["spec"]["replicas"] == 1


def test_two_sealers_have_an_anchor_each_or_one_claim_that_both_mount() -> None:
    each = of_kind("minimal", "StatefulSet")["sealer"]["spec"]
    assert each["replicas"] == 2
    (claim,) = each["volumeClaimTemplates"]
    assert (claim["metadata"]["name"], claim["spec"]["accessModes"]) == ("anchor", ["ReadWriteOnce"])
    shared = of_kind("everything", "StatefulSet")["sealer"]["spec"]
    assert "volumeClaimTemplates" not in shared
    volume = next(each for each in shared["template"]["spec"]["volumes"] if each["name"] == "anchor")
    assert volume["persistentVolumeClaim"] == {"claimName": "anchor-on-nfs"}


# ------------------------------------------------------------------------------------------------- who reaches whom


OPEN = {"web": {"postgres", "redis", "outside", "issuer", "gateway, another node"},
        "issuer": {"postgres", "redis", "outside"},
        "gateway": {"postgres", "outside", "gateway, another node"}, "worker": {"postgres", "redis", "outside"},
        "beat": {"postgres", "redis"}, "sealer": {"postgres"}, "migrate": {"postgres"},
        "slack": {"postgres", "outside"}}  # fmt: skip
EXPORTING = {"web", "issuer", "gateway", "worker"}
"""What reaches a collector where one is named, as in the case `everything`."""


def where(rule: Object, case: str) -> str:
    """Name what a rule of egress leads to."""
    ports = {each["port"] for each in rule.get("ports", ())}
    if not ports:
        return "outside"
    if ports == {53, 5353}:
        return "names"
    values = yaml.safe_load((CHART / "values.yaml").read_text())["network"]
    values |= yaml.safe_load((helm.VALUES / f"{case}.yaml").read_text()).get("network", {})
    for name in ("postgres", "redis", "collector"):
        if ports == set(values[name]["ports"]):
            assert rule.get("to", []) == values[name]["peers"]
            return name
    (peer,) = rule["to"]
    (name,) = selected(peer["podSelector"], case)
    if ports == {BETWEEN_NODES}:
        return f"{name}, another node"
    assert ports == {PORTS[name]}
    return name


@pytest.mark.parametrize("case", CASES)
def test_nothing_is_reached_and_reaches_anything_but_what_it_needs(case: str) -> None:
    policies = of_kind(case, "NetworkPolicy")
    deny = policies.pop("deny")["spec"]
    assert selected(deny["podSelector"], case) == set(pods(case))
    assert deny.keys() == {"podSelector", "policyTypes"}
    assert all(each["spec"]["policyTypes"] == ["Ingress", "Egress"] for each in of_kind(case, "NetworkPolicy").values())
    assert {name: selected(each["spec"]["podSelector"], case) for name, each in policies.items()} == {
        name: {name} for name in pods(case)
    }
    for name, each in policies.items():
        rules = [where(rule, case) for rule in each["spec"]["egress"]]
        collector = {"collector"} if case == "everything" and name in EXPORTING else set()
        anchors = {"outside"} if case == "everything" and name == "sealer" else set()
        assert sorted(rules) == sorted(OPEN[name] | {"names"} | collector | anchors)
        assert ("ingress" in each["spec"]) is (name in SERVING)


@pytest.mark.parametrize("case", CASES)
def test_the_proxy_the_scraper_and_the_console_reach_what_serves(case: str) -> None:
    values = yaml.safe_load((helm.VALUES / f"{CASES[case][0]}.yaml").read_text())
    peers = values["proxy"]["peers"] + values.get("network", {}).get("scrapers", [])
    for name in SERVING:
        rule, *between = of_kind(case, "NetworkPolicy")[name]["spec"]["ingress"]
        assert [
            ([each["port"] for each in more["ports"]], [selected(each["podSelector"], case) for each in more["from"]])
            for more in between
        ] == ([([BETWEEN_NODES], [{"gateway"}, {"web"}])] if name == "gateway" else [])
        assert [each["port"] for each in rule["ports"]] == [PORTS[name]]
        pods_of_ours = [each for each in rule["from"] if each not in peers]
        assert [each for each in rule["from"] if each in peers] == peers
        assert [selected(each["podSelector"], case) for each in pods_of_ours] == ([{"web"}] if name == "issuer" else [])


def test_private_addresses_are_reached_only_where_they_are_named() -> None:
    rules = of_kind("everything", "NetworkPolicy")["gateway"]["spec"]["egress"]
    (outside,) = [rule for rule in rules if "ports" not in rule]
    blocks = {each["ipBlock"]["cidr"]: each["ipBlock"].get("except", []) for each in outside["to"]}
    assert blocks.keys() == {"0.0.0.0/0", "::/0", "10.20.0.0/16", "10.30.0.0/16"}
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"} <= set(blocks["0.0.0.0/0"])


# ------------------------------------------------------------------------------------------------------ the routes


def paths() -> Iterator[str]:
    """Yield an address for each pattern of the issuers' host, and some of the console's."""
    for pattern in urlpatterns:
        assert isinstance(pattern, URLPattern)
        yield "/" + str(pattern.pattern).replace("<slug:system>", "clock")
    yield from ("/", "/login/", "/assets", "/api/v1/agents", "/idp", "/idp/tokens", "/idp/token/", "/as-it-is/token")


def by_caddy(path: str) -> str:
    said = (tree.ROOT / "deploy/Caddyfile").read_text()
    found = re.search(r"@issuers path_regexp (\S+)\n\s+reverse_proxy @issuers gateway:8001", said)
    assert found
    return "issuer" if re.search(found[1], path) else "web"


def leads(path: str, rules: list[tuple[str, str, str]]) -> str:
    """Return the service of the best rule: exact before prefix, the longer before the shorter."""
    fitting = [
        (kind == "Exact", len(value), service) for kind, value, service in rules
        if path == value or (kind != "Exact" and f"{path}/".startswith(f"{value.rstrip('/')}/"))
    ]  # fmt: skip
    return max(fitting)[2]


def by_ingress(host: str) -> list[tuple[str, str, str]]:
    (ingress,) = of_kind("everything", "Ingress").values()
    rule = next(each for each in ingress["spec"]["rules"] if each["host"] == host)
    return [
        (each["pathType"], each["path"], each["backend"]["service"]["name"].removeprefix("mandate-"))
        for each in rule["http"]["paths"]
    ]


def by_route(host: str) -> list[tuple[str, str, str]]:
    (route,) = [each for each in of_kind("everything", "HTTPRoute").values() if each["spec"]["hostnames"] == [host]]
    everywhere = [{"path": {"type": "PathPrefix", "value": "/"}}]
    found = []
    for rule in route["spec"]["rules"]:
        service = [each["name"].removeprefix("mandate-") for each in rule.get("backendRefs", [])] or ["nowhere"]
        assert all(each["port"] == PORTS[service[0]] for each in rule.get("backendRefs", []))
        found += [(m["path"]["type"], m["path"]["value"], service[0]) for m in rule.get("matches", everywhere)]
    return found


@pytest.mark.parametrize("routes", [by_ingress, by_route])
def test_the_routes_lead_where_those_of_compose_lead(routes: Any) -> None:  # noqa: ANN401 - one of two functions
    for path in paths():
        led = leads(path, routes("mandate.example"))
        if page := led == "issuer" and issuer.page(path):
            led = leads(urlsplit(page).path, routes("mandate.example"))
        assert led == by_caddy(path) or (led == "issuer" and issuer.serves(path)), path
    assert {
        leads(path, routes("gateway.mandate.example")) for path in ("/gw/clock/mcp", "/access/v1/evaluation", "/")
    } == {"gateway"}


def test_whatever_stands_below_as_is_answered_by_the_issuers_or_led_on() -> None:
    """Else the prefix would lead to a process that knows nothing of the address."""
    below = [path for path in paths() if path.startswith("/as/")]
    assert len(below) == 5
    unserved = [path for path in below if not issuer.serves(path)]
    assert unserved == ["/as/clock/authorize", "/as/clock/register"], "registration is off"
    assert issuer.page("/as/clock/authorize") == f"{settings.CONSOLE_URL}/authorize/clock"
    relayed = {str(each.pattern) for each in urlpatterns if getattr(each, "callback", None) is relay.forward}
    assert len(relayed) == 6, "what a route does not know is handed on"


def test_numbers_and_health_are_hidden_where_a_route_can_hide_them() -> None:
    for host, path in itertools.product(
        ("mandate.example", "gateway.mandate.example"), ("/metrics", "/healthz", "/readyz")
    ):
        assert leads(path, by_route(host)) == "nowhere"


def test_an_ingress_names_the_certificates() -> None:
    (ingress,) = of_kind("tls", "Ingress").values()
    assert ingress["spec"]["tls"] == [
        {"hosts": ["mandate.example"], "secretName": "mandate-console-tls"},
        {"hosts": ["gateway.mandate.example"], "secretName": "mandate-gateway-tls"},
    ]
    assert ingress["spec"]["ingressClassName"] == "nginx"


# ------------------------------------------------------------------------------------------------- what is refused


REFUSED = {
    "images.repository=x": "at '': additional properties 'images' not allowed",
    "image.repositry=x": "/image': additional properties 'repositry' not allowed",
    "web.minreplicas=2": "/web': additional properties 'minreplicas' not allowed",
    "config.DEBUG=true": "/config': additional properties 'DEBUG' not allowed",
    "config.SECRET_KEY=x": "/config': additional properties 'SECRET_KEY' not allowed",
    "consoleUrl=http://mandate.example": "/consoleUrl': 'http://mandate.example' does not match pattern",
    "consoleUrl=https://mandate.example/x": "/consoleUrl': 'https://mandate.example/x' does not match pattern",
    "image.repository=": "/image/repository': minLength",
    "image.digest=sha256:12": "/image/digest': 'sha256:12' does not match pattern",
    "proxy.addresses=null": "missing property 'addresses'",
    "config.PRIVATE_NETWORKS=10.20.0.1": "/config/PRIVATE_NETWORKS': '10.20.0.1' does not match pattern",
    "config.OIDC_ISSUER=https://login.example": "properties 'OIDC_CLIENT_ID' required, if 'OIDC_ISSUER' exists",
    "web.minReplicas=0": "/web/minReplicas': minimum: got 0, want 1",
    "web.resources.requests.cpu=null": "/web/resources/requests': missing property 'cpu'",
    "routes.enabled=true": "/routes/parentRefs': minItems: got 0, want 1",
    "web.maxReplicas=1": "web.maxReplicas must not be below web.minReplicas.",
    "ingress.enabled=true,gatewayUrl=https://mandate.example:1": "consoleUrl and gatewayUrl must name different hosts.",
}


@pytest.mark.parametrize("given", REFUSED)
def test_a_bad_value_is_refused_with_a_sentence(given: str) -> None:
    done = helm.run("template", "mandate", str(CHART), *helm.files("minimal"), "--set", given)
    assert done.returncode != 0
    assert REFUSED[given] in done.stderr


def test_what_must_be_given_is_asked_for() -> None:
    done = helm.run("template", "mandate", str(CHART))
    assert done.returncode != 0
    assert all(f"at '/{name}" in done.stderr for name in ("image/repository", "consoleUrl", "gatewayUrl", "proxy"))


def test_every_default_is_known_to_the_schema_and_described() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert values.keys() == schema["properties"].keys() - {"global"}
    assert {path.stem for path in Path(helm.VALUES).glob("*.yaml")} == set(CASES)


def test_names_of_a_release_stay_apart() -> None:
    done = helm.run("template", "acme", str(CHART), *helm.files("minimal"))
    names = {each["metadata"]["name"] for each in yaml.safe_load_all(done.stdout)}
    assert all(name.startswith("acme-mandate-") for name in names)
    assert not names & {each["metadata"]["name"] for each in rendered("minimal")}
