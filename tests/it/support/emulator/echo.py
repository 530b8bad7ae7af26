#!/usr/bin/env python3
"""A function for tests of the emulator. It prints each body of a batch with its receive count, and reports bodies "again" as
failed on their first receive. It answers any other event with the event."""

import json
import os
from urllib.request import Request, urlopen

RUNTIME = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation"


def fails(record):
    count = record["attributes"]["ApproximateReceiveCount"]
    print(record["body"], count, flush=True)
    return record["body"] == "again" and count == "1"


def handle(event):
    if "Records" in event:
        failed = [record["messageId"] for record in event["Records"] if fails(record)]
        return {"batchItemFailures": [{"itemIdentifier": message} for message in failed]}
    return {"handler": os.environ["_HANDLER"], "endpoint": os.environ["AWS_ENDPOINT_URL"], "event": event}


while True:
    with urlopen(f"{RUNTIME}/next") as invocation:
        identifier = invocation.headers["Lambda-Runtime-Aws-Request-Id"]
        answer = json.dumps(handle(json.load(invocation))).encode()
    with urlopen(Request(f"{RUNTIME}/{identifier}/response", data=answer)):
        pass
