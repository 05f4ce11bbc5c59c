"""Temporal's own UI shows an encrypted run as any other by the codec server, and ciphertext without it."""

import asyncio
import re
from base64 import b64decode

import pytest
from playwright.async_api import expect

from sandbox.temporal import find_temporal
from tests.integration.observing.test_ui import (  # noqa: F401 - one is a fixture
    PATIENCE_MILLISECONDS,
    browser,
    open_page,
    shows,
)

pytestmark = [pytest.mark.rare, pytest.mark.xdist_group("sealed")]
REASON = "the pear cache is broken"


async def test_the_ui_reads_a_run_by_the_codec_server_and_not_without_it(stage, browser, tmp_path):  # noqa: F811
    stage.start_codec()
    shop = stage.a_shop("gated")
    started = await shop.cli.start("--reason", REASON, "--json")
    handle = stage.client.get_workflow_handle(shop.id, run_id=started.json["run_id"])
    gate = await shop.asked(handle)

    page = await open_page(browser, stage, handle, "user-metadata")
    for words in (f"rollback of {shop.name} in gated", f"reason: {REASON}"):
        await shows_somewhere(page, words)
    for words in ("Waiting for a person: Put the release back?", gate.plan.headline):
        await shows(page.locator("iframe").last.content_frame, words)
    await page.screenshot(path=tmp_path / "decrypted.png", full_page=True)

    page = await open_page(browser, stage, handle, "history")
    await shows(page, "Look up the target in the catalog")
    await page.screenshot(path=tmp_path / "history.png", full_page=True)

    shown = await by_temporals_own_command_line(stage, handle.id)
    assert REASON in shown
    assert "binary/encrypted" not in shown

    stage.stop_codec()
    page = await open_page(browser, stage, handle, "history")
    await shows(page, "resolve_target")
    await page.wait_for_timeout(3000)  # what could still be decrypted would be by now
    await page.screenshot(path=tmp_path / "encrypted.png", full_page=True)
    assert "Look the target up" not in await page.inner_text("body")
    assert REASON not in await page.inner_text("body")


async def by_temporals_own_command_line(stage, workflow_id):
    """A history as `temporal` shows it by the codec server."""
    shown = await asyncio.create_subprocess_exec(
        *(find_temporal(), "workflow", "show", "--workflow-id", workflow_id, "--output", "json"),
        *("--codec-endpoint", stage.codec, "--address", stage.world.addresses.temporal),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await shown.communicate()
    payloads = re.findall(r'"data": "([^"]+)"', out.decode())
    return out.decode() + " ".join(b64decode(payload).decode(errors="replace") for payload in payloads)


async def shows_somewhere(page, words):
    """Wait until the words can be seen, on the page or in one of its frames."""
    frames = page.locator("iframe")
    await expect(frames.first).to_be_visible(timeout=PATIENCE_MILLISECONDS)
    for number in range(await frames.count()):
        if words in await frames.nth(number).content_frame.locator("body").inner_text():
            return
    await shows(page, words)
