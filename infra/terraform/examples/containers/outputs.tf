output "api_dns_name" {
  description = "The name of the load balancer. Point a name of the certificate to it."
  value       = module.orders.api_dns_name
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

output "cluster_name" {
  description = "The name of the ECS cluster."
  value       = module.orders.cluster_name
}
