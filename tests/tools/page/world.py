"""Real programs for the page to show: inferometer before a simulated Ollama, with or without traffic."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
# `INFEROMETER_BUILT` names another folder, as of a release build.
BUILT = Path(os.environ.get("INFEROMETER_BUILT", ROOT / "target" / "debug"))
PATIENCE = 60


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def look_until(what, done):
    """Asks again until it is done, or fails with what was last seen."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            seen = done()
        except OSError as error:
            seen = error
        if seen is True:
            return
        if time.monotonic() > end:
            raise AssertionError(f"{what}: {seen}")
        time.sleep(0.1)


class Process:
    def __init__(self, *command):
        self.child = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def end(self):
        self.child.terminate()
        try:
            self.child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.child.kill()


class World:
    """A program, and its backend unless that is `down`."""

    # The tests ask more often than a page does.
    LIMITS = "[access]\nrequests_per_minute = 100000\nrequests_per_10s = 100000\n[host]\nperiod = \"1s\"\n"

    def __init__(self, history="sqlite", down=False, speed="1", folder=None, helper=False):
        self.folder = folder or Path(tempfile.mkdtemp(prefix="inferometer-page-"))
        self.backend, self.clients, self.admin = free_port(), free_port(), free_port()
        # The simulator knows a GPU and its power, too.
        power = f'helper_url = "http://127.0.0.1:{self.backend}/simulated/helper"\n' if helper else ""
        (self.folder / "config.toml").write_text(power + self.LIMITS)
        self.processes = []
        if not down:
            self.processes.append(Process(BUILT / "examples" / "simulated_ollama", "--listen", f"127.0.0.1:{self.backend}", "--speed", speed))
        self.processes.append(Process(
            BUILT / "inferometer", "--config", self.folder / "config.toml", "--listen", f"127.0.0.1:{self.clients}",
            "--admin-listen", f"127.0.0.1:{self.admin}", "--backend", f"ollama=http://127.0.0.1:{self.backend}",
            "--data-dir", self.folder / "data", "--history", history, "--access-log", "off", "--drain-timeout", "1s",
        ))
        look_until("the program serves", lambda: get(self.admin, "/readyz")[0] == 200)
        if not down:
            look_until("the backend answers", lambda: self.json("/dashboard/workers")["workers"][0]["status"] == "active")
        self.origin = f"http://127.0.0.1:{self.admin}"

    def restarted(self, change):
        """Another program with what this one has kept, changed. This one is ended."""
        for process in reversed(self.processes):
            process.end()
        self.processes = []
        change(self.folder / "data")
        return World(folder=self.folder)

    def json(self, path):
        status, body = get(self.admin, path)
        assert status == 200, f"{path}: {status} {body[:200]!r}"
        return json.loads(body)

    def snapshot(self, last):
        """What `inferometer snapshot` writes."""
        command = [BUILT / "inferometer", "snapshot", "--last", last, "--url", self.origin]
        return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True, timeout=2 * PATIENCE).stdout

    def post(self, path, body, leave_after=None, agent="page-test/1"):
        connection = http.client.HTTPConnection("127.0.0.1", self.clients, timeout=PATIENCE)
        try:
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json", "User-Agent": agent})
            answer, lines = connection.getresponse(), 0
            while answer.readline():
                lines += 1
                if leave_after and lines >= leave_after:
                    return
        except OSError:
            pass
        finally:
            connection.close()

    def end(self):
        for process in reversed(self.processes):
            process.end()
        shutil.rmtree(self.folder, ignore_errors=True)


SMALL, THINKS, LARGE = "llama3.2:3b", "qwen3:8b", "gemma3:27b"


def says(text):
    return [{"role": "user", "content": text}]


# Of every kind one, with the lines after which its client leaves.
ERRANDS = [
    ("/api/chat", {"model": SMALL, "messages": says("Tell me of llamas")}, None),
    ("/api/chat", {"model": THINKS, "think": True, "messages": says("Which way is shorter?")}, None),
    ("/api/generate", {"model": SMALL, "prompt": "At once", "stream": False}, None),
    ("/api/embed", {"model": "nomic-embed-text", "input": ["one", "two"]}, None),
    ("/v1/chat/completions", {"model": SMALL, "messages": says("Go"), "stream": True, "stream_options": {"include_usage": True}}, None),
    ("/api/generate", {"model": LARGE, "prompt": "Slowly [[tokens=40]]"}, None),
    ("/api/chat", {"model": THINKS, "think": False, "messages": says("Long [[tokens=900]]")}, 40),
    ("/api/chat", {"model": SMALL, "messages": says("[[error]]")}, None),
    ("/api/chat", {"model": SMALL, "messages": says("[[refuse]]")}, None),
    ("/api/chat", {"model": SMALL, "messages": says("[[truncate]]")}, None),
]
AGENTS = ["open-webui/0.6", "ollama-python/0.6.3", "curl/8.5"]


class Traffic:
    """Clients at work until they are ended."""

    def __init__(self, world, clients=3):
        self.world, self.ended = world, threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(at,), daemon=True) for at in range(clients)]
        for thread in self.threads:
            thread.start()

    def work(self, at):
        turn = at * 3
        while not self.ended.wait(0.3):
            path, body, leave_after = ERRANDS[turn % len(ERRANDS)]
            self.world.post(path, body, leave_after, AGENTS[at % len(AGENTS)])
            turn += 1

    def end(self):
        self.ended.set()
        for thread in self.threads:
            thread.join(PATIENCE)
