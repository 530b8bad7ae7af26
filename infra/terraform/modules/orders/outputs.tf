output "api_url" {
  description = "Where the API is."
  value       = aws_apigatewayv2_api.orders.api_endpoint
}

output "api_id" {
  description = "The id of the HTTP API, for a custom domain."
  value       = aws_apigatewayv2_api.orders.id
}

output "queue_url" {
  description = "The queue that events wait on."
  value       = aws_sqs_queue.main.url
}

output "queue_arn" {
  description = "The ARN of the queue, for the policies of other producers."
  value       = aws_sqs_queue.main.arn
}

output "dlq_url" {
  description = "The dead-letter queue."
  value       = aws_sqs_queue.dlq.url
}

output "table_name" {
  description = "The table of orders."
  value       = aws_dynamodb_table.orders.name
}

output "archive_bucket" {
  description = "The bucket of archived dead letters."
  value       = aws_s3_bucket.archive.bucket
}

output "alerts_topic_arn" {
  description = "The topic of alarms and alerts, to subscribe to."
  value       = aws_sns_topic.alerts.arn
}

output "function_names" {
  description = "The functions, by role."
  value       = { for role, function in aws_lambda_function.function : role => function.function_name }
}

output "role_arns" {
  description = "The IAM roles of the functions, by role."
  value       = { for role, iam in aws_iam_role.function : role => iam.arn }
}

output "dashboard_name" {
  description = "The CloudWatch dashboard."
  value       = aws_cloudwatch_dashboard.orders.dashboard_name
}
