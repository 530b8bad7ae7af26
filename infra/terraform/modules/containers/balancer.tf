# The load balancer before the API, and who may reach what.

resource "aws_lb" "api" {
  #checkov:skip=CKV_AWS_91:The log of the API has a line for each request, with what an access log lacks.
  #checkov:skip=CKV2_AWS_28:The API limits bodies, connections, rates and failed tokens itself. Attach a web ACL by the output if you have one.
  #checkov:skip=CKV2_AWS_20:There is no listener for plain HTTP.
  name                       = var.name
  load_balancer_type         = "application"
  internal                   = var.network.internal
  subnets                    = var.network.public_subnet_ids
  security_groups            = [aws_security_group.balancer.id]
  drop_invalid_header_fields = true
  enable_deletion_protection = var.deletion_protection
  # Longer than the heartbeats of event streams and the longest wait that a client can prefer.
  idle_timeout = 120
  tags         = var.tags
}

resource "aws_lb_target_group" "api" {
  #checkov:skip=CKV_AWS_378:Connections from the load balancer stay in the VPC, and the security group lets in nothing else.
  name                 = "${var.name}-api"
  vpc_id               = var.network.vpc_id
  target_type          = "ip"
  port                 = local.port
  protocol             = "HTTP"
  deregistration_delay = 30

  # A task is healthy while it can read. While the queue fails, it answers 503 to writes and goes on to serve reads.
  health_check {
    path                = "/readyz"
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 3
    matcher             = "200"
  }

  tags = var.tags
}

resource "aws_lb_listener" "https" {
  load_balancer_arn = aws_lb.api.arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  certificate_arn   = var.certificate_arn

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.api.arn
  }

  tags = var.tags
}

resource "aws_security_group" "balancer" {
  name        = "${var.name}-balancer"
  description = "The load balancer of ${var.name}: HTTPS from clients, and the tasks of the API."
  vpc_id      = var.network.vpc_id
  tags        = var.tags
}

resource "aws_vpc_security_group_ingress_rule" "clients" {
  for_each = toset(var.network.client_cidrs)

  security_group_id = aws_security_group.balancer.id
  description       = "HTTPS from clients."
  cidr_ipv4         = each.value
  from_port         = 443
  to_port           = 443
  ip_protocol       = "tcp"
}

resource "aws_vpc_security_group_egress_rule" "balancer" {
  security_group_id            = aws_security_group.balancer.id
  description                  = "To the tasks of the API."
  referenced_security_group_id = aws_security_group.tasks.id
  from_port                    = local.port
  to_port                      = local.port
  ip_protocol                  = "tcp"
}

resource "aws_security_group" "tasks" {
  name        = "${var.name}-tasks"
  description = "The tasks of ${var.name}: requests from the load balancer, and HTTPS to AWS, to the issuer and to webhooks."
  vpc_id      = var.network.vpc_id
  tags        = var.tags
}

resource "aws_vpc_security_group_ingress_rule" "tasks" {
  security_group_id            = aws_security_group.tasks.id
  description                  = "Requests from the load balancer."
  referenced_security_group_id = aws_security_group.balancer.id
  from_port                    = local.port
  to_port                      = local.port
  ip_protocol                  = "tcp"
}

resource "aws_vpc_security_group_egress_rule" "tasks" {
  security_group_id = aws_security_group.tasks.id
  description       = "HTTPS to AWS, to the issuer and to webhooks."
  cidr_ipv4         = "0.0.0.0/0"
  from_port         = 443
  to_port           = 443
  ip_protocol       = "tcp"
}
