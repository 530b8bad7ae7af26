# Where the relay publishes recorded events besides: an EventBridge bus and an SNS topic of yours.
# docs/decisions/events-to-eventbridge-and-sns.md has the prices.

locals {
  publishes = var.event_bus != null || var.events_topic != null

  output_environment = merge(
    var.event_bus == null ? {} : { EVENT_BUS = var.event_bus.arn },
    var.events_topic == null ? {} : { EVENTS_TOPIC = var.events_topic.arn },
  )

  # The relay looks whether the bus exists when it starts, because EventBridge can report success for one that does not.
  publishing = concat(
    [
      for bus in var.event_bus == null ? [] : [var.event_bus] : {
        Sid      = "Bus"
        Effect   = "Allow"
        Action   = ["events:PutEvents", "events:DescribeEventBus"]
        Resource = [bus.arn]
      }
    ],
    [
      for topic in var.events_topic == null ? [] : [var.events_topic] : {
        Sid      = "Topic"
        Effect   = "Allow"
        Action   = ["sns:Publish"]
        Resource = [topic.arn]
      }
    ],
  )
}

# An event that is not published is tried again until it is, and holds back all events after it in its shard of the stream.
resource "aws_cloudwatch_metric_alarm" "publishing_failures" {
  count = local.publishes ? 1 : 0

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
