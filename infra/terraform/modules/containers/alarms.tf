# The alarms on tasks and load balancer; modules/data has those on queues.

locals {
  alarm_topic = [module.data.alerts_topic_arn]
}

resource "aws_cloudwatch_metric_alarm" "tasks_missing" {
  for_each = local.services

  alarm_name          = "${var.name}-${each.key}-tasks"
  alarm_description   = "Fewer tasks of ${var.name}-${each.key} run than wanted: see their logs and the events of the service."
  comparison_operator = "LessThanThreshold"
  threshold           = each.value.task.count
  evaluation_periods  = 5
  period              = 60
  namespace           = "ECS/ContainerInsights"
  metric_name         = "RunningTaskCount"
  statistic           = "Average"
  dimensions          = { ClusterName = aws_ecs_cluster.orders.name, ServiceName = aws_ecs_service.role[each.key].name }
  treat_missing_data  = "breaching" # no task runs
  alarm_actions       = local.alarm_topic
  ok_actions          = local.alarm_topic
  tags                = var.tags
}

# Answers of the tasks and of the load balancer itself, which answers 5xx while no task is healthy.
resource "aws_cloudwatch_metric_alarm" "api_5xx" {
  alarm_name          = "${var.name}-api-5xx"
  alarm_description   = "The API fails: more than ${var.alarms.api_5xx} requests in five minutes get a 5xx."
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.alarms.api_5xx
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching" # no requests

  metric_query {
    id          = "failed"
    label       = "Answers with 5xx"
    expression  = "FILL(tasks, 0) + FILL(balancer, 0)"
    return_data = true
  }

  metric_query {
    id = "tasks"

    metric {
      namespace   = "AWS/ApplicationELB"
      metric_name = "HTTPCode_Target_5XX_Count"
      dimensions  = { LoadBalancer = aws_lb.api.arn_suffix }
      period      = 300
      stat        = "Sum"
    }
  }

  metric_query {
    id = "balancer"

    metric {
      namespace   = "AWS/ApplicationELB"
      metric_name = "HTTPCode_ELB_5XX_Count"
      dimensions  = { LoadBalancer = aws_lb.api.arn_suffix }
      period      = 300
      stat        = "Sum"
    }
  }

  alarm_actions = local.alarm_topic
  ok_actions    = local.alarm_topic
  tags          = var.tags
}
