# The outbound table: the feed of recorded events, webhook subscriptions and held orders. infra/src/outbound documents the items.

locals {
  has_feed     = var.feed != null
  has_outbound = local.has_feed || var.webhooks || var.event_bus != null || var.events_topic != null
}

# It has no point-in-time recovery and no deletion protection: the feed only refers to the log, and its events expire. Webhook
# subscriptions are in it too: to be safe, keep what they were created from.
resource "aws_dynamodb_table" "outbound" {
  #checkov:skip=CKV_AWS_28:The feed refers to the log, which has point-in-time recovery; restored positions would differ from what readers saw.
  #checkov:skip=CKV_AWS_119:Tables are always encrypted, with a customer managed key if kms_key_arn is set.
  #checkov:skip=CKV2_AWS_16:Capacity is on demand, which needs no scaling.
  count = local.has_outbound ? 1 : 0

  name         = "${var.name}-outbound"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "pk"
  range_key    = "sk"

  attribute {
    name = "pk"
    type = "S"
  }

  attribute {
    name = "sk"
    type = "S"
  }

  ttl {
    attribute_name = "expires_at"
    enabled        = true
  }

  server_side_encryption {
    # If not enabled, the table is encrypted with a key that AWS owns.
    enabled     = var.kms_key_arn != null
    kms_key_arn = var.kms_key_arn
  }

  tags = var.tags
}
