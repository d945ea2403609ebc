"""Which row of the catalog a request is about, and with which arguments: what every decision on it is made of. Pure.

A URI is decided as the resource that the system lists under it; else as the one resource template that it fits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from entitlements.codes import Code
from entitlements.definitions import primitives, uri_templates
from entitlements.definitions.primitives import Primitive
from entitlements.node.directory import ServedSystem
from entitlements.node.refusals import Refused

type Called = tuple[str, dict[str, Any]]
"""The name of a row, and the arguments that its limits are held against."""


def called(entry: ServedSystem, method: str, params: Mapping[str, Any]) -> Called:
    """Return the row that a request is about, by its params. A row that is not there has its name all the same.

    Raises Refused where the params have not the form of the method, and where several templates fit the URI.
    """
    return _BY_METHOD[method](entry, params)


def _resource(entry: ServedSystem, params: Mapping[str, Any]) -> Called:
    uri = params.get("uri")
    if not isinstance(uri, str) or len(uri) > uri_templates.LONGEST:
        raise _malformed(f"The request names a uri of at most {uri_templates.LONGEST} characters.")
    name = primitives.resource(uri)
    if name in entry.tools or name in entry.stopped:
        return name, {"uri": uri}
    fitting = [(each, values) for each in _templates(entry) if (values := _values(each, uri)) is not None]
    if len(fitting) > 1:
        listed = ", ".join(primitives.without_prefix(each) for each, _ in fitting)
        raise _malformed(f"More than one resource template fits the uri: {listed}.")
    if fitting:
        template, values = fitting[0]
        return template, {"uri": uri, **values}
    return name, {"uri": uri}


def _prompt(_entry: ServedSystem, params: Mapping[str, Any]) -> Called:
    name, arguments = params.get("name"), params.get("arguments", {})
    if not isinstance(name, str) or not isinstance(arguments, dict):
        raise _malformed("The request names a prompt, and its arguments are an object.")
    return _prompt_named(name), arguments


def _completion(entry: ServedSystem, params: Mapping[str, Any]) -> Called:
    """A completion is about what it refers to; its arguments are the one to complete and those that are known."""
    ref, argument, context = params.get("ref"), params.get("argument"), params.get("context", {})
    known = context.get("arguments", {}) if isinstance(context, dict) else None
    if not isinstance(ref, dict) or not isinstance(argument, dict) or not isinstance(known, dict):
        raise _malformed("The request names no ref and no argument.")
    name, value = argument.get("name"), argument.get("value")
    if not isinstance(name, str) or not isinstance(value, str):
        raise _malformed("The argument of a completion has a name and a value.")
    return _referred(entry, ref), {**known, name: value}


def _referred(entry: ServedSystem, ref: Mapping[str, Any]) -> str:
    kind, name, uri = ref.get("type"), ref.get("name"), ref.get("uri")
    if kind == "ref/prompt" and isinstance(name, str):
        return _prompt_named(name)
    if kind == "ref/resource" and isinstance(uri, str):
        template = primitives.template(uri)
        return template if template in entry.tools else _resource(entry, ref)[0]
    raise _malformed("The ref of a completion is a ref/prompt with a name or a ref/resource with a uri.")


def _prompt_named(name: str) -> str:
    if not primitives.is_name(named := primitives.prompt(name)):
        raise _malformed("No prompt can have this name.")
    return named


def _templates(entry: ServedSystem) -> list[str]:
    return [name for name in entry.tools if primitives.of_name(name) is Primitive.TEMPLATE]


def _values(name: str, uri: str) -> dict[str, str] | None:
    try:
        return uri_templates.read(primitives.without_prefix(name)).values(uri)
    except uri_templates.Malformed:
        return None


def _malformed(message: str) -> Refused:
    return Refused(Code.MALFORMED_CALL, message)


_BY_METHOD: Final[Mapping[str, Callable[[ServedSystem, Mapping[str, Any]], Called]]] = {
    "resources/read": _resource,
    "resources/subscribe": _resource,
    "resources/unsubscribe": _resource,
    "prompts/get": _prompt,
    "completion/complete": _completion,
}
