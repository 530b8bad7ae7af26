terraform {
  # 1.9 is the first with validation conditions that refer to other variables.
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # 6.13 is the first with the warm throughput of tables.
      version = "~> 6.13"
    }
  }
}

data "aws_region" "current" {}
