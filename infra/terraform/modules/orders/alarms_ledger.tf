# Alarms on the outcomes of events. The functions count them: accepted = recorded + rejected + duplicate + parked + in
# flight.

locals {
  metrics = "OrderProcessing"

  # The dispositions that end an event. A retried event is still in flight.
  final = { recorded = "Recorded", rejected = "Rejected", duplicate = "Duplicate", parked = "Parked" }
  ended = join(" + ", [for id, status in local.final : "FILL(${id}, 0)"])

  rates = {
    rejected = {
      threshold   = var.alarms.rejected_percent
      description = "Many events are rejected: a client proposes events that the rules do not allow, or uses outdated versions."
    }
    parked = {
      threshold   = var.alarms.parked_percent
      description = "Many events are parked: a producer sends invalid messages, or the table refuses writes. See GET /v1/dead-letters."
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
  treat_missing_data  = "notBreaching" # no events

  metric_query {
    id          = "percent"
    label       = "Percent ${each.key}"
    expression  = "IF(ended >= ${var.alarms.rate_minimum_events}, 100 * FILL(${each.key}, 0) / ended, 0)"
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

# The window is so long that events in flight at its ends matter little. The alarm is coarse, because these metrics are
# approximate, unlike the outcomes in GET /v1/pipeline: a killed function loses its metrics, and a message that Lambda fails
# to delete is in them twice. But they are compared with a number of another source, which SQS counts.
resource "aws_cloudwatch_metric_alarm" "ledger_imbalance" {
  alarm_name          = "${var.name}-ledger-imbalance"
  alarm_description   = "Accepted events and their outcomes differ by more than the usual error of the counters: events may be lost, or handled more than once. Audit them with their receipts."
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.alarms.ledger_imbalance
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching" # no events

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
      dimensions  = { QueueName = module.data.queue.name }
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
