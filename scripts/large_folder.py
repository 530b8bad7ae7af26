"""Fills a data folder with many orders. The scripts that measure large folders share it."""

import atexit
import http.client
import json
import os
import subprocess
import sys
import threading

BATCH, CONNECTIONS, CUSTOMERS = 100, 8, 5000


def environment():
    """The environment without settings of the program."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("ORDERS_", "AWS_", "OTEL_", "LOG_LEVEL"))}


class Service:
    """A running service. Reads its log until it serves."""

    def __init__(self, binary, data, *flags):
        command = [binary, "serve", "--listen", "127.0.0.1:0", "--data", data, "--min-free-disk", "1", *flags]
        self.process = subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True)
        # A script that fails leaves no service behind.
        atexit.register(self.process.kill)
        self.log, self.address = [], None
        self.serving = threading.Event()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stderr:
            self.log.append(line)
            if '"serving"' in line:
                self.address = json.loads(line)["listen"]
                self.serving.set()
        self.serving.set()

    def wait_until_serving(self):
        self.serving.wait()
        if self.address is None:
            sys.exit("the service did not start:\n" + "".join(self.log))
        return http.client.HTTPConnection(self.address, timeout=60)

    def stop(self):
        self.process.terminate()
        if self.process.wait() != 0:
            sys.exit("the service failed:\n" + "".join(self.log))


def ask(connection, method, path, body=None):
    content = None if body is None else json.dumps(body)
    connection.request(method, path, content, {"content-type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    if answer.status not in (200, 202):
        sys.exit(f"{method} {path}: {answer.status} {text.decode()[:500]}")
    return json.loads(text)


def fill(binary, data, orders):
    """Creates the orders with several connections. A fifth of them are confirmed, and a tenth are also paid."""
    service = Service(binary, data)
    service.wait_until_serving()
    numbers = iter(range(0, orders, BATCH))
    lock = threading.Lock()

    def order(number):
        items = [{"sku": "TEA", "quantity": 2, "unit_price": 450}, {"sku": "CUP", "quantity": 1, "unit_price": 900}]
        return {"customer_id": f"customer-{number % CUSTOMERS}", "currency": "EUR", "items": items}

    def work():
        connection = http.client.HTTPConnection(service.address, timeout=60)
        while True:
            with lock:
                first = next(numbers, None)
            if first is None:
                return
            count = min(BATCH, orders - first)
            answer = ask(connection, "POST", "/v1/orders/batch", {"orders": [order(first + i) for i in range(count)]})
            for place, item in enumerate(answer["items"]):
                path = "/v1/orders/" + item["receipt"]["order_id"] + "/events"
                if place % 5 == 0:
                    ask(connection, "POST", path, {"type": "order_confirmed"})
                if place % 10 == 0:
                    data = {"payment_id": "p", "amount": 1800}
                    ask(connection, "POST", path, {"type": "order_paid", "data": data})

    threads = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    service.stop()
