# The queue that accepted events wait on, and the one for messages that cannot be handled.

locals {
  # A FIFO queue is called so. FIFO keeps the events of an order in order.
  queue_suffix = var.fifo ? ".fifo" : ""

  # Lambda asks for six times the function's timeout: a message must not come back while a batch with it is still tried.
  consumer_visibility     = 6 * var.consumer_timeout
  dead_letters_visibility = 6 * var.dead_letters_timeout

  retention        = 14 * 24 * 60 * 60 # the longest there is
  max_message_size = 1024 * 1024       # the largest there is; the provider's default is a quarter of it
}

resource "aws_sqs_queue" "main" {
  name = "${var.name}-queue${local.queue_suffix}"

  visibility_timeout_seconds = local.consumer_visibility
  message_retention_seconds  = local.retention
  receive_wait_time_seconds  = 20
  max_message_size           = local.max_message_size

  # The group is the order and the deduplication id the event's: ours, not a hash of the body. Order and throughput are
  # per group.
  fifo_queue                  = var.fifo
  content_based_deduplication = false
  deduplication_scope         = var.fifo ? "messageGroup" : null
  fifo_throughput_limit       = var.fifo ? "perMessageGroupId" : null

  sqs_managed_sse_enabled = var.kms_key_arn == null ? true : null
  kms_master_key_id       = var.kms_key_arn

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dlq.arn
    maxReceiveCount     = var.max_receive_count
  })

  tags = var.tags
}

# A FIFO queue takes no dead-letter queue but a FIFO queue. It has none of its own: its function archives whatever comes,
# and what cannot be archived stays here and raises the alarm dlq_not_empty.
resource "aws_sqs_queue" "dlq" {
  name = "${var.name}-queue-dlq${local.queue_suffix}"

  visibility_timeout_seconds = local.dead_letters_visibility
  message_retention_seconds  = local.retention
  receive_wait_time_seconds  = 20
  max_message_size           = local.max_message_size

  fifo_queue                  = var.fifo
  content_based_deduplication = false
  deduplication_scope         = var.fifo ? "messageGroup" : null
  fifo_throughput_limit       = var.fifo ? "perMessageGroupId" : null

  sqs_managed_sse_enabled = var.kms_key_arn == null ? true : null
  kms_master_key_id       = var.kms_key_arn

  tags = var.tags
}

# Nobody else's queue may send its dead letters here: they would be archived as if they were orders.
resource "aws_sqs_queue_redrive_allow_policy" "dlq" {
  queue_url = aws_sqs_queue.dlq.url

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.main.arn]
  })
}
