# Lambda functions behind an HTTP API. It applies in a new account as it is: nothing is reserved, and the mappings together use
# fewer concurrent executions than the ten that a new account has. State is kept in this folder until you configure a
# backend: see https://developer.hashicorp.com/terraform/language/backend.

provider "aws" {
  region = var.region

  # An emulator has one endpoint for all services and does not check credentials.
  skip_credentials_validation = var.emulator_url != null
  skip_metadata_api_check     = var.emulator_url != null
  skip_requesting_account_id  = var.emulator_url != null
  s3_use_path_style           = var.emulator_url != null
  access_key                  = var.emulator_url == null ? null : "test"
  secret_key                  = var.emulator_url == null ? null : "test"

  dynamic "endpoints" {
    for_each = var.emulator_url == null ? [] : [var.emulator_url]

    content {
      apigatewayv2 = endpoints.value
      cloudwatch   = endpoints.value
      dynamodb     = endpoints.value
      events       = endpoints.value
      iam          = endpoints.value
      kms          = endpoints.value
      lambda       = endpoints.value
      logs         = endpoints.value
      s3           = endpoints.value
      sns          = endpoints.value
      sqs          = endpoints.value
      sts          = endpoints.value
    }
  }
}

module "orders" {
  source = "../../modules/orders"

  name         = var.name
  package      = var.package
  architecture = var.architecture

  jwt = {
    issuer       = var.jwt_issuer
    audience     = var.jwt_audience
    scope_prefix = var.jwt_scope_prefix
  }

  # The API has what the mappings leave of ten concurrent executions: three or four, which answer about 100 requests a second.
  api = {
    cors_origins = var.cors_origins
    rate_limit   = 100
    burst_limit  = 100
  }

  queue = { fifo = var.fifo }
  table = { search_index = var.search_index }

  kms_key_arn         = var.kms_key_arn
  alarms              = { emails = var.alert_emails }
  deletion_protection = var.deletion_protection

  tags = merge({ service = var.name }, var.tags)
}
