"""A v0 producer with boto3: its messages have type, data, timestamp and correlation id, and the customer as group.

    AWS_ENDPOINT_URL=… v0_producer.py QUEUE_URL

Reads one {"type": …, "data": …} a line from standard input, and prints the id of each message sent.
"""

import json
import sys
import uuid
from datetime import datetime, timezone

import boto3


def publish(client, queue_url, kind, order):
    body = {
        "type": kind,
        "data": order,
        # Without an offset, like utcnow().isoformat().
        "timestamp": datetime.now(timezone.utc).replace(tzinfo=None).isoformat(),
        "correlation_id": str(uuid.uuid4()),
    }
    sent = client.send_message(
        QueueUrl=queue_url,
        MessageBody=json.dumps(body),
        MessageGroupId=order.get("customer_id", "default"),
        MessageDeduplicationId=f"{order['order_id']}-{kind}",
    )
    return sent["MessageId"]


def main():
    client = boto3.client("sqs")
    for line in sys.stdin:
        event = json.loads(line)
        print(publish(client, sys.argv[1], event["type"], event["data"]), flush=True)


main()
