output "api_url" {
  description = "The base URL of the API."
  value       = module.orders.api_url
}

output "queue_url" {
  description = "The URL of the queue of events."
  value       = module.orders.queue_url
}

output "dlq_url" {
  description = "The URL of the dead-letter queue."
  value       = module.orders.dlq_url
}

output "table_name" {
  description = "The name of the table of orders."
  value       = module.orders.table_name
}

output "archive_bucket" {
  description = "The name of the bucket of archived dead letters."
  value       = module.orders.archive_bucket
}

output "alerts_topic_arn" {
  description = "The ARN of the topic of alarms and alerts."
  value       = module.orders.alerts_topic_arn
}

output "function_names" {
  description = "The names of the functions, by role."
  value       = module.orders.function_names
}

output "dashboard_name" {
  description = "The name of the CloudWatch dashboard."
  value       = module.orders.dashboard_name
}
