# The roles of the program as services on Fargate, of one image. A task's command is its role.

locals {
  region = data.aws_region.current.region
  port   = 8080

  # What differs from role to role. modules/data knows which roles there are, and what each needs.
  settings = {
    api = {
      task = var.tasks.api
      environment = merge(
        {
          ORDERS_LISTEN       = "0.0.0.0:${local.port}"
          ORDERS_JWKS_URL     = var.jwt.jwks_url
          ORDERS_JWT_ISSUER   = var.jwt.issuer
          ORDERS_JWT_AUDIENCE = var.jwt.audience
        },
        var.jwt.scope_prefix == null ? {} : { ORDERS_JWT_SCOPE_PREFIX = var.jwt.scope_prefix },
        length(var.cors_origins) > 0 ? { ORDERS_CORS_ORIGINS = join(",", var.cors_origins) } : {},
      )
    }
    consumer       = { task = var.tasks.consumer, environment = { ORDERS_CONCURRENCY = var.tasks.consumer_concurrency } }
    dead-letters   = { task = var.tasks.dead_letters, environment = {} }
    expiry         = { task = var.tasks.expiry, environment = {} }
    relay          = { task = var.tasks.relay, environment = {} }
    webhook-sender = { task = var.tasks.webhook_sender, environment = {} }
  }

  services = { for role, needs in module.data.roles : role => local.settings[role] }
}

resource "aws_ecs_cluster" "orders" {
  name = var.name

  # The alarm on running tasks needs its metrics.
  setting {
    name  = "containerInsights"
    value = "enabled"
  }

  tags = var.tags
}

resource "aws_ecs_task_definition" "role" {
  for_each = local.services

  family                   = "${var.name}-${each.key}"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = each.value.task.cpu
  memory                   = each.value.task.memory
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.task[each.key].arn

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = upper(var.architecture)
  }

  container_definitions = jsonencode([
    {
      name                   = each.key
      image                  = var.image
      command                = [each.key]
      essential              = true
      readonlyRootFilesystem = true
      stopTimeout            = var.tasks.stop_timeout
      portMappings           = each.key == "api" ? [{ containerPort = local.port, protocol = "tcp" }] : []
      environment = [
        for name, value in merge({ AWS_REGION = local.region }, module.data.roles[each.key].environment, each.value.environment) :
        { name = name, value = tostring(value) }
      ]
      logConfiguration = {
        logDriver = "awslogs"
        options = {
          awslogs-group         = aws_cloudwatch_log_group.role[each.key].name
          awslogs-region        = local.region
          awslogs-stream-prefix = each.key
        }
      }
    },
  ])

  tags = var.tags
}

resource "aws_cloudwatch_log_group" "role" {
  for_each = local.services

  name              = "/ecs/${var.name}-${each.key}"
  retention_in_days = var.logs.retention_days
  kms_key_id        = var.kms_key_arn
  tags              = var.tags
}

# A deployment that does not become healthy is rolled back.
resource "aws_ecs_service" "role" {
  for_each = local.services

  name            = each.key
  cluster         = aws_ecs_cluster.orders.id
  task_definition = aws_ecs_task_definition.role[each.key].arn
  desired_count   = each.value.task.count
  launch_type     = "FARGATE"
  propagate_tags  = "SERVICE"

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = var.network.private_subnet_ids
    security_groups  = [aws_security_group.tasks.id]
    assign_public_ip = false
  }

  dynamic "load_balancer" {
    for_each = each.key == "api" ? [aws_lb_target_group.api.arn] : []

    content {
      target_group_arn = load_balancer.value
      container_name   = each.key
      container_port   = local.port
    }
  }

  tags = var.tags

  # ECS refuses a target group without a load balancer. Without its policy, a task would fail at its start.
  depends_on = [aws_lb_listener.https, aws_iam_role_policy.task]
}
