# What somebody is called for. Every alarm says what missing data means to it: SQS sends nothing of a queue that is idle
# for hours, and functions nothing of what does not happen, so silence is health nearly everywhere.

locals {
  alarm_topic = [aws_sns_topic.alerts.arn]
}

resource "aws_cloudwatch_metric_alarm" "queue_depth" {
  alarm_name          = "${var.name}-queue-depth"
  alarm_description   = "Queue depth is too high: events come faster than they are handled."
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.queue_depth_threshold
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

# Depth says how much waits, age whether it moves: a group that is stuck shows here first.
resource "aws_cloudwatch_metric_alarm" "message_age" {
  alarm_name          = "${var.name}-message-age"
  alarm_description   = "The oldest message waits too long: the consumer is stuck, throttled or off."
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.message_age_threshold
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

# Dead letters pass through: their function archives them and publishes the alert. What stays, be it visible or between
# two tries, is what it cannot archive. So this waits for longer than a try takes to come back.
resource "aws_cloudwatch_metric_alarm" "dlq_not_empty" {
  alarm_name          = "${var.name}-dlq-not-empty"
  alarm_description   = "Messages in the dead-letter queue require attention: they are not archived."
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = ceil(local.dead_letters_visibility / 60) + 5
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

# Of batches: messages that are reported as failed are retried, and are no error of the function.
resource "aws_cloudwatch_metric_alarm" "consumer_errors" {
  alarm_name          = "${var.name}-consumer-errors"
  alarm_description   = "High error rate in the consumer: whole batches fail or time out."
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.consumer_errors_threshold
  evaluation_periods  = 2
  period              = 300
  namespace           = "AWS/Lambda"
  metric_name         = "Errors"
  statistic           = "Sum"
  dimensions          = { FunctionName = aws_lambda_function.function["consumer"].function_name }
  treat_missing_data  = "notBreaching" # nothing was invoked
  alarm_actions       = local.alarm_topic
  ok_actions          = local.alarm_topic
  tags                = var.tags
}

# One is one too many: nothing comes behind this function.
resource "aws_cloudwatch_metric_alarm" "dead_letters_errors" {
  alarm_name          = "${var.name}-dead-letters-errors"
  alarm_description   = "Dead letters could not be archived: they stay in their queue, and nobody is told of them."
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = 1
  period              = 300
  namespace           = "AWS/Lambda"
  metric_name         = "Errors"
  statistic           = "Sum"
  dimensions          = { FunctionName = aws_lambda_function.function["dead-letters"].function_name }
  treat_missing_data  = "notBreaching" # nothing was invoked
  alarm_actions       = local.alarm_topic
  ok_actions          = local.alarm_topic
  tags                = var.tags
}

# For those that are fed from a queue this cannot be, as long as their mappings stay below what is reserved for them.
resource "aws_cloudwatch_metric_alarm" "throttles" {
  for_each = local.functions

  alarm_name          = "${var.name}-${each.key}-throttles"
  alarm_description   = "The function ${var.name}-${each.key} is throttled: raise its reserved concurrency, or the account's."
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = 2
  period              = 300
  namespace           = "AWS/Lambda"
  metric_name         = "Throttles"
  statistic           = "Sum"
  dimensions          = { FunctionName = aws_lambda_function.function[each.key].function_name }
  treat_missing_data  = "notBreaching" # nothing was invoked
  alarm_actions       = local.alarm_topic
  ok_actions          = local.alarm_topic
  tags                = var.tags
}

# The Average of 5xx is their share of the requests.
resource "aws_cloudwatch_metric_alarm" "api_5xx" {
  alarm_name          = "${var.name}-api-5xx"
  alarm_description   = "The API fails: more than ${var.api_5xx_percent_threshold} % of requests get a 5xx."
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.api_5xx_percent_threshold / 100
  evaluation_periods  = 5
  datapoints_to_alarm = 3
  period              = 60
  namespace           = "AWS/ApiGateway"
  metric_name         = "5xx"
  statistic           = "Average"
  dimensions          = { ApiId = aws_apigatewayv2_api.orders.id }
  treat_missing_data  = "notBreaching" # nobody asked
  alarm_actions       = local.alarm_topic
  ok_actions          = local.alarm_topic
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "api_latency" {
  alarm_name                            = "${var.name}-api-latency"
  alarm_description                     = "The API is slow: one of 100 requests takes more than ${var.api_latency_threshold} ms."
  comparison_operator                   = "GreaterThanThreshold"
  threshold                             = var.api_latency_threshold
  evaluation_periods                    = 5
  datapoints_to_alarm                   = 3
  period                                = 60
  namespace                             = "AWS/ApiGateway"
  metric_name                           = "Latency"
  extended_statistic                    = "p99"
  evaluate_low_sample_count_percentiles = "ignore" # of three requests, one cold start is the p99
  dimensions                            = { ApiId = aws_apigatewayv2_api.orders.id }
  treat_missing_data                    = "notBreaching" # nobody asked
  alarm_actions                         = local.alarm_topic
  ok_actions                            = local.alarm_topic
  tags                                  = var.tags
}
