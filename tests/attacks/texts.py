"""Text that breaks programs, and every place of every door where a caller may put it: a matrix, made and not written.

A door yields cases; a case sends one request and returns its answer. Addresses, fields and forms are read from the
API's schema, the URLconf and the source, so that a new one is in the matrix by itself.
"""

from __future__ import annotations

import base64
import json
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, quote_from_bytes

import yaml
from django.test import Client as Browser

from audit.context import SYSTEM
from entitlements import addresses
from entitlements.edge.client_authentication import ASSERTION_TYPE
from entitlements.errors import DomainError
from entitlements.keys import jws
from entitlements.people import people
from entitlements.people.models import Person
from entitlements.signers import algorithms
from governance.console import matrix
from tests.architecture import tree
from tests.attacks import things
from tests.entitlements.edge import worlds
from tests.governance.console import addresses as pages
from tests.governance.console import visits
from tests.governance.scim.directory import ENTERPRISE, GROUP, PATCH, USER, Directory

type Json = Any
SPOILS: Final[Mapping[str, Json]] = {
    "NUL": "a\x00b",
    "lone surrogate": "a\ud800b",
    "overlong": "x" * 70_000,
    "non-characters": "\ufffe\uffff\U0001fffe",
    "wrong type: object": {"a": [1]},
    "wrong type: number": 7,
    "wrong type: list": [None, []],
}
PASSWORD: Final = "correct horse battery staple"
TEXTS: Final = {name: text for name, text in SPOILS.items() if isinstance(text, str)}


_CODE: Final = re.compile(r'"(?:code|error|scimType|detail)": ?"?([^"]+)|^([a-z_]+): ')
"""The reason of a refusal, whatever a protocol calls it."""


@dataclass(frozen=True)
class Answer:
    """What came back. A page gives its reason in a sentence, everything else as a code."""

    status: int
    code: str
    is_page: bool = False

    @classmethod
    def of(cls, response: Any) -> Answer:  # noqa: ANN401 - Django's or httpx's
        """Read a response of any door."""
        if isinstance(response, Answer):
            return response
        body = response.getvalue() if hasattr(response, "getvalue") else response.content
        found = _CODE.search(body.decode(errors="replace"))
        is_page = response.headers.get("Content-Type", "").startswith("text/html")
        return cls(int(response.status_code), (found[1] or found[2]) if found else "", is_page)

    @classmethod
    def of_act(cls, act: Callable[[], object]) -> Answer:
        """Do something that no protocol carries: what it refuses counts as 400, any other error as 500."""
        try:
            act()
        except DomainError as refusal:
            return cls(400, str(refusal.code))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what this looks for
            return cls(500, repr(error))
        return cls(200, "")


@dataclass(frozen=True)
class Case:
    """One request with one spoilt text. `leaves_one` says that a refusal of it must leave exactly one trace."""

    name: str
    send: Callable[[], Any]
    leaves_one: bool = False


def percent(text: str) -> str:
    """Write any text into an address or a form, half a surrogate pair too."""
    return quote_from_bytes(text.encode("utf-8", "surrogatepass"), safe="")


# --- OAuth: forms, and tokens -----------------------------------------------------------------------------------------


def oauth_forms(world: worlds.World) -> Iterator[Case]:
    """Yield each parameter of each machine endpoint, spoilt or sent twice."""
    credentials = world.credentials(world.audience)
    forms = {
        "/idp/token": world.exchange_form(),
        f"/as/{world.system.slug}/token": {"grant_type": "client_credentials", "scope": "x", **credentials},
        f"/as/{world.system.slug}/introspect": {"token": "x.y.z", **credentials},
        f"/as/{world.system.slug}/revoke": {"token": "x.y.z", **credentials},
    }
    for path, form in forms.items():
        for field in form:
            others = "&".join(f"{name}={quote(value)}" for name, value in form.items() if name != field)
            for spoil, text in TEXTS.items():
                sent = f"{others}&{field}={percent(text)}"
                leaves_one = path.endswith("token")  # the other two say nothing about a token that is none
                yield Case(f"{path} {field} {spoil}", partial(_form, world, path, sent), leaves_one)
            twice = partial(_form, world, path, f"{others}&{field}=a&{field}=b")
            yield Case(f"{path} {field} twice", twice, leaves_one=True)


def _form(world: worlds.World, path: str, body: str) -> Any:  # noqa: ANN401 - Django's response
    return world.http.post(path, body, content_type="application/x-www-form-urlencoded")


def tokens(world: worlds.World) -> Iterator[Case]:
    """Yield each header and claim of each token that somebody presents, spoilt, at each place where it is read."""
    now = int(time.time())
    usual = {"iat": now, "exp": now + 60, "jti": str(uuid.uuid4()), "scope": "x", "auth_time": now, "acr": "a"}
    kinds: dict[str, tuple[jws.Key, str, dict[str, Json]]] = {
        "id token": (world.stub_key, "JWT", {"iss": worlds.STUB, "sub": "u-alice", "aud": world.client.client_id}),
        "id-jag": (world.stub_key, "oauth-id-jag+jwt", {"iss": worlds.STUB, "sub": "x", "client_id": "x", "aud": "x"}),
        "assertion": (
            world.client_key,
            "JWT",
            {"iss": "expense-client", "sub": "expense-client", "aud": world.audience},
        ),
        "access token": (world.client_key, "at+jwt", {"iss": addresses.issuer("as/mandate"), "sub": "x", "aud": "x"}),
    }
    for kind, (key, typ, own) in kinds.items():
        claims = {**usual, **own}
        for place in ("kid", "typ", *claims):
            for spoil, value in SPOILS.items():
                yield Case(
                    f"{kind} {place} {spoil}",
                    partial(_present, world, kind, _signed(key, typ, claims, place, value)),
                    leaves_one=kind in ("id token", "id-jag"),
                )


def _signed(key: jws.Key, typ: str, claims: dict[str, Json], place: str, value: Json) -> str:
    """Sign by hand: a library writes no half of a surrogate pair."""
    head: dict[str, Json] = {"alg": key.algorithm, "kid": key.kid, "typ": typ}
    said = ({**head, place: value}, claims) if place in head else (head, {**claims, place: value})
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in said]
    signature = algorithms.implementation(key.algorithm).sign(b".".join(parts), key.material)
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


def _present(world: worlds.World, kind: str, token: str) -> Any:  # noqa: ANN401 - as above
    match kind:
        case "id token":
            return world.exchange(subject_token=token).response
        case "id-jag":
            return world.redeem(token).response
        case "assertion":
            return world.alone(client_assertion_type=ASSERTION_TYPE, client_assertion=token).response
    return world.http.get("/api/v1/agents", headers={"Authorization": f"Bearer {token}"})


# --- REST -------------------------------------------------------------------------------------------------------------

SCHEMA: Final = Path(tree.ROOT) / "docs/reference/openapi.yaml"


@cache
def schema() -> dict[str, Json]:
    """Return the API's own description."""
    found: dict[str, Json] = yaml.load(SCHEMA.read_text(), Loader=yaml.CSafeLoader)
    return found


def rest(world: pages.World, person: Person) -> Iterator[Case]:
    """Yield each field of each body, and each parameter of each address, of each operation of the API."""
    real = things.real(world)
    header = {"Authorization": f"Bearer {people.make_api_token(person, 'matrix', by=SYSTEM)}"}
    for path, operations in schema()["paths"].items():
        key = {name: quote(str(value), safe="") for name, value in things.keys(path, real).items()}
        for method in operations.keys() & {"get", "post", "put", "patch", "delete"}:
            yield from _operation(method.upper(), path, key, operations[method], header)


def _operation(
    method: str, path: str, key: Mapping[str, str], operation: Mapping[str, Json], header: dict[str, str]
) -> Iterator[Case]:
    ask, body, where = partial(_rest, method, header=header), _sample(_body(operation)), path.format(**key)
    named = [each["name"] for each in operation.get("parameters", ()) if each.get("in") == "query"]
    for spoil, text in TEXTS.items():
        for part in key:
            spoilt = path.format(**{**key, part: percent(text)})
            yield Case(f"{method} {path} {{{part}}} {spoil}", partial(ask, spoilt, body))
        for name in named:
            yield Case(f"{method} {path} ?{name} {spoil}", partial(ask, f"{where}?{name}={percent(text)}", body))
    for spoil, value in SPOILS.items():
        for field in body or ():
            yield Case(f"{method} {path} {field} {spoil}", partial(ask, where, {**body, field: value}))


def _rest(method: str, where: str, body: Json, *, header: dict[str, str]) -> Any:  # noqa: ANN401 - as above
    sent = json.dumps(body) if body is not None else ""  # in ASCII, which can carry half a surrogate pair
    browser = Browser(raise_request_exception=False)
    headers = {**header, "If-Match": "*", "Idempotency-Key": str(uuid.uuid4()), "Mandate-Proof": PASSWORD}
    return browser.generic(method, where, sent, content_type="application/json", headers=headers)


def _body(operation: Mapping[str, Json]) -> Json:
    content = operation.get("requestBody", {}).get("content", {})
    return content.get("application/json", {}).get("schema")


_SAMPLES: Final[Mapping[str, Json]] = {"boolean": False, "integer": 1, "number": 1, "string": "x", "array": []}
_FORMATS: Final = {"duration": "PT1H", "date-time": "2027-01-01T00:00:00Z", "uri": "https://a.example"}


def _sample(shape: Json, depth: int = 0) -> Json:
    """Return a small value of the form that a schema describes."""
    if not isinstance(shape, dict) or depth > 4:
        return None
    if "$ref" in shape:
        return _sample(schema()["components"]["schemas"][shape["$ref"].rpartition("/")[2]], depth)
    for word in shape.keys() & {"allOf", "oneOf", "anyOf"}:
        return _sample(shape[word][0], depth)
    if "enum" in shape:
        return shape["enum"][0]
    if "properties" in shape:
        return {name: _sample(inner, depth + 1) for name, inner in shape["properties"].items()}
    kind = shape.get("type")
    return _FORMATS.get(shape.get("format", "")) or _SAMPLES.get(str(kind[0] if isinstance(kind, list) else kind))


# --- SCIM -------------------------------------------------------------------------------------------------------------


def scim(directory: Directory) -> Iterator[Case]:
    """Yield each attribute, filter and operation that a directory may send."""
    me = f"Users/{directory.add('matrix@example.org')['id']}"
    user = {
        "userName": "u",
        "externalId": "e",
        "displayName": "D",
        "title": "t",
        "active": True,
        "name": {},
        "emails": [],
        ENTERPRISE: {},
        "schemas": [USER],
    }
    group = {"displayName": "G", "externalId": "e", "members": [], "schemas": [GROUP]}
    for spoil, value in SPOILS.items():
        for method, path, body in (("POST", "Users", user), ("PUT", me, user), ("POST", "Groups", group)):
            for field in body:
                yield Case(
                    f"{method} {path} {field} {spoil}", partial(directory.ask, method, path, {**body, field: value})
                )
        inside: dict[str, dict[str, Json]] = {
            "name.givenName": {"name": {"givenName": value}},
            "emails.value": {"emails": [{"value": value}]},
        }
        inside["manager"] = {ENTERPRISE: {"manager": {"value": value}}}
        for name, fields in inside.items():
            yield Case(f"POST Users {name} {spoil}", partial(directory.ask, "POST", "Users", {**user, **fields}))
        yield Case(
            f"PATCH Operations {spoil}", partial(directory.ask, "PATCH", me, {"schemas": [PATCH], "Operations": value})
        )
        for part in ("op", "path", "value"):
            operation = {"op": "replace", "path": "displayName", "value": "x", part: value}
            yield Case(f"PATCH {part} {spoil}", partial(directory.patch, me, operation))
    for spoil, text in TEXTS.items():
        escaped = json.dumps(text)
        path = f"emails[value eq {escaped}].type"
        yield Case(f"PATCH filter {spoil}", partial(directory.patch, me, {"op": "add", "path": path, "value": "x"}))
        for name in ("filter", "attributes", "excludedAttributes", "startIndex", "count", "sortBy"):
            asked = f"userName eq {escaped}" if name == "filter" else text
            yield Case(f"GET {name} {spoil}", partial(directory.ask, "GET", f"Users?{name}={percent(asked)}"))
            yield Case(f"GET raw {name} {spoil}", partial(directory.ask, "GET", f"Users?{name}={percent(text)}"))


# --- the console ------------------------------------------------------------------------------------------------------

_FIELD: Final = re.compile(r'\.(?:POST|GET)(?:\.get(?:list)?\(|\[)f?"([a-z_]+)"|^    ([a-z_]+) = forms\.', re.MULTILINE)


@cache
def fields() -> tuple[str, ...]:
    """Return every name that a form or an address of the console is asked for, from its source."""
    sources = [path.read_text(encoding="utf-8") for path in tree.pages()]
    return tuple(sorted({name for text in sources for found in _FIELD.findall(text) for name in found if name}))


def console(world: pages.World, person: Person) -> Iterator[Case]:
    """Yield each form of the console with every field spoilt at once, and each page with every parameter spoilt."""
    browser = visits.as_(person)
    browser.raise_request_exception = False
    rows = {**matrix.PAGES, **matrix.SIGN_IN}
    for name, route in pages.every().items():
        if name in ("account_logout", "logout"):
            continue
        address = world.address(route)
        for spoil, text in TEXTS.items():
            told = "&".join(f"{percent(field)}={percent(text)}" for field in (*fields(), text))
            if (name, "POST") in rows:
                send = partial(browser.post, address, told, content_type="application/x-www-form-urlencoded")
                yield Case(f"POST {name} {spoil}", send)
            if (name, "GET") in rows and spoil != "overlong":
                yield Case(f"GET {name} {spoil}", partial(browser.get, f"{address}?{told}"))


# --- the host ---------------------------------------------------------------------------------------------------------


def hosts() -> Iterator[Case]:
    """Yield hosts that are none of ours, at an address of each door."""
    for host in ("evil.example", "a\x00b", "[::1", "a:99999", "x" * 5000, "\ufffe", "testserver.evil.example", ""):
        for path in ("/", "/login/", "/api/v1/agents", "/idp/jwks.json", "/scim/v2/Users", "/admin/"):
            browser = Browser(raise_request_exception=False)
            yield Case(f"{path} {host[:20]!r}", partial(browser.get, path, headers={"Host": host}), bool(host))
