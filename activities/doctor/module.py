"""A Terraform module: is the program there, the folder, and is it initialised and valid."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import BaseModel, ValidationError

from activities.doctor.looking import WrongError
from activities.terraform.program import Module
from runbook_model.catalog.service_policies import Terraform
from runbook_model.text.sentences import quote


class _Diagnostic(BaseModel):
    severity: str
    summary: str
    detail: str = ""


class _Validation(BaseModel):
    valid: bool
    diagnostics: tuple[_Diagnostic, ...] = ()

    @property
    def problem(self) -> str:
        """The first error, in words."""
        errors = (diagnostic for diagnostic in self.diagnostics if diagnostic.severity == "error")
        words = (f"{error.summary}: {error.detail}".strip(": ") for error in errors)
        return quote(next(words, "it does not say why"))


async def validate(owner: Terraform, environment: Callable[[], Mapping[str, str]]) -> str:
    """Run ``terraform validate`` in a module, which reads nothing but the module itself.

    Args:
        owner: what the catalog says of the module.
        environment: makes the program's environment.

    Raises:
        InputError: there is no Terraform, or no such folder.
        OutsideError: there are no credentials for it.
        WrongError: the module is not initialised, or not valid.
    """
    module, directory = Module(owner, environment), owner.directory
    name = Path(module.program).name
    with TemporaryDirectory(prefix="runbook-doctor-") as folder:
        _, output = await module.run("validate", "-json", workplace=Path(folder))
        text = output.read_text(encoding="utf-8", errors="replace")
    try:
        found = _Validation.model_validate(_document(text))
    except ValidationError:
        raise WrongError(f"{name} validate said nothing that can be read: {quote(text)}") from None
    if found.valid:
        return f"{name} is there, and {directory} is valid"
    if f"{name} init" in found.problem or "terraform init" in found.problem:
        raise WrongError(
            f"{directory} is not initialised: {found.problem}", f"{name} -chdir={directory} init"
        )
    raise WrongError(
        f"{directory} is not valid: {found.problem}", f"{name} -chdir={directory} validate shows all"
    )


def _document(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
