#!/usr/bin/env python3
"""The receiver of scripts/webhook-deliveries.py, a process of its own: webhook_receiver.py PORT JOURNAL KEY SEED MOOD BROKEN

It verifies each signature, and writes a line to the journal before it answers. MOOD is `good`, `flaky` (some requests fail, in every
way that is listed here) or `lag` (the line has the time since the event was recorded). If BROKEN is `broken`, some orders are refused.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import random
import socket
import sys
import time
import zlib
from datetime import datetime

OK, EMPTY = b"HTTP/1.1 200 OK\r\ncontent-length: ", b"0\r\n\r\n"
RESET = b"\1\0\0\0\0\0\0\0"
# How the receiver treats a request, and whether the event then counts as delivered. The receiver keeps the event in both cases.
DELIVERED = {
    "accept": True,
    # The status counts, although the connection breaks before the end of the body.
    "cut the body": True,
    # The bytes after the body are a second answer. It must not count for the next event of the connection.
    "answer twice": True,
    "fail": False,
    "throttle": False,
    "redirect": False,
    "reset": False,
    "hang": False,
    # A part of a 200 is no answer, and neither is an interim one.
    "cut the head": False,
    "only continue": False,
}
FAULTS = [name for name in DELIVERED if name != "accept"]
# Most faults are answers, because a hang takes a slot for a second.
WEIGHTS = [0.2 if name == "hang" else 1 for name in FAULTS]
ANSWERS = {
    "accept": OK + EMPTY,
    "cut the body": OK + b"100\r\n\r\nthe first part",
    "answer twice": OK + b"2\r\n\r\nok" + OK + EMPTY,
    "fail": b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: " + EMPTY,
    "throttle": b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 0\r\ncontent-length: " + EMPTY,
    "redirect": b"HTTP/1.1 307 Temporary Redirect\r\nlocation: /elsewhere\r\ncontent-length: " + EMPTY,
    "cut the head": b"HTTP/1.1 200 OK\r\ncontent-len",
    "only continue": b"HTTP/1.1 100 Continue\r\n\r\n",
}


def is_broken(order):
    return zlib.crc32(order.encode()) % 100 == 0


class Receiver(asyncio.Protocol):
    """A connection of the service."""

    journal = key = choice = mood = None

    def connection_made(self, transport):
        self.transport, self.buffer = transport, b""

    def data_received(self, data):
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            lines = self.buffer[:end].decode().split("\r\n")[1:]
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            size = end + 4 + int(headers["content-length"])
            if len(self.buffer) < size:
                return
            body, self.buffer = self.buffer[end + 4 : size], self.buffer[size:]
            self.receive(headers, body)

    def receive(self, headers, body):
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        signature = "v1," + base64.b64encode(hmac.digest(self.key, signed, hashlib.sha256)).decode()
        event = json.loads(body)
        does = self.behaviour(event["subject"])
        line = [event["subject"], str(event["orderversion"]), event["id"], str(zlib.crc32(body)), does]
        line.append("signed" if signature in headers["webhook-signature"].split() else "UNSIGNED")
        if self.mood == "lag":
            recorded = datetime.fromisoformat(event["time"]).timestamp()
            line.append(f"{time.time() - recorded:.6f}")
        os.write(self.journal, ("\t".join(line) + "\n").encode())
        self.answer(does)

    def behaviour(self, order):
        if self.mood == "flaky" and self.choice.random() < 0.08:
            return self.choice.choices(FAULTS, WEIGHTS)[0]
        if self.mood == "lag" and self.broken and is_broken(order):
            return self.choice.choices(["fail", "reset", "hang"], [4, 4, 2])[0]
        return "accept"

    def answer(self, does):
        if does == "hang":
            return
        self.transport.write(ANSWERS.get(does, b""))
        if does in ("reset", "cut the body", "cut the head", "only continue"):
            if does == "reset":
                self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.transport.close()


async def receive(port, journal, key, seed, mood, broken):
    Receiver.journal = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    Receiver.key, Receiver.choice = base64.b64decode(key), random.Random(seed)
    Receiver.mood, Receiver.broken = mood, broken == "broken"
    server = await asyncio.get_running_loop().create_server(Receiver, "127.0.0.1", port)
    print("receiving", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    port, journal, key, seed, mood, broken = sys.argv[1:]
    asyncio.run(receive(int(port), journal, key, int(seed), mood, broken))
