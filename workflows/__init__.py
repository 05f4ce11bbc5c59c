"""Durable procedures: one page of the runbook is one file is one workflow."""
