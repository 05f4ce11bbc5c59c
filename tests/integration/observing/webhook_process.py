"""The receiver of alerts as a process of its own, that comes and goes."""

import httpx

from tests.patience import PATIENCE
from tests.programs import Program
from tests.sandbox_under_test import until


class WebhookProcess:
    """``runbook webhook`` as a process of its own, that comes and goes."""

    def __init__(self, port, folder):
        self.url = f"http://127.0.0.1:{port}"
        self.log = folder / "webhook.log"
        self._listen = f"127.0.0.1:{port}"
        self._process = None

    def start(self, environment):
        self._environment = environment
        with self.log.open("ab") as log:
            self._process = Program(
                "runbook", "webhook", "--listen", self._listen, environment=environment, log=log
            )
        until(self.health)

    def health(self):
        try:
            return httpx.get(f"{self.url}/healthz", trust_env=False)
        except httpx.TransportError:
            return None

    def end(self):
        self._process.terminate()
        return self._process.wait(timeout=PATIENCE)

    def kill(self):
        self._process.kill()
        self._process.wait()

    def restart(self):
        self.start(self._environment)
