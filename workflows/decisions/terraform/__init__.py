"""What is decided about plans of Terraform's. Pure."""
