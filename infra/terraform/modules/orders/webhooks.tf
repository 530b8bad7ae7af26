# The queue of webhook deliveries, and the webhook sender that it feeds. The relay sends a job for each event that a subscription
# selects.

locals {
  # A group is an order for a subscription. A message is also the timer of a failed delivery, so it is received many times: the
  # sender replaces it by a new one after 500 receives.
  webhook_max_receives = 1000

  webhook_queue_arn   = var.webhooks ? aws_sqs_queue.webhooks[0].arn : ""
  webhook_environment = var.webhooks ? { WEBHOOK_QUEUE_URL = aws_sqs_queue.webhooks[0].url } : {}

  webhook_functions = {
    for role, function in {
      webhook-sender = {
        description          = "The webhook sender of ${var.name}: posts recorded events to subscribers."
        timeout              = var.webhook_timeout
        memory               = var.webhook_memory
        reserved_concurrency = -1
        environment          = merge(local.feed_environment, { ALERTS_TOPIC = aws_sns_topic.alerts.arn })
      }
    } : role => function if var.webhooks
  }
}

resource "aws_sqs_queue" "webhooks" {
  count = var.webhooks ? 1 : 0

  name = "${var.name}-webhooks.fifo"

  visibility_timeout_seconds = 6 * var.webhook_timeout
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

resource "aws_lambda_event_source_mapping" "webhooks" {
  count = var.webhooks ? 1 : 0

  event_source_arn        = aws_sqs_queue.webhooks[0].arn
  function_name           = aws_lambda_function.function["webhook-sender"].arn
  function_response_types = ["ReportBatchItemFailures"]

  batch_size = 10

  scaling_config {
    maximum_concurrency = var.webhook_maximum_concurrency
  }

  metrics_config {
    metrics = ["EventCount"]
  }

  tags = var.tags
}

resource "aws_cloudwatch_metric_alarm" "webhooks_age" {
  count = var.webhooks ? 1 : 0

  alarm_name          = "${var.name}-webhooks-age"
  alarm_description   = "Webhooks are late: jobs wait on the queue for longer than a receiver is given before its orders are held."
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.webhook_age_threshold
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

# The webhook sender also publishes an alert with the subscription for each of both. The alarm remains visible.
resource "aws_cloudwatch_metric_alarm" "webhooks_stopped" {
  for_each = {
    for name, alarm in {
      given-up = {
        metric      = "WebhookDeliveriesGivenUp"
        description = "Webhook deliveries were given up after their last attempt. Each holds back its order until it is replayed or skipped: orders webhooks deliveries."
      }
      stopped = {
        metric      = "WebhookSubscriptionsStopped"
        description = "Webhook subscriptions were stopped, because their receivers are gone or always fail: orders webhooks list."
      }
    } : name => alarm if var.webhooks
  }

  alarm_name          = "${var.name}-webhooks-${each.key}"
  alarm_description   = each.value.description
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = 1
  period              = 300
  namespace           = local.metrics
  metric_name         = each.value.metric
  statistic           = "Sum"
  treat_missing_data  = "notBreaching" # nothing failed for good
  alarm_actions       = local.alarm_topic
  ok_actions          = local.alarm_topic
  tags                = var.tags
}
