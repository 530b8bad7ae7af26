# The permissions of each function: the calls that it makes, on the resources that it uses, and no others.
# tests/it/terraform/permissions.rs derives the same from the code.

locals {
  # The calls that Lambda makes with a function's role to feed it from a queue.
  poll = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]

  # The indexes of the table that the API queries.
  indexes = concat(["customer-orders"], var.search_index ? ["order-search"] : [])

  statements = {
    for role, statements in local.role_statements : role => statements if contains(keys(local.functions), role)
  }

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
        # The calls that Lambda makes with the function's role to feed it from the stream.
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
        Resource = [local.webhook_queue_arn]
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
        Resource = [local.outbound_arn]
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
    for arn in var.webhooks ? [local.webhook_queue_arn] : [] : {
      Sid      = "Jobs"
      Effect   = "Allow"
      Action   = ["sqs:SendMessage"]
      Resource = [arn]
    }
  ]

  # Without a feed, the relay only reads the subscriptions.
  relay_outbound = [
    for arn in var.feed || var.webhooks ? [local.outbound_arn] : [] : {
      Sid      = "Outbound"
      Effect   = "Allow"
      Action   = concat(["dynamodb:Query"], var.feed ? ["dynamodb:PutItem", "dynamodb:UpdateItem"] : [])
      Resource = [arn]
    }
  ]

  # The API manages subscriptions and held orders, and reads how receivers do.
  webhook_managing = [
    for arn in var.webhooks ? [local.outbound_arn] : [] : {
      Sid    = "Webhooks"
      Effect = "Allow"
      Action = [
        "dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:BatchWriteItem",
      ]
      Resource = [arn]
    }
  ]

  feed_reading = [
    for arn in var.feed && !var.webhooks ? [local.outbound_arn] : [] : {
      Sid      = "Feed"
      Effect   = "Allow"
      Action   = ["dynamodb:Query"]
      Resource = [arn]
    }
  ]

  # Access to encrypted resources needs access to their key: all functions use kms_key_arn; without it, the publisher of
  # alerts uses the topic's key.
  keys = {
    api          = var.kms_key_arn == null ? [] : [var.kms_key_arn]
    consumer     = var.kms_key_arn == null ? [] : [var.kms_key_arn]
    dead-letters = [local.alerts_key_arn]
    expiry       = var.kms_key_arn == null ? [] : [var.kms_key_arn]
    relay        = var.kms_key_arn == null ? [] : [var.kms_key_arn]
    # Without kms_key_arn, the publisher of alerts uses the topic's key.
    webhook-sender = [local.alerts_key_arn]
  }
}

resource "aws_iam_role" "function" {
  for_each = local.functions

  name        = "${var.name}-${each.key}"
  description = "The permissions of the function ${var.name}-${each.key}."

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })

  tags = var.tags
}

resource "aws_iam_role_policy" "function" {
  for_each = local.statements

  name = "${var.name}-${each.key}"
  role = aws_iam_role.function[each.key].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      each.value,
      [
        for key in local.keys[each.key] : {
          Sid      = "Key"
          Effect   = "Allow"
          Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
          Resource = [key]
        }
      ],
      [
        {
          Sid      = "Logs"
          Effect   = "Allow"
          Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
          Resource = ["${aws_cloudwatch_log_group.function[each.key].arn}:*"]
        },
        {
          Sid      = "Traces"
          Effect   = "Allow"
          Action   = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
          Resource = ["*"]
        },
      ],
    )
  })
}
