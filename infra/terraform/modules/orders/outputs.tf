output "api_url" {
  description = "The base URL of the API."
  value       = aws_apigatewayv2_api.orders.api_endpoint
}

output "api_id" {
  description = "The id of the HTTP API, for a custom domain."
  value       = aws_apigatewayv2_api.orders.id
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

output "function_names" {
  description = "The names of the functions, by role."
  value       = { for role, function in aws_lambda_function.function : role => function.function_name }
}

output "role_arns" {
  description = "The ARNs of the functions' IAM roles, by role."
  value       = { for role, iam in aws_iam_role.function : role => iam.arn }
}

output "dashboard_name" {
  description = "The name of the CloudWatch dashboard."
  value       = aws_cloudwatch_dashboard.orders.dashboard_name
}
