"""The document that a real FastAPI service writes of itself: every operation is a tool."""

from __future__ import annotations

import json
from typing import Annotated, Any

import fastapi
from pydantic import BaseModel, Field

from entitlements.openapi import reader
from entitlements.rest.operation import Media, Operation, Place, of

app = fastapi.FastAPI(title="Orders", version="2.1", servers=[{"url": "https://orders.example.com/api"}])


class Line(BaseModel):
    """One line of an order."""

    article: str
    count: int = Field(gt=0)
    note: str | None = None


class Order(BaseModel):
    """An order with lines."""

    lines: list[Line]
    parent: Order | None = None


@app.get("/orders/{number}", operation_id="get_order", summary="Get an order")
def get_order(
    number: int,
    tags: Annotated[list[str] | None, fastapi.Query()] = None,
    x_trace: Annotated[str | None, fastapi.Header()] = None,
) -> Order:
    return Order(lines=[Line(article=str((number, tags, x_trace)), count=1)])


@app.post("/orders/")
def make_order(order: Order) -> Order:
    return order


@app.post("/orders/{number}/scan", operation_id="add_scan")
def add_scan(number: int, file: fastapi.UploadFile, title: Annotated[str, fastapi.Form()]) -> dict[str, Any]:
    return {"number": number, "file": file.filename, "title": title}


@app.post("/sign", operation_id="sign")
def sign(name: Annotated[str, fastapi.Form()], copies: Annotated[int, fastapi.Form()] = 1) -> dict[str, Any]:
    return {"name": name, "copies": copies}


@app.get("/mine", operation_id="mine")
def mine(session: Annotated[str, fastapi.Cookie()]) -> str:
    return session


def test_a_real_service_is_read_and_only_its_cookie_is_refused() -> None:
    found = reader.read(json.dumps(app.openapi()).encode())
    tools: dict[str, Operation] = {tool["name"]: of(tool) for tool in found.tools}

    assert set(tools) == {"get_order", "make_order_orders__post", "add_scan", "sign"}
    assert [(each.path, each.why.value, each.about) for each in found.refused] == [
        ("/mine", "cookie_parameter", "session")
    ]
    assert (found.title, found.version, found.address) == ("Orders", "2.1", "https://orders.example.com/api")
    assert [(p.name, p.place, p.shape.kind) for p in tools["get_order"].parameters] == [
        ("number", Place.PATH, "integer"),
        ("tags", Place.QUERY, "array"),
        ("x-trace", Place.HEADER, "string"),
    ]
    scan, form, order = tools["add_scan"].body, tools["sign"].body, tools["make_order_orders__post"].body
    assert scan is not None
    assert form is not None
    assert order is not None
    assert (scan.media, form.media, order.media) == (Media.MULTIPART, Media.FORM, Media.JSON)
    assert (scan.fields["file"].binary, scan.fields["title"].binary) == (True, False)
    assert form.fields["copies"].shape.kind == "integer"
