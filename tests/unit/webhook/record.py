"""Records what a real Alertmanager sends to a webhook: ``python -m tests.unit.webhook.record`` writes ``payloads/``."""

import subprocess
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx

from sandbox.machine.processes import free_port
from tests.patience import PATIENCE

PAYLOADS = Path(__file__).parent / "payloads"
CONFIGURATION = """\
route:
  receiver: all
  group_by: [service, environment]
  group_wait: 500ms
  group_interval: 500ms
  repeat_interval: 1h
  routes:
    - matchers: [record = truncated]
      receiver: two-at-most
    - matchers: [record = ungrouped]
      group_by: ["..."]
receivers:
  - name: all
    webhook_configs: [{{ url: "{url}" }}]
  - name: two-at-most
    webhook_configs: [{{ url: "{url}", max_alerts: 2 }}]
"""


def target(name, record, severity="warning", **labels):
    return {
        "alertname": name, "service": "ai-processor", "environment": "prod", "severity": severity,
        "record": record, **labels,
    }  # fmt: skip


WORDS = {
    "summary": "Requests to ai-processor in prod fail",
    "impact": "Requests fail.",
    "dashboard_url": "http://localhost:3000/d/services",
}
RECORDS = {
    "grouped": [
        (target("HighErrorRate", "grouped"), WORDS),
        (target("HighLatencyP95", "grouped"), {"summary": "Slow"}),
        (target("ServiceDown", "grouped", "critical"), {}),
    ],
    "truncated": [(target("HighCPU", "truncated", task=str(number)), {}) for number in range(5)],
    "empty": [({"alertname": "Lonely", "record": "empty", "service": ""}, {"summary": ""})],
    "unicode": [
        (
            target("HighErrorRate", "unicode", team="оплата 💳", note='quo"te\\ and\nnewline \u202eright to left'),
            {"summary": "Fehlerquote über 10 % — 誤り率が高い 🔥", "impact": "line one\nline two\ttab"},
        )
    ],
    "other-services": [
        ({**target("HighErrorRate", "other-services"), "service": service}, {}) for service in ("till", "shop")
    ],
}  # fmt: skip


class Recorder(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append(body)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def main():
    server = HTTPServer(("127.0.0.1", 0), Recorder)
    server.bodies = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        address = f"127.0.0.1:{free_port()}"
        configuration = Path(folder) / "alertmanager.yml"
        configuration.write_text(CONFIGURATION.format(url=f"http://127.0.0.1:{server.server_port}/alerts"))
        argv = ["prometheus-alertmanager", f"--config.file={configuration}", f"--storage.path={folder}"]
        argv += [f"--web.listen-address={address}", "--cluster.listen-address="]
        with subprocess.Popen([*argv, "--web.external-url=http://alertmanager.example.com"]) as process:
            try:
                record(f"http://{address}", server.bodies)
            finally:
                process.terminate()


def record(alertmanager, bodies):
    with httpx.Client(base_url=alertmanager, transport=httpx.HTTPTransport(retries=20)) as client:
        while client.get("/-/ready").status_code != 200:
            time.sleep(0.1)
        for name, alerts in RECORDS.items():
            bodies.clear()
            send(client, alerts, ends=None)
            groups = len({alert["service"] for alert, _ in alerts})
            wait_for(bodies, groups)
            write(name, bodies)
            if name == "grouped":
                bodies.clear()
                send(client, alerts[:1], ends=datetime.now(UTC) - timedelta(seconds=1))
                wait_for(bodies, 1)
                write("partly-resolved", bodies)
                bodies.clear()
                send(client, alerts[1:], ends=datetime.now(UTC) - timedelta(seconds=1))
                wait_for(bodies, 1)
                write("resolved", bodies)


def send(client, alerts, ends):
    now = datetime.now(UTC)
    posted = [
        {
            "labels": labels,
            "annotations": words,
            "startsAt": (now - timedelta(minutes=2)).isoformat(),
            "generatorURL": "http://prometheus.example.com:9090/graph?g0.expr=sum%28rate%28http_errors_total%5B5m%5D%29%29&g0.tab=1",
            **({"endsAt": ends.isoformat()} if ends else {}),
        }
        for labels, words in alerts
    ]
    client.post("/api/v2/alerts", json=posted).raise_for_status()


def wait_for(bodies, number):
    give_up_at = time.monotonic() + PATIENCE
    while len(bodies) < number:
        assert time.monotonic() < give_up_at, f"{len(bodies)} calls, not {number}"
        time.sleep(0.05)


def write(name, bodies):
    for number, body in enumerate(bodies):
        file = PAYLOADS / (f"{name}-{number + 1}.json" if len(bodies) > 1 else f"{name}.json")
        file.write_bytes(body.rstrip() + b"\n")


if __name__ == "__main__":
    main()
