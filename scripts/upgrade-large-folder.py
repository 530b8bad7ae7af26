#!/usr/bin/env python3
"""Upgrades a data folder of an earlier format with many orders, and kills the upgrade several times.

    scripts/upgrade-large-folder.py OLD NEW [--orders 1000000] [--format 3] [--kills 10] [--seconds 60] [--keep FOLDER]

OLD is a release binary that writes folders of format 4, or of 5 with --format 5, and NEW is the binary to test. OLD fills a
folder: a fifth of the orders are confirmed, and a tenth are also paid. For format 3, the script removes the file EXTENT and writes format 3 to FORMAT, because an
upgrade looks at no other difference. Then the script starts NEW and kills it with SIGKILL, until the upgrade is complete. The time
of the upgrade is the sum of all starts. Afterwards OLD must refuse the folder, `NEW rebuild --check` must find no difference,
and lists must be complete.

Fails if the upgrade takes longer than --seconds, or if anything differs. With --keep, an existing folder is used as it is.
"""

import argparse
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # The import would leave a folder beside the scripts.

from large_folder import Service, ask, environment, fill

COMPLETE = "the feed of the data folder is complete"


def upgrade(binary, data, kills, expected_seconds):
    """Starts and kills the service until it serves. Returns the seconds of all starts, and how often it was killed."""
    total, killed = 0.0, 0
    while True:
        service = Service(binary, data)
        start = time.monotonic()
        patience = random.uniform(0.2, expected_seconds / (kills + 2)) if killed < kills else None
        serves = service.serving.wait(patience)
        if not serves:
            service.process.kill()
            service.process.wait()
            total += time.monotonic() - start
            killed += 1
            continue
        service.wait_until_serving()
        total += time.monotonic() - start
        was_upgraded = any(COMPLETE in line for line in service.log)
        service.stop()
        return total, killed, was_upgraded


def check(old, new, data, orders):
    refused = subprocess.run([old, "export", "--data", data], env=environment(), capture_output=True, text=True)
    if refused.returncode == 0 or "another version" not in refused.stderr:
        sys.exit(f"the earlier version does not refuse the folder: {refused.stderr}")
    start = time.monotonic()
    rebuild = [new, "rebuild", "--check", "--data", data]
    checked = subprocess.run(rebuild, env=environment(), capture_output=True, text=True)
    print(f"rebuild --check in {time.monotonic() - start:.1f} s:\n{checked.stdout.strip()}")
    if checked.returncode != 0:
        sys.exit(checked.stderr)
    service = Service(new, data)
    connection = service.wait_until_serving()
    for query in ["", "status=pending", "status=confirmed", "status=paid", "updated_from=2000-01-01T00%3A00%3A00Z"]:
        found, cursor, pages, start = 0, "", 0, time.monotonic()
        while cursor is not None and pages < 200:
            answer = ask(connection, "GET", f"/v1/orders?limit=200&{query}{cursor and '&cursor=' + cursor}")
            found, pages, cursor = found + len(answer["items"]), pages + 1, answer["next_cursor"]
        each = (time.monotonic() - start) / pages * 1000
        print(f"list {query or 'of all'}: {found} orders on {pages} pages, {each:.1f} ms a page")
        if cursor is None and query == "" and found != orders:
            sys.exit(f"{orders} orders were expected")
    service.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--format", type=int, choices=[3, 4, 5], default=3)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--keep", help="where to keep the folder of the earlier format")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        source = pathlib.Path(args.keep or temporary, "source")
        if not source.exists():
            start = time.monotonic()
            fill(args.old, str(source), args.orders)
            print(f"{args.orders} orders written in {time.monotonic() - start:.0f} s")
        data = pathlib.Path(args.keep or temporary, "upgraded")
        shutil.rmtree(data, ignore_errors=True)
        shutil.copytree(source, data)
        if args.format == 3:
            (data / "EXTENT").unlink()
            (data / "FORMAT").write_text("orders data folder, format 3\n")
        seconds, killed, was_upgraded = upgrade(args.new, str(data), args.kills, args.seconds)
        print(f"upgraded from format {args.format} in {seconds:.1f} s, killed {killed} times on the way")
        if not was_upgraded:
            sys.exit("the last start had nothing to upgrade")
        check(args.old, args.new, str(data), args.orders)
        if seconds > args.seconds:
            sys.exit(f"the upgrade took longer than {args.seconds} s")


main()
