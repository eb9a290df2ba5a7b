# The same as scan-registry.sh, and a policy, with the vendor's own Terraform provider. README.md says what to set.
terraform {
  required_version = ">= 1.3"
  required_providers {
    prismacloudcompute = {
      source = "PaloAltoNetworks/prismacloudcompute"
    }
  }
}

variable "console_url" {
  type        = string
  description = "Address of the server, such as https://tidewaiter.example.com"
}

variable "username" {
  type    = string
  default = "admin"
}

variable "password" {
  type      = string
  sensitive = true
}

variable "registry" {
  type        = string
  description = "Address of the registry to watch"
}

variable "registry_username" {
  type = string
}

variable "registry_password" {
  type      = string
  sensitive = true
}

provider "prismacloudcompute" {
  console_url            = var.console_url
  project                = "Central Console"
  username               = var.username
  password               = var.password
  skip_cert_verification = false # true for a server with --tls-self-signed
}

resource "prismacloudcompute_credential" "reader" {
  name       = "terraform-reader"
  type       = "basic"
  account_id = var.registry_username
  secret {
    plain = var.registry_password
  }
}

resource "prismacloudcompute_collection" "production" {
  name        = "production"
  description = "Images of the production repositories"
  color       = "#AD3C21"
  images      = ["*/production/*"]
}

# All registries of this API: what another client declares is removed by the next apply.
resource "prismacloudcompute_registry_settings" "registries" {
  specification {
    type        = "2"
    registry    = var.registry
    repository  = ""
    tag         = ""
    os          = "linux"
    cap         = 5
    scanners    = 2
    credential  = prismacloudcompute_credential.reader.name
    collections = ["All"]
  }
}

# The whole policy, rule by rule; the first rule that covers an image decides.
resource "prismacloudcompute_image_vulnerability_policy" "policy" {
  rule {
    name        = "production blocks what is critical"
    effect      = "alert, block"
    collections = [prismacloudcompute_collection.production.name]
    grace_days  = 7
    only_fixed  = true
    alert_threshold {
      disabled = false
      value    = 4
    }
    block_threshold {
      enabled = true
      value   = 9
    }
  }
  rule {
    name        = "everything else alerts"
    effect      = "alert"
    collections = ["All"]
    alert_threshold {
      disabled = false
      value    = 0
    }
    block_threshold {
      enabled = false
      value   = 0
    }
  }
}
