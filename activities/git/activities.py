"""The git tags of a service's repository: the last place where the name of a good release may be found."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from temporalio import activity

from activities.runtime.processes import program_environment
from runbook_model.catalog.target import Target
from runbook_model.errors import RejectedError, UnreachableError
from runbook_model.fact import Fact
from runbook_model.text.sentences import quote

PATIENCE = 20
"""Seconds that the remote may take to list its tags."""
TAGS_KEPT = 50


class Tags(Fact):
    """Version tags, newest version first."""

    tags: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """What a person reads next to the step."""
        return ", ".join(self.tags[:5]) or "no tags"


class GitActivities:
    """Reads of a remote repository; nothing is cloned."""

    @activity.defn
    def list_tags(self, target: Target) -> Tags:
        """List the tags of a service's repository by version, newest first."""
        url = target.repository or ""
        # "--" ends the options: a repository cannot smuggle one in. Nobody is there to type a password.
        argv = ["git", "ls-remote", "--tags", "--refs", "--sort=-version:refname", "--", url]
        try:
            with tempfile.TemporaryDirectory(prefix="runbook-git-") as home:
                done = subprocess.run(
                    argv,
                    capture_output=True,
                    text=True,
                    timeout=PATIENCE,
                    check=False,
                    env=program_environment(os.environ, Path(home), ssh_key_file=target.ssh_key_file),
                )
        except FileNotFoundError:
            raise RejectedError("git is not installed where the worker runs", fix="install git") from None
        except subprocess.TimeoutExpired:
            raise UnreachableError(f"the repository {url} did not answer in {PATIENCE} s") from None
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["git gives no reason"])[-1]
            raise RejectedError(f"could not list the tags of {url}: {quote(reason)}")
        names = (line.partition("refs/tags/")[2] for line in done.stdout.splitlines())
        return Tags(tags=tuple(filter(None, names))[:TAGS_KEPT])
