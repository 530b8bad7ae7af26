# The schedule of the function that proposes to cancel unpaid orders. Each invocation also waits for orders that become due
# before the next one, so a proposal is a few seconds late, not a minute.

locals {
  # An invocation ends before the next one begins.
  expiry_timeout = 60
}

resource "aws_cloudwatch_event_rule" "expiry" {
  name                = "${var.name}-expiry"
  description         = "Invokes ${var.name}-expiry every minute."
  schedule_expression = "rate(1 minute)"
  tags                = var.tags
}

resource "aws_cloudwatch_event_target" "expiry" {
  rule = aws_cloudwatch_event_rule.expiry.name
  arn  = aws_lambda_function.function["expiry"].arn
}

resource "aws_lambda_permission" "expiry" {
  statement_id  = "schedule"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.function["expiry"].function_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.expiry.arn
}

# A failed invocation is not repeated: the next one finds the same orders.
resource "aws_lambda_function_event_invoke_config" "expiry" {
  function_name                = aws_lambda_function.function["expiry"].function_name
  maximum_event_age_in_seconds = 60
  maximum_retry_attempts       = 0
}

# A single failure is repeated within a minute.
resource "aws_cloudwatch_metric_alarm" "expiry_errors" {
  alarm_name          = "${var.name}-expiry-errors"
  alarm_description   = "Unpaid orders are not cancelled at their deadline: the function that proposes it fails."
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = 5
  period              = 60
  namespace           = "AWS/Lambda"
  metric_name         = "Errors"
  statistic           = "Sum"
  dimensions          = { FunctionName = aws_lambda_function.function["expiry"].function_name }
  treat_missing_data  = "notBreaching" # nothing was invoked
  alarm_actions       = local.alarm_topic
  ok_actions          = local.alarm_topic
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "expiry_late" {
  alarm_name          = "${var.name}-expiry-late"
  alarm_description   = "Unpaid orders are cancelled too late: more orders are due than the function can propose."
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.alarms.expiry_late * 1000
  evaluation_periods  = 1
  period              = 300
  namespace           = "OrderProcessing"
  metric_name         = "DueLateness"
  statistic           = "Maximum"
  treat_missing_data  = "notBreaching" # nothing was due
  alarm_actions       = local.alarm_topic
  ok_actions          = local.alarm_topic
  tags                = var.tags
}
