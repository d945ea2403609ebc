"""From the arguments of a call to the one request that they mean. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from entitlements.codes import Code

from . import bodies, fields, headers, paths, styles
from .operation import Media, Method, Operation, Parameter, Place
from .refusals import NotMapped, bad_value, quoted


class Outgoing(msgspec.Struct, frozen=True):
    """A request below the address of a system: path and query are encoded, and `body` is None where there is none."""

    method: Method
    path: str
    query: str
    headers: dict[str, str]
    body: bytes | None

    @property
    def target(self) -> str:
        """Return path and query."""
        return f"{self.path}?{self.query}" if self.query else self.path


class Compiled:
    """One operation, taken apart once. Raises ValueError for one that has no single reading."""

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        self.segments = paths.template(operation)
        self.query = fields.of_query(operation)
        self.headers = _headers(operation)
        body = operation.body
        self.form = fields.of_form(body) if body is not None and body.media is Media.FORM else None
        names = [each.argument for each in operation.parameters] + ([] if body is None else [body.argument])
        self.arguments = frozenset(names)
        if len(self.arguments) != len(names):
            raise ValueError("Two parameters are one argument.")

    def build(self, arguments: Mapping[str, Any]) -> Outgoing:
        """Return the request for these arguments. Raises NotMapped."""
        for name in arguments:
            if name not in self.arguments:
                raise NotMapped(Code.PARAMETER_NOT_DECLARED, f"The argument {quoted(name)} is not declared.")
        path = paths.written(self.segments, arguments)
        sent = {each.name: text for each in self.headers.values() if (text := _header(each, arguments)) is not None}
        content_type, body = bodies.write(self.operation.body, self.form, arguments)
        if content_type:
            sent["Content-Type"] = content_type
        return Outgoing(self.operation.method, path, self.query.write(arguments), sent, body)


def _headers(operation: Operation) -> dict[str, Parameter]:
    """Return the declared headers by their lower case names. Raises ValueError."""
    declared = [each for each in operation.parameters if each.place is Place.HEADER]
    by_name = {each.name.lower(): each for each in declared}
    if len(by_name) != len(declared) or not all(map(headers.may_declare, by_name)):
        raise ValueError("A header is declared twice, or is not one that an operation may declare.")
    return by_name


def _header(each: Parameter, arguments: Mapping[str, Any]) -> str | None:
    if each.argument not in arguments:
        if each.required:
            raise fields.missing(each.name)
        return None
    try:
        return styles.spelt(arguments[each.argument], each, str)
    except ValueError as why:
        raise bad_value(each.name, str(why)) from why
