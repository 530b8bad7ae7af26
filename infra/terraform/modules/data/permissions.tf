# The permissions of each role: the calls that it makes, on the resources that it uses, and no others. The modules of functions
# and of containers add what their platform needs. tests/it/terraform/permissions.rs derives the same from the code.

locals {
  # The calls that feed a role from a queue. Lambda makes them with the function's role, a container makes them itself.
  poll = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]

  # The indexes of the table that the API queries.
  indexes = concat(["customer-orders"], var.table.search_index ? ["order-search"] : [])

  role_statements = {
    api = concat(local.feed_reading, local.webhook_sending, local.webhook_managing, [
      {
        Sid      = "Publish"
        Effect   = "Allow"
        Action   = ["sqs:SendMessage", "sqs:GetQueueAttributes"]
        Resource = [aws_sqs_queue.main.arn]
      },
      {
        Sid      = "Count"
        Effect   = "Allow"
        Action   = ["sqs:GetQueueAttributes"]
        Resource = [aws_sqs_queue.dlq.arn]
      },
      {
        Sid    = "Orders"
        Effect = "Allow"
        Action = [
          "dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem",
        ]
        Resource = [aws_dynamodb_table.orders.arn]
      },
      {
        Sid      = "Lists"
        Effect   = "Allow"
        Action   = ["dynamodb:Query"]
        Resource = [for index in local.indexes : "${aws_dynamodb_table.orders.arn}/index/${index}"]
      },
      {
        Sid      = "DeadLetters"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = ["${aws_s3_bucket.archive.arn}/failed/*", "${aws_s3_bucket.archive.arn}/repaired/*"]
      },
      {
        Sid      = "Repair"
        Effect   = "Allow"
        Action   = ["s3:PutObject"]
        Resource = ["${aws_s3_bucket.archive.arn}/repaired/*"]
      },
    ])
    consumer = [
      {
        Sid      = "Consume"
        Effect   = "Allow"
        Action   = concat(local.poll, ["sqs:ChangeMessageVisibility"])
        Resource = [aws_sqs_queue.main.arn]
      },
      {
        Sid      = "Bury"
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = [aws_sqs_queue.dlq.arn]
      },
      {
        Sid    = "Orders"
        Effect = "Allow"
        # BatchExecuteStatement and TransactWriteItems are allowed by the actions of their statements and writes.
        Action = [
          "dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem",
          "dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate",
        ]
        Resource = [aws_dynamodb_table.orders.arn]
      },
      {
        # The consumer deletes only the items of references that their orders no longer have, and of writers of the ledger
        # that it folds.
        Sid       = "Deletions"
        Effect    = "Allow"
        Action    = ["dynamodb:DeleteItem"]
        Resource  = [aws_dynamodb_table.orders.arn]
        Condition = { "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = ["REF#*", "LEDGER#*"] } }
      },
    ]
    dead-letters = [
      {
        Sid      = "Consume"
        Effect   = "Allow"
        Action   = concat(local.poll, ["sqs:ChangeMessageVisibility"])
        Resource = [aws_sqs_queue.dlq.arn]
      },
      {
        Sid    = "Orders"
        Effect = "Allow"
        Action = [
          "dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem",
        ]
        Resource = [aws_dynamodb_table.orders.arn]
      },
      {
        Sid      = "Archive"
        Effect   = "Allow"
        Action   = ["s3:PutObject"]
        Resource = ["${aws_s3_bucket.archive.arn}/failed/*"]
      },
      {
        Sid      = "Alert"
        Effect   = "Allow"
        Action   = ["sns:Publish"]
        Resource = [aws_sns_topic.alerts.arn]
      },
    ]
    expiry = [
      {
        Sid      = "Propose"
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = [aws_sqs_queue.main.arn]
      },
      {
        Sid      = "Orders"
        Effect   = "Allow"
        Action   = ["dynamodb:Query", "dynamodb:UpdateItem"]
        Resource = [aws_dynamodb_table.orders.arn]
      },
      {
        Sid      = "Due"
        Effect   = "Allow"
        Action   = ["dynamodb:Query"]
        Resource = ["${aws_dynamodb_table.orders.arn}/index/due-orders"]
      },
    ]
    relay = concat(local.webhook_sending, local.publishing, local.relay_outbound, [
      {
        # The calls that feed the relay from the stream. Lambda makes them with the function's role.
        Sid    = "Stream"
        Effect = "Allow"
        Action = [
          "dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams",
        ]
        Resource = ["${aws_dynamodb_table.orders.arn}/stream/*"]
      },
      {
        Sid      = "Customers"
        Effect   = "Allow"
        Action   = ["dynamodb:BatchGetItem"]
        Resource = [aws_dynamodb_table.orders.arn]
      },
    ])
    webhook-sender = [
      {
        Sid      = "Deliver"
        Effect   = "Allow"
        Action   = concat(local.poll, ["sqs:ChangeMessageVisibility", "sqs:SendMessage"])
        Resource = aws_sqs_queue.webhooks[*].arn
      },
      {
        Sid      = "Events"
        Effect   = "Allow"
        Action   = ["dynamodb:Query"]
        Resource = [aws_dynamodb_table.orders.arn]
      },
      {
        Sid      = "Deliveries"
        Effect   = "Allow"
        Action   = ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem"]
        Resource = aws_dynamodb_table.outbound[*].arn
      },
      {
        Sid      = "Alert"
        Effect   = "Allow"
        Action   = ["sns:Publish"]
        Resource = [aws_sns_topic.alerts.arn]
      },
    ]
  }

  webhook_sending = [
    for arn in var.webhooks ? [aws_sqs_queue.webhooks[0].arn] : [] : {
      Sid      = "Jobs"
      Effect   = "Allow"
      Action   = ["sqs:SendMessage"]
      Resource = [arn]
    }
  ]

  # Without a feed, the relay only reads the subscriptions.
  relay_outbound = [
    for arn in local.has_feed || var.webhooks ? [aws_dynamodb_table.outbound[0].arn] : [] : {
      Sid      = "Outbound"
      Effect   = "Allow"
      Action   = concat(["dynamodb:Query"], local.has_feed ? ["dynamodb:PutItem", "dynamodb:UpdateItem"] : [])
      Resource = [arn]
    }
  ]

  # The API manages subscriptions and held orders, and reads how receivers do.
  webhook_managing = [
    for arn in var.webhooks ? [aws_dynamodb_table.outbound[0].arn] : [] : {
      Sid    = "Webhooks"
      Effect = "Allow"
      Action = [
        "dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:BatchWriteItem",
      ]
      Resource = [arn]
    }
  ]

  feed_reading = [
    for arn in local.has_feed && !var.webhooks ? [aws_dynamodb_table.outbound[0].arn] : [] : {
      Sid      = "Feed"
      Effect   = "Allow"
      Action   = ["dynamodb:Query"]
      Resource = [arn]
    }
  ]

  # The relay looks whether the bus exists when it starts, because EventBridge can report success for one that does not.
  publishing = concat(
    [
      for bus in var.event_bus == null ? [] : [var.event_bus] : {
        Sid      = "Bus"
        Effect   = "Allow"
        Action   = ["events:PutEvents", "events:DescribeEventBus"]
        Resource = [bus.arn]
      }
    ],
    [
      for topic in var.events_topic == null ? [] : [var.events_topic] : {
        Sid      = "Topic"
        Effect   = "Allow"
        Action   = ["sns:Publish"]
        Resource = [topic.arn]
      }
    ],
  )

  # Access to encrypted resources needs access to their key: all roles use kms_key_arn; without it, publishers of alerts use the
  # topic's key.
  key_arns = var.kms_key_arn == null ? [] : [var.kms_key_arn]

  keys = {
    api            = local.key_arns
    consumer       = local.key_arns
    dead-letters   = [local.alerts_key_arn]
    expiry         = local.key_arns
    relay          = local.key_arns
    webhook-sender = [local.alerts_key_arn]
  }

  key_statements = {
    for role, keys in local.keys : role => [
      for key in keys : {
        Sid      = "Key"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = [key]
      }
    ]
  }
}
