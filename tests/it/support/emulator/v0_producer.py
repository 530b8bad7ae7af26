"""A v0 producer with boto3. Its messages have type, data, timestamp and correlation id. The group is the customer.

    AWS_ENDPOINT_URL=… v0_producer.py QUEUE_URL

Reads lines of the form {"type": …, "data": …} from standard input. Sends each line, and prints the id of the message.
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
        # A time without an offset, as in the result of utcnow().isoformat().
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
