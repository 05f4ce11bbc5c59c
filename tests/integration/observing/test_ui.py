"""What a person finds in Temporal's own web UI: a finished run reads as the runbook, a waiting one shows its page."""

import shutil
import tempfile
from urllib.parse import quote

import pytest
from playwright.async_api import async_playwright, expect

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
PATIENCE_MILLISECONDS = 30_000


@pytest.fixture
async def browser():
    """Debian's chromium with a profile of its own."""
    program = shutil.which("chromium")
    assert program, "chromium is not on PATH: apt-get install chromium"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        async with async_playwright() as playwright:
            context = await playwright.chromium.launch_persistent_context(
                profile, executable_path=program, args=FLAGS, viewport={"width": 1500, "height": 1400}
            )
            context.set_default_timeout(PATIENCE_MILLISECONDS)
            yield context
            await context.close()


async def open_page(browser, stage, handle, tab):
    """Open a tab of a run's page in the UI."""
    run = f"{quote(handle.id, safe='')}/{handle.run_id}"
    page = await browser.new_page()
    await page.goto(f"{stage.world.addresses.ui}/namespaces/default/workflows/{run}/{tab}")
    return page


async def shows(page, words):
    """Wait until the words can be seen."""
    await expect(page.get_by_text(words).first).to_be_visible(timeout=PATIENCE_MILLISECONDS)


@pytest.mark.rare
async def test_the_timeline_of_a_finished_rollback_reads_as_the_runbook(stage, browser, tmp_path):
    shop = stage.a_shop("gated")
    handle = await shop.start()
    await shop.approve(handle)
    report = await handle.result()
    assert report.outcome == "recovered"

    page = await open_page(browser, stage, handle, "timeline")
    for step in report.steps:
        await shows(page, step.step[:30])
    await page.screenshot(path=tmp_path / "timeline.png", full_page=True)

    page = await open_page(browser, stage, handle, "history")
    for words in (
        f"Update the service to {shop.name}:1",
        f"Mark {shop.name}:1 good",
        f"Mark {shop.name}:2 bad",
    ):
        await shows(page, words)
    await page.screenshot(path=tmp_path / "history.png", full_page=True)


async def test_a_waiting_rollback_shows_its_page_with_the_plan_and_how_to_answer(stage, browser, tmp_path):
    shop = stage.a_shop("gated")
    handle = await shop.start()
    gate = await shop.asked(handle)
    page = await open_page(browser, stage, handle, "user-metadata")
    current_details = page.locator("iframe").last.content_frame
    for words in (
        f"rollback · {shop.name} in gated",
        "Waiting for a person: Put the release back?",
        gate.plan.headline,
        "ecs UpdateService",
        gate.plan_hash,
        "abort: ends the run; nothing was changed",
        "Identify the last known good release",
    ):
        await shows(current_details, words)
    await page.screenshot(path=tmp_path / "waiting.png", full_page=True)
