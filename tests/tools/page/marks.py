"""How fast the page is, and whether it keeps its memory: traced in a real browser. Times are printed; counts are judged."""

import json
import re
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

from world import PATIENCE, SMALL, World, look_until, says
import threading

HOUR, DAY = 3600, 86_400
# What the marks are, in milliseconds.
FIRST, MONTH, TASK, UPDATE = 300, 1000, 50, 4
MARK = lambda value, most: f"{value:.0f} ms (mark {most}{'' if value <= most else ', missed'})"

FIRST_FIGURE = """
window.first = 0;
const look = new MutationObserver(() => {
  const figures = [...document.querySelectorAll('.figure .big')];
  if (figures.some((figure) => /[0-9]/.test(figure.textContent))) { window.first = performance.now(); look.disconnect(); }
});
look.observe(document, { subtree: true, childList: true, characterData: true });
"""


def trace(browser, page, work):
    """The events of the page's main thread while `work` runs."""
    path = Path(tempfile.mkdtemp(prefix="inferometer-trace-")) / "trace.json"
    browser.start_tracing(page=page, path=path, categories=["toplevel", "devtools.timeline", "blink", "v8", "loading", "disabled-by-default-v8.compile", "disabled-by-default-devtools.timeline"])
    try:
        work()
    finally:
        browser.stop_tracing()
    events = json.loads(path.read_text())["traceEvents"]
    mains = [(event["pid"], event["tid"]) for event in events if event.get("name") == "thread_name" and event["args"]["name"] == "CrRendererMain"]
    spans = [event for event in events if event.get("ph") == "X" and (event["pid"], event["tid"]) in mains]
    # Of several renderers, that of the page does the work.
    by_process = {main: sum(cpu(event) for event in spans if event["name"] in ("EvaluateScript", "FunctionCall") and (event["pid"], event["tid"]) == main) for main in mains}
    busiest = max(by_process, key=by_process.get)
    return sorted((event for event in spans if (event["pid"], event["tid"]) == busiest), key=lambda event: event["ts"])


SCRIPT = {"EvaluateScript", "FunctionCall", "v8.compile", "RunMicrotasks", "EventDispatch", "TimerFire", "FireAnimationFrame", "v8.run", "V8.GCScavenger"}


# Frames around what is of interest.
DULL = {"SimpleWatcher::OnHandleReady", "Receive mojo message", "ThreadPool_RunTask"}


def cpu(span):
    """Milliseconds of the thread's own time: that of other programs on the same processors is left out."""
    return span.get("tdur", span["dur"]) / 1000


def tasks(spans):
    """The longest tasks, with the names of what took most of each."""
    longest = sorted((one for one in spans if one["name"].endswith("RunTask")), key=lambda one: -cpu(one))[:3]
    found = []
    for task in longest:
        end = task["ts"] + task["dur"]
        inside = [one for one in spans if task["ts"] <= one["ts"] and one["ts"] + one["dur"] <= end and one is not task]
        parts = [one for one in sorted(inside, key=lambda one: -cpu(one)) if one["name"] not in DULL][:6]
        found.append((cpu(task), f"{task['dur'] / 1000:.0f} ms by the clock: " + ", ".join(f"{one['name']} {cpu(one):.0f}" for one in parts)))
    return found


def script_time(spans):
    """Milliseconds of script: of nested spans the outermost counts."""
    total, end = 0, 0
    for one in spans:
        if one["name"] in SCRIPT and one["ts"] >= end:
            total += cpu(one)
            end = one["ts"] + one["dur"]
    return total


def opened(browser, world, screen="now"):
    context = browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.add_init_script(FIRST_FIGURE)
    page.goto(f"{world.origin}/#/{screen}")
    return context, page


def first_figures(browser, world):
    """Of five loads, each with an empty cache."""
    took = []
    for _ in range(5):
        context, page = opened(browser, world)
        page.locator(".figure .big", has_text=re.compile("[0-9]")).first.wait_for()
        page.wait_for_function("window.first > 0")
        took.append(page.evaluate("window.first"))
        context.close()
    print(f"first figure: {MARK(statistics.median(took), FIRST)}, of five loads {', '.join(f'{one:.0f}' for one in took)}")


def loading(browser, world):
    context = browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 800})
    page = context.new_page()

    def load():
        page.goto(f"{world.origin}/#/now")
        page.locator(".plot canvas").nth(2).wait_for()
        page.wait_for_timeout(1000)

    found = tasks(trace(browser, page, load))
    longest = sorted(found, reverse=True)[:3]
    print(f"longest task of a load: {MARK(longest[0][0], TASK)}")
    for took, what in longest:
        print(f"  {took:.0f} ms: {what}")
    context.close()


def a_month(browser, copied):
    """From one screen to another one with a range of 30 days."""
    for screen in ["now", "models", "cost", "machines"]:
        context, page = opened(browser, copied, screen)
        page.locator(".plot canvas").first.wait_for()
        page.evaluate("location.hash = '#/jobs'")
        page.locator("h1", has_text="Jobs").wait_for(state="attached")
        began = page.evaluate("performance.now()")
        spans = trace(browser, page, lambda: (page.evaluate(f"location.hash = '#/{screen}?range=30d'"), page.locator(".plot canvas").first.wait_for(), page.wait_for_timeout(50)))
        page.locator("main [aria-busy=true]").first.wait_for(state="detached")
        took = page.evaluate("performance.now()") - began - 50
        longest = max((one[0] for one in tasks(spans)), default=0)
        print(f"a month on {screen}: {MARK(took, MONTH)}, longest task {longest:.0f} ms")
        context.close()
    return []


def multiplied(folder):
    """Has each hour again, back to 30 days ago."""
    main = sqlite3.connect(folder / "history" / "main.db")
    for table in ["rollups", "ran", "host"]:
        columns = [row[1] for row in main.execute(f"PRAGMA table_info({table})")]
        if not columns:
            continue
        rest = ", ".join(f'"{column}"' for column in columns if column not in ("at", "changed"))
        # The number of a row's last change is its own: those of the program are above 0.
        more, changed = (", changed", f", (SELECT min(0, min(changed)) FROM {table}) - row_number() OVER ()") if "changed" in columns else ("", "")
        (oldest,) = main.execute(f"SELECT max(at) FROM {table} WHERE step = {HOUR}").fetchone()
        for hours in range(1, 30 * 24):
            main.execute(f"INSERT INTO {table} (at, {rest}{more}) SELECT at - {hours * HOUR}, {rest}{changed} FROM {table} WHERE step = {HOUR} AND at = ?", (oldest,))
    main.commit()
    main.close()


def updates(browser, world):
    """Script for each message that comes while 200 exchanges are in flight."""
    started = [threading.Thread(target=world.post, args=("/api/chat", {"model": SMALL, "messages": says("Long [[tokens=4000]]")}), daemon=True) for _ in range(200)]
    for one in started:
        one.start()
    look_until("200 are in flight", lambda: world.json("/dashboard/exchanges/in-flight")["count"] >= 200 or "fewer")
    context, page = opened(browser, world)
    messages = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda _: messages.append(time.monotonic())))
    page.reload()
    page.locator(".flight li").nth(30).wait_for()
    page.wait_for_timeout(2000)
    before = len(messages)
    spans = trace(browser, page, lambda: page.wait_for_timeout(10_000))
    count = max(1, len(messages) - before)
    script = script_time(spans)
    longest = max((one[0] for one in tasks(spans)), default=0)
    print(f"200 in flight: {script / count:.1f} ms of script an update (mark {UPDATE}{'' if script / count <= UPDATE else ', missed'}), {count} updates in 10 s, longest task {longest:.0f} ms")
    shown = page.locator(".flight li").count()
    context.close()
    return [] if shown <= 40 else [f"{shown} of 200 rows in flight are drawn"]


def an_hour(browser, world):
    """What comes in an hour, sent to the page as fast as it takes it. The page must not grow with it."""
    context = browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 800})
    page = context.new_page()
    heard, sockets = {}, []

    def connected(socket):
        sockets.append(socket)
        server = socket.connect_to_server()

        def pass_on(message):
            topic = json.loads(message).get("topic")
            if topic:
                heard.setdefault(topic, []).append(message)
            socket.send(message)

        server.on_message(pass_on)

    page.route_web_socket(re.compile("/dashboard/ws"), connected)
    page.goto(f"{world.origin}/#/now")
    page.locator(".plot canvas").first.wait_for()
    end = time.monotonic() + PATIENCE
    while not {"stats", "in_flight", "models", "exchanges"} <= heard.keys() and time.monotonic() < end:
        page.wait_for_timeout(500)
    devtools = context.new_cdp_session(page)

    def size():
        devtools.send("HeapProfiler.collectGarbage")
        nodes = devtools.send("Memory.getDOMCounters")
        return devtools.send("Runtime.getHeapUsage")["usedSize"] / 1e6, nodes["nodes"], nodes["jsEventListeners"]

    # A second of an hour: stats every 2 s, in flight each second, models every 5 s, and an end each second.
    sizes, number = [], 0
    for second in range(3600):
        sockets[-1].send(heard["in_flight"][second % len(heard["in_flight"])])
        if second % 2 == 0:
            sockets[-1].send(stamped(heard["stats"][second // 2 % len(heard["stats"])], second))
        if second % 5 == 0:
            sockets[-1].send(heard["models"][second // 5 % len(heard["models"])])
        number += 1
        sockets[-1].send(renumbered(heard["exchanges"][second % len(heard["exchanges"])], number))
        if second % 20 == 0:
            page.wait_for_timeout(20)
        if second in (600, 1800, 3599):
            page.wait_for_timeout(300)
            sizes.append(size())
    print("an hour of updates: " + ", ".join(f"{heap:.1f} MB, {nodes} nodes, {listeners} listeners" for heap, nodes, listeners in sizes) + " after 10, 30 and 60 minutes")
    context.close()
    (_, early, hearing), (_, late, still) = sizes[0], sizes[-1]
    faults = []
    if late > early * 1.5 + 500:
        faults.append(f"the page grows: {early} nodes, then {late}")
    if still > hearing * 1.5 + 100:
        faults.append(f"its listeners grow: {hearing}, then {still}")
    if sizes[-1][0] > sizes[0][0] * 1.5 + 5:
        faults.append(f"its memory grows: {sizes[0][0]:.1f} MB, then {sizes[-1][0]:.1f} MB")
    return faults


def renumbered(message, number):
    """An end that did not come before."""
    entry = json.loads(message)
    entry["data"]["id"] = str(int(entry["data"]["id"]) + number * 1_000_000)
    return json.dumps(entry)


def stamped(message, second):
    entry = json.loads(message)
    entry["data"]["timestamp"] = f"{entry['data']['timestamp']}+{second}"
    return json.dumps(entry)
