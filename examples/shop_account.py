"""A shop's requests to the order service, and its books of each order. shop_week.py uses it.

It needs nothing but Python's standard library. Like every client should, it sends an Idempotency-Key with each write, and repeats
the request under the same key when the answer is lost.
"""

import json
import time
import urllib.error
import urllib.request
import uuid

PATIENCE = 60  # seconds until a step must be visible
RUN = uuid.uuid4().hex[:12]
HEAD = f"{'':<58} {'status':<18} {'payment':<19} {'fulfilment':<19} {'total':>9} {'captured':>9} {'refunded':>9} {'balance':>9}"


class Difference(Exception):
    """The service's books differ from ours."""


class Shop:
    """Sends the shop's requests."""

    def __init__(self, url, token=None):
        self.url = url.rstrip("/")
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def request(self, method, path, body=None, key=None, wait=20):
        """The status and the JSON of the answer. A lost answer, 429 or 503 is retried under the same key."""
        request = urllib.request.Request(self.url + path, method=method, headers=self.headers)
        request.add_header("Prefer", f"wait={wait}")
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
            request.add_header("Idempotency-Key", f'"{key}"')
        until = time.monotonic() + PATIENCE
        while True:
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return answer.status, json.load(answer)
            except urllib.error.HTTPError as error:
                if error.code not in (429, 503) or time.monotonic() > until:
                    return error.code, json.load(error)
            except OSError:
                if time.monotonic() > until:
                    raise
            time.sleep(0.2)

    def send(self, path, body, key):
        """Sends a write, and waits for its outcome. Returns the order's id and `recorded`, or the reason of a refusal."""
        status, answer = self.request("POST", path, body, key)
        until = time.monotonic() + PATIENCE
        while answer.get("object") == "receipt" and answer["state"] == "accepted" and time.monotonic() < until:
            status, answer = self.request("GET", answer["links"]["self"])
        if status >= 400:
            return None, answer
        return answer["order_id"], "recorded" if answer["object"] == "order" else answer


class Account:
    """One order, and the books that we keep of it."""

    def __init__(self, shop, title):
        self.shop, self.title, self.order_id, self.version, self.number = shop, title, None, 0, 0
        print(f"\n{title}\n{HEAD}")

    def create(self, what, order, *expected, times=1):
        """Checks out. The request is sent `times` times under one key, as after lost answers."""
        order = {"customer_id": f"customer-{RUN}", **order}
        answers = [self.shop.send("/v1/orders", order, f"{RUN}-{self.title}") for _ in range(times)]
        if len({order_id for order_id, _ in answers}) != 1 or answers[0][0] is None:
            raise Difference(f"{self.title}: {what}: {answers}")
        self.order_id, self.version = answers[0][0], 1
        self.check(what, *expected)

    def event(self, what, event_type, data, *expected, times=1):
        """Proposes an event. It must be recorded, once."""
        self.number += 1
        key = f"{RUN}-{self.title}-{self.number}"
        for _ in range(times):
            order_id, outcome = self.propose(event_type, data, key)
            if order_id is None or (outcome != "recorded" and outcome.get("state") != "recorded"):
                raise Difference(f"{self.title}: {what}: {outcome}")
        self.version += 1
        self.check(what, *expected)

    def refused(self, what, event_type, data, guard, *expected):
        """Proposes an event that this guard must refuse. The books stay as they are."""
        self.number += 1
        order_id, outcome = self.propose(event_type, data, f"{RUN}-{self.title}-{self.number}")
        if order_id is not None and (outcome == "recorded" or outcome.get("state") != "rejected"):
            raise Difference(f"{self.title}: {what}: must be refused, but is {outcome}")
        if guard not in json.dumps(outcome):
            raise Difference(f"{self.title}: {what}: must be refused by {guard}: {outcome}")
        self.check(what, *expected)

    def propose(self, event_type, data, key):
        body = {"type": event_type, **({"data": data} if data else {})}
        return self.shop.send(f"/v1/orders/{self.order_id}/events", body, key)

    def expires(self, what, *expected):
        """Waits until the service cancels the order by itself."""
        self.version += 1
        self.check(what, *expected)

    def check(self, what, statuses, total, captured, refunded, balance, *lines):
        """Compares the service's books with ours: the statuses, the money, and the units of each line."""
        until = time.monotonic() + PATIENCE
        while True:
            status, order = self.shop.request("GET", f"/v1/orders/{self.order_id}")
            if (status == 200 and order["version"] >= self.version) or time.monotonic() > until:
                break
            time.sleep(0.1)
        if status != 200:
            raise Difference(f"{self.title}: {what}: {status} {order}")
        money = order["money"]
        found = {
            "version": order["version"],
            "statuses": f"{order['status']} {order['payment_status']} {order['fulfilment_status']}",
            "total": order["total"],
            "captured": money["captured"],
            "refunded": money["refunded"],
            "balance": money["balance"],
            "lines": [units(line) for line in order["items"]],
        }
        ours = {
            "version": self.version,
            "statuses": statuses,
            "total": total,
            "captured": captured,
            "refunded": refunded,
            "balance": balance,
            "lines": list(lines) if lines else found["lines"],
        }
        words = found["statuses"].split(" ")
        amounts = [found[name] for name in ("total", "captured", "refunded", "balance")]
        print(f"{what:<58} {words[0]:<18} {words[1]:<19} {words[2]:<19} " + " ".join(f"{n:>9}" for n in amounts))
        differences = [f"{name}: {found[name]} by the service, {ours[name]} by hand" for name in ours if found[name] != ours[name]]
        if differences:
            raise Difference(f"{self.title}: {what}: " + "; ".join(differences))


def units(line):
    counters = (line["quantity"], *(line.get(name, 0) for name in ("cancelled", "shipped", "delivered", "returned")))
    return " ".join(str(count) for count in counters)


def item(line_id, quantity, unit_price):
    return {"line_id": line_id, "sku": line_id.upper(), "quantity": quantity, "unit_price": unit_price}


def some(**quantities):
    return [{"line_id": line_id, "quantity": quantity} for line_id, quantity in quantities.items()]


def adjustment(kind, amount, **more):
    return {"adjustment_id": more.pop("id", kind), "kind": kind, "amount": amount, **more}
