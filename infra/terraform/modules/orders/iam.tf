# The role of each function: the permissions that its code needs (modules/data), and those for logs and traces.
# tests/it/terraform/permissions.rs derives the same from the code.

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
  for_each = module.data.roles

  name = "${var.name}-${each.key}"
  role = aws_iam_role.function[each.key].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      each.value.statements,
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
