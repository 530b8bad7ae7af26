# What the roles need besides if they run in containers. tests/it/terraform/containers.rs derives the same from the code.

locals {
  # What a container needs besides. At its start it checks its queues and its table. A relay finds the stream, and keeps its
  # leases on the shards in the outbound table.
  container_statements = {
    api = []
    consumer = [
      {
        Sid      = "Check"
        Effect   = "Allow"
        Action   = ["sqs:GetQueueAttributes"]
        Resource = [aws_sqs_queue.dlq.arn]
      },
    ]
    dead-letters = []
    expiry = [
      {
        Sid      = "CheckQueue"
        Effect   = "Allow"
        Action   = ["sqs:GetQueueAttributes"]
        Resource = [aws_sqs_queue.main.arn]
      },
      {
        Sid      = "CheckTable"
        Effect   = "Allow"
        Action   = ["dynamodb:GetItem"]
        Resource = [aws_dynamodb_table.orders.arn]
      },
    ]
    relay = [
      {
        Sid      = "FindStream"
        Effect   = "Allow"
        Action   = ["dynamodb:DescribeTable"]
        Resource = [aws_dynamodb_table.orders.arn]
      },
      {
        Sid      = "Leases"
        Effect   = "Allow"
        Action   = ["dynamodb:GetItem", "dynamodb:UpdateItem"]
        Resource = aws_dynamodb_table.outbound[*].arn
      },
    ]
    webhook-sender = [
      {
        Sid      = "CheckTable"
        Effect   = "Allow"
        Action   = ["dynamodb:GetItem"]
        Resource = [aws_dynamodb_table.orders.arn]
      },
    ]
  }
}
