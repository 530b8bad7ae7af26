# Alarms on what became of events. The functions count them themselves: accepted = recorded + rejected + duplicate +
# parked + in flight.

locals {
  metrics = "OrderProcessing"

  # An event ends as one of these. What is to be retried is still in flight.
  final = { recorded = "Recorded", rejected = "Rejected", duplicate = "Duplicate", parked = "Parked" }
  ended = join(" + ", [for id, status in local.final : "FILL(${id}, 0)"])

  rates = {
    rejected = {
      threshold   = var.rejected_percent_threshold
      description = "Many events are rejected: a client proposes what the rules do not allow, or works on old versions."
    }
    parked = {
      threshold   = var.parked_percent_threshold
      description = "Many events are parked: a producer sends what cannot be read, or the table refuses. See GET /v1/dead-letters."
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "rate" {
  for_each = local.rates

  alarm_name          = "${var.name}-${each.key}-rate"
  alarm_description   = each.value.description
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.threshold
  evaluation_periods  = 2
  treat_missing_data  = "notBreaching" # nothing was handled

  metric_query {
    id          = "percent"
    label       = "Percent ${each.key}"
    expression  = "IF(ended >= ${var.rate_minimum_events}, 100 * FILL(${each.key}, 0) / ended, 0)"
    return_data = true
  }

  metric_query {
    id         = "ended"
    label      = "Events handled"
    expression = local.ended
  }

  dynamic "metric_query" {
    for_each = local.final

    content {
      id = metric_query.key

      metric {
        namespace   = local.metrics
        metric_name = "MessagesProcessed"
        dimensions  = { Status = metric_query.value }
        period      = 300
        stat        = "Sum"
      }
    }
  }

  alarm_actions = local.alarm_topic
  ok_actions    = local.alarm_topic
  tags          = var.tags
}

# Over a window so long that what is in flight at its ends is little beside it. Coarse on purpose: these counters are
# approximate, as those of GET /v1/pipeline are. More out than in needs a look too: events that are counted twice, and so
# maybe handled twice.
resource "aws_cloudwatch_metric_alarm" "ledger_imbalance" {
  alarm_name          = "${var.name}-ledger-imbalance"
  alarm_description   = "What was accepted and what became of it do not add up by more than the counters are usually off: events may be lost, or handled more than once. Audit with receipts."
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.ledger_imbalance_threshold
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching" # nothing was accepted, and nothing handled

  metric_query {
    id          = "imbalance"
    label       = "Events without an outcome, or with one too many"
    expression  = "ABS(FILL(accepted, 0) - (${local.ended}))"
    return_data = true
  }

  metric_query {
    id = "accepted"

    metric {
      namespace   = "AWS/SQS"
      metric_name = "NumberOfMessagesSent"
      dimensions  = { QueueName = aws_sqs_queue.main.name }
      period      = 21600
      stat        = "Sum"
    }
  }

  dynamic "metric_query" {
    for_each = local.final

    content {
      id = metric_query.key

      metric {
        namespace   = local.metrics
        metric_name = "MessagesProcessed"
        dimensions  = { Status = metric_query.value }
        period      = 21600
        stat        = "Sum"
      }
    }
  }

  alarm_actions = local.alarm_topic
  ok_actions    = local.alarm_topic
  tags          = var.tags
}
