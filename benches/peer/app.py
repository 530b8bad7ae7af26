"""Event-sourced orders in Python: the library `eventsourcing` with SQLite, behind Starlette and pydantic, on which FastAPI
is built.

    PERSISTENCE_MODULE=eventsourcing.sqlite SQLITE_DBNAME=orders.db uvicorn app:app
"""

import sqlite3
from typing import Annotated
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

LARGEST = 2**53 - 1


def text(longest, other_controls=r"\x00-\x1f"):
    """Text that is not blank, as the OpenAPI document describes it."""
    plain = rf"[^{other_controls}\x7f-\x9f]*"
    pattern = rf"^{plain}[^{other_controls}\x7f-\x9f\s]{plain}$"
    return Annotated[str, Field(min_length=1, max_length=longest, pattern=pattern)]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Line(Body):
    sku: text(64)
    quantity: Annotated[int, Field(ge=1, le=1_000_000)]
    unit_price: Annotated[int, Field(ge=0, le=LARGEST)]


class CreateOrder(Body):
    customer_id: text(128)
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    items: Annotated[list[Line], Field(min_length=1, max_length=200)]
    total: Annotated[int, Field(ge=0, le=LARGEST)] | None = None
    metadata: (
        Annotated[dict[text(40, r"\x00-\x08\x0b-\x1f"), Annotated[str, Field(max_length=500)]], Field(max_length=20)]
        | None
    ) = None

    @model_validator(mode="after")
    def total_is_the_sum(self):
        amount = sum(line.quantity * line.unit_price for line in self.items)
        if amount > LARGEST:
            raise ValueError("the lines add up to too much")
        if self.total not in (None, amount):
            raise ValueError(f"total must equal the sum of the lines, {amount}")
        self.total = amount
        return self


class Order(Aggregate):
    @event("Created")
    def __init__(self, customer_id: str, currency: str, items: list, total: int, metadata: dict | None):
        self.customer_id = customer_id
        self.currency = currency
        self.items = items
        self.total = total
        self.metadata = metadata


class Orders(Application):
    def create(self, order: CreateOrder) -> UUID:
        created = Order(**order.model_dump())
        self.save(created)
        return created.id


def settings(application: Orders) -> str:
    """Prints the durability settings of SQLite that the library leaves in place."""
    with application.factory.datastore.transaction(commit=False) as cursor:
        modes = []
        for name in ["journal_mode", "synchronous"]:
            cursor.execute(f"PRAGMA {name}")
            modes.append(f"{name} {cursor.fetchone()[0]}")
    return f"SQLite {sqlite3.sqlite_version}, {', '.join(modes)}"


orders = Orders()
print("the peer keeps orders in", settings(orders), flush=True)


async def create(request: Request) -> JSONResponse:
    try:
        order = CreateOrder.model_validate_json(await request.body())
    except ValidationError as error:
        return JSONResponse(error.errors(include_url=False, include_context=False, include_input=False), 422)
    # The order is created on this thread, because a switch to another thread would take longer than waiting for the
    # disk.
    return JSONResponse({"order_id": str(orders.create(order))}, 202)


app = Starlette(routes=[Route("/v1/orders", create, methods=["POST"])])
