"""Runs a server until standard input is closed, which happens however the parent process ends.

    run.py ministack
    run.py microburst UPSTREAM SEED RULES

Prints the port to standard output, and everything else to standard error. Removes TMPDIR at the end.
"""

import asyncio
import copy
import json
import logging
import os
import random
import shutil
import signal
import socket
import sys
import threading


def die_with_parent():
    # A separate process group, so that the functions which the emulator runs can be killed together with it.
    os.setpgid(0, 0)

    def wait():
        sys.stdin.buffer.read()
        try:
            shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)
        finally:
            os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


def listen():
    # Listen before the port is printed. So no other process can take the port, and a client that connects early only
    # waits.
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    port = listener.getsockname()[1]
    print(port, flush=True)
    os.dup2(2, 1)
    return listener, port


def stream_partiql_writes(dynamodb):
    """Adds stream records for PartiQL writes, as DynamoDB does. The emulator itself adds stream records only for other writes."""

    def item(table, parsed):
        pk, sk, _, error = dynamodb._partiql_key_target(table, parsed)
        return None if error else copy.deepcopy(table["items"].get(pk, {}).get(sk))

    def emit(table, answer, name, old, new):
        if answer[0] < 300 and (old or new):
            dynamodb._emit_stream_event(table["TableName"], name, old, copy.deepcopy(new))
        return answer

    insert, update, delete = dynamodb._partiql_insert, dynamodb._partiql_update, dynamodb._partiql_delete

    def streamed_insert(table, parsed):
        new = parsed.get("item", {})
        return emit(table, insert(table, parsed), "INSERT", None, new["M"] if set(new) == {"M"} else new)

    def streamed_update(table, parsed, data=None):
        old = item(table, parsed)
        answer = update(table, parsed, data)
        return emit(table, answer, "MODIFY", old, item(table, parsed))

    def streamed_delete(table, parsed, data=None):
        old = item(table, parsed)
        return emit(table, delete(table, parsed, data), "REMOVE", old, None)

    dynamodb._partiql_insert = streamed_insert
    dynamodb._partiql_update = streamed_update
    dynamodb._partiql_delete = streamed_delete


def ministack(listener, port):
    # The modules read GATEWAY_PORT when they are loaded, so the variable is set before the imports.
    os.environ["GATEWAY_PORT"] = str(port)
    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack.app import app
    from ministack.services import dynamodb

    stream_partiql_writes(dynamodb)
    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.keep_alive_timeout = 75
    asyncio.run(serve(app, config))


def microburst(listener, upstream, seed, rules):
    from aiohttp import web
    from microburst.app import make_app
    from microburst.core.pipeline import Microburst

    logging.basicConfig(level=logging.INFO)
    random.seed(int(seed))
    proxy = Microburst(upstream, rules=json.loads(rules), resign=False)
    web.run_app(make_app(proxy), sock=listener, print=None)


if __name__ == "__main__":
    die_with_parent()
    listener, port = listen()
    if sys.argv[1] == "ministack":
        ministack(listener, port)
    else:
        microburst(listener, *sys.argv[2:])
