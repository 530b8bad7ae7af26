# What each function may do: what it calls, on what it calls it, and nothing else. tests/it/terraform/permissions.rs
# derives the same from the code.

locals {
  # What Lambda itself does with a function's role, to feed it from a queue.
  poll = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]

  statements = {
    api = [
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
        Resource = ["${aws_dynamodb_table.orders.arn}/index/customer-orders"]
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
    ]
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
        # BatchExecuteStatement is allowed by what its statements do, and TransactWriteItems by what its writes are.
        Action = [
          "dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem",
          "dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate",
        ]
        Resource = [aws_dynamodb_table.orders.arn]
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
  }

  # Whoever uses what is encrypted with a key uses the key: everyone that of kms_key_arn; and where there is none, whoever
  # publishes alerts that of the topic.
  keys = {
    api          = var.kms_key_arn == null ? [] : [var.kms_key_arn]
    consumer     = var.kms_key_arn == null ? [] : [var.kms_key_arn]
    dead-letters = [local.alerts_key_arn]
  }
}

resource "aws_iam_role" "function" {
  for_each = local.functions

  name        = "${var.name}-${each.key}"
  description = "What the function ${var.name}-${each.key} may do."

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
