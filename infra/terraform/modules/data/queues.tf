# The queue of accepted events, and the dead-letter queue.

locals {
  # The name of a FIFO queue must end with .fifo. FIFO keeps the events of an order in order.
  queue_suffix = var.queue.fifo ? ".fifo" : ""

  retention        = 14 * 24 * 60 * 60 # the maximum of SQS
  max_message_size = 1024 * 1024       # the maximum of SQS; the provider's default is a quarter of it
}

resource "aws_sqs_queue" "main" {
  name = "${var.name}-queue${local.queue_suffix}"

  visibility_timeout_seconds = var.visibility.consumer
  message_retention_seconds  = local.retention
  receive_wait_time_seconds  = 20
  max_message_size           = local.max_message_size

  # The group is the order. The deduplication id is the event's id, not a hash of the body. Order and throughput are per
  # group.
  fifo_queue                  = var.queue.fifo
  content_based_deduplication = false
  deduplication_scope         = var.queue.fifo ? "messageGroup" : null
  fifo_throughput_limit       = var.queue.fifo ? "perMessageGroupId" : null

  sqs_managed_sse_enabled = var.kms_key_arn == null ? true : null
  kms_master_key_id       = var.kms_key_arn

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dlq.arn
    maxReceiveCount     = var.queue.max_receive_count
  })

  tags = var.tags
}

# The dead-letter queue of a FIFO queue must be FIFO. It has no dead-letter queue itself: its function archives all messages,
# and those that cannot be archived stay here and raise the alarm dlq_not_empty.
resource "aws_sqs_queue" "dlq" {
  name = "${var.name}-queue-dlq${local.queue_suffix}"

  visibility_timeout_seconds = var.visibility.dead_letters
  message_retention_seconds  = local.retention
  receive_wait_time_seconds  = 20
  max_message_size           = local.max_message_size

  fifo_queue                  = var.queue.fifo
  content_based_deduplication = false
  deduplication_scope         = var.queue.fifo ? "messageGroup" : null
  fifo_throughput_limit       = var.queue.fifo ? "perMessageGroupId" : null

  sqs_managed_sse_enabled = var.kms_key_arn == null ? true : null
  kms_master_key_id       = var.kms_key_arn

  tags = var.tags
}

# No other queue may send its dead letters here: they would be archived as events.
resource "aws_sqs_queue_redrive_allow_policy" "dlq" {
  queue_url = aws_sqs_queue.dlq.url

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.main.arn]
  })
}
