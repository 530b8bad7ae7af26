output "api_url" {
  description = "Where the API is."
  value       = module.orders.api_url
}

output "queue_url" {
  description = "The queue that events wait on."
  value       = module.orders.queue_url
}

output "dlq_url" {
  description = "The dead-letter queue."
  value       = module.orders.dlq_url
}

output "table_name" {
  description = "The table of orders."
  value       = module.orders.table_name
}

output "archive_bucket" {
  description = "The bucket of archived dead letters."
  value       = module.orders.archive_bucket
}

output "alerts_topic_arn" {
  description = "The topic of alarms and alerts, to subscribe to."
  value       = module.orders.alerts_topic_arn
}

output "function_names" {
  description = "The functions, by role."
  value       = module.orders.function_names
}

output "dashboard_name" {
  description = "The CloudWatch dashboard."
  value       = module.orders.dashboard_name
}
