# The roles of the program: which there are, and the variables by which each finds its resources. Functions and containers
# run the same roles.

locals {
  roles = {
    for role, environment in local.environments : role => {
      environment          = merge(local.common_environment, environment)
      statements           = concat(local.role_statements[role], local.key_statements[role])
      container_statements = local.container_statements[role]
    } if local.exists[role]
  }

  # The relay reads the change stream for the feed, for webhooks and for what is published.
  exists = {
    api            = true
    consumer       = true
    dead-letters   = true
    expiry         = true
    relay          = local.has_outbound
    webhook-sender = var.webhooks
  }

  common_environment = {
    TABLE_NAME              = aws_dynamodb_table.orders.name
    LOG_LEVEL               = var.log_level
    ORDERS_DEFAULT_CURRENCY = var.default_currency
    ORDERS_DEPLOYMENT       = var.name
  }

  environments = {
    api = merge(
      {
        QUEUE_URL  = aws_sqs_queue.main.url
        DLQ_URL    = aws_sqs_queue.dlq.url
        DLQ_BUCKET = aws_s3_bucket.archive.bucket
      },
      local.search_environment,
      local.fair_environment,
      local.outbound_environment,
    )
    consumer = merge(
      {
        QUEUE_URL = aws_sqs_queue.main.url
        DLQ_URL   = aws_sqs_queue.dlq.url
        # The consumer parks a message on its last receive, with the error. SQS would move it without one.
        ORDERS_MAX_RECEIVES = var.queue.max_receive_count
      },
      local.expiry_environment,
      local.search_environment,
    )
    dead-letters = {
      QUEUE_URL    = aws_sqs_queue.main.url
      DLQ_URL      = aws_sqs_queue.dlq.url
      DLQ_BUCKET   = aws_s3_bucket.archive.bucket
      ALERTS_TOPIC = aws_sns_topic.alerts.arn
    }
    expiry = merge({ QUEUE_URL = aws_sqs_queue.main.url }, local.expiry_environment, local.fair_environment)
    relay = merge(
      local.outbound_environment,
      var.event_bus == null ? {} : { EVENT_BUS = var.event_bus.arn },
      var.events_topic == null ? {} : { EVENTS_TOPIC = var.events_topic.arn },
      local.has_feed ? { ORDERS_FEED_RETENTION = "${var.feed.retention_days}d" } : {},
    )
    webhook-sender = merge(local.outbound_environment, { ALERTS_TOPIC = aws_sns_topic.alerts.arn })
  }

  search_environment = var.table.search_index ? { ORDERS_SEARCH_INDEX = "true" } : {}

  # On a FIFO queue the group is the order.
  fair_environment = var.queue.fair && !var.queue.fifo ? { ORDERS_FAIR_QUEUE = "true" } : {}

  # The consumer writes the deadline of a new order, and the expiry role reads it.
  expiry_environment = var.expire_unpaid == null ? {} : { ORDERS_EXPIRE_UNPAID = var.expire_unpaid }

  outbound_environment = merge(
    local.has_outbound ? { OUTBOUND_TABLE = aws_dynamodb_table.outbound[0].name, ORDERS_WEBHOOKS_SOURCE = var.event_source } : {},
    local.has_feed ? { ORDERS_FEED = "true", ORDERS_FEED_PARTITIONS = var.feed.partitions } : {},
    var.webhooks ? { WEBHOOK_QUEUE_URL = aws_sqs_queue.webhooks[0].url } : {},
  )
}
