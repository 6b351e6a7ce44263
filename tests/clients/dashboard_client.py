#!/usr/bin/env python3
"""Runs the Python client of docs/api.md, and listens to what it is pushed.

Usage: dashboard_client.py PAGE BASE_URL API_KEY
"""

import contextlib
import io
import json
import pathlib
import re
import sys
import threading

TOPICS = {"stats", "metrics", "alerts"}


def main(page, base_url, api_key):
    [program] = re.findall(r"```python\n(.*?)```", pathlib.Path(page).read_text(encoding="utf-8"), re.DOTALL)
    program = program.replace("http://127.0.0.1:8001", base_url).replace("YOUR_API_KEY", api_key)
    said, names = io.StringIO(), {}
    with contextlib.redirect_stdout(said):
        exec(compile(program, page, "exec"), names)  # It is the project's own page.
    seen, all_seen = set(), threading.Event()

    def see(message):
        seen.add(message["topic"])
        if seen >= TOPICS:
            all_seen.set()

    listening = threading.Thread(target=names["dashboard"].monitor_realtime, args=(see,), daemon=True)
    listening.start()
    if not all_seen.wait(30):
        sys.exit(f"only {seen} came")
    json.dump({"said": said.getvalue(), "topics": sorted(seen), "models": len(names["models"])}, sys.stdout)


main(*sys.argv[1:])
