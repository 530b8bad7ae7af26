#!/usr/bin/env python3
"""A client of the order service, with nothing but Python's standard library: client.py [URL]

It does what every client should do:

- It sends an Idempotency-Key with each request that changes something, and retries under the same key.
- It retries on lost connections, 429 and 503, after the time in Retry-After. A retry is safe even if
  the outcome of a request is unknown.
- It compares the `type` of a problem, never its texts.
- It follows the Link header from page to page.
"""

import json
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

ATTEMPTS = 5


class Problem(Exception):
    """An error answer (RFC 9457)."""

    def __init__(self, body):
        super().__init__(f"{body['title']}: {body['detail']}")
        self.type = body["type"]
        self.status = body["status"]
        self.body = body


class Client:
    def __init__(self, url, token=None):
        self.url = url.rstrip("/")
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def create_order(self, order, key):
        """Creates an order; returns the order, or its receipt if it is not recorded within 10 seconds."""
        return self._request("POST", "/v1/orders", order, key)[0]

    def propose(self, order_id, event_type, data=None, key=None, version=None):
        """Proposes an event, if the order is still at `version`."""
        body = {"type": event_type, **({"data": data} if data else {})}
        match = {"If-Match": f'"{version}"'} if version else {}
        return self._request("POST", f"/v1/orders/{order_id}/events", body, key or str(uuid.uuid4()), match)[0]

    def orders_of(self, customer_id, **filters):
        """All orders of a customer, newest first, page by page."""
        query = urllib.parse.urlencode({"customer_id": customer_id, "limit": 2, **filters})
        path = f"/v1/orders?{query}"
        while path:
            page, headers = self._request("GET", path)
            yield from page["items"]
            link = re.search(r'<([^>]+)>; *rel="?next"?', headers.get("Link", ""))
            path = link and urllib.parse.urljoin(f"{self.url}/", link[1]).removeprefix(self.url)

    def _request(self, method, path, body=None, key=None, headers=()):
        request = urllib.request.Request(self.url + path, method=method, headers={**self.headers, **dict(headers)})
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
            request.add_header("Idempotency-Key", f'"{key}"')
            request.add_header("Prefer", "wait=10")
        for attempt in range(1, ATTEMPTS + 1):
            pause = 0.2 * 2**attempt
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return json.load(answer), answer.headers
            except urllib.error.HTTPError as error:
                problem = Problem(json.load(error))
                if problem.status not in (429, 503) or attempt == ATTEMPTS:
                    raise problem from None
                pause = float(error.headers.get("Retry-After", pause))
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                # The request may have arrived. A retry is safe, because the service handles requests with the same
                # key only once.
                if attempt == ATTEMPTS:
                    raise
            time.sleep(pause)


def main():
    client = Client(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080")
    customer = f"customer-{uuid.uuid4()}"
    items = [{"sku": "MUG-BLUE", "quantity": 2, "unit_price": 1250}]
    key = str(uuid.uuid4())
    first = client.create_order({"customer_id": customer, "currency": "EUR", "items": items}, key)
    again = client.create_order({"customer_id": customer, "currency": "EUR", "items": items}, key)
    assert first["order_id"] == again["order_id"]
    print(f"{first['order_id']}: one order, though it was sent twice")

    order_id = first["order_id"]
    order = client.propose(order_id, "order_confirmed", version=first["version"])
    try:
        client.propose(order_id, "order_delivered")
    except Problem as problem:
        assert problem.type == "/problems/illegal-transition"
        print(f"not legal now: {problem}; allowed: {', '.join(problem.body['allowed_events'])}")
    client.propose(order_id, "order_paid", {"payment_id": "pay-81", "amount": order["total"]})
    client.propose(order_id, "order_shipped", {"carrier": "DHL", "tracking_number": "JD01"})
    order = client.propose(order_id, "order_delivered")
    print(f"{order_id} is {order['status']}")

    for _ in range(4):
        client.create_order({"customer_id": customer, "currency": "EUR", "items": items}, str(uuid.uuid4()))
    print(f"{sum(1 for _ in client.orders_of(customer))} orders of {customer}, over three pages")


if __name__ == "__main__":
    main()
