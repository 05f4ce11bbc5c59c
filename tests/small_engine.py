"""Something that speaks as much of the Docker Engine API as doctor asks for."""

import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VERSION = {"Version": "27.5.1", "ApiVersion": "1.47"}


def container(project, service, state="running", health=None):
    """One container of a compose project, as the engine describes it."""
    labels = {"com.docker.compose.project": project, "com.docker.compose.service": service}
    return {
        "Id": f"id-{service}",
        "Name": f"/{project}-{service}-1",
        "Image": "sha256:1",
        "Config": {"Image": f"{service}:1.0.0", "Labels": labels},
        "State": {"Status": state, **({"Health": {"Status": health}} if health else {})},
    }


@contextmanager
def small_engine(*containers):
    """Serve these containers; yields what DOCKER_HOST must be."""
    by_id = {item["Id"]: item for item in containers}

    class Engine(BaseHTTPRequestHandler):
        def do_GET(self):
            path = re.sub(r"^/v[\d.]+", "", self.path.partition("?")[0])
            single = re.fullmatch(r"/containers/([^/]+)/json", path)
            if path == "/containers/json":
                self._answer([{"Id": name} for name in by_id])
            elif single:
                self._answer(by_id[single[1]])
            else:
                self._answer(VERSION)

        def _answer(self, document):
            body = json.dumps(document).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Engine)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"tcp://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
