"""A small web service on an artifact: the standard library and slimml, nothing else.

    python examples/web-service/serve.py model.slim [PORT]

    GET  /health     {"status": "ok", "answers": ["predict", "predict_proba"], "columns": [...]}
    POST /predict    a row as a JSON object, or rows as a list of them; so /predict_proba and whatever the model answers

A row that the model refuses (a column is missing, a value is no number) is answered 400 with the reason. The model is
loaded once and shared by all threads.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import slimml

MOST_BYTES = 1 << 20


class Service(ThreadingHTTPServer):
    """The server, and the model that its threads share."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], artifact: str) -> None:
        self.model = slimml.load(artifact)
        super().__init__(address, Handler)


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Service
    timeout = 30
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """GET /health."""
        if self.path != "/health":
            return self.reply(404, {"error": f"there is no {self.path}"})
        model = self.server.model
        self.reply(200, {"status": "ok", "answers": model.outputs, "columns": model.schema.names})

    def do_POST(self) -> None:
        """POST /predict and the other methods of the model."""
        rows = self.rows()
        method = self.path.removeprefix("/")
        if method not in self.server.model.outputs:
            return self.reply(404, {"error": f"there is no {self.path}"})
        if rows is None:
            return self.reply(400, {"error": f"send a JSON object or a list of them, at most {MOST_BYTES:,} bytes"})
        try:
            answer = getattr(self.server.model, method)(rows)
        except slimml.errors.InputError as error:
            return self.reply(400, {"error": str(error)})
        # Several rows are answered with an array, one row with plain Python.
        self.reply(200, {method: answer.tolist() if hasattr(answer, "tolist") else answer})

    def rows(self) -> Any:
        """The body, or None where it is no row and no list of rows."""
        try:
            length = int(self.headers.get("Content-Length", ""))
        except ValueError:
            length = -1
        if not 0 <= length <= MOST_BYTES:
            self.close_connection = True  # what follows would be read as the next request
            return None
        try:
            body = json.loads(self.rfile.read(length))
        except (ValueError, RecursionError):
            return None
        whole = isinstance(body, dict) or (isinstance(body, list) and body and all(isinstance(r, dict) for r in body))
        return body if whole else None

    def reply(self, status: int, content: dict[str, Any]) -> None:
        """A JSON document."""
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


if __name__ == "__main__":
    service = Service(("127.0.0.1", int(sys.argv[2]) if len(sys.argv) > 2 else 8000), sys.argv[1])
    print(f"listening on http://127.0.0.1:{service.server_address[1]}", flush=True)
    service.serve_forever()
