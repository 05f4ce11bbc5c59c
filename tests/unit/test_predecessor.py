"""What a run that was cut off had changed is known for every change that a page can make."""

import ast
from pathlib import Path

from activities.predecessor import CHANGES

WORKFLOWS = Path(__file__).parents[2] / "workflows"


def made_by_pages() -> set[str]:
    """The activities that some page runs as a change."""
    calls = (
        node
        for file in WORKFLOWS.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "change"
    )
    return {ast.unparse(call.args[1]).rpartition(".")[2] for call in calls if len(call.args) > 1}


def test_every_change_of_a_page_is_one_that_the_next_run_knows():
    made = {"apply_terraform" if name == "_APPLY" else name for name in made_by_pages()}
    assert {"deploy_release", "apply_terraform", "reboot_instance"} <= made
    assert sorted(made - set(CHANGES)) == []
