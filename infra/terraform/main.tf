# A complete deployment of orders. Copy this, or call the module from your own configuration. State is kept in this folder
# until you configure a backend: see https://developer.hashicorp.com/terraform/language/backend.

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
  source = "./modules/orders"

  name         = var.name
  package      = var.package
  architecture = var.architecture
  fifo         = var.fifo

  jwt_issuer       = var.jwt_issuer
  jwt_audience     = var.jwt_audience
  jwt_scope_prefix = var.jwt_scope_prefix
  cors_origins     = var.cors_origins

  kms_key_arn         = var.kms_key_arn
  alert_emails        = var.alert_emails
  deletion_protection = var.deletion_protection
  search_index        = var.search_index

  tags = merge({ service = var.name }, var.tags)
}
