"""Runs a server until standard input closes: until the process that started it has ended in any way.

    run.py ministack
    run.py microburst UPSTREAM SEED RULES

Prints the port to standard output, and everything else to standard error. Removes TMPDIR at the end.
"""

import asyncio
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
    # A group of our own, so that the functions which the emulator runs can be taken along.
    os.setpgid(0, 0)

    def wait():
        sys.stdin.buffer.read()
        try:
            shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)
        finally:
            os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


def listen():
    # Listen before printing the port: no other process can take it, and early callers only wait.
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    port = listener.getsockname()[1]
    print(port, flush=True)
    os.dup2(2, 1)
    return listener, port


def ministack(listener, port):
    # Read when the modules are loaded.
    os.environ["GATEWAY_PORT"] = str(port)
    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack.app import app

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
