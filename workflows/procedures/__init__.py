"""Procedures as objects: what a team's own package registers, and how it checks its page."""

from workflows.procedures.checking import check_page
from workflows.procedures.procedure import Procedure

__all__ = ["Procedure", "check_page"]
