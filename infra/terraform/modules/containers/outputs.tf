output "api_dns_name" {
  description = "The name of the load balancer. Point a name of the certificate to it."
  value       = aws_lb.api.dns_name
}

output "load_balancer_arn" {
  description = "The ARN of the load balancer, for a web ACL."
  value       = aws_lb.api.arn
}

output "queue_url" {
  description = "The URL of the queue of events."
  value       = module.data.queue.url
}

output "queue_arn" {
  description = "The ARN of the queue, for the policies of other producers."
  value       = module.data.queue.arn
}

output "dlq_url" {
  description = "The URL of the dead-letter queue."
  value       = module.data.dlq.url
}

output "table_name" {
  description = "The name of the table of orders."
  value       = module.data.table_name
}

output "archive_bucket" {
  description = "The name of the bucket of archived dead letters."
  value       = module.data.archive_bucket
}

output "alerts_topic_arn" {
  description = "The ARN of the topic of alarms and alerts."
  value       = module.data.alerts_topic_arn
}

output "cluster_name" {
  description = "The name of the ECS cluster."
  value       = aws_ecs_cluster.orders.name
}

output "task_role_arns" {
  description = "The ARNs of the tasks' IAM roles, by role."
  value       = { for role, iam in aws_iam_role.task : role => iam.arn }
}
