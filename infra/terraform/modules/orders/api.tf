# The HTTP API. Its authorizer checks the token and the scope that each route requires.

locals {
  # The routes of openapi/openapi.json, as API Gateway names them.
  scopes = {
    "GET /v1/orders"                                            = "orders.read"
    "GET /v1/orders/{order_id}"                                 = "orders.read"
    "GET /v1/orders/{order_id}/contact"                         = "orders.read"
    "GET /v1/orders/{order_id}/events"                          = "orders.read"
    "GET /v1/orders/{order_id}/events/{event_id}"               = "orders.read"
    "GET /v1/orders/{order_id}/rejections"                      = "orders.read"
    "GET /v1/events"                                            = "orders.read"
    "POST /v1/orders"                                           = "orders.write"
    "POST /v1/orders/batch"                                     = "orders.write"
    "POST /v1/orders/{order_id}/events"                         = "orders.write"
    "GET /v1/dead-letters"                                      = "orders.operate"
    "GET /v1/dead-letters/{id}"                                 = "orders.operate"
    "POST /v1/dead-letters/redrive"                             = "orders.operate"
    "POST /v1/dead-letters/{id}/discard"                        = "orders.operate"
    "POST /v1/dead-letters/{id}/repair"                         = "orders.operate"
    "GET /v1/backup"                                            = "orders.operate"
    "GET /v1/export"                                            = "orders.operate"
    "GET /v1/fence"                                             = "orders.operate"
    "POST /v1/fence"                                            = "orders.operate"
    "DELETE /v1/fence"                                          = "orders.operate"
    "GET /v1/pipeline"                                          = "orders.operate"
    "GET /v1/pipeline/history"                                  = "orders.operate"
    "GET /v1/webhooks"                                          = "orders.operate"
    "POST /v1/webhooks"                                         = "orders.operate"
    "DELETE /v1/webhooks/{webhook_id}"                          = "orders.operate"
    "GET /v1/webhooks/{webhook_id}"                             = "orders.operate"
    "PATCH /v1/webhooks/{webhook_id}"                           = "orders.operate"
    "GET /v1/webhooks/{webhook_id}/deliveries"                  = "orders.operate"
    "POST /v1/webhooks/{webhook_id}/deliveries/{event_id}/skip" = "orders.operate"
    "POST /v1/webhooks/{webhook_id}/replay"                     = "orders.operate"
    "POST /v1/webhooks/{webhook_id}/rotate"                     = "orders.operate"
    "POST /v1/webhooks/{webhook_id}/test"                       = "orders.operate"
  }

  scope_prefix = var.jwt.scope_prefix == null ? "" : var.jwt.scope_prefix
}

resource "aws_apigatewayv2_api" "orders" {
  name          = var.name
  description   = "The HTTP API of ${var.name}."
  protocol_type = "HTTP"
  tags          = var.tags
}

resource "aws_apigatewayv2_authorizer" "jwt" {
  api_id           = aws_apigatewayv2_api.orders.id
  name             = "jwt"
  authorizer_type  = "JWT"
  identity_sources = ["$request.header.Authorization"]

  jwt_configuration {
    issuer   = var.jwt.issuer
    audience = var.jwt.audience
  }
}

resource "aws_apigatewayv2_integration" "orders" {
  api_id                 = aws_apigatewayv2_api.orders.id
  integration_type       = "AWS_PROXY"
  integration_method     = "POST"
  integration_uri        = aws_lambda_function.function["api"].invoke_arn
  payload_format_version = "2.0"
  timeout_milliseconds   = 30000
}

resource "aws_apigatewayv2_route" "scoped" {
  for_each = local.scopes

  api_id               = aws_apigatewayv2_api.orders.id
  route_key            = each.key
  target               = "integrations/${aws_apigatewayv2_integration.orders.id}"
  authorization_type   = "JWT"
  authorizer_id        = aws_apigatewayv2_authorizer.jwt.id
  authorization_scopes = ["${local.scope_prefix}${each.value}"]
}

# All other paths: health checks, the API descriptions, preflight requests, and unknown paths, which the program answers with
# a problem. The program answers 401 if a request needs a token but did not pass the authorizer.
resource "aws_apigatewayv2_route" "public" {
  #checkov:skip=CKV_AWS_309:These paths need no token. The program refuses requests that need one and have no claims of an authorizer.
  api_id             = aws_apigatewayv2_api.orders.id
  route_key          = "$default"
  target             = "integrations/${aws_apigatewayv2_integration.orders.id}"
  authorization_type = "NONE"
}

# The paths of the default stage do not contain its name. A custom domain must map to it without a key.
resource "aws_apigatewayv2_stage" "default" {
  api_id      = aws_apigatewayv2_api.orders.id
  name        = "$default"
  auto_deploy = true

  default_route_settings {
    throttling_rate_limit  = var.api.rate_limit
    throttling_burst_limit = var.api.burst_limit
    # Metrics by route are billed as custom metrics, and nothing looks at them.
    detailed_metrics_enabled = false
  }

  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.access.arn

    # Every byte is billed, so names are short, and what the route says is not repeated.
    format = jsonencode({
      at      = "$context.requestTimeEpoch"
      id      = "$context.requestId"
      ip      = "$context.identity.sourceIp"
      sub     = "$context.authorizer.claims.sub"
      route   = "$context.routeKey"
      path    = "$context.path"
      status  = "$context.status"
      ms      = "$context.responseLatency"
      error   = "$context.error.message"
      auth    = "$context.authorizer.error"
      backend = "$context.integrationErrorMessage"
    })
  }

  tags = var.tags
}

# Below vendedlogs, whose groups do not use up the account's resource policy for delivered logs.
resource "aws_cloudwatch_log_group" "access" {
  name              = "/aws/vendedlogs/http-apis/${var.name}"
  retention_in_days = var.logs.retention_days
  kms_key_id        = var.kms_key_arn
  tags              = var.tags
}

resource "aws_lambda_permission" "api" {
  statement_id  = "HttpApi"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.function["api"].function_name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.orders.execution_arn}/*/*"
}
