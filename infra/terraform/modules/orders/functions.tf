# The roles of the program as functions of one package. A function's handler is its role.

locals {
  # What the functions are, by role. modules/data knows which roles there are, and what each needs.
  settings = {
    api = {
      description          = "The HTTP API of ${var.name}: accepts events, and returns orders and receipts."
      timeout              = var.api.timeout
      memory               = var.api.memory
      reserved_concurrency = var.api.reserved_concurrency
      environment = merge(
        # The authorizer of the HTTP API has checked the token. The function only trusts requests with its claims.
        { ORDERS_AUTH = "gateway" },
        var.jwt.scope_prefix == null ? {} : { ORDERS_JWT_SCOPE_PREFIX = var.jwt.scope_prefix },
        length(var.api.cors_origins) > 0 ? { ORDERS_CORS_ORIGINS = join(",", var.api.cors_origins) } : {},
      )
    }
    consumer = {
      description          = "The consumer of ${var.name}: decides on events, records them and projects orders."
      timeout              = var.consumer.timeout
      memory               = var.consumer.memory
      reserved_concurrency = var.consumer.reserved_concurrency
      environment          = {}
    }
    dead-letters = {
      description          = "The archiver of ${var.name}: archives dead letters, marks their orders and publishes alerts."
      timeout              = var.dead_letters.timeout
      memory               = var.dead_letters.memory
      reserved_concurrency = var.dead_letters.reserved_concurrency
      environment          = {}
    }
    expiry = {
      description          = "Proposes to cancel orders of ${var.name} that are unpaid at their deadline."
      timeout              = local.expiry_timeout
      memory               = var.expiry.memory
      reserved_concurrency = -1
      environment          = {}
    }
    relay = {
      description          = "The relay of ${var.name}: passes recorded events on, from the change stream of the table."
      timeout              = var.relay.timeout
      memory               = var.relay.memory
      reserved_concurrency = -1
      environment          = {}
    }
    webhook-sender = {
      description          = "The webhook sender of ${var.name}: posts recorded events to subscribers."
      timeout              = var.webhooks == null ? 0 : var.webhooks.timeout
      memory               = var.webhooks == null ? 0 : var.webhooks.memory
      reserved_concurrency = -1
      environment          = {}
    }
  }

  functions = { for role, needs in module.data.roles : role => local.settings[role] }
}

# There is no dead_letter_config, which is for asynchronous invocations only. The consumer's dead letters are those of its
# queue.
resource "aws_lambda_function" "function" {
  #checkov:skip=CKV_AWS_50:Traces are off by default, because they are a part of the bill; logs.xray_tracing turns them on.
  #checkov:skip=CKV_AWS_116:A function's own dead-letter queue is for asynchronous invocations; there are none.
  #checkov:skip=CKV_AWS_117:It calls AWS services only, at their public endpoints with TLS; a VPC would only add cost.
  #checkov:skip=CKV_AWS_272:Whoever deploys this builds and signs the package, and chooses the signing profile.
  for_each = local.functions

  function_name = "${var.name}-${each.key}"
  description   = each.value.description
  role          = aws_iam_role.function[each.key].arn

  runtime          = "provided.al2023"
  handler          = each.key
  architectures    = [var.architecture]
  filename         = var.package
  source_code_hash = filebase64sha256(var.package)

  timeout                        = each.value.timeout
  memory_size                    = each.value.memory
  reserved_concurrent_executions = each.value.reserved_concurrency
  kms_key_arn                    = var.kms_key_arn

  environment {
    variables = merge(module.data.roles[each.key].environment, each.value.environment)
  }

  # Active traces cost $5 a million recorded ones: docs/aws.md has the bill.
  tracing_config {
    mode = var.logs.xray_tracing ? "Active" : "PassThrough"
  }

  # The program filters by LOG_LEVEL. Lambda must not drop more lines, because some are metrics. Lambda's own lines about the start
  # and the end of each invocation would be most of the log; CloudWatch has their numbers as metrics.
  logging_config {
    log_format            = "JSON"
    application_log_level = "TRACE"
    system_log_level      = "WARN"
    log_group             = aws_cloudwatch_log_group.function[each.key].name
  }

  tags = var.tags

  # Without them, a function would fail at its start, or create a log group that is kept forever.
  depends_on = [aws_iam_role_policy.function]
}

resource "aws_cloudwatch_log_group" "function" {
  for_each = local.functions

  name              = "/aws/lambda/${var.name}-${each.key}"
  retention_in_days = var.logs.retention_days
  kms_key_id        = var.kms_key_arn
  tags              = var.tags
}

# With ReportBatchItemFailures, only failed messages are delivered again. Without it, Lambda ignores the function's answer
# and deletes the messages that it could not handle.
resource "aws_lambda_event_source_mapping" "consumer" {
  event_source_arn        = module.data.queue.arn
  function_name           = aws_lambda_function.function["consumer"].arn
  function_response_types = ["ReportBatchItemFailures"]

  batch_size = var.consumer.batch_size
  # A FIFO queue allows no batching window.
  maximum_batching_window_in_seconds = var.queue.fifo ? null : var.consumer.batching_window

  # Below the function's reserved concurrency, so that Lambda never receives a batch that it cannot run: such receives
  # count, and after max_receive_count of them a valid message becomes a dead letter. Lambda refuses a maximum beside
  # provisioned pollers, whose number limits the concurrency.
  dynamic "scaling_config" {
    for_each = var.consumer.provisioned_pollers == null ? [var.consumer.maximum_concurrency] : []

    content {
      maximum_concurrency = scaling_config.value
    }
  }

  dynamic "provisioned_poller_config" {
    for_each = var.consumer.provisioned_pollers == null ? [] : [var.consumer.provisioned_pollers]

    content {
      minimum_pollers = provisioned_poller_config.value.minimum
      maximum_pollers = provisioned_poller_config.value.maximum
    }
  }

  metrics_config {
    metrics = ["EventCount"]
  }

  # No filter by default: messages that do not match, or are not JSON, are deleted.
  dynamic "filter_criteria" {
    for_each = length(var.consumer.delete_all_but_event_types) > 0 ? [var.consumer.delete_all_but_event_types] : []

    content {
      filter {
        pattern = jsonencode({ body = { type = filter_criteria.value } })
      }
    }
  }

  tags = var.tags
}

resource "aws_lambda_event_source_mapping" "dead_letters" {
  event_source_arn        = module.data.dlq.arn
  function_name           = aws_lambda_function.function["dead-letters"].arn
  function_response_types = ["ReportBatchItemFailures"]

  batch_size = 10

  scaling_config {
    maximum_concurrency = 2 # the minimum of Lambda
  }

  metrics_config {
    metrics = ["EventCount"]
  }

  tags = var.tags
}
