# The alarms on functions and API; modules/data has those on queues. Each states how it treats missing data: functions that are
# not invoked send none, so missing data means health nearly everywhere.

locals {
  alarm_topic = [module.data.alerts_topic_arn]
}

# Counts batches: messages that are reported as failed are retried and are not errors of the function.
resource "aws_cloudwatch_metric_alarm" "consumer_errors" {
  alarm_name          = "${var.name}-consumer-errors"
  alarm_description   = "High error rate in the consumer: whole batches fail or time out."
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.alarms.consumer_errors
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

# A single error raises it: there is no dead-letter queue after this function.
resource "aws_cloudwatch_metric_alarm" "dead_letters_errors" {
  alarm_name          = "${var.name}-dead-letters-errors"
  alarm_description   = "Dead letters could not be archived: they stay in their queue, and no alert was sent for them."
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

# Functions that are fed from a queue are not throttled while their mappings stay below their reserved concurrency.
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

# The Average of the metric 5xx is the share of failed requests.
resource "aws_cloudwatch_metric_alarm" "api_5xx" {
  alarm_name          = "${var.name}-api-5xx"
  alarm_description   = "The API fails: more than ${var.alarms.api_5xx_percent} % of requests get a 5xx."
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.alarms.api_5xx_percent / 100
  evaluation_periods  = 5
  datapoints_to_alarm = 3
  period              = 60
  namespace           = "AWS/ApiGateway"
  metric_name         = "5xx"
  statistic           = "Average"
  dimensions          = { ApiId = aws_apigatewayv2_api.orders.id }
  treat_missing_data  = "notBreaching" # no requests
  alarm_actions       = local.alarm_topic
  ok_actions          = local.alarm_topic
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "api_latency" {
  alarm_name                            = "${var.name}-api-latency"
  alarm_description                     = "The API is slow: 1 of 100 requests takes more than ${var.alarms.api_latency} ms."
  comparison_operator                   = "GreaterThanThreshold"
  threshold                             = var.alarms.api_latency
  evaluation_periods                    = 5
  datapoints_to_alarm                   = 3
  period                                = 60
  namespace                             = "AWS/ApiGateway"
  metric_name                           = "Latency"
  extended_statistic                    = "p99"
  evaluate_low_sample_count_percentiles = "ignore" # with three requests, one cold start is the p99
  dimensions                            = { ApiId = aws_apigatewayv2_api.orders.id }
  treat_missing_data                    = "notBreaching" # no requests
  alarm_actions                         = local.alarm_topic
  ok_actions                            = local.alarm_topic
  tags                                  = var.tags
}
