"""Rules of the API that are documented in words, because no schema can state them.

The hooks change generated requests that are meant to be accepted, so that the requests follow these rules. Requests that
are meant to be refused are not changed.
"""

import re
import uuid

import schemathesis

LARGEST_AMOUNT = 2**53 - 1
# A unit price that keeps the total below the largest amount, even for 1,000 lines with a million units each.
SAFE_PRICE = LARGEST_AMOUNT // (1000 * 1_000_000) // 2
# The largest adjustment. A total with 100 such adjustments is neither negative nor too large.
SAFE_ADJUSTMENT = LARGEST_AMOUNT // 1000
# The pattern of the schema allows any three capital letters, but only real currencies are accepted.
CURRENCIES = {"EUR", "USD", "GBP", "JPY", "CHF"}

TAGS = re.compile(r'\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*')

# The cursors that the service has returned. Cursors are opaque, and each is valid only for the list that it belongs to.
given_cursors = set()
# The cursors of the feed that the service has returned. They are valid with every filter.
given_feed_cursors = set()

FEED = "GET /v1/events"


@schemathesis.hook
def before_call(ctx, case, kwargs):
    """Changes a request that is meant to be accepted, so that it follows the rules."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if isinstance(case.body, (dict, list)):
        case.body = kept(case.body)
    if isinstance(case.body, dict):
        operated(case.operation.label, case.body)
        subscribed(case.operation.label, case.body)
    for parameter in ("cursor", "after"):
        cursor = (case.query or {}).get(parameter)
        if cursor is not None and case.operation.label != FEED and place(case, cursor) not in given_cursors:
            case.query = {name: value for name, value in case.query.items() if name != parameter}
    if case.operation.label == FEED:
        case.query = fed(dict(case.query or {}))
    if {"version", "at"} <= (case.query or {}).keys():
        # A request may name a version or a time, but not both.
        case.query = {name: value for name, value in case.query.items() if name != "at"}
    for name in ("If-Match", "If-None-Match"):
        if not TAGS.fullmatch((case.headers or {}).get(name, "*")):
            # Some generated entity tags reach this hook without their quotes.
            case.headers[name] = '"1"'
    if "Idempotency-Key" in (case.headers or {}):
        # The service refuses an idempotency key that was used for a different request, so each request gets a new key.
        case.headers["Idempotency-Key"] = str(uuid.uuid4())


@schemathesis.hook
def after_call(ctx, case, response):
    """Stores the cursor that a page returns."""
    if response.status_code == 200 and "".join(response.headers.get("content-type", [])).startswith("application/json"):
        page = response.json()
        if isinstance(page, dict) and page.get("next_cursor"):
            given_cursors.add(place(case, page["next_cursor"]))
            if case.operation.label == FEED:
                given_feed_cursors.add(page["next_cursor"])


@schemathesis.deserializer("application/x-ndjson")
def lines(ctx, response):
    """The lines of an export as one text, which is their schema."""
    return response.content.decode()


@schemathesis.deserializer("application/octet-stream")
def octets(ctx, response):
    """The bytes of a backup as one text, a character for each."""
    return response.content.decode("latin-1")


def fed(query):
    """The query of the feed with only one start: a cursor that the service has returned, or a valid word or time."""
    if query.get("after") not in given_feed_cursors:
        query.pop("after", None)
    if "after" in query:
        query.pop("from", None)
    if query.get("from") not in (None, "oldest", "latest"):
        query["from"] = "2026-11-23T10:00:00+01:00"
    return query


def place(case, cursor):
    """The list that a cursor belongs to: operation, path and filters."""
    filters = {name: value for name, value in (case.query or {}).items() if name not in ("cursor", "after", "limit")}
    return (case.operation.label, repr(case.path_parameters), repr(sorted(filters.items())), cursor)


def operated(label, body):
    """Corrects the body of an operator's request: a redrive must select something, and a repair must have one body."""
    if label.endswith("/redrive"):
        body.pop("cursor", None)
        if all(body.get(name) in (None, False) for name in ("ids", "order_id", "reason", "parked_from", "parked_before")):
            body["all"] = True
    if label.endswith("/repair"):
        if body.get("body_base64") is not None:
            body["body_base64"] = "eyB9"
            body.pop("body", None)
        elif body.get("body") is None:
            body["body"] = "{}"


def subscribed(label, body):
    """Corrects what no schema can state about a webhook subscription: URLs, places in the feed, and reserved headers."""
    if label in ("POST /v1/webhooks", "PATCH /v1/webhooks/{webhook_id}"):
        if body.get("url") is not None:
            # The service refuses private addresses without a connection, so a test of the subscription ends immediately.
            body["url"] = "https://127.0.0.1/hooks"
        if body.get("from") is not None:
            body["from"] = "oldest"
        if body.get("headers"):
            body["headers"] = {"x-key": "value"}
    if label.endswith("/replay"):
        body.clear()
        body["from"] = "oldest"


def kept(value):
    """The value, with every order in it changed so that it follows the rules."""
    if isinstance(value, float) and value.is_integer():
        # For JSON Schema, 2.0 is an integer. But the service refuses an amount with a decimal point.
        return int(value)
    if isinstance(value, list):
        return [kept(element) for element in value]
    if not isinstance(value, dict):
        return value
    value = {name: kept(member) for name, member in value.items()}
    if isinstance(value.get("currency"), str) and value["currency"] not in CURRENCIES:
        value["currency"] = "EUR"
    if isinstance(value.get("country"), str):
        value["country"] = "DE"
    if value.get("reference") is not None:
        # Only one order can have a given reference, so each order gets a new one.
        value["reference"] = str(uuid.uuid4())
    number_ids(value.get("items"), "line_id")
    number_ids(value.get("adjustments"), "adjustment_id")
    lines, adjustments = value.get("items"), value.get("adjustments") or []
    if isinstance(lines, list) and all(is_line(line) for line in lines):
        if total(lines) > LARGEST_AMOUNT // 2:
            for line in lines:
                line["unit_price"] = min(line["unit_price"], SAFE_PRICE)
        for adjustment in adjustments:
            adjustment["amount"] = min(abs(adjustment["amount"]), SAFE_ADJUSTMENT)
            adjustment.pop("line_id", None)
        if value.get("total") is not None:
            value["total"] = total(lines) + sum(adjustment["amount"] for adjustment in adjustments)
    return value


def number_ids(elements, name):
    """Gives the elements of a list distinct ids, because no schema can require that."""
    for place, element in enumerate(elements if isinstance(elements, list) else [], 1):
        if isinstance(element, dict) and element.get(name) is not None:
            element[name] = str(place)


def is_line(line):
    return isinstance(line, dict) and all(type(line.get(name)) is int for name in ("quantity", "unit_price"))


def total(lines):
    return sum(line["quantity"] * line["unit_price"] for line in lines)
