"""Rules of the API that are documented in words, because no schema can state them.

Generated requests that are meant to be accepted are made to keep them; those that are meant to be refused stay as they
are.
"""

import re
import uuid

import schemathesis

LARGEST_AMOUNT = 2**53 - 1
# A price at which even the largest order stays below the largest amount: 1,000 lines of a million each.
SAFE_PRICE = LARGEST_AMOUNT // (1000 * 1_000_000) // 2
# The largest adjustment: 100 of them do not make a total negative or too large.
SAFE_ADJUSTMENT = LARGEST_AMOUNT // 1000
# Any three capitals match the pattern; these few are currencies.
CURRENCIES = {"EUR", "USD", "GBP", "JPY", "CHF"}

TAGS = re.compile(r'\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*')

# Cursors are opaque: only those that the service gave are good, each for the request that it was given for.
given_cursors = set()


@schemathesis.hook
def before_call(ctx, case, kwargs):
    """Makes a request that is meant to be accepted keep the rules."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if isinstance(case.body, (dict, list)):
        case.body = kept(case.body)
    if isinstance(case.body, dict):
        operated(case.operation.label, case.body)
    cursor = (case.query or {}).get("cursor")
    if cursor is not None and place(case, cursor) not in given_cursors:
        case.query = {name: value for name, value in case.query.items() if name != "cursor"}
    if {"version", "at"} <= (case.query or {}).keys():
        # The order is shown as of one or the other.
        case.query = {name: value for name, value in case.query.items() if name != "at"}
    for name in ("If-Match", "If-None-Match"):
        if not TAGS.fullmatch((case.headers or {}).get(name, "*")):
            # Quotes around a whole value get lost on the way to here.
            case.headers[name] = '"1"'
    if "Idempotency-Key" in (case.headers or {}):
        # A key stands for one request. Used for another, it is refused.
        case.headers["Idempotency-Key"] = str(uuid.uuid4())


@schemathesis.hook
def after_call(ctx, case, response):
    """Remembers the cursor that a page ends with."""
    if response.status_code == 200 and "json" in "".join(response.headers.get("content-type", [])):
        page = response.json()
        if isinstance(page, dict) and page.get("next_cursor"):
            given_cursors.add(place(case, page["next_cursor"]))


def place(case, cursor):
    """The list that a cursor belongs to: operation, path and filters."""
    filters = {name: value for name, value in (case.query or {}).items() if name not in ("cursor", "limit")}
    return (case.operation.label, repr(case.path_parameters), repr(sorted(filters.items())), cursor)


def operated(label, body):
    """Puts right what operators send: a redrive selects something, and a repair has one body."""
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


def kept(value):
    """The value with what is meant to be an order put right, wherever it is."""
    if isinstance(value, float) and value.is_integer():
        # To JSON Schema 2.0 is an integer, but the service takes no amount that is written as a decimal.
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
        # A reference is free only once.
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
    """Gives the elements of a list distinct ids, which no schema can demand."""
    for place, element in enumerate(elements if isinstance(elements, list) else [], 1):
        if isinstance(element, dict) and element.get(name) is not None:
            element[name] = str(place)


def is_line(line):
    return isinstance(line, dict) and all(type(line.get(name)) is int for name in ("quantity", "unit_price"))


def total(lines):
    return sum(line["quantity"] * line["unit_price"] for line in lines)
