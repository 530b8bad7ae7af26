# The alarms on queues. Each states how it treats missing data: a queue that is idle for hours sends none, so missing data
# means health.

locals {
  alarm_topic = [aws_sns_topic.alerts.arn]
}

resource "aws_cloudwatch_metric_alarm" "queue_depth" {
  alarm_name          = "${var.name}-queue-depth"
  alarm_description   = "Queue depth is too high: events arrive faster than they are handled."
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.alarms.queue_depth
  evaluation_periods  = 2
  period              = 300
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  statistic           = "Average"
  dimensions          = { QueueName = aws_sqs_queue.main.name }
  treat_missing_data  = "notBreaching" # an idle queue has none
  alarm_actions       = local.alarm_topic
  ok_actions          = local.alarm_topic
  tags                = var.tags
}

# Depth shows how much is queued, age whether the queue moves: a stuck group shows here first.
resource "aws_cloudwatch_metric_alarm" "message_age" {
  alarm_name          = "${var.name}-message-age"
  alarm_description   = "The oldest message has been queued too long: the consumer is stuck, throttled or off."
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.alarms.message_age
  evaluation_periods  = 2
  period              = 300
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateAgeOfOldestMessage"
  statistic           = "Maximum"
  dimensions          = { QueueName = aws_sqs_queue.main.name }
  treat_missing_data  = "notBreaching" # an idle queue has none
  alarm_actions       = local.alarm_topic
  ok_actions          = local.alarm_topic
  tags                = var.tags
}

# Dead letters do not stay here: the archiver archives them and publishes the alert. Messages that stay, visible or
# between two attempts, cannot be archived. So the alarm waits for longer than a retry takes.
resource "aws_cloudwatch_metric_alarm" "dlq_not_empty" {
  alarm_name          = "${var.name}-dlq-not-empty"
  alarm_description   = "Messages in the dead-letter queue require attention: they are not archived."
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = ceil(var.visibility.dead_letters / 60) + 5
  treat_missing_data  = "notBreaching" # an idle queue has none

  metric_query {
    id          = "left"
    label       = "Dead letters that are not archived"
    expression  = "FILL(visible, 0) + FILL(tried, 0)"
    return_data = true
  }

  metric_query {
    id = "visible"

    metric {
      namespace   = "AWS/SQS"
      metric_name = "ApproximateNumberOfMessagesVisible"
      dimensions  = { QueueName = aws_sqs_queue.dlq.name }
      period      = 60
      stat        = "Sum"
    }
  }

  metric_query {
    id = "tried"

    metric {
      namespace   = "AWS/SQS"
      metric_name = "ApproximateNumberOfMessagesNotVisible"
      dimensions  = { QueueName = aws_sqs_queue.dlq.name }
      period      = 60
      stat        = "Sum"
    }
  }

  alarm_actions = local.alarm_topic
  ok_actions    = local.alarm_topic
  tags          = var.tags
}
