"""Terraform: plan, keep the plan, apply exactly it."""
