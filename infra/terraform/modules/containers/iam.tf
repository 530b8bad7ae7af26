# The roles of the tasks: one for each role of the program, with the permissions for its calls (modules/data), and the role with
# which ECS starts tasks. tests/it/terraform/containers.rs derives the permissions from the code.

locals {
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id } }
    }]
  })
}

resource "aws_iam_role" "task" {
  for_each = local.services

  name               = "${var.name}-task-${each.key}"
  description        = "The permissions of the tasks ${var.name}-${each.key}."
  assume_role_policy = local.assume_role_policy
  tags               = var.tags
}

resource "aws_iam_role_policy" "task" {
  for_each = module.data.roles

  name = "${var.name}-task-${each.key}"
  role = aws_iam_role.task[each.key].id

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = concat(each.value.statements, each.value.container_statements)
  })
}

resource "aws_iam_role" "execution" {
  name               = "${var.name}-execution"
  description        = "ECS starts the tasks of ${var.name} with this role."
  assume_role_policy = local.assume_role_policy
  tags               = var.tags
}

# It pulls the image and writes logs. ECR's authorization applies to no particular resource.
resource "aws_iam_role_policy" "execution" {
  name = "${var.name}-execution"
  role = aws_iam_role.execution.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Login"
        Effect   = "Allow"
        Action   = ["ecr:GetAuthorizationToken"]
        Resource = ["*"]
      },
      {
        Sid      = "Pull"
        Effect   = "Allow"
        Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Resource = ["arn:${data.aws_partition.current.partition}:ecr:*:*:repository/*"]
      },
      {
        Sid      = "Logs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = [for role in keys(local.services) : "${aws_cloudwatch_log_group.role[role].arn}:*"]
      },
    ]
  })
}
