# Containers on Fargate behind an Application Load Balancer, in a VPC that exists. State is kept in this folder until you configure
# a backend: see https://developer.hashicorp.com/terraform/language/backend.

provider "aws" {
  region = var.region
}

module "orders" {
  source = "../../modules/containers"

  name         = var.name
  image        = var.image
  architecture = var.architecture

  network = {
    vpc_id             = var.vpc_id
    public_subnet_ids  = var.public_subnet_ids
    private_subnet_ids = var.private_subnet_ids
  }

  certificate_arn = var.certificate_arn

  jwt = {
    jwks_url     = var.jwks_url
    issuer       = var.jwt_issuer
    audience     = var.jwt_audience
    scope_prefix = var.jwt_scope_prefix
  }

  kms_key_arn = var.kms_key_arn
  alarms      = { emails = var.alert_emails }
  tags        = merge({ service = var.name }, var.tags)
}
