"""What a person reads before signing."""

import pytest

from runbook_model.authority.shown import Shown
from runbook_model.plans import PlannedCall
from starter.commands.remediation.approve import shown

WARNING = "it holds characters that are not shown here: look at them with --json before you sign"


def page(said):
    call = PlannedCall(service="ecs", action="UpdateService", parameters={"service": said})
    document = Shown(
        question="Put it back?", headline="Put it back", reasons=(said,), target="prod/shop", calls=(call,),
        options=("approve",), plan_hash="abc",
    )  # fmt: skip
    return [text.plain for text in shown(document, "f" * 64)]


def test_a_plain_document_comes_without_a_warning():
    assert not any(WARNING in line for line in page("errors since noon"))


@pytest.mark.parametrize("said", ["err\u200bors", "\u202esrorre", "a\x1b[2Jb", "x\U000e0041"])
def test_who_signs_learns_that_something_is_not_shown(said):
    lines = page(said)
    assert WARNING in lines[-1]
    assert not {"\u200b", "\u202e", "\x1b", "\U000e0041", "\n"} & set("".join(lines))
