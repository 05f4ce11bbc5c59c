"""An undo that fails, for whatever reason, is reported; the run still ends and gives its lock back."""

from runbook_model.reports import Outcome


async def test_a_bug_in_an_undo_is_reported_and_ends_the_run(stage):
    await stage.fires("HighErrorRate")
    await stage.running("high-error-rate")
    await stage.cue("change", undo="broken")
    await stage.until(lambda now: now.changes and now.changes[0].certain)
    await stage.procedure().signal("abort", {"by": "bob", "reason": "enough", "keep": False})
    seen = await stage.until(lambda now: now.procedures[0].outcome)
    assert seen.procedures[0].outcome == Outcome.ABORTED
    assert seen.changes[0].undo_failed
    assert seen.changes[0].undone == "could not undo: it failed in its own code (KeyError: 'what was')"
