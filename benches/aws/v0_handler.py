"""The v0 consumer, rebuilt for comparison with ours. It handles messages one by one, reads before each put of an order,
answers with a partial batch response, and logs a line for each step.

Run as a program, it is a function on `AWS_LAMBDA_RUNTIME_API` that reports the CPU time of its handler with each answer.
It differs from the original in one point: the read has the sort key, because DynamoDB refuses a read without it.
"""

import http.client
import json
import logging
import os
import resource
from dataclasses import dataclass
from typing import Optional

import boto3

logger = logging.getLogger()
logger.setLevel(logging.INFO)

table = boto3.resource("dynamodb").Table(os.environ["TABLE_NAME"])


@dataclass
class Result:
    message_id: str
    done: bool
    error: Optional[str] = None


def handler(event, context):
    records = event["Records"]
    logger.info(f"{len(records)} messages to handle")
    results = [handle(record) for record in records]
    failures = [{"itemIdentifier": result.message_id} for result in results if not result.done]
    if failures:
        logger.warning(f"{len(failures)} messages failed")
    return {"batchItemFailures": failures}


def handle(record):
    message_id = record["messageId"]
    try:
        body = json.loads(record["body"])
        logger.info(f"handling message {message_id}: {body.get('type')}")
        validate(body)
        if body["type"] == "order_created":
            create(body["data"])
        elif body["type"] == "order_updated":
            update(body["data"])
        else:
            raise ValueError(f"no such message type: {body['type']}")
        return Result(message_id, True)
    except ValueError as error:
        # Like the original handler, this one drops malformed and invalid messages.
        logger.error(f"message {message_id} is not valid: {error}")
        return Result(message_id, True)
    except Exception as error:
        logger.error(f"message {message_id} failed: {error}", exc_info=True)
        return Result(message_id, False, str(error))


def validate(body):
    for field in ("type", "data", "timestamp"):
        if field not in body:
            raise ValueError(f"the field {field} is missing")


def create(order):
    key = {"pk": f"ORDER#{order['order_id']}", "sk": "METADATA"}
    if "Item" in table.get_item(Key=key):
        logger.info(f"order {order['order_id']} is there already")
        return
    table.put_item(
        Item={
            **key,
            "status": "pending",
            "created_at": order["timestamp"],
            "customer_id": order["customer_id"],
            "items": order["items"],
            "total": order["total"],
        }
    )
    logger.info(f"order {order['order_id']} created")


def update(change):
    table.update_item(
        Key={"pk": f"ORDER#{change['order_id']}", "sk": "METADATA"},
        UpdateExpression="SET #status = :status, updated_at = :at",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":status": change["status"], ":at": change["timestamp"]},
        ConditionExpression="attribute_exists(pk)",
    )
    logger.info(f"order {change['order_id']} is {change['status']} now")


def cpu_seconds():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def serve():
    # Lambda's own Python runtime installs a log handler that formats and writes each line, so this runtime does the
    # same.
    logging.basicConfig()
    api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    path = "/2018-06-01/runtime/invocation"
    while True:
        api.request("GET", f"{path}/next")
        invocation = api.getresponse()
        event = json.loads(invocation.read())
        before = cpu_seconds()
        answer = handler(event, None)
        used = round((cpu_seconds() - before) * 1e6)
        request_id = invocation.headers["lambda-runtime-aws-request-id"]
        headers = {"x-handler-cpu-microseconds": str(used)}
        api.request("POST", f"{path}/{request_id}/response", json.dumps(answer), headers)
        api.getresponse().read()


if __name__ == "__main__":
    serve()
