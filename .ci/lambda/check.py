"""Checks a package for Lambda: check.py PACKAGE MACHINE [RUNNER ...]

The zip must contain a single file, `bootstrap`: an executable ELF program for MACHINE (arm64 or x86_64) that needs no newer
glibc than Lambda has. The check then starts the program as each role, with a stub of the Lambda runtime API, and the program
must answer the stub's events. RUNNER is an emulator with its arguments, for a MACHINE whose programs this machine cannot run.
With `-` as RUNNER, the check does not start the program.
"""

import http.server
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zipfile

MACHINES = {"x86_64": 62, "arm64": 183}
# The version of glibc in Amazon Linux 2023 (provided.al2023).
GLIBC = (2, 34)
TIMEOUT = 60

HEALTH = {
    "version": "2.0", "routeKey": "$default", "rawPath": "/healthz", "rawQueryString": "", "headers": {"host": "api.example"},
    "requestContext": {"apiId": "a", "domainName": "api.example", "stage": "$default", "routeKey": "$default",
                       "http": {"method": "GET", "path": "/healthz", "sourceIp": "203.0.113.7"}},
    "isBase64Encoded": False,
}
EMPTY = {"batchItemFailures": []}
# For each role: the events that it is invoked with, and the members that each answer must contain.
INVOCATIONS = {
    "api": [(HEALTH, {"statusCode": 200}), ({}, {"statusCode": 200})],
    "consumer": [({"Records": []}, EMPTY), ({}, EMPTY)],
    "dead-letters": [({"Records": []}, EMPTY), ({}, EMPTY)],
    "relay": [({"Records": []}, EMPTY), ({}, EMPTY)],
    "webhook-sender": [({"Records": []}, EMPTY), ({}, EMPTY)],
}


def fail(text):
    sys.exit(f"error: {text}")


def unpacked(package, machine, folder):
    with zipfile.ZipFile(package) as archive:
        names = archive.namelist()
        if names != ["bootstrap"]:
            fail(f"{package} contains {names} instead of only bootstrap")
        mode = archive.getinfo("bootstrap").external_attr >> 16
        program = archive.read("bootstrap")
    if not mode & 0o111:
        fail(f"bootstrap is not executable: its mode is {mode:o}")
    if program[:4] != b"\x7fELF" or struct.unpack_from("<H", program, 18)[0] != MACHINES[machine]:
        fail(f"bootstrap is not an ELF program for {machine}")
    versions = {tuple(map(int, version.split(b"."))) for version in re.findall(rb"GLIBC_(\d+\.\d+)\0", program)}
    if not versions or max(versions) > GLIBC:
        fail(f"bootstrap needs glibc {max(versions, default='?')}, but Lambda has {GLIBC}")
    path = os.path.join(folder, "bootstrap")
    with open(path, "wb") as file:
        file.write(program)
    os.chmod(path, 0o755)
    return path


class Runtime(http.server.ThreadingHTTPServer):
    """The runtime API for one process. Sends the events to the process one after the other, and stores its answers."""

    daemon_threads = True

    def __init__(self, events):
        super().__init__(("127.0.0.1", 0), Handler)
        self.events, self.answers, self.done = list(events), [], threading.Event()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        handed = len(self.server.answers)
        if handed == len(self.server.events):
            self.server.done.set()
            time.sleep(TIMEOUT)  # Like Lambda, keep the request open while there is no event.
            return
        body = json.dumps(self.server.events[handed]).encode()
        self.send_response(200)
        for name, value in {
            "content-type": "application/json", "content-length": len(body),
            "lambda-runtime-aws-request-id": f"00000000-0000-4000-8000-00000000000{handed}",
            "lambda-runtime-deadline-ms": int((time.time() + TIMEOUT) * 1000),
            "lambda-runtime-invoked-function-arn": "arn:aws:lambda:eu-central-1:123456789012:function:orders",
        }.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"] or 0)) if self.headers["content-length"] else self.chunks()
        self.server.answers.append((self.path.rsplit("/", 1)[-1], body))
        self.send_response(202)
        self.send_header("content-length", "0")
        self.end_headers()
        if self.path.endswith("/init/error"):
            self.server.done.set()

    def chunks(self):
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def log_message(self, *_):
        pass


def run(command, role, invocations):
    runtime = Runtime(event for event, _ in invocations)
    threading.Thread(target=runtime.serve_forever, daemon=True).start()
    queue = "https://sqs.eu-central-1.amazonaws.com/123456789012/orders"
    environment = {
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{runtime.server_port}", "_HANDLER": role,
        "AWS_LAMBDA_FUNCTION_NAME": "orders", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST", "AWS_LAMBDA_LOG_GROUP_NAME": "/orders",
        "AWS_LAMBDA_LOG_STREAM_NAME": "orders", "AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test", "QUEUE_URL": f"{queue}.fifo", "DLQ_URL": f"{queue}-dlq.fifo", "TABLE_NAME": "orders",
        "DLQ_BUCKET": "orders-dead-letters", "ALERTS_TOPIC": "arn:aws:sns:eu-central-1:123456789012:alerts",
        "ORDERS_INSECURE_NO_AUTH": "true", "ORDERS_MAX_RECEIVES": "5", "OUTBOUND_TABLE": "orders-outbound",
        "WEBHOOK_QUEUE_URL": f"{queue}-webhooks.fifo",
    }
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + TIMEOUT
        while not runtime.done.wait(0.05) and process.poll() is None and time.monotonic() < deadline:
            pass
        process.kill()
        process.wait()
        log.seek(0)
        told = log.read().decode(errors="replace")
    runtime.shutdown()
    if len(runtime.answers) != len(invocations):
        fail(f"as {role} it answered {len(runtime.answers)} of {len(invocations)} events: {runtime.answers}\n{told}")
    for (event, expected), (kind, body) in zip(invocations, runtime.answers):
        answer = json.loads(body)
        if kind != "response" or not expected.items() <= answer.items():
            fail(f"as {role} it answers {json.dumps(event)} with {kind} {answer}, not {expected}\n{told}")


def main():
    package, machine, *runner = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        program = unpacked(package, machine, folder)
        if runner == ["-"]:
            print(f"{package}: a program for {machine}; not started")
            return
        for role, invocations in INVOCATIONS.items():
            run([*runner, program], role, invocations)
    print(f"{package}: a program for {machine} that answers as {', '.join(INVOCATIONS)}")


main()
