# The pipeline on one page: requests, queues, outcomes and durations.

locals {
  region = data.aws_region.current.region

  queue    = ["QueueName", module.data.queue.name]
  dlq      = ["QueueName", module.data.dlq.name]
  statuses = concat(values(local.final), ["Retried"])
  function = { for role in keys(local.functions) : role => ["FunctionName", aws_lambda_function.function[role].function_name] }

  widgets = [
    {
      title   = "Requests"
      stat    = "Sum"
      metrics = [for name in ["Count", "4xx", "5xx"] : ["AWS/ApiGateway", name, "ApiId", aws_apigatewayv2_api.orders.id]]
    },
    {
      title = "Latency of requests (ms)"
      stat  = "p50"
      metrics = [
        ["AWS/ApiGateway", "Latency", "ApiId", aws_apigatewayv2_api.orders.id, { stat = "p50", label = "p50" }],
        ["AWS/ApiGateway", "Latency", "ApiId", aws_apigatewayv2_api.orders.id, { stat = "p99", label = "p99" }],
      ]
    },
    {
      title   = "Accepted, by outcome"
      stat    = "Sum"
      metrics = [for status in local.statuses : [local.metrics, "MessagesProcessed", "Status", status]]
    },
    {
      title = "Messages on the queue"
      stat  = "Maximum"
      metrics = [
        concat(["AWS/SQS", "ApproximateNumberOfMessagesVisible"], local.queue, [{ label = "waiting" }]),
        concat(["AWS/SQS", "ApproximateNumberOfMessagesNotVisible"], local.queue, [{ label = "in flight" }]),
      ]
    },
    {
      title   = "Age of the oldest message (s)"
      stat    = "Maximum"
      metrics = [concat(["AWS/SQS", "ApproximateAgeOfOldestMessage"], local.queue)]
    },
    {
      title = "Ledger"
      stat  = "Sum"
      metrics = [
        concat(["AWS/SQS", "NumberOfMessagesSent"], local.queue, [{ label = "accepted" }]),
        concat(["AWS/SQS", "NumberOfMessagesDeleted"], local.queue, [{ label = "done with" }]),
      ]
    },
    {
      title = "Dead letters"
      stat  = "Maximum"
      metrics = [
        concat(["AWS/SQS", "ApproximateNumberOfMessagesVisible"], local.dlq, [{ label = "not archived" }]),
        concat(["AWS/SQS", "NumberOfMessagesDeleted"], local.dlq, [{ label = "archived", stat = "Sum" }]),
      ]
    },
    {
      title   = "Duration of batches (ms)"
      stat    = "p99"
      metrics = [concat(["AWS/Lambda", "Duration"], local.function["consumer"])]
    },
    {
      title   = "Errors of functions"
      stat    = "Sum"
      metrics = [for role in keys(local.functions) : concat(["AWS/Lambda", "Errors"], local.function[role])]
    },
    {
      title   = "Throttles of functions"
      stat    = "Sum"
      metrics = [for role in keys(local.functions) : concat(["AWS/Lambda", "Throttles"], local.function[role])]
    },
    {
      title   = "Concurrent executions"
      stat    = "Maximum"
      metrics = [for role in keys(local.functions) : concat(["AWS/Lambda", "ConcurrentExecutions"], local.function[role])]
    },
    {
      title = "Messages that Lambda polled, and that the filter deleted"
      stat  = "Sum"
      metrics = [
        for name in ["PolledEventCount", "FilteredOutEventCount", "FailedInvokeEventCount"] :
        ["AWS/Lambda", name, "EventSourceMappingUUID", aws_lambda_event_source_mapping.consumer.uuid]
      ]
    },
  ]
}

resource "aws_cloudwatch_dashboard" "orders" {
  dashboard_name = var.name

  dashboard_body = jsonencode({
    widgets = [
      for place, widget in local.widgets : {
        type   = "metric"
        x      = 8 * (place % 3)
        y      = 6 * floor(place / 3)
        width  = 8
        height = 6
        properties = {
          title   = widget.title
          stat    = widget.stat
          metrics = widget.metrics
          period  = 60
          region  = local.region
          view    = "timeSeries"
          stacked = false
        }
      }
    ]
  })
}
