# The table of orders: log, projection, outcomes and each customer's list. infra/src/dynamodb documents the items.

resource "aws_dynamodb_table" "orders" {
  #checkov:skip=CKV_AWS_119:Tables are always encrypted, with a customer managed key if kms_key_arn is set.
  name         = var.name
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

  attribute {
    name = "customer_id"
    type = "S"
  }

  attribute {
    name = "listed_at"
    type = "S"
  }

  dynamic "attribute" {
    for_each = var.table.search_index ? ["search_list", "search_at"] : []

    content {
      name = attribute.value
      type = "S"
    }
  }

  # Only the keys, so that a change of an order needs no write to the index. (Newer provider releases prefer key_schema
  # blocks; all releases of 6 support these two arguments.)
  global_secondary_index {
    name            = "customer-orders"
    hash_key        = "customer_id"
    range_key       = "listed_at"
    projection_type = "KEYS_ONLY"

    # Every new order writes to this index, so an index that is cold would throttle a warm table.
    dynamic "warm_throughput" {
      for_each = var.table.warm_throughput == null ? [] : [var.table.warm_throughput]

      content {
        read_units_per_second  = warm_throughput.value.read_units
        write_units_per_second = warm_throughput.value.write_units
      }
    }
  }

  attribute {
    name = "due_shard"
    type = "S"
  }

  attribute {
    name = "due_at"
    type = "S"
  }

  # Only orders with a deadline are in this index; an index without items costs nothing.
  global_secondary_index {
    name            = "due-orders"
    hash_key        = "due_shard"
    range_key       = "due_at"
    projection_type = "KEYS_ONLY"
  }

  # Orders of all customers, in partitions by hash. It takes writes with every change of an order: docs/aws.md has the price.
  dynamic "global_secondary_index" {
    for_each = var.table.search_index ? ["order-search"] : []

    content {
      name               = global_secondary_index.value
      hash_key           = "search_list"
      range_key          = "search_at"
      projection_type    = "INCLUDE"
      non_key_attributes = ["status", "payment_status", "fulfilment_status"]

      dynamic "warm_throughput" {
        for_each = var.table.warm_throughput == null ? [] : [var.table.warm_throughput]

        content {
          read_units_per_second  = warm_throughput.value.read_units
          write_units_per_second = warm_throughput.value.write_units
        }
      }
    }
  }

  # What the table takes at once. Without it, a new table takes 4,000 writes and 12,000 reads a second, and doubles that
  # within 30 minutes of use. DynamoDB cannot lower it again.
  dynamic "warm_throughput" {
    for_each = var.table.warm_throughput == null ? [] : [var.table.warm_throughput]

    content {
      read_units_per_second  = warm_throughput.value.read_units
      write_units_per_second = warm_throughput.value.write_units
    }
  }

  # The relay reads new log entries from it.
  stream_enabled   = local.has_outbound
  stream_view_type = local.has_outbound ? "NEW_IMAGE" : null

  # A released dead letter leaves a marker that expires, so that its message does not bring it back.
  ttl {
    attribute_name = "expires_at"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    # If not enabled, the table is encrypted with a key that AWS owns.
    enabled     = var.kms_key_arn != null
    kms_key_arn = var.kms_key_arn
  }

  deletion_protection_enabled = var.deletion_protection

  tags = var.tags
}
