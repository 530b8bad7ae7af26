"""A webhook receiver that fails at random: receiver.py PORT JOURNAL SECRET_FILE MOOD SEED

It verifies each request with the reference library of Standard Webhooks. Before it answers a request, it writes a line to the journal:
the event, whether the signature is valid, and how the receiver reacts. MOOD is `good` or `flaky`.

The lies of a flaky receiver are answers that begin with 200 and do not end as promised: `cut_body`, `answer_twice` and `cut_head`.
"""

import json
import random
import socket
import sys
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

PORT, JOURNAL, SECRET_FILE, MOOD, SEED = sys.argv[1:]
lock = threading.Lock()
journal = open(JOURNAL, "a")
choice = random.Random(int(SEED))
stopping = threading.Event()


secrets = []


def verified(body, headers):
    """Whether the signature is valid. A request that was signed before a rotation may arrive after the secret was replaced, so
    earlier secrets count too. A restart forgets them."""
    with open(SECRET_FILE) as file:
        secret = file.read()
    if secret not in secrets:
        secrets.append(secret)
    return any(verifies(secret, body, headers) for secret in secrets)


def verifies(secret, body, headers):
    try:
        Webhook(secret).verify(body, dict(headers))
        return True
    except WebhookVerificationError:
        return False


def behaviour():
    if MOOD == "good" or choice.random() < 0.7:
        return "accept"
    faults = ["fail", "reset", "hang", "throttle", "redirect", "cut_body", "answer_twice", "cut_head"]
    return choice.choice(faults)


LIES = {
    "cut_body": b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nthe first part",
    # The second answer arrives before the next request of the connection. The service must not take it for
    # the answer to that request.
    "answer_twice": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    "cut_head": b"HTTP/1.1 200 OK\r\ncontent-len",
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        event = json.loads(body)
        with lock:
            does = behaviour()
            line = {
                "id": self.headers["webhook-id"],
                "order": event.get("subject"),
                "version": event.get("orderversion"),
                "type": event["type"],
                "content_type": self.headers["content-type"],
                "verified": verified(body, self.headers),
                "tampered_verifies": verified(body.replace(b'"specversion"', b'"specversioN"'), self.headers),
                "body_hash": zlib.crc32(body),
                "does": does,
            }
            print(json.dumps(line), file=journal, flush=True)
        if does == "accept":
            self.answer(200)
        elif does == "fail":
            self.answer(500)
        elif does in LIES:
            self.wfile.write(LIES[does])
            self.close_connection = does != "answer_twice"
        elif does == "throttle":
            self.answer(429, ("retry-after", "0"))
        elif does == "redirect":
            self.answer(307, ("location", f"http://127.0.0.1:{PORT}/redirected"))
        elif does == "hang":
            stopping.wait(30)
        else:
            # With the option SO_LINGER and a time of 0, the operating system resets the connection when the
            # socket is closed.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.close_connection = True

    def answer(self, status, *headers):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


ThreadingHTTPServer.daemon_threads = True
server = ThreadingHTTPServer(("127.0.0.1", int(PORT)), Handler)
print(json.dumps({"receiving": server.server_port}), file=sys.stderr, flush=True)
server.serve_forever()
