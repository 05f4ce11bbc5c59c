"""A collector of traces that a test can look into, and kill; and one that swallows everything."""

from __future__ import annotations

import socket
import threading
from collections import defaultdict
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Collector:
    """Takes spans by OTLP over HTTP, as an OpenTelemetry collector does."""

    def __init__(self) -> None:
        self._spans: dict[str, dict[bytes, Span]] = defaultdict(dict)
        self._processes: dict[bytes, str] = {}
        outer = self

        class Receiver(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer._take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Be gone: nothing listens there any more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def tree(self, trace_id: str) -> list[str]:
        """One trace, a line for each span below its parent, in the order of their start, with the process it is of."""
        spans = self._spans[trace_id]
        below = defaultdict(list)
        for span in sorted(spans.values(), key=lambda item: item.start_time_unix_nano):
            below[span.parent_span_id if span.parent_span_id in spans else b""].append(span)

        def lines(parent: bytes, depth: int) -> list[str]:
            return [
                line
                for span in below[parent]
                for line in (
                    f"{'  ' * depth}{span.name}  [{self._processes[span.span_id]}]",
                    *lines(span.span_id, depth + 1),
                )
            ]

        return lines(b"", 0)

    def path(self, trace_id: str, name: str) -> list[str]:
        """The names from the root of a trace down to the first span of a name; empty while it is not there."""
        spans = self._spans[trace_id]
        span = next((item for item in spans.values() if item.name == name), None)
        names = []
        while span is not None:
            names.append(span.name)
            span = spans.get(span.parent_span_id)
        return names[::-1]

    def without_parent(self, trace_id: str) -> list[str]:
        """The names of the spans of a trace that hang below nothing that is there."""
        spans = self._spans[trace_id]
        return [span.name for span in spans.values() if span.parent_span_id not in spans]

    def names(self, trace_id: str, process: str) -> set[str]:
        """The names of the spans of a trace that a process sent."""
        spans = self._spans[trace_id].values()
        return {span.name for span in spans if self._processes[span.span_id] == process}

    def _take(self, request: ExportTraceServiceRequest) -> None:
        for resource in request.resource_spans:
            said = {attribute.key: attribute.value.string_value for attribute in resource.resource.attributes}
            process = said["service.name"]
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self._spans[span.trace_id.hex()][span.span_id] = span
                    self._processes[span.span_id] = process


class BlackHole:
    """Takes every connection and never answers: whoever waits for it waits for ever."""

    def __init__(self) -> None:
        self.taken: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._swallow, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Be gone."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for item in self.taken:
            item.close()

    def _swallow(self) -> None:
        with suppress(OSError):
            while True:
                self.taken.append(self._listener.accept()[0])
