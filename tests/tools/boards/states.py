"""Brings inferometer into the states in which the dashboards are looked at, and keeps it there.

Usage: states.py FOLDER [--warm-up SECONDS] [--seconds SECONDS] [--state NAME]...

Five proxies, four of them before a simulated Ollama and with the stand-in for NVIDIA's library, and one Prometheus with the
shipped configuration and rules. After the warm-up each is in the state that its label `instance` names, all of them unless
some are chosen:

    traffic   requests of every kind
    idle      no requests any more
    down      the backend is gone, and clients still ask
    fault     traffic, while one GPU is hot and full, reports an XID and memory errors, and the other fell off the bus
    fleet     three simulated servers, of which one dies and comes back, and one fails for a while

FOLDER/ready holds the address of Prometheus and the second at which the states began. It ends after so many seconds more, or
on Ctrl-C or SIGTERM. The programs are those of `cargo build --bins --examples`.
"""

import argparse
import http.client
import itertools
import json
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILT = ROOT / "target/debug"
STATES = ["traffic", "idle", "down", "fault", "fleet"]
SOUND = "live errors=0"
SMALL, THINKS, LARGE, MADE, EMBEDS = "llama3.2:3b", "qwen3:8b", "gemma3:27b", "pirate", "nomic-embed-text"
MISFORTUNES = ["[[error]]", "[[refuse]]", "[[truncate]]", "[[stall]]"]


def chat(model, text, **more):
    return "/api/chat", {"model": model, "messages": [{"role": "user", "content": text}], **more}, None


def request(turn):
    """Path, body and the bytes after which the client leaves, of every kind at its turn."""
    kind, text = turn % 16, f"Tell me of llamas ({turn})"
    if kind in (1, 11):
        return chat(THINKS, text, think=True)
    if kind == 2:
        return "/api/generate", {"model": SMALL, "prompt": text, "stream": False}, None
    if kind in (3, 12):
        return "/api/embed", {"model": EMBEDS, "input": [text, "another text"]}, None
    if kind in (4, 13):
        body = {"model": SMALL, "messages": [{"role": "user", "content": text}], "stream": kind == 4}
        return "/v1/chat/completions", body, None
    if kind == 7 and turn % 5 == 0:
        return chat(LARGE, text + " [[tokens=30]]", keep_alive="4s")
    if kind == 8:
        path, body, _ = chat(THINKS, text + " [[tokens=900]]", think=False)
        return path, body, 4000
    if kind == 10 and turn // 16 % 3 == 0:
        return chat(SMALL, text + MISFORTUNES[turn // 48 % 4])
    if kind == 14:
        return chat(MADE, text)
    if kind == 15:
        return chat(THINKS, "The same words again and again. " * 200, think=False, options={"num_predict": 30})
    return chat(SMALL, text)


class Clients:
    """Some clients at work until stopped."""

    def __init__(self, address, request=request, clients=4):
        self.address, self.over, self.turns, self.request = address, threading.Event(), itertools.count(), request
        for _ in range(clients):
            threading.Thread(target=self.work, daemon=True).start()

    def work(self):
        while not self.over.wait(0.6):
            path, body, leave_after = self.request(next(self.turns))
            try:
                connection = http.client.HTTPConnection(*self.address, timeout=30)
                connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
                answer, read = connection.getresponse(), 0
                while part := answer.read1(65536):
                    read += len(part)
                    if (leave_after and read > leave_after) or self.over.is_set():
                        break
                connection.close()
            except (OSError, http.client.HTTPException):
                pass  # What goes wrong here is what the proxy is to tell.


def fleet_request(turn):
    """Chats for the models of several servers, some of which leave early."""
    model = [SMALL, SMALL, THINKS, SMALL, THINKS, LARGE][turn % 6]
    path, body, _ = chat(model, f"Tell me of llamas ({turn}) [[tokens={60 + turn % 7 * 40}]]")
    return path, body, 3000 if turn % 9 == 8 else None


class Stack:
    """A simulated Ollama, a card to play with, and a proxy before and beside them."""

    def __init__(self, name, folder, library):
        self.name, self.folder = name, folder / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.play(SOUND + " busy=3" if name == "idle" else SOUND)
        (self.folder / "libnvidia-ml.so.1").write_bytes(library.read_bytes())
        self.simulator, said = started([BUILT / "examples/simulated_ollama", "--listen", "127.0.0.1:0"], r"http://(\S+)")
        settings = self.folder / "inferometer.toml"
        words = f'backend_node = "gpu-box"\ndata_dir = "{self.folder}/history"\n[host]\nperiod = "1s"\n'
        settings.write_text(words + 'electricity_price_per_kwh = 0.3\nelectricity_currency = "EUR"\n')
        command = [BUILT / "inferometer", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]
        command += ["--backend", f"ollama=http://{said}", "--config", settings, "--access-log", "off", "--log-format", "json"]
        environment = {"LD_LIBRARY_PATH": str(self.folder)}
        self.proxy, line = started(command, r'(\{.*"clients".*\})', environment)
        greeting = json.loads(line)
        address = lambda key: re.search(r"([\d.]+):(\d+)", greeting[key]).groups()
        self.metrics = ":".join(address("metrics"))
        self.clients = Clients(address("clients"))

    def play(self, words):
        new = self.folder / "control.new"
        new.write_text(words)
        new.rename(self.folder / "control")

    def enter(self):
        """From warm to the state of its name."""
        if self.name == "idle":
            self.clients.over.set()
        elif self.name == "down":
            self.simulator.terminate()
        elif self.name == "fault":
            self.play("live errors=2 hot full xid=1,0,79")
            threading.Timer(30, self.play, ["live errors=5 hot full xid=2,0,48"]).start()
            threading.Timer(40, self.play, ["live errors=5 hot full xid=2,0,48 lost=1"]).start()

    def end(self):
        for process in (self.proxy, self.simulator):
            process.kill()
            process.wait()


class Fleet:
    """Three simulated servers that differ in speed, slots and models, and a proxy before them."""

    KINDS = {
        "large": ("4", "2", f"{SMALL},{THINKS},{LARGE}", "3"),
        "usual": ("2", "1", f"{SMALL},{THINKS}", "1"),
        "old": ("1", "0.5", SMALL, "1"),
    }

    def __init__(self, name, folder):
        self.name = name
        self.addresses = {server: free_address() for server in self.KINDS}
        self.servers = {server: self.serve(server) for server in self.KINDS}
        tables = [
            f'[[backends]]\nname = "{server}"\nurl = "http://{address}"\nslots = {self.KINDS[server][0]}\n'
            for server, address in self.addresses.items()
        ]
        (folder / name).mkdir(exist_ok=True)
        settings = folder / name / "inferometer.toml"
        settings.write_text("".join(tables))
        command = [BUILT / "inferometer", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--config", settings]
        command += ["--data-dir", folder / name, "--access-log", "off", "--log-format", "json"]
        self.proxy, line = started(command, r'(\{.*"clients".*\})')
        greeting = json.loads(line)
        address = lambda key: re.search(r"([\d.]+):(\d+)", greeting[key]).groups()
        self.metrics = ":".join(address("metrics"))
        self.clients = Clients(address("clients"), fleet_request, 6)

    def serve(self, server):
        slots, speed, models, loaded = self.KINDS[server]
        command = [BUILT / "examples/simulated_ollama", "--listen", self.addresses[server], "--parallel", slots]
        command += ["--speed", speed, "--models", models, "--max-loaded", loaded, "--prompt-cache", "8"]
        return started(command, r"http://(\S+)")[0]

    def tell(self, server, what):
        connection = http.client.HTTPConnection(self.addresses[server], timeout=10)
        connection.request("POST", f"/simulated/{what}", "{}")
        connection.getresponse().read()

    def come_back(self):
        self.servers["usual"] = self.serve("usual")

    def enter(self):
        """What happens to the servers, in seconds."""
        for after, what, *words in [(10, self.servers["usual"].kill), (60, self.come_back), (90, self.tell, "old", "fail"),
                                    (130, self.tell, "old", "recover")]:
            timer = threading.Timer(after, what, words)
            timer.daemon = True
            timer.start()

    def end(self):
        self.clients.over.set()
        for process in (self.proxy, *self.servers.values()):
            process.kill()
            process.wait()


def free_address():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return "127.0.0.1:%d" % free.getsockname()[1]


def started(command, pattern, environment=None):
    """The process, and what the pattern finds in what it writes."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    for line in process.stdout:
        if found := re.search(pattern, line):
            threading.Thread(target=lambda: [None for _ in process.stdout], daemon=True).start()
            return process, found[1]
    sys.exit(f"{command[0]} ended at once")


def prometheus(folder, stacks):
    """With the shipped configuration, in which only the targets are others."""
    unpacked = ROOT / "target/prometheus/usr/bin/prometheus"
    shipped = (ROOT / "prometheus/prometheus.yml").read_text().replace("rules/*.yml", f"{ROOT}/prometheus/rules/*.yml")
    targets = "".join(f"\n      - targets: ['{it.metrics}']\n        labels: {{instance: '{it.name}'}}" for it in stacks)
    shipped = shipped.replace("\n      - targets: ['localhost:8001']", targets)
    (folder / "prometheus.yml").write_text(shipped)
    address = free_address()
    command = [unpacked if unpacked.exists() else "prometheus", f"--config.file={folder}/prometheus.yml"]
    command += [f"--storage.tsdb.path={folder}/data", f"--web.listen-address={address}", "--log.level=warn"]
    log = open(folder / "prometheus.log", "w")
    return subprocess.Popen(command, stdout=log, stderr=log), address


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--warm-up", type=int, default=240)
    parser.add_argument("--seconds", type=int, default=150)
    parser.add_argument("--state", choices=STATES, action="append")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ready").unlink(missing_ok=True)
    library = folder / "libnvidia-ml.so.1"
    source = ROOT / "tests/tools/nvml_stand_in.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    running = []
    try:
        for name in arguments.state or STATES:
            running.append(Fleet(name, folder) if name == "fleet" else Stack(name, folder, library))
        scraper, address = prometheus(folder, running)
        running.append(scraper)
        time.sleep(arguments.warm_up)
        for stack in running[:-1]:
            stack.enter()
        (folder / "ready").write_text(f"http://{address} {int(time.time())}\n")
        time.sleep(arguments.seconds)
    except KeyboardInterrupt:
        pass
    finally:
        for it in running:
            it.end() if isinstance(it, (Stack, Fleet)) else it.terminate()


if __name__ == "__main__":
    main()
