# The mapping that feeds the relay from the change stream of the table of orders, and its alarms. The relay appends recorded
# events to the feed, sends jobs to the queue of webhook deliveries (webhooks.tf), and publishes events (publishing.tf).
# docs/decisions/feed-on-aws.md has the prices.

locals {
  outbound = contains(keys(module.data.roles), "relay")
}

# A failed batch is delivered again from its first failure, until it succeeds: whatever the mapping gave up would be missing in
# the feed. One batch of a shard at a time, so that the events of an order stay in order.
resource "aws_lambda_event_source_mapping" "relay" {
  count = local.outbound ? 1 : 0

  event_source_arn        = module.data.stream_arn
  function_name           = aws_lambda_function.function["relay"].arn
  function_response_types = ["ReportBatchItemFailures"]
  starting_position       = "TRIM_HORIZON"

  batch_size                         = 1000
  maximum_batching_window_in_seconds = var.relay.batching_window

  # Only new log entries. The stream has all changes of the table, and does not charge for those that are skipped.
  filter_criteria {
    filter {
      pattern = jsonencode({ eventName = ["INSERT"], dynamodb = { Keys = { sk = { S = [{ prefix = "EVENT#" }] } } } })
    }
  }

  metrics_config {
    metrics = ["EventCount"]
  }

  tags = var.tags
}

# The stream keeps changes for 24 hours. An event that the relay has not read by then never gets into the feed.
resource "aws_cloudwatch_metric_alarm" "relay_age" {
  count = local.outbound ? 1 : 0

  alarm_name          = "${var.name}-relay-age"
  alarm_description   = "The feed is behind: the relay has not read changes of the table for too long. After 24 hours they are lost to the feed."
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.alarms.relay_age * 1000
  evaluation_periods  = 2
  period              = 60
  namespace           = "AWS/Lambda"
  metric_name         = "IteratorAge"
  statistic           = "Maximum"
  dimensions          = { FunctionName = aws_lambda_function.function["relay"].function_name }
  treat_missing_data  = "notBreaching" # nothing changed
  alarm_actions       = local.alarm_topic
  ok_actions          = local.alarm_topic
  tags                = var.tags
}

# From the recording of an event to its place in the feed, as the relay measures it.
resource "aws_cloudwatch_metric_alarm" "relay_lag" {
  count = local.outbound ? 1 : 0

  alarm_name          = "${var.name}-relay-lag"
  alarm_description   = "Events get into the feed late: the relay is slow, or its calls fail."
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.alarms.relay_lag * 1000
  evaluation_periods  = 3
  period              = 300
  namespace           = local.metrics
  metric_name         = "RelayLag"
  extended_statistic  = "p99"
  treat_missing_data  = "notBreaching" # nothing was recorded
  alarm_actions       = local.alarm_topic
  ok_actions          = local.alarm_topic
  tags                = var.tags
}
