#!/usr/bin/env python3
"""Measures how hostile request bodies of the largest size slow down other clients. Four clients send bodies of one kind at a time.

    cargo build --release && scripts/hostile-bodies.py [target/release/orders] [seconds per kind]

Prints for each kind of body how many were handled, the latencies of a bystander's GET and POST requests meanwhile, and the
service's peak memory so far. Fails if a p99 reaches 100 ms, if the memory reaches 512 MiB, or if the service ends.
"""

import http.client
import json
import multiprocessing
import re
import subprocess
import sys
import tempfile
import threading
import time

P99_MS, MEMORY_MIB = 100, 512
LINE = '{"sku":"tea","quantity":2,"unit_price":450}'
SMALL = json.dumps({"customer_id": "bystander", "currency": "EUR", "items": [json.loads(LINE)]})
BATCH, SINGLE = 4 << 20, 256 << 10


def filled(size, head, tail, element):
    """A body with as many elements as fit into `size` bytes."""
    parts, length, number = [], len(head) + len(tail), 0
    while length + len(text := element(number)) + 1 <= size:
        parts.append(text)
        length += len(text) + 1
        number += 1
    return head + ",".join(parts) + tail


def stretched(size, head, middle, tail):
    return head + middle * ((size - len(head) - len(tail)) // len(middle)) + tail


def kinds():
    order = '{"customer_id":"c","currency":"EUR","items":[%s]}' % ",".join([LINE] * 200)
    empty = '{"items":[%s]}' % ",".join(["{}"] * 200)
    for name, path, size, head, tail in [
        ("batch", "/v1/orders/batch", BATCH, '{"orders":[', "]}"),
        ("order", "/v1/orders", SINGLE, "", ""),
    ]:
        member = lambda i: f'"m{i}":0'
        yield f"{name}: unknown members", path, filled(size, head + "{", "}" + tail, member)
        yield f"{name}: metadata", path, filled(size, head + '{"metadata":{', "}}" + tail, lambda i: f'"m{i}":""')
        yield f"{name}: lines {{}}", path, filled(size, head + '{"items":[', "]}" + tail, lambda _: "{}")
        yield f"{name}: escapes", path, stretched(size, head + '{"customer_id":"', "\\u00e9", '"}' + tail)
        yield f"{name}: nesting", path, stretched(size, head + '{"items":', "[", "")
    yield "batch: {}", "/v1/orders/batch", filled(BATCH, '{"orders":[', "]}", lambda _: "{}")
    yield "batch: 0", "/v1/orders/batch", filled(BATCH, '{"orders":[', "]}", lambda _: "0")
    yield "batch: 100 × 200 {}", "/v1/orders/batch", filled(101 * len(empty), '{"orders":[', "]}", lambda _: empty)
    yield "batch: 100 × 200 lines", "/v1/orders/batch", filled(100 * (len(order) + 1) + 20, '{"orders":[', "]}", lambda _: order)
    long = order.replace("tea", "é" * 64)
    yield "batch: longest lines", "/v1/orders/batch", filled(100 * (len(long) + 1) + 20, '{"orders":[', "]}", lambda _: long)


def post(connection, path, body, headers=None):
    connection.request("POST", path, body, {"content-type": "application/json", **(headers or {})})
    answer = connection.getresponse()
    answer.read()
    return answer.status


def hostile(port, path, body, until, handled, statuses):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    while time.monotonic() < until:
        key = {"idempotency-key": f"{threading.get_ident()}-{time.monotonic_ns()}"}
        statuses.add(post(connection, path, body, key))
        handled.append(1)


def bystander(port, until, results):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    times = []
    while time.monotonic() < until:
        for request in (lambda: post(connection, "/v1/orders", SMALL), lambda: get(connection)):
            start = time.monotonic()
            status = request()
            times.append(((time.monotonic() - start) * 1000, status))
            time.sleep(0.005)
    results.put(times)


def get(connection):
    connection.request("GET", "/v1/orders?customer_id=nobody")
    answer = connection.getresponse()
    answer.read()
    return answer.status


def peak_mib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmHWM:\s+(\d+)", status.read())[1]) / 1024


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "target/release/orders"
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 5
    failed = False
    with tempfile.TemporaryDirectory() as data:
        service = subprocess.Popen(
            [binary, "serve", "--listen", "127.0.0.1:0", "--data", data + "/orders"],
            stderr=subprocess.PIPE, text=True, env={"ORDERS_MIN_FREE_DISK": "1", "PATH": ""})
        try:
            for line in service.stderr:
                if '"serving"' in line:
                    port = int(re.search(r'"listen":"[^"]*:(\d+)"', line)[1])
                    break
            threading.Thread(target=lambda: [None for _ in service.stderr], daemon=True).start()
            print(f"{'kind':26} {'handled':>8} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8} {'MiB':>6}  statuses")
            for name, path, body in [("no hostile bodies", None, "")] + list(kinds()):
                body = body.encode()
                until, results = time.monotonic() + seconds, multiprocessing.Queue()
                other = multiprocessing.Process(target=bystander, args=(port, until, results))
                other.start()
                handled, statuses, threads = [], set(), []
                for _ in range(4 if path else 0):
                    threads.append(threading.Thread(target=hostile, args=(port, path, body, until, handled, statuses)))
                    threads[-1].start()
                times = results.get()
                for thread in threads + [other]:
                    thread.join()
                assert all(status in (200, 202) for _, status in times), "the bystander was refused"
                times = sorted(taken for taken, _ in times)
                p99, memory = times[len(times) * 99 // 100], peak_mib(service.pid)
                exceeded = p99 >= P99_MS or memory >= MEMORY_MIB
                failed |= exceeded
                print(f"{name:26} {len(handled):8} {times[len(times) // 2]:8.1f} {p99:8.1f} {times[-1]:8.1f} {memory:6.0f}  "
                      f"{sorted(statuses)}{' TOO MUCH' if exceeded else ''}", flush=True)
        finally:
            service.terminate()
            failed |= service.wait(60) != 0
    sys.exit(failed)


if __name__ == "__main__":
    main()
