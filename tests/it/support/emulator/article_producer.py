"""A producer as the article describes it: boto3, a message of type, data, timestamp and correlation id, the customer
as its group.

    AWS_ENDPOINT_URL=… article_producer.py QUEUE_URL

Takes {"type": …, "data": …} a line on standard input, and prints the id of each message sent.
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
        # Without an offset, as the article's utcnow().isoformat() gives it.
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
