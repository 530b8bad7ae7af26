#!/usr/bin/env python3
"""Measures what idle readers of the feed cost.

    cargo build --release && scripts/idle-streams.py [target/release/orders] [streams] [seconds]

Opens idle connections, and then the same number of streams of events. For both, prints the memory and the CPU time of the
service while nothing is recorded. Then creates one order, and prints how long it takes until every stream has received the event.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time

ORDER = json.dumps({"customer_id": "c", "currency": "EUR", "items": [{"sku": "tea", "quantity": 2, "unit_price": 450}]})
STREAM = b"GET /v1/events?from=latest HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"


class Service:
    def __init__(self, binary, folder, connections):
        limits = [f"--{name}={connections + 100}" for name in (
            "max-connections", "max-connections-per-address", "max-event-streams", "max-event-streams-per-address")]
        command = [binary, "serve", "--listen", "127.0.0.1:0", "--data", folder, *limits]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if found := re.search(r'"listen":"127\.0\.0\.1:(\d+)"', line):
                self.port = int(found[1])
                break

    def kib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1])

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:
            user, system = stat.read().rsplit(")", 1)[1].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


async def opened(port, request, count, until):
    """Opens connections. Each connection has sent the request, and has received the text `until`."""
    async def one():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        await reader.readuntil(until)
        return reader, writer

    connections = []
    while len(connections) < count:
        batch = min(200, count - len(connections))
        connections += await asyncio.gather(*(one() for _ in range(batch)))
    return connections


async def measure(service, kind, request, until, count, seconds):
    before = service.kib()
    connections = await opened(service.port, request, count, until)
    await asyncio.sleep(2)
    each = (service.kib() - before) / count
    cpu = service.cpu_seconds()
    await asyncio.sleep(seconds)
    cpu = (service.cpu_seconds() - cpu) / seconds * 100
    print(f"{count} {kind}: {each:.1f} KiB each, {cpu:.2f} % of a core")
    return connections


async def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "target/release/orders"
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 5000
    seconds = int(sys.argv[3]) if len(sys.argv) > 3 else 60
    with tempfile.TemporaryDirectory() as folder:
        service = Service(binary, folder + "/data", 2 * count)
        try:
            idle = await measure(service, "idle connections", HEALTH, b"}", count, seconds)
            for _, writer in idle:
                writer.close()
            await asyncio.sleep(2)
        finally:
            service.process.terminate()
            service.process.wait()
        service = Service(binary, folder + "/data", 2 * count)
        try:
            streams = await measure(service, "streams", STREAM, b"\n\n", count, seconds)
            arrivals = [asyncio.create_task(reader.readuntil(b"order_created")) for reader, _ in streams]
            start = time.monotonic()
            _, post = await asyncio.open_connection("127.0.0.1", service.port)
            head = f"POST /v1/orders HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {len(ORDER)}\r\n\r\n"
            post.write((head + ORDER).encode())
            first, _ = await asyncio.wait(arrivals, return_when=asyncio.FIRST_COMPLETED)
            first = time.monotonic() - start
            await asyncio.gather(*arrivals)
            print(f"an order arrives at the first stream after {first * 1000:.0f} ms, and at the last after "
                  f"{(time.monotonic() - start) * 1000:.0f} ms")
        finally:
            service.process.terminate()
            service.process.wait()


asyncio.run(main())
