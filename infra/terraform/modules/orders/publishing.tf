# The alarm on what the relay publishes to an EventBridge bus and an SNS topic of yours.
# docs/decisions/events-to-eventbridge-and-sns.md has the prices.

# An event that is not published is tried again until it is, and holds back all events after it in its shard of the stream.
resource "aws_cloudwatch_metric_alarm" "publishing_failures" {
  count = var.event_bus != null || var.events_topic != null ? 1 : 0

  alarm_name          = "${var.name}-publishing-failures"
  alarm_description   = "Events cannot be published to the event bus or the topic: see the logs of the relay. After 24 hours they are lost to both."
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = 3
  period              = 300
  namespace           = local.metrics
  metric_name         = "OutputEvents"
  statistic           = "Sum"
  dimensions          = { Result = "Failed" }
  treat_missing_data  = "notBreaching" # nothing failed
  alarm_actions       = local.alarm_topic
  ok_actions          = local.alarm_topic
  tags                = var.tags
}
