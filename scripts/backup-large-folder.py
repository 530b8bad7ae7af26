#!/usr/bin/env python3
"""Measures backups of a data folder with many orders: time, size, and peak memory of each process.

    scripts/backup-large-folder.py BINARY [--orders 5000000] [--keep FOLDER] [--rate RATE] [--rounds 5] [--memory MIB]

BINARY is a release binary. It fills a folder, and then:

1. backs it up while the service runs, and again after some more orders: the first increment has everything, and the second one is small;
2. verifies the backup, restores it into another folder, and compares what `inspect` says of both;
3. with --rate, places orders at this rate, in turns with and without a full backup beside it, and compares the latency.

Fails if the folders differ, or if a process needs more memory than --memory. With --keep, an existing folder is used as it is.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True  # The import would leave a folder beside the scripts.

from large_folder import Service, environment, fill


def megabytes(folder):
    return sum(file.stat().st_size for file in pathlib.Path(folder).rglob("*") if file.is_file()) / 1e6


class Measured:
    """A command that runs to its end. Fails if the command fails."""

    def __init__(self, what, *command, **variables):
        start = time.monotonic()
        with tempfile.TemporaryFile("w+") as output:
            variables = environment() | variables
            process = subprocess.Popen(command, env=variables, stdout=output, stderr=subprocess.STDOUT)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            self.seconds, self.mib = time.monotonic() - start, usage.ru_maxrss / 1024
            output.seek(0)
            self.output = output.read()
        if process.returncode != 0:
            sys.exit(f"{what} failed:\n{self.output}")
        print(f"{what}: {self.seconds:.1f} s, {self.mib:.0f} MiB", flush=True)


def peak(service):
    """The peak memory of the service in MiB."""
    status = pathlib.Path(f"/proc/{service.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024


def backup(binary, data, target, rate):
    """Backs the folder up twice. Returns the peak memory of all processes."""
    service = Service(binary, data)
    service.wait_until_serving()
    before, url = peak(service), f"http://{service.address}"
    full = Measured("full backup of the running service", binary, "backup", target, ORDERS_URL=url)
    size = megabytes(target)
    print(f"the backup has {size:.0f} MB, {size / full.seconds:.1f} MB a second; the folder has {megabytes(data):.0f} MB")
    print(f"memory of the service: {before:.0f} MiB before, {peak(service):.0f} MiB at the peak of the backup")
    load(binary, url, rate or 1000, 10)
    small = Measured("increment", binary, "backup", target, ORDERS_URL=url)
    print(small.output.strip())
    service_peak = peak(service)
    service.stop()
    return max(full.mib, small.mib, service_peak)


def load(binary, url, rate, seconds):
    """Places orders at the rate. Returns the report."""
    with tempfile.NamedTemporaryFile() as report:
        command = [binary, "load", "--url", url, "--rate", str(rate), "--duration", str(seconds), "--mix", "create=1"]
        command += ["--json", report.name]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"the load failed:\n{done.stdout}{done.stderr}")
        return json.load(report)


def beside(binary, data, rate, rounds):
    """Compares the latency with and without a backup, in turns."""
    service = Service(binary, data)
    service.wait_until_serving()
    url, ratios = f"http://{service.address}", []
    for number in range(rounds):
        p99 = {}
        for with_backup in [False, True] if number % 2 else [True, False]:
            stop = threading.Event()
            other = threading.Thread(target=back_up_again_and_again, args=(binary, url, stop if with_backup else None))
            other.start()
            p99[with_backup] = load(binary, url, rate, 15)["latency"]["accept"]["p99"] / 1000
            stop.set()
            other.join()
        ratios.append(p99[True] / p99[False])
        print(f"p99 at {rate} orders a second: {p99[False]:.2f} ms, beside a backup {p99[True]:.2f} ms", flush=True)
    service.stop()
    print(f"ratio of the p99: min {min(ratios):.2f}, median {statistics.median(ratios):.2f}, max {max(ratios):.2f}")


def back_up_again_and_again(binary, url, stop):
    while stop and not stop.is_set():
        with tempfile.TemporaryDirectory() as target:
            process = subprocess.Popen([binary, "backup", target], env=environment() | {"ORDERS_URL": url},
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while process.poll() is None and not stop.wait(0.05):
                pass
            process.kill()
            process.wait()


def described(binary, data):
    """What must be the same in the folder and in the restored one."""
    output = subprocess.run([binary, "inspect", data, "--json"], env=environment(), capture_output=True, text=True, check=True)
    content = json.loads(output.stdout)["content"]
    return {name: value for name, value in content.items() if name != "commit"}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--orders", type=int, default=5_000_000)
    parser.add_argument("--keep", help="where to keep the folder")
    parser.add_argument("--rate", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", type=float, default=256)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = pathlib.Path(args.keep or temporary)
        data, target, restored = (str(place / name) for name in ["source", "backup", "restored"])
        if not pathlib.Path(data).exists():
            start = time.monotonic()
            fill(args.binary, data, args.orders)
            print(f"{args.orders} orders written in {time.monotonic() - start:.0f} s", flush=True)
        for folder in [target, restored]:
            shutil.rmtree(folder, ignore_errors=True)
        most = backup(args.binary, data, target, args.rate)
        verify = Measured("verify", args.binary, "backup", "verify", target, "--scratch", str(place))
        print(verify.output.strip())
        restore = Measured("restore", args.binary, "restore", target, "--data", restored)
        print(f"the restored folder has {megabytes(restored):.0f} MB")
        source, copy = described(args.binary, data), described(args.binary, restored)
        if source != copy:
            sys.exit(f"the folders differ:\n{source}\n{copy}")
        if args.rate:
            beside(args.binary, data, args.rate, args.rounds)
        most = max(most, verify.mib, restore.mib)
        if most > args.memory:
            sys.exit(f"a process needed {most:.0f} MiB of memory")


main()
