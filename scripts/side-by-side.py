#!/usr/bin/env python3
"""Runs an earlier build beside this one, on one queue and one table of the AWS emulator.

    scripts/side-by-side.py EARLIER_BINARY CURRENT_BINARY [--items FILE] [--same-schema]

Both are builds of `orders` with `--features aws`. First, the earlier build runs alone and takes orders to every status.
Then both consumers share the queue, while clients send events through both APIs. Finally, the current build runs alone,
and dead letters are redriven. The script fails unless every accepted event is recorded exactly once. `--items` writes the
items of the orders that the earlier build wrote, one item on each line, for tests/fixtures/golden/dynamodb-v1.jsonl.
With `--same-schema`, both builds write the same schema version, so the earlier consumer need not park an event because of it. docs/aws.md
describes the deployment that this script simulates.
"""

import argparse
import atexit
import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
SUPPORT = ROOT / "tests/it/support/emulator"
WORK = ROOT / "target/side-by-side"
# How long to wait for an outcome, in seconds. This is longer than the maximum backoff of a message that the earlier
# consumer received several times.
PATIENCE = 400
ORDER = {"customer_id": "c-1", "currency": "EUR", "items": [{"sku": "mug", "quantity": 2, "unit_price": 1250}]}
STEPS = [
    ("order_confirmed", {}),
    ("order_paid", {"payment_id": "p-1", "amount": 2500}),
    ("order_shipped", {"carrier": "DHL", "tracking_number": "JD01"}),
    ("order_delivered", {}),
    ("order_returned", {"reason": "too blue"}),
    ("order_refunded", {"refund_id": "r-1", "amount": 2500}),
]
AMENDED = ("order_amended", {"items": [{"sku": "mug", "quantity": 2, "unit_price": 1250}]})
CANCELLED = ("order_cancelled", {"reason": "changed my mind"})
# The events of one order for each status. If later events depend on how an order reached a status, there is one order
# for each way.
LIVES = {
    "created": [],
    "pending": [AMENDED],
    "confirmed": STEPS[:1],
    "paid": STEPS[:2],
    "shipped": STEPS[:3],
    "delivered": STEPS[:4],
    "returned": STEPS[:5],
    "refunded": STEPS[:6],
    "cancelled": [CANCELLED],
    "cancelled-paid": [*STEPS[:2], CANCELLED],
    "refunded-cancelled": [*STEPS[:2], CANCELLED, STEPS[5]],
}


def request(url, body=None, headers=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json", **(headers or {})}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=60) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null")


def eventually(what, check):
    until = time.monotonic() + PATIENCE
    while True:
        found = check()
        if found is None:
            return
        if time.monotonic() > until:
            sys.exit(f"not within {PATIENCE} s: {what}: {found}")
        time.sleep(0.2)


class Emulator:
    def __init__(self):
        venv = WORK / "venv"
        if not (venv / "bin/python").exists():
            subprocess.run([sys.executable, "-m", "venv", venv], check=True)
            requirements = SUPPORT / "requirements.txt"
            subprocess.run([venv / "bin/pip", "install", "-q", "-r", requirements], check=True)
        temporary = WORK / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "TMPDIR": str(temporary)}
        command = [venv / "bin/python", SUPPORT / "run.py", "ministack"]
        log = open(WORK / "emulator.log", "w")
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment
        )
        atexit.register(self.process.stdin.close)
        self.url = f"http://127.0.0.1:{int(self.process.stdout.readline())}"

    def call(self, service, target, body):
        scope = f"test/20260101/us-east-1/{service}/aws4_request"
        status, answer = request(self.url, body, {
            "content-type": "application/x-amz-json-1.0",
            "x-amz-target": target,
            "authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0",
        })
        assert status == 200, (target, status, answer)
        return answer

    def sqs(self, action, body):
        return self.call("sqs", f"AmazonSQS.{action}", body)

    def attributes(self, url):
        return self.sqs("GetQueueAttributes", {"QueueUrl": url, "AttributeNames": ["All"]})["Attributes"]

    def create_queue(self, name, **attributes):
        attributes = {"FifoQueue": "true", "MaximumMessageSize": "1048576", **attributes}
        return self.sqs("CreateQueue", {"QueueName": name, "Attributes": attributes})["QueueUrl"]

    def create_bucket(self, name):
        scope = "test/20260101/us-east-1/s3/aws4_request"
        authorization = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
        call = urllib.request.Request(f"{self.url}/{name}", method="PUT", headers={"authorization": authorization})
        urllib.request.urlopen(call, timeout=60).close()

    def create_topic(self, name):
        scope = "test/20260101/us-east-1/sns/aws4_request"
        call = urllib.request.Request(
            self.url,
            f"Action=CreateTopic&Name={name}&Version=2010-03-31".encode(),
            {
                "content-type": "application/x-www-form-urlencoded",
                "authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0",
            },
        )
        with urllib.request.urlopen(call, timeout=60) as answer:
            return answer.read().decode().split("<TopicArn>")[1].split("<")[0]

    def items(self, table):
        items, start = [], {}
        while True:
            page = self.call("dynamodb", "DynamoDB_20120810.Scan", {"TableName": table, **start})
            items.extend(page["Items"])
            if "LastEvaluatedKey" not in page:
                return items
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


class Role:
    """A role of one of the builds."""

    def __init__(self, deployment, name, binary, *arguments, ready):
        self.log = WORK / f"{name}.log"
        command = [binary, *arguments]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stderr=open(self.log, "w"), env=deployment.environment
        )
        atexit.register(self.process.kill)
        eventually(f"{name} is ready", lambda: None if ready in self.log.read_text() else self.log.read_text()[-500:])

    def url(self):
        for line in self.log.read_text().splitlines():
            if '"listen"' in line:
                fields = json.loads(line)
                return "http://" + fields.get("listen", fields.get("fields", {}).get("listen"))
        sys.exit(f"no address in {self.log}")

    def stop(self):
        self.process.terminate()
        assert self.process.wait(60) == 0, self.log


class Deployment:
    def __init__(self, emulator):
        self.emulator = emulator
        self.dlq = emulator.create_queue("orders-dlq.fifo")
        target = emulator.attributes(self.dlq)["QueueArn"]
        redrive = json.dumps({"deadLetterTargetArn": target, "maxReceiveCount": 5})
        self.queue = emulator.create_queue("orders.fifo", VisibilityTimeout="30", RedrivePolicy=redrive)
        emulator.create_bucket("letters")
        keep = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME")}
        self.environment = {
            **keep,
            "AWS_ENDPOINT_URL": emulator.url, "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
            "QUEUE_URL": self.queue, "DLQ_URL": self.dlq, "TABLE_NAME": "orders", "DLQ_BUCKET": "letters",
            "ALERTS_TOPIC": emulator.create_topic("alerts"),
            "ORDERS_LISTEN": "127.0.0.1:0", "ORDERS_INSECURE_NO_AUTH": "true",
        }

    def left(self, url, *names):
        found = self.emulator.attributes(url)
        return sum(int(found[f"ApproximateNumberOfMessages{name}"]) for name in names)

    def received(self):
        """Waits until every message was received at least once."""
        eventually("all messages were received", lambda: self.left(self.queue, "") or None)

    def drained(self, *urls):
        def check():
            left = {url: self.left(url, "", "NotVisible", "Delayed") for url in urls or (self.queue,)}
            return left if any(left.values()) else None

        eventually("the queue is drained", check)


def accept(api, path, body):
    status, answer = request(f"{api}{path}", body)
    assert status == 202, (status, answer)
    return answer


class Client:
    """Sends events and remembers what was accepted."""

    def __init__(self):
        self.accepted = {}

    def create(self, api):
        order_id = accept(api, "/v1/orders", ORDER)["order_id"]
        self.accepted[order_id] = 1
        return order_id

    def send(self, api, order_id, step):
        kind, data = step
        accept(api, f"/v1/orders/{order_id}/events", {"type": kind, "data": data})
        self.accepted[order_id] += 1


def earlier_alone(deployment, binary, client):
    api = Role(deployment, "earlier-api", binary, "api", ready='"listen"')
    consumer = Role(deployment, "earlier-consumer", binary, "consumer", ready='"consuming"')
    orders = {}
    for name, steps in LIVES.items():
        orders[name] = client.create(api.url())
        for step in steps:
            client.send(api.url(), orders[name], step)
    deployment.drained()
    views = {name: request(f"{api.url()}/v1/orders/{order_id}")[1] for name, order_id in orders.items()}
    for name, view in views.items():
        expected = {"created": "pending"}.get(name, name.split("-")[0])
        assert view["status"] == expected and view["version"] == len(LIVES[name]) + 1, (name, view)
    return api, consumer, orders, views


def side_by_side(deployment, apis, client, orders):
    """Sends events through both APIs while both consumers run: on new orders and on those of the earlier build."""
    created = []
    for number in range(40):
        api = apis[number % 2]
        order_id = client.create(api)
        created.append(order_id)
        for step in STEPS[: number % 7]:
            client.send(api, order_id, step)
    client.send(apis[0], orders["paid"], STEPS[2])
    client.send(apis[1], orders["paid"], STEPS[3])
    client.send(apis[1], orders["confirmed"], STEPS[1])
    client.send(apis[1], orders["cancelled-paid"], STEPS[5])
    client.send(apis[1], orders["created"], STEPS[0])
    return created


def letters(api):
    found, query = [], ""
    while True:
        status, page = request(f"{api}/v1/dead-letters?limit=200{query}")
        assert status == 200, page
        found.extend(page["items"])
        if page["next_cursor"] is None:
            return found
        query = f"&cursor={page['next_cursor']}"


def redrive(deployment, api):
    deployment.drained(deployment.queue, deployment.dlq)
    reasons = {}
    for letter in letters(api):
        reasons[letter["reason"]] = reasons.get(letter["reason"], 0) + 1
    print(f"dead letters before the redrive: {reasons}")
    orders = sorted({letter["order_id"] for letter in letters(api)})
    for order_id in orders:
        status, answer = request(f"{api}/v1/dead-letters/redrive", {"order_id": order_id})
        assert status in (200, 202), (status, answer)
    deployment.drained()
    eventually("no dead letters are left", lambda: letters(api) or None)
    return reasons


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("earlier", type=pathlib.Path)
    parser.add_argument("current", type=pathlib.Path)
    parser.add_argument("--items", type=pathlib.Path)
    parser.add_argument("--same-schema", action="store_true")
    options = parser.parse_args()
    earlier, current = options.earlier.resolve(), options.current.resolve()
    WORK.mkdir(parents=True, exist_ok=True)
    emulator = Emulator()
    deployment = Deployment(emulator)
    subprocess.run([earlier, "table", "create"], env=deployment.environment, check=True)

    client = Client()
    api, consumer, orders, views = earlier_alone(deployment, earlier, client)
    if options.items:
        named = {order_id: name for name, order_id in orders.items()}
        lines = []
        for item in emulator.items("orders"):
            order_id = item["pk"]["S"].removeprefix("ORDER#")
            if order_id in named:
                lines.append(json.dumps(item).replace(order_id, named[order_id]))
        options.items.write_text("\n".join(sorted(lines)) + "\n")
        print(f"wrote {len(lines)} items")
    print("the earlier build took orders to every status")

    new_api = Role(deployment, "current-api", current, "api", ready='"listen"')
    new_consumer = Role(deployment, "current-consumer", current, "consumer", ready='"consuming"')
    for name, view in views.items():
        status, seen = request(f"{new_api.url()}/v1/orders/{orders[name]}")
        assert status == 200 and (seen["status"], seen["version"]) == (view["status"], view["version"]), seen
    status, page = request(f"{new_api.url()}/v1/orders?customer_id=c-1&limit=200")
    assert status == 200 and len(page["items"]) == len(orders), page
    print("the current build reads them all")

    side_by_side(deployment, [api.url(), new_api.url()], client, orders)
    deployment.received()
    api.stop()
    consumer.stop()
    archiver = Role(deployment, "current-dead-letters", current, "dead-letters", ready='"archiving"')
    reasons = redrive(deployment, new_api.url())
    if not options.same_schema:
        assert reasons.get("unknown_schema"), "the earlier consumer took no event of the current API: run this again"

    for order_id, count in client.accepted.items():
        status, view = request(f"{new_api.url()}/v1/orders/{order_id}")
        assert status == 200 and view["version"] == count, (order_id, count, view)
        status, log = request(f"{new_api.url()}/v1/orders/{order_id}/events?limit=200")
        assert [event["version"] for event in log["items"]] == list(range(1, count + 1)), log
    ledger = request(f"{new_api.url()}/v1/pipeline")[1]["ledger"]
    accepted = sum(client.accepted.values())
    print(f"accepted {accepted}, ledger {ledger}")
    assert ledger["recorded"] == accepted and not ledger["parked"] and not ledger["rejected"], ledger
    for role in (archiver, new_consumer, new_api):
        role.stop()
    emulator.process.stdin.close()
    emulator.process.wait()
    print("every accepted event is recorded once")


if __name__ == "__main__":
    main()
