#!/usr/bin/env python3
"""An inference server of one answer, on 127.0.0.1:11434: three tokens, as Ollama streams them."""

import http.server
import json

CHUNKS = [{"model": "m", "message": {"role": "assistant", "content": text}, "done": False} for text in "abc"]
LAST = {
    "model": "m", "message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop", "total_duration": 3000000,
    "load_duration": 1, "prompt_eval_count": 5, "prompt_eval_duration": 1000000, "eval_count": 3, "eval_duration": 2000000,
}  # fmt: skip


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.answer(b'{"version":"0.6.0"}' if self.path == "/api/version" else b'{"models":[]}')

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/api/chat":
            self.answer(b"{}")
            return
        self.answer(b"".join(json.dumps(line).encode() + b"\n" for line in [*CHUNKS, LAST]))

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson" if b"\n" in body else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", 11434), Handler).serve_forever()
