# The topic of alarms and of alerts about dead letters.

locals {
  # CloudWatch cannot publish to a topic that is encrypted with the AWS managed key of SNS, and reports that in the alarm's
  # history only. So the topic has a key whose policy lets CloudWatch use it.
  alerts_key_arn = var.kms_key_arn == null ? one(aws_kms_key.alerts[*].arn) : var.kms_key_arn
}

resource "aws_kms_key" "alerts" {
  count = var.kms_key_arn == null ? 1 : 0

  description             = "Encrypts the alerts of ${var.name}."
  enable_key_rotation     = true
  deletion_window_in_days = 30

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Account"
        Effect    = "Allow"
        Principal = { AWS = "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:root" }
        Action    = "kms:*"
        Resource  = "*"
      },
      {
        Sid       = "Alarms"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey*"]
        Resource  = "*"
        Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id } }
      },
    ]
  })

  tags = var.tags
}

resource "aws_sns_topic" "alerts" {
  name              = "${var.name}-alerts"
  kms_master_key_id = local.alerts_key_arn
  tags              = var.tags
}

# AWS sends each address a link to confirm the subscription.
resource "aws_sns_topic_subscription" "email" {
  for_each = var.alarms.emails

  topic_arn = aws_sns_topic.alerts.arn
  protocol  = "email"
  endpoint  = each.value
}
