# Where the resources of earlier releases are now. Terraform moves them in its state and changes nothing.

moved {
  from = aws_sqs_queue.main
  to   = module.data.aws_sqs_queue.main
}

moved {
  from = aws_sqs_queue.dlq
  to   = module.data.aws_sqs_queue.dlq
}

moved {
  from = aws_sqs_queue_redrive_allow_policy.dlq
  to   = module.data.aws_sqs_queue_redrive_allow_policy.dlq
}

moved {
  from = aws_dynamodb_table.orders
  to   = module.data.aws_dynamodb_table.orders
}

moved {
  from = aws_dynamodb_table.outbound
  to   = module.data.aws_dynamodb_table.outbound
}

moved {
  from = aws_sqs_queue.webhooks
  to   = module.data.aws_sqs_queue.webhooks
}

moved {
  from = aws_sqs_queue.webhooks_dlq
  to   = module.data.aws_sqs_queue.webhooks_dlq
}

moved {
  from = aws_sqs_queue_redrive_allow_policy.webhooks_dlq
  to   = module.data.aws_sqs_queue_redrive_allow_policy.webhooks_dlq
}

moved {
  from = aws_cloudwatch_metric_alarm.webhooks_age
  to   = module.data.aws_cloudwatch_metric_alarm.webhooks_age
}

moved {
  from = aws_cloudwatch_metric_alarm.webhooks_dlq
  to   = module.data.aws_cloudwatch_metric_alarm.webhooks_dlq
}

moved {
  from = aws_s3_bucket.archive
  to   = module.data.aws_s3_bucket.archive
}

moved {
  from = aws_s3_bucket_public_access_block.archive
  to   = module.data.aws_s3_bucket_public_access_block.archive
}

moved {
  from = aws_s3_bucket_ownership_controls.archive
  to   = module.data.aws_s3_bucket_ownership_controls.archive
}

moved {
  from = aws_s3_bucket_server_side_encryption_configuration.archive
  to   = module.data.aws_s3_bucket_server_side_encryption_configuration.archive
}

moved {
  from = aws_s3_bucket_versioning.archive
  to   = module.data.aws_s3_bucket_versioning.archive
}

moved {
  from = aws_s3_bucket_lifecycle_configuration.archive
  to   = module.data.aws_s3_bucket_lifecycle_configuration.archive
}

moved {
  from = aws_s3_bucket_policy.archive
  to   = module.data.aws_s3_bucket_policy.archive
}

moved {
  from = aws_kms_key.alerts
  to   = module.data.aws_kms_key.alerts
}

moved {
  from = aws_sns_topic.alerts
  to   = module.data.aws_sns_topic.alerts
}

moved {
  from = aws_sns_topic_subscription.email
  to   = module.data.aws_sns_topic_subscription.email
}

moved {
  from = aws_cloudwatch_metric_alarm.queue_depth
  to   = module.data.aws_cloudwatch_metric_alarm.queue_depth
}

moved {
  from = aws_cloudwatch_metric_alarm.message_age
  to   = module.data.aws_cloudwatch_metric_alarm.message_age
}

moved {
  from = aws_cloudwatch_metric_alarm.dlq_not_empty
  to   = module.data.aws_cloudwatch_metric_alarm.dlq_not_empty
}
