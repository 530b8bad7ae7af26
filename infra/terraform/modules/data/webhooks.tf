# The queue of webhook deliveries. The relay sends a job for each event that a subscription selects.

locals {
  # A group is an order for a subscription. A message is also the timer of a failed delivery, so it is received many times: the
  # sender replaces it by a new one after 500 receives.
  webhook_max_receives = 1000
}

resource "aws_sqs_queue" "webhooks" {
  count = var.webhooks ? 1 : 0

  name = "${var.name}-webhooks.fifo"

  visibility_timeout_seconds = var.visibility.webhooks
  message_retention_seconds  = local.retention
  receive_wait_time_seconds  = 20

  fifo_queue                  = true
  content_based_deduplication = false
  deduplication_scope         = "messageGroup"
  fifo_throughput_limit       = "perMessageGroupId"

  sqs_managed_sse_enabled = var.kms_key_arn == null ? true : null
  kms_master_key_id       = var.kms_key_arn

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.webhooks_dlq[0].arn
    maxReceiveCount     = local.webhook_max_receives
  })

  tags = var.tags
}

# Only jobs that cannot be read or handled at all come here. A delivery that fails is given up long before.
resource "aws_sqs_queue" "webhooks_dlq" {
  count = var.webhooks ? 1 : 0

  name = "${var.name}-webhooks-dlq.fifo"

  message_retention_seconds   = local.retention
  receive_wait_time_seconds   = 20
  fifo_queue                  = true
  content_based_deduplication = false

  sqs_managed_sse_enabled = var.kms_key_arn == null ? true : null
  kms_master_key_id       = var.kms_key_arn

  tags = var.tags
}

resource "aws_sqs_queue_redrive_allow_policy" "webhooks_dlq" {
  count = var.webhooks ? 1 : 0

  queue_url = aws_sqs_queue.webhooks_dlq[0].url

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.webhooks[0].arn]
  })
}

resource "aws_cloudwatch_metric_alarm" "webhooks_age" {
  count = var.webhooks ? 1 : 0

  alarm_name          = "${var.name}-webhooks-age"
  alarm_description   = "Webhooks are late: jobs wait on the queue for longer than a receiver is given before its orders are held."
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.alarms.webhook_age
  evaluation_periods  = 2
  period              = 300
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateAgeOfOldestMessage"
  statistic           = "Maximum"
  dimensions          = { QueueName = aws_sqs_queue.webhooks[0].name }
  treat_missing_data  = "notBreaching" # an idle queue has none
  alarm_actions       = local.alarm_topic
  ok_actions          = local.alarm_topic
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "webhooks_dlq" {
  count = var.webhooks ? 1 : 0

  alarm_name          = "${var.name}-webhooks-dlq-not-empty"
  alarm_description   = "Webhook jobs could not be handled: see the logs of the webhook sender, and send the jobs back to their queue."
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = 1
  period              = 300
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  statistic           = "Maximum"
  dimensions          = { QueueName = aws_sqs_queue.webhooks_dlq[0].name }
  treat_missing_data  = "notBreaching" # an idle queue has none
  alarm_actions       = local.alarm_topic
  ok_actions          = local.alarm_topic
  tags                = var.tags
}
