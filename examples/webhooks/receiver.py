#!/usr/bin/env python3
"""A webhook receiver with Python's standard library and `standardwebhooks`: receiver.py [PORT] [FILE]

WEBHOOK_SECRET is the subscription's secret. The receiver does what every receiver should do:

- It verifies the signature over the body's bytes before it parses them.
- It stores the event durably before it answers with a 2xx status. It does the actual work after the answer.
- It recognizes repeated events by their `webhook-id`, also after a restart.
- It answers a repeated event with a 2xx status. With any other status, the service would deliver the event
  again, and hold back later events of its order.
"""

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

MAX_BODY = 1 << 20


class Inbox:
    """The received events: a file with one event on each line, and the ids in memory."""

    def __init__(self, path):
        self.lock = threading.Lock()
        self.ids = set()
        # A crash can cut off the last line. Its event was not answered, so the service delivers the event again.
        if os.path.exists(path):
            with open(path, "rb+") as file:
                complete = file.read().rpartition(b"\n")[0]
                self.ids = {json.loads(line)["id"] for line in complete.splitlines()}
                file.truncate(len(complete) + 1 if complete else 0)
        self.file = open(path, "ab")

    def add(self, webhook_id, event):
        """Stores the event. Returns False if it was stored before."""
        with self.lock:
            if webhook_id in self.ids:
                return False
            self.file.write(json.dumps(event).encode() + b"\n")
            self.file.flush()
            os.fsync(self.file.fileno())
            self.ids.add(webhook_id)
            return True


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    webhook = None
    inbox = None

    def do_POST(self):
        length = int(self.headers.get("content-length") or 0)
        if length > MAX_BODY:
            return self.answer(413)
        body = self.rfile.read(length)
        try:
            event = self.webhook.verify(body, dict(self.headers))
        except (WebhookVerificationError, ValueError):
            return self.answer(401)
        # A test event belongs to no order and is not stored. It only needs an answer.
        if event["type"] != "orders.webhook_test":
            if self.inbox.add(self.headers["webhook-id"], event):
                print(f"{event['subject']} version {event['orderversion']}: {event['type']}", flush=True)
        self.answer(204)

    def answer(self, status):
        self.send_response(status)
        # The body was not read, so the connection cannot be used for another request.
        if status == 413:
            self.send_header("connection", "close")
            self.close_connection = True
        if status != 204:
            self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def main():
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 9000
    Receiver.webhook = Webhook(os.environ["WEBHOOK_SECRET"])
    Receiver.inbox = Inbox(sys.argv[2] if len(sys.argv) > 2 else "received.jsonl")
    server = ThreadingHTTPServer(("127.0.0.1", port), Receiver)
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
