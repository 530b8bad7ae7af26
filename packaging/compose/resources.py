"""Makes the queues, the bucket and the topic of aws.yaml on an emulator, which checks no signatures. `orders table create` makes the table.

    AWS_ENDPOINT_URL=http://127.0.0.1:4566 resources.py
"""

import json
import os
import urllib.parse
import urllib.request

ENDPOINT = os.environ["AWS_ENDPOINT_URL"].rstrip("/")


def credential(service):
    # An emulator reads the service and the region from here.
    scope = f"test/20260101/us-east-1/{service}/aws4_request"
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=none"


def send(service, body, headers, method="POST", path="/"):
    headers = {"authorization": credential(service), **headers}
    request = urllib.request.Request(ENDPOINT + path, body, headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as response:
        return response.read()


def sqs(action, **members):
    headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": f"AmazonSQS.{action}"}
    return json.loads(send("sqs", json.dumps(members).encode(), headers) or "{}")


fifo = {"FifoQueue": "true", "VisibilityTimeout": "60"}
dead = sqs("CreateQueue", QueueName="orders-dead.fifo", Attributes=fifo)["QueueUrl"]
arn = sqs("GetQueueAttributes", QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": "5"})
queue = sqs("CreateQueue", QueueName="orders.fifo", Attributes={**fifo, "RedrivePolicy": redrive})["QueueUrl"]
send("s3", None, {}, "PUT", "/orders-dead-letters")
topic = urllib.parse.urlencode({"Action": "CreateTopic", "Name": "orders-alerts", "Version": "2010-03-31"})
send("sns", topic.encode(), {"content-type": "application/x-www-form-urlencoded"})
print(f"made {queue}, {dead}, a bucket and a topic")
