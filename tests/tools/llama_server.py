#!/usr/bin/env python3
"""Runs llama.cpp's own HTTP server with the scripted model.

Prints `ready http://127.0.0.1:PORT` on standard output once the server answers, and nothing else there. Ends at
SIGTERM, at SIGINT, or when its standard input closes, so that it cannot outlive the test that started it; a server
for a terminal is had with `--keep` and ends at SIGTERM and SIGINT only.

Usage: llama_server.py [--port PORT] [--alias NAME] [--context TOKENS] [--slots N] [--feed-forward N] [--keep]
"""

import argparse
import os
import signal
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

import xllamacpp

from scripted_model import write_model

START_WITHIN = 60.0
"""Seconds until a server that does not answer is given up."""


def answers(address):
    """Whether the server at `address` has its model loaded."""
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=5) as response:
            return response.status == 200
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def start(model, chosen):
    """Starts the server on its own threads and gives it with its address."""
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.model_alias = {chosen.alias}
    params.hostnames = ["127.0.0.1"]
    params.port = chosen.port
    # Each slot has this much context, whatever its neighbours hold.
    params.n_ctx = chosen.context * chosen.slots
    params.n_parallel = chosen.slots
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.endpoint_metrics = True
    params.endpoint_slots = True
    params.embedding = True
    params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    params.warmup = False
    params.fit_params = False
    params.verbosity = 0
    server = xllamacpp.Server(params)
    return server, server.listening_address


def wait_for_answer(address):
    """Returns once the server answers."""
    give_up = time.monotonic() + START_WITHIN
    while not answers(address):
        if time.monotonic() > give_up:
            sys.exit(f"llama_server.py: nothing answered at {address} within {START_WITHIN:.0f} s")
        time.sleep(0.02)


def end_with_input(ended):
    """Reports the end once standard input is closed."""
    while os.read(0, 4096):
        pass
    ended.set()


def main():
    """Runs the server until it is told to end."""
    parser = argparse.ArgumentParser(description="llama.cpp's server with the scripted model.")
    parser.add_argument("--port", type=int, default=0, help="0 (the default) takes a free one")
    parser.add_argument("--alias", default="script", metavar="NAME", help="the model's name")
    parser.add_argument("--context", type=int, default=2048, metavar="TOKENS", help="context of a slot")
    parser.add_argument("--slots", type=int, default=2, metavar="N", help="answers at a time")
    parser.add_argument("--feed-forward", type=int, default=64, metavar="N", help="wider is slower")
    parser.add_argument("--keep", action="store_true", help="do not end when standard input closes")
    chosen = parser.parse_args()

    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    # The engine keeps the file open: without a name it is gone with the process, however that ends.
    with tempfile.TemporaryDirectory(prefix="scripted-model-") as folder:
        model = os.path.join(folder, "script.gguf")
        write_model(model, chosen.feed_forward)
        _server, address = start(model, chosen)
        wait_for_answer(address)
    print(f"ready {address}", flush=True)
    if not chosen.keep:
        threading.Thread(target=end_with_input, args=(ended,), daemon=True).start()
    ended.wait()
    # The engine's own threads do not end by themselves while a stream is running.
    os._exit(0)


if __name__ == "__main__":
    main()
