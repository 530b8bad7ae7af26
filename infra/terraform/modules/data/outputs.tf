output "roles" {
  description = "The roles that the deployment has: their variables, the policy statements for the calls that they make, and those for the further calls of containers."
  value       = local.roles
}

output "queue" {
  description = "The queue of accepted events: its name, URL and ARN."
  value       = { name = aws_sqs_queue.main.name, url = aws_sqs_queue.main.url, arn = aws_sqs_queue.main.arn }
}

output "dlq" {
  description = "The dead-letter queue: its name, URL and ARN."
  value       = { name = aws_sqs_queue.dlq.name, url = aws_sqs_queue.dlq.url, arn = aws_sqs_queue.dlq.arn }
}

output "webhook_queue_arn" {
  description = "The ARN of the queue of webhook deliveries; null without webhooks."
  value       = var.webhooks ? aws_sqs_queue.webhooks[0].arn : null
}

output "table_name" {
  description = "The name of the table of orders."
  value       = aws_dynamodb_table.orders.name
}

output "stream_arn" {
  description = "The ARN of the change stream of the table of orders, which is on if there is a relay."
  value       = aws_dynamodb_table.orders.stream_arn
}

output "archive_bucket" {
  description = "The name of the bucket of archived dead letters."
  value       = aws_s3_bucket.archive.bucket
}

output "alerts_topic_arn" {
  description = "The ARN of the topic of alarms and alerts."
  value       = aws_sns_topic.alerts.arn
}
