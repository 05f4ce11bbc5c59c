"""``python -m docs.writing.pictures`` makes the pictures of the README again, from a real run in a sandbox.

A release goes bad, a rollback is asked for, its page is pictured while it waits for a yes, and its timeline in the
Temporal UI once it has recovered. Needs Prometheus and Chromium, and about a minute.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from playwright.sync_api import FloatRect, sync_playwright
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import BrowserContext

IMAGES = Path(__file__).parents[1] / "images"
COLUMNS, ROWS = 124, 60
WIDTH = 1400
TARGET = "prod/ai-processor"
RUN = f"remediation/{TARGET}"
PATIENCE_SECONDS = 60.0
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"]
PAPER = """<html><body style="margin:0;background:{background}"><pre style="margin:0;padding:22px 26px;
display:inline-block;color:{foreground};font:15px/1.38 'DejaVu Sans Mono',monospace">{code}</pre></body></html>"""


def main() -> int:
    """Make the pictures; returns 0."""
    IMAGES.mkdir(exist_ok=True)
    with _sandbox() as world, _browser() as browser:
        variables = os.environ | world["env"]
        _bad_release(variables)
        target = ("--service", "ai-processor", "--environment", "prod")
        _runbook(variables, "start", "rollback", *target, "--reason", "errors since 1.1.0", "--as", "alice")
        _until(lambda: _state(variables)["state"] == "awaiting-approval")
        _picture_of_page(browser, _on_terminal(variables, "show", TARGET), IMAGES / "page.png")
        _runbook(variables, "approve", TARGET, "--as", "bob", "--comment", "seen the graphs")
        _runbook(variables, "watch", TARGET)
        run = _state(variables)["run_id"]
        _picture_of_timeline(
            browser, f"{world['ui']}/namespaces/default/workflows/{quote(RUN, safe='')}/{run}"
        )
    return 0


@contextmanager
def _sandbox() -> Iterator[dict[str, Any]]:
    command = [sys.executable, "-m", "starter", "up", "--json"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


@contextmanager
def _browser() -> Iterator[BrowserContext]:
    program = shutil.which("chromium")
    if program is None:
        raise SystemExit("chromium is not on PATH: apt-get install chromium")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile, sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=program, args=FLAGS, viewport={"width": WIDTH, "height": 1700}
        )
        yield context
        context.close()


def _bad_release(variables: dict[str, str]) -> None:
    deploy = ["-m", "sandbox", "deploy", "--environment", "prod", "--version", "1.1.0", "--wait"]
    subprocess.run([sys.executable, *deploy, "--set", "FAULT_ERROR_RATE=0.3"], env=variables, check=True)
    time.sleep(12)  # a whole rate window, so that the picture has figures


def _runbook(variables: dict[str, str], *words: str) -> str:
    command = [sys.executable, "-m", "starter", *words]
    done = subprocess.run(
        command, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True, text=True
    )
    return done.stdout


def _state(variables: dict[str, str]) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(_runbook(variables, "show", TARGET, "--json"))
    return state


def _on_terminal(variables: dict[str, str], *words: str) -> str:
    """Return what a command writes on a terminal, colours included."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    terminal = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    command = [sys.executable, "-m", "starter", *words]
    with subprocess.Popen(
        command, env=variables | terminal, stdin=subprocess.DEVNULL, stdout=theirs
    ) as process:
        os.close(theirs)
        said = b""
        while part := _read(ours):
            said += part
        process.wait()
    os.close(ours)
    return said.decode().replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # nobody is left at the other end
        return b""


def _picture_of_page(browser: BrowserContext, said: str, file: Path) -> None:
    paper = Console(record=True, width=COLUMNS, file=Path(os.devnull).open("w"), force_terminal=True)  # noqa: SIM115 - lives as long as the process
    paper.print(Text("$ runbook show prod/ai-processor", style="bold"))
    paper.print()
    paper.print(Text.from_ansi(said.rstrip()))
    html = paper.export_html(code_format=PAPER, inline_styles=True, theme=MONOKAI)
    page = browser.new_page()
    page.set_content(html)
    page.locator("pre").screenshot(path=file)


def _picture_of_timeline(browser: BrowserContext, run: str) -> None:
    page = browser.new_page()
    page.goto(f"{run}/timeline")
    page.get_by_text("Mark ai-processor-prod:2 bad").first.wait_for()
    page.wait_for_timeout(1500)  # what is drawn comes to rest
    top = page.get_by_role("heading", name="Timeline").first.bounding_box()
    bottom = page.get_by_text("Look up the target in the catalog").last.bounding_box()
    assert top
    assert bottom
    height = bottom["y"] + 60 - top["y"]
    area = FloatRect(x=top["x"] - 16, y=top["y"] - 16, width=WIDTH - top["x"], height=height)
    page.screenshot(path=IMAGES / "timeline.png", clip=area)


def _until(holds: Any) -> None:
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > give_up_at:
            raise SystemExit("the run did not get to where it is pictured")
        time.sleep(0.3)


if __name__ == "__main__":
    sys.exit(main())
