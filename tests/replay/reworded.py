"""Replay every history with every sentence of the workflows in other words: ``python -m tests.replay.reworded``.

Runs as a process of its own: sentences are changed as modules are imported.
"""

from __future__ import annotations

import ast
import asyncio
import importlib.machinery
import json
import re
import sys
from pathlib import Path

from temporalio.worker import UnsandboxedWorkflowRunner

HISTORIES = Path(__file__).parent / "histories"
REWORDED = ("workflows", "runbook_model")
SENTENCE = re.compile(r"(?=.* )(?=.*[A-Za-z]{3})", re.DOTALL)
"""What has a space and a word in it; names, options, enum values and error types have none."""


class Reworded(ast.NodeTransformer):
    """Says each sentence in other words, and counts them."""

    count = 0

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Leave patterns alone: they are no sentences."""
        return node if ast.unparse(node.func) == "re.compile" else self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        """Reword a text, also one within an f-string."""
        if isinstance(node.value, str) and SENTENCE.match(node.value):
            Reworded.count += 1
            return ast.copy_location(ast.Constant(f"In other words, {node.value}"), node)
        return node


class Loader(importlib.machinery.SourceFileLoader):
    """Loads a module from its source, never from a cache, with other sentences."""

    def get_code(self, fullname):
        """Compile the reworded source."""
        path = self.get_filename(fullname)
        tree = Reworded().visit(ast.parse(self.get_data(path)))
        return compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)


class Finder:
    """Finds the modules whose sentences change."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        """Let the usual finder look, and put the other loader in."""
        if name.partition(".")[0] not in REWORDED:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = Loader(spec.loader.name, spec.loader.path)
        return spec


async def main() -> int:
    """Replay; returns how many histories failed."""
    sys.meta_path.insert(0, Finder)
    from tests.replay.test_replay import history, replayer  # noqa: PLC0415 - only now: with other sentences

    again = replayer(
        runner=UnsandboxedWorkflowRunner()
    )  # a sandbox would reword everything again for each of them

    failed = 0
    files = sorted(HISTORIES.glob("*.json"))
    for file in files:
        try:
            await again.replay_workflow(history(json.loads(file.read_text())))
        except Exception as error:  # noqa: BLE001 - each history is reported
            failed += 1
            print(f"{file.stem}: {str(error)[:300]}")  # noqa: T201 - the answer
    print(f"{len(files) - failed} of {len(files)} replayed, {Reworded.count} sentences reworded")  # noqa: T201
    return failed


if __name__ == "__main__":
    sys.exit(bool(asyncio.run(main())))
