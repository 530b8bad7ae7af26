# What leaves the service: the outbound table, and the relay that reads the change stream of the table of orders. It appends
# recorded events to the feed, sends jobs to the queue of webhook deliveries (webhooks.tf), and publishes events (publishing.tf).
# docs/decisions/feed-on-aws.md has the prices.

locals {
  outbound = var.feed || var.webhooks || local.publishes

  feed_environment = merge(
    local.outbound ? { OUTBOUND_TABLE = aws_dynamodb_table.outbound[0].name, ORDERS_WEBHOOKS_SOURCE = var.event_source } : {},
    var.feed ? { ORDERS_FEED = "true", ORDERS_FEED_PARTITIONS = var.feed_partitions } : {},
    local.webhook_environment,
  )

  feed_functions = {
    for role, function in {
      relay = {
        description          = "The relay of ${var.name}: passes recorded events on, from the change stream of the table."
        timeout              = var.relay_timeout
        memory               = var.relay_memory
        reserved_concurrency = -1
        environment = merge(
          local.feed_environment, local.output_environment, { ORDERS_FEED_RETENTION = "${var.feed_retention_days}d" },
        )
      }
    } : role => function if local.outbound
  }

  outbound_arn = local.outbound ? aws_dynamodb_table.outbound[0].arn : ""
}

# It has no point-in-time recovery and no deletion protection: the feed only refers to the log, and its events expire. Webhook
# subscriptions are in it too: to be safe, keep what they were created from.
resource "aws_dynamodb_table" "outbound" {
  #checkov:skip=CKV_AWS_28:The feed refers to the log, which has point-in-time recovery; restored positions would differ from what readers saw.
  #checkov:skip=CKV_AWS_119:Tables are always encrypted, with a customer managed key if kms_key_arn is set.
  #checkov:skip=CKV2_AWS_16:Capacity is on demand, which needs no scaling.
  count = local.outbound ? 1 : 0

  name         = "${var.name}-outbound"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "pk"
  range_key    = "sk"

  attribute {
    name = "pk"
    type = "S"
  }

  attribute {
    name = "sk"
    type = "S"
  }

  ttl {
    attribute_name = "expires_at"
    enabled        = true
  }

  server_side_encryption {
    # If not enabled, the table is encrypted with a key that AWS owns.
    enabled     = var.kms_key_arn != null
    kms_key_arn = var.kms_key_arn
  }

  tags = var.tags
}

# A failed batch is delivered again from its first failure, until it succeeds: whatever the mapping gave up would be missing in
# the feed. One batch of a shard at a time, so that the events of an order stay in order.
resource "aws_lambda_event_source_mapping" "relay" {
  count = local.outbound ? 1 : 0

  event_source_arn        = aws_dynamodb_table.orders.stream_arn
  function_name           = aws_lambda_function.function["relay"].arn
  function_response_types = ["ReportBatchItemFailures"]
  starting_position       = "TRIM_HORIZON"

  batch_size                         = 1000
  maximum_batching_window_in_seconds = var.relay_batching_window

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
  threshold           = var.relay_age_threshold * 1000
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
  threshold           = var.relay_lag_threshold * 1000
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
