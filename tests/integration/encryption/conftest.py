import socket

import pytest
from temporalio.client import Client

from activities.runtime.converter import with_codec
from activities.runtime.processes import stop_child
from tests.integration.rollback.rollback_stage import Stage
from tests.programs import Program
from tests.sandbox_under_test import running_sandbox, until
from tests.sealing import codec, key
from tests.temporal_server import temporal_server


@pytest.fixture(scope="package")
async def temporal():
    """A real Temporal server that knows of no keys."""
    async with temporal_server() as server:
        yield server


class SealedStage(Stage):
    """A stage whose histories are encrypted; its Temporal UI asks a codec server of ours, which comes and goes."""

    def __init__(self, world, folder, client, codec_address):
        super().__init__(world, folder, client)
        self._codec_log = folder / "codec.log"
        self._codec_address = codec_address
        self._codec = None
        self.switch("test")

    @property
    def codec(self):
        """Where the codec server answers, while it runs."""
        return f"http://{self._codec_address}"

    def switch(self, *key_ids):
        """Have programs that are started from now on use these keys; none: encryption is off."""
        self.keys = {"RUNBOOK_CODEC_KEYS": "\n".join(map(key, key_ids))}

    def start_codec(self):
        """Start the codec server, and wait until it says that it is ready."""
        environment = self.environment | {"RUNBOOK_UI": self.world.addresses.ui}
        with self._codec_log.open("ab") as log:
            self._codec = Program(
                "runbook", "codec", "--listen", self._codec_address, environment=environment, log=log
            )
        until(lambda: b"codec ready" in self._codec_log.read_bytes())

    def stop_codec(self):
        """End the codec server, if it runs."""
        if self._codec is not None:
            assert stop_child(self._codec, 15) == 0
            self._codec = None

    def end(self):
        self.stop_codec()
        super().end()


@pytest.fixture(scope="package")
async def sealed_stage(tmp_path_factory):
    """A sandbox of its own, with a worker that encrypts."""
    with socket.socket() as kept:
        kept.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{kept.getsockname()[1]}"
    with running_sandbox("--no-load", "--ui-codec", f"http://{address}") as world:
        client = await Client.connect(world.addresses.temporal, data_converter=with_codec(codec("test")))
        stage = SealedStage(world, tmp_path_factory.mktemp("sealed"), client, address)
        stage.start_worker()
        yield stage
        stage.end()


@pytest.fixture
def stage(sealed_stage):
    """Where a test opens services of its own; they are closed when it is over."""
    yield sealed_stage
    sealed_stage.close_shops()
