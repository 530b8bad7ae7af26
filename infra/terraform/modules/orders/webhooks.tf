# The mapping that feeds the webhook sender from the queue of webhook deliveries, and its alarms.

resource "aws_lambda_event_source_mapping" "webhooks" {
  count = var.webhooks == null ? 0 : 1

  event_source_arn        = module.data.webhook_queue_arn
  function_name           = aws_lambda_function.function["webhook-sender"].arn
  function_response_types = ["ReportBatchItemFailures"]

  batch_size = 10

  scaling_config {
    maximum_concurrency = var.webhooks.maximum_concurrency
  }

  metrics_config {
    metrics = ["EventCount"]
  }

  tags = var.tags
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
    } : name => alarm if var.webhooks != null
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
