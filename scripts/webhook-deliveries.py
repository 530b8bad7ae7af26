#!/usr/bin/env python3
"""Makes a million webhook deliveries to a receiver that fails in many ways, and kills both sides.

    scripts/webhook-deliveries.py BINARY [--deliveries 1000000] [--rate 1500] [--kills 10] [--seed 1]
    scripts/webhook-deliveries.py BINARY --lag [--rate 500] [--seconds 40] [--rounds 3]

BINARY is a release binary. `orders load --webhooks` records the events and audits the service. Meanwhile the script kills the
service and the receiver with SIGKILL and starts them again. The service delivers every event twice: to the receiver of the
load, which accepts everything, and to the receiver of this script, which fails at random. It verifies each signature and
writes a line to its journal before it answers. At the end the script compares the journal with `orders export`: every event
is delivered, no event arrives before its predecessor is delivered, and all attempts of an event have the same body.

With --lag, the script measures for how long events of healthy orders wait: alone, and beside orders that the receiver refuses,
in turns. One order in a hundred is refused, with the service's own time limits and delays.
"""

import argparse
import collections
import http.client
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # The import would leave a folder beside the scripts.

from webhook_receiver import DELIVERED, is_broken

RECEIVER = pathlib.Path(__file__).with_name("webhook_receiver.py")


class World:
    """The service and the receiver, and the files of both."""

    def __init__(self, binary, folder, flags):
        self.binary, self.folder, self.flags = os.path.abspath(binary), folder, flags
        self.journal, self.data = folder / "journal", folder / "data"
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            other.bind(("127.0.0.1", 0))
            self.port, self.receiver_port = one.getsockname()[1], other.getsockname()[1]
        self.service = self.receiver = None
        self.processes = []
        self.log = open(folder / "log", "ab")

    def environment(self):
        return {k: v for k, v in os.environ.items() if not k.startswith(("ORDERS_", "AWS_", "OTEL_", "LOG_LEVEL"))}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()

    def spawn(self, command, **more):
        self.processes = [process for process in self.processes if process.poll() is None]
        self.processes.append(subprocess.Popen(command, env=self.environment(), **more))
        return self.processes[-1]

    def orders(self, *arguments, **more):
        return self.spawn([self.binary, *arguments], **more)

    def start_service(self):
        flags = ["--min-free-disk", "1", "--log-level", "error", "--webhooks-allow-private", *self.flags]
        listen = ["--listen", f"127.0.0.1:{self.port}", "--data", str(self.data)]
        self.service = self.orders("serve", *listen, *flags, stderr=self.log)
        while True:
            try:
                return self.ask("GET", "/healthz")
            except OSError:
                if self.service.poll() is not None:
                    sys.exit("the service did not start:\n" + (self.folder / "log").read_text())
                time.sleep(0.02)

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"content-type": "application/json"} if body else {}
        connection.request(method, path, json.dumps(body) if body else None, headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            sys.exit(f"{method} {path}: {answer.status} {text}")
        return text

    def subscribe(self):
        body = {"url": f"http://127.0.0.1:{self.receiver_port}/hook"}
        answer = json.loads(self.ask("POST", "/v1/webhooks", body))
        self.id, self.key = answer["id"], answer["secret"].removeprefix("whsec_")

    def start_receiver(self, seed, mood, broken=False):
        arguments = [str(self.receiver_port), str(self.journal), self.key, str(seed), mood, "broken" if broken else ""]
        command = [sys.executable, str(RECEIVER), *arguments]
        self.receiver = self.spawn(command, stdout=subprocess.PIPE, text=True)
        if self.receiver.stdout.readline() != "receiving\n":
            sys.exit("the receiver did not start")

    def progress(self):
        return json.loads(self.ask("GET", f"/v1/webhooks/{self.id}"))["progress"]

    def load(self, rate, seconds, seed, *flags, **more):
        # The default life of an order has many steps, so most events have a predecessor.
        mix = ["--mix", "create=1,advance=5", "--rate", str(rate), "--duration", str(seconds), "--seed", str(seed)]
        return self.orders("load", "--url", f"http://127.0.0.1:{self.port}", *mix, *flags, stderr=self.log, **more)

    def stop(self):
        self.service.send_signal(signal.SIGTERM)
        if self.service.wait(timeout=60) != 0:
            sys.exit("the service did not stop cleanly")
        self.receiver.kill()
        self.receiver.wait()


def deliver(arguments, world):
    start, choice = time.monotonic(), random.Random(arguments.seed)
    world.start_service()
    world.subscribe()
    world.start_receiver(arguments.seed, "flaky")
    # A few requests are refused by the rules, and record no event.
    seconds = arguments.deliveries * 1.03 / arguments.rate
    load = world.load(arguments.rate, f"{seconds:.0f}", arguments.seed, "--webhooks", "--patience", "120")
    while load.poll() is None and not (world.journal.exists() and world.journal.stat().st_size):
        time.sleep(0.05)
    for kill in range(2 * arguments.kills):
        at = start + seconds * (kill + choice.random()) / (2 * arguments.kills)
        while time.monotonic() < at and load.poll() is None:
            time.sleep(0.05)
        if kill % 2:
            world.receiver.kill()
            world.receiver.wait()
            world.start_receiver(arguments.seed + kill, "flaky")
        else:
            world.service.kill()
            world.service.wait()
            world.start_service()
    if load.wait() != 0:
        sys.exit("the load failed, or its audit is not clean:\n" + (world.folder / "log").read_text()[-5000:])
    loaded = time.monotonic() - start
    world.receiver.kill()
    world.receiver.wait()
    world.start_receiver(arguments.seed, "good")
    while (progress := world.progress())["lag_events"] or progress["held_orders"]:
        time.sleep(0.1)
    print(f"the load and its audit took {loaded:.0f} s; everything was delivered after {time.monotonic() - start:.0f} s")
    world.stop()
    audit(world, arguments.kills)


def audit(world, kills):
    export = world.orders("export", "--data", str(world.data), stdout=subprocess.PIPE, stderr=world.log)
    recorded = collections.defaultdict(list)
    for line in export.stdout:
        event = json.loads(line)
        recorded[event["data"]["order_id"]].append(event["event_id"])
    if export.wait() != 0:
        sys.exit("the export failed")
    delivered, bodies, counts = collections.defaultdict(int), {}, collections.Counter()
    wrong = collections.Counter()
    for line in open(world.journal):
        order, version, event_id, body, does, signed = line.rstrip("\n").split("\t")
        version = int(version)
        counts[does] += 1
        wrong["unsigned"] += signed != "signed"
        wrong["inversions"] += version > delivered[order] + 1
        wrong["other ids"] += recorded[order][version - 1] != event_id
        wrong["other bodies"] += bodies.setdefault(event_id, body) != body
        if DELIVERED[does]:
            delivered[order] = max(delivered[order], version)
    events = sum(map(len, recorded.values()))
    wrong["lost events"] = sum(len(ids) - delivered[order] for order, ids in recorded.items())
    attempts = sum(counts.values())
    print(f"{events} events of {len(recorded)} orders; {attempts} attempts; {kills} kills of the service and of the receiver")
    print("the receiver: " + ", ".join(f"{name} {count}" for name, count in counts.most_common()))
    print(", ".join(f"{count} {what}" for what, count in wrong.items()))
    if any(wrong.values()):
        sys.exit("the deliveries are wrong")
    print("every event was delivered, signed, in order within its order, and with the same bytes on every attempt")


def lag(arguments, folder):
    quantiles = {False: [], True: []}
    for turn in range(2 * arguments.rounds):
        broken = turn % 2 == 1
        (folder / str(turn)).mkdir()
        with World(arguments.binary, folder / str(turn), []) as world:
            p50, p90, p99, events, held = lag_of_healthy_orders(arguments, world, turn, broken)
        quantiles[broken].append(p99)
        beside = f"beside {held} held orders" if broken else "alone"
        print(f"healthy orders {beside}: {events} events, lag p50 {p50:.1f} ms, p90 {p90:.1f} ms, p99 {p99:.1f} ms", flush=True)
    alone, beside = (sorted(quantiles[broken])[arguments.rounds // 2] for broken in (False, True))
    print(f"median p99 of healthy orders: alone {alone:.1f} ms, beside broken orders {beside:.1f} ms")


def lag_of_healthy_orders(arguments, world, turn, broken):
    world.start_service()
    world.subscribe()
    world.start_receiver(arguments.seed + turn, "lag", broken)
    if world.load(arguments.rate, arguments.seconds, arguments.seed, stdout=world.log).wait() != 0:
        sys.exit("the load failed:\n" + (world.folder / "log").read_text()[-5000:])
    deadline = time.monotonic() + 60
    while world.progress()["lag_events"] and time.monotonic() < deadline:
        time.sleep(0.1)
    held = world.progress()["held_orders"]
    world.stop()
    waits = {}
    for line in open(world.journal):
        order, version, _, _, _, _, wait = line.rstrip("\n").split("\t")
        if not is_broken(order):
            waits.setdefault((order, version), float(wait))
    waits = sorted(waits.values())
    quantiles = [1000 * waits[len(waits) * percent // 100] for percent in (50, 90, 99)]
    return *quantiles, len(waits), held


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--deliveries", type=int, default=1_000_000)
    parser.add_argument("--rate", type=int)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lag", action="store_true")
    parser.add_argument("--seconds", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.lag:
            arguments.rate = arguments.rate or 500
            return lag(arguments, pathlib.Path(folder))
        arguments.rate = arguments.rate or 1500
        # The delays are short, and so many that no delivery is given up.
        delays = ",".join(["100ms"] * 5 + ["300ms"] * 20 + ["1s"] * 25)
        flags = ["--webhooks-retry-delays", delays, "--webhooks-timeout", "1s", "--webhooks-concurrency", "64"]
        with World(arguments.binary, pathlib.Path(folder), flags) as world:
            deliver(arguments, world)


if __name__ == "__main__":
    main()
