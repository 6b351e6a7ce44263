#!/usr/bin/env python3
"""The page in a real browser: every screen in every state, its figures against the API, keys and accessibility.

Usage: run.py [--pictures FOLDER] [--only WORD]
"""

import argparse
import re
import sys
import threading
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

import marks
from browser import FLAGS
from world import THINKS, Traffic, World, get, look_until, says

SCREENS = ["now", "models", "exchanges", "cost", "cache", "machines", "jobs", "alerts", "logs", "settings"]
LOOKS = {
    "light": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light", "is_mobile": True, "has_touch": True},
}
WAIT = 20_000
# What only an answer can say: a question that failed is no answer without content.
EMPTY = re.compile(
    r"lists no model|There is no|No (alert|job) has|Nothing (ended|was asked|failed|of the kind|needs|has ended|in flight|happened|is pulled)|Nobody changed|"
    r"No (line|exchange|setting|GPU is seen|inference server)|no alerts|None of|Everything that ended|\b0 of 0\b"
)
# Where no history is kept, nothing is known of the time before.
FORGOTTEN = re.compile(r"Nothing (ended|was asked|failed)|No (job|exchange)\b.* ended|Everything that ended|never loaded")


class Page:
    """A page with what it did wrong."""

    def __init__(self, browser, world, look="light", failing=False):
        self.world, self.faults = world, []
        self.context = browser.new_context(locale="en-GB", reduced_motion="reduce", **LOOKS[look])
        self.page = self.context.new_page()
        self.page.set_default_timeout(WAIT)
        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        self.page.on("request", self.requested)
        self.page.on("console", lambda message: self.said(message, failing))

    def requested(self, request):
        own = (self.world.origin, self.world.origin.replace("http", "ws"), "data:", "blob:")
        if not request.url.startswith(own):
            self.faults.append(f"it asks elsewhere: {request.url}")

    def said(self, message, failing):
        refused = "Failed to load resource" in message.text or "WebSocket connection" in message.text
        if message.type == "error" and not (failing and refused):
            self.faults.append(f"console: {message.text}")

    def open(self, screen):
        self.page.goto(f"{self.world.origin}/#/{screen}")
        expect(self.page.locator("main")).to_be_visible()

    def check(self, what):
        """Nothing went wrong, it is no wider than the screen, each chart is drawn once, and axe finds nothing."""
        wide = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if wide > 0:
            self.faults.append(f"it is {wide} px wider than the screen")
        if self.page.locator(".plot .uplot + .uplot").count() > 0:
            self.faults.append("a chart is drawn twice")
        for violation in Axe().run(self.page).response["violations"]:
            where = ", ".join(node["html"][:120] for node in violation["nodes"][:3])
            self.faults.append(f"axe: {violation['id']}: {violation['help']}: {where}")
        faults, self.faults = self.faults, []
        return [f"{what}: {fault}" for fault in faults]

    def close(self):
        self.context.close()


def long_lists(browser, world):
    """A phone shows the first rows of a long list until it is asked for all; a wide screen shows all at once."""
    rules, found = len(world.json("/dashboard/alerts")["alert_rules"]), []
    for look, first in [("phone", 12), ("light", rules)]:
        page = Page(browser, world, look)
        page.open("alerts")
        settle(page, "alerts")
        table = page.page.get_by_role("region", name="The rules")
        rows, more = table.locator("tbody tr:visible"), table.get_by_role("button", name=f"Show {rules - 12} more")
        expect(rows).to_have_count(first)
        if look == "phone":
            more.click()
            expect(rows).to_have_count(rules)
        expect(more).to_be_hidden()
        found += page.check(f"long {look}")
        page.close()
    return found


def settle(page, screen, answers=True):
    """Waits until nothing is still being asked for, where there are answers."""
    page.page.evaluate(f"location.hash = '#/{screen}'")
    expect(page.page.locator(f"nav a[aria-current=page], form.sign-in").first).to_be_visible()
    if answers:
        look_until(f"{screen} is there", lambda: page.page.locator("main [aria-busy=true]").count() == 0)


def every_screen(browser, world, state, pictures, prepare=None, expected=None, failing=False, query="", unsaid=None):
    """`expected` is seen on each screen; `unsaid` is on none."""
    faults = []
    for look in LOOKS:
        page = Page(browser, world, look, failing=failing or prepare is not None)
        if prepare:
            prepare(page.page)
        page.open("now")
        for screen in SCREENS:
            settle(page, screen + query, prepare is None)
            if expected:
                expect(page.page.get_by_text(re.compile(expected[screen] if isinstance(expected, dict) else expected)).first).to_be_visible()
            faults += page.check(f"{state}, {screen}, {look}")
            said = unsaid and unsaid.search(page.page.locator("body").inner_text())
            if said:
                faults.append(f"{state}, {screen}, {look}: it says \"{said[0]}\", which nobody knows")
            if pictures:
                drawn(page.page)
                page.page.screenshot(path=pictures / f"{state}-{screen}-{look}.png", full_page=look == "phone")
        page.close()
    return faults


def drawn(page):
    """What is below the screen is drawn once it is seen."""
    height = page.evaluate("document.documentElement.scrollHeight")
    for top in range(0, height, 700):
        page.evaluate(f"scrollTo(0, {top})")
        page.wait_for_timeout(60)
    page.evaluate("scrollTo(0, 0)")


def answering(status, code, retry=None):
    """Has every question to the API answered with an error."""
    def prepare(page):
        fields = {"Retry-After": str(retry)} if retry else {}
        body = f'{{"error": {{"code": "{code}", "message": "made up by a test", "details": {{}}}}}}'
        page.route(re.compile(r"/(dashboard|api)/"), lambda route: route.fulfill(status=status, body=body, headers={"Content-Type": "application/json", **fields}))
        page.route_web_socket(re.compile("/dashboard/ws"), lambda socket: socket.close())
    return prepare


def without_socket(page):
    page.route_web_socket(re.compile("/dashboard/ws"), lambda socket: socket.close())


def paused(page):
    """The program says that its history cannot be written."""
    def changed(route):
        answer = route.fetch()
        health = answer.json()
        health["history"] |= {"status": "paused", "reason": "full", "lost": 1234}
        route.fulfill(response=answer, json=health)
    page.route(re.compile("/health$"), changed)


def text_of(page, title):
    text = page.locator(f".figure[aria-label='{title}']").inner_text()
    return text.replace("\u202f", " ")


def figures(browser, world, pictures):
    """What the page shows is what the API says, once nothing changes any more."""
    # Lists that are polled dilute no share of what models do.
    for _ in range(40):
        get(world.clients, "/api/tags")
    page = Page(browser, world)
    page.open("now")
    now, total = page.page, world.json("/dashboard/stats")["inference"]["total_requests"]
    look_until("the requests of the hour", lambda: f"{total:,} in 1 h" in text_of(now, "Requests") or text_of(now, "Requests"))
    series = {one["metric"]: one["values"] for one in world.json("/dashboard/series?metrics=requests,failed,ttft_p50")["series"]}
    requests = sum(value or 0 for value in series["requests"])
    assert requests == total, f"{requests} {total}"
    tasks = {one["metric"]: one["values"] for one in world.json("/dashboard/series?metrics=requests,failed&inference=true")["series"]}
    failed, requests = (sum(value or 0 for value in tasks[name]) for name in ("failed", "requests"))
    shown = re.search(r"Failed last hour\s+([\d.]+) %", text_of(now, "Failed"))
    assert shown and abs(float(shown[1]) - failed / requests * 100) < 0.06, f"{text_of(now, 'Failed')}: {failed} of {requests}"
    expect(now.locator(".memory .scale")).to_contain_text("A full bar is")
    expect(now.locator(".ends li")).to_have_count(10)
    expect(now.locator(".ends li .name .dash")).to_have_count(0)
    failures(now, world)
    page.page.evaluate("location.hash = '#/exchanges'")
    expect(now.get_by_text(f"{total:,} in all")).to_be_visible()
    settle(page, "models")
    models = {model["name"]: model for model in world.json("/dashboard/models?period=1h")["models"]}
    for name, model in models.items():
        row = now.locator(".wide tr", has_text=name).locator("td[data-label=requests]").first
        expect(row).to_have_text(f"{model['performance']['total_requests']:,}")
    newest = world.json("/dashboard/exchanges?limit=1&order=longest")["exchanges"][0]
    one = world.json(f"/dashboard/exchanges/{newest['id']}")
    page.page.evaluate(f"location.hash = '#/exchange/{newest['id']}'")
    expect(now.get_by_text(one["where_the_time_went"])).to_be_visible()
    assert now.locator(".timeline li").count() == len(one["timeline"])
    faults = page.check("one exchange")
    page.page.evaluate(f"location.hash = '#/trace/{newest['trace_id']}'")
    expect(now.get_by_text(one["where_the_time_went"])).to_be_visible()
    faults += page.check("one trace")
    page.close()
    return faults


def failures(page, world):
    """The share of failures leads to their kinds, and each kind to its exchanges."""
    page.locator(".figure[aria-label=Failed] a").click()
    kinds = world.json("/dashboard/exchanges/failures?period=1h&inference=true")["failures"]
    table = page.get_by_role("region", name="What did not complete, by kind")
    expect(table.locator("tbody tr")).to_have_count(len(kinds))
    counts = table.locator("td[data-label=exchanges]")
    expect(counts).to_have_text([f"{kind['count']:,}" for kind in kinds])
    # Those without a model or a backend cannot be asked for.
    at, least = [pair for pair in enumerate(kinds) if pair[1]["model"] and pair[1]["backend"]][-1]
    counts.nth(at).get_by_role("link").click()
    expect(page.get_by_role("region", name="Finished exchanges").locator("tbody tr")).to_have_count(min(50, least["count"]))
    expect(page).to_have_url(re.compile(f"outcome={least['outcome']}.*status={least['status']}"))


def keys(browser, world, pictures):
    page = Page(browser, world)
    page.open("now")
    tall = page.page.evaluate("document.documentElement.scrollHeight")
    assert tall <= 800, f"the first screen is {tall} px high"
    press = page.page.keyboard.press
    press("g")
    press("m")
    expect(page.page).to_have_url(re.compile("#/models"))
    press("[")
    expect(page.page).to_have_url(re.compile("from=.*to="))
    press("t")
    press(" ")
    expect(page.page.get_by_text("Paused:")).to_be_visible()
    press(" ")
    expect(page.page.get_by_text("Paused:")).to_have_count(0)
    press("?")
    expect(page.page.get_by_role("dialog")).to_be_visible()
    faults = page.check("the list of keys")
    press("Escape")
    expect(page.page.get_by_role("dialog")).to_have_count(0)
    press("/")
    page.page.evaluate("location.hash = '#/exchanges'")
    expect(page.page.locator("tr[data-row]").first).to_be_visible()
    press("j")
    press("Enter")
    expect(page.page).to_have_url(re.compile("#/exchange/"))
    page.page.evaluate("location.hash = '#/models'")
    chart = page.page.locator(".plot").first
    expect(chart).to_be_visible()
    box = chart.bounding_box()
    page.page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 60)
    page.page.mouse.down()
    page.page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 60, steps=5)
    page.page.mouse.up()
    expect(page.page).to_have_url(re.compile("from=.*to="))
    page.close()
    return faults


def recovery(browser, world, pictures):
    """What was lost, refused or asked too often comes back by itself."""
    page = Page(browser, world, failing=True)
    sockets = []
    is_cut = {"cut": False}

    def connected(socket):
        if is_cut["cut"]:
            socket.close()
        else:
            sockets.append(socket)
            socket.connect_to_server()

    page.page.route_web_socket(re.compile("/dashboard/ws"), connected)
    page.open("now")
    expect(page.page.get_by_text("live", exact=True)).to_be_visible()
    is_cut["cut"] = True
    sockets[-1].close()
    expect(page.page.get_by_text("connection to the program is lost")).to_be_visible()
    is_cut["cut"] = False
    expect(page.page.get_by_text("live", exact=True)).to_be_visible()
    expect(page.page.get_by_text("connection to the program is lost")).to_have_count(0)

    limit = re.compile("/dashboard/series")
    refuse = lambda route: route.fulfill(status=429, body='{"error":{"code":"RATE_LIMITED","message":"slow"}}', headers={"Retry-After": "2"})
    page.page.route(limit, refuse)
    page.page.keyboard.press("r")
    expect(page.page.get_by_text("Too many questions").first).to_be_visible()
    page.page.unroute(limit)
    expect(page.page.get_by_text("Too many questions")).to_have_count(0)

    page.page.route(limit, lambda route: route.fulfill(status=401, body="{}"))
    page.page.keyboard.press("r")
    expect(page.page.get_by_role("heading", name="Sign in")).to_be_visible()
    faults = page.check("signing in")
    page.close()
    return faults


def incident(browser, world, pictures):
    """The saved file is the page, opens from a folder without the program, asks nobody, and has no address in it."""
    page = Page(browser, world)
    page.open("now")
    expect(page.page.locator(".plot canvas").first).to_be_visible()
    with page.page.expect_download() as download:
        page.page.get_by_role("button", name="Save").click()
    by_hand = world.folder / "saved.html"
    download.value.save_as(by_hand)
    page.close()
    written = world.folder / "snapshot.html"
    written.write_text(world.snapshot("15m"))
    return [fault for file in (by_hand, written) for fault in alone(browser, world, file)]


def alone(browser, world, file):
    kept = file.read_text().split('id="kept">')[1].split("</script>")[0]
    assert not re.search(r"\d+\.\d+\.\d+\.\d+|https?://", kept), "it has an address"
    context = browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 800}, offline=True)
    page, faults = context.new_page(), []
    page.set_default_timeout(WAIT)
    page.on("pageerror", lambda error: faults.append(f"{file.name}: {error}"))
    page.on("console", lambda message: faults.append(f"{file.name}: {message.text}") if message.type == "error" else None)
    page.on("request", lambda request: faults.append(f"{file.name}: it asks for {request.url}") if not request.url.startswith((file.as_uri(), "data:")) else None)
    page.goto(file.as_uri())
    expect(page.get_by_text("Nothing here is live")).to_be_visible()
    expect(page.locator(".plot canvas").first).to_be_visible()
    for screen in SCREENS:
        page.evaluate(f"location.hash = '#/{screen}'")
        expect(page.locator("nav a[aria-current=page]")).to_have_text(screen.title())
        look_until(f"{screen} of {file.name} is there", lambda: page.locator("main [aria-busy=true]").count() == 0)
        assert page.locator("main .panel, main .trouble").count() > 0, f"{screen} of {file.name} is empty"
    context.close()
    return faults


def stopping(browser, world, pictures):
    """A press and its confirmation end an exchange, and the page shows it among the ends."""
    page = Page(browser, world)
    page.open("now")
    long = threading.Thread(target=world.post, args=("/api/chat", {"model": THINKS, "think": False, "messages": says("Long [[tokens=5000]]")}), daemon=True)
    long.start()
    row = page.page.locator(".flight li", has_text=THINKS)
    expect(row).to_be_visible()
    row.get_by_role("button").click()
    expect(row.get_by_text("sure?")).to_be_visible()
    row.get_by_role("button").click()
    expect(row).to_have_count(0)
    long.join(60)
    look_until("it is among those that were stopped", lambda: any(one["error"] == "stopped" for one in world.json("/dashboard/exchanges?limit=5")["exchanges"]))
    expect(page.page.locator(".ends li").first.locator("[title=stopped]")).to_be_visible()
    faults = page.check("after a stop")
    page.close()
    return faults


def a_month(browser, world, pictures, worlds):
    """The history of a world many times over, and how fast it is drawn."""
    worlds.append(world.restarted(marks.multiplied))
    return marks.a_month(browser, worlds[-1]) + every_screen(browser, worlds[-1], "month", pictures, query="?range=30d")


def grown(world):
    """With some traffic."""
    traffic = Traffic(world)
    look_until("traffic has come", lambda: world.json("/dashboard/stats")["inference"]["total_requests"] >= 40)
    traffic.end()
    return world


def main():
    expect.set_options(timeout=WAIT)
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    if given.pictures:
        given.pictures.mkdir(parents=True, exist_ok=True)
    worlds, faults, ran = [], [], 0

    def world(**settings):
        worlds.append(World(**settings))
        return worlds[-1]

    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
            busy = world(helper=True)
            traffic = Traffic(busy)
            look_until("traffic has come", lambda: busy.json("/dashboard/stats")["inference"]["total_requests"] >= 20)
            states = [
                ("demo", lambda: every_screen(browser, busy, "demo", given.pictures)),
                ("keys", lambda: keys(browser, busy, None)),
                ("long", lambda: long_lists(browser, busy)),
                ("lost", lambda: every_screen(browser, busy, "lost", given.pictures, without_socket, "connection to the program is lost|takes no WebSocket")),
                ("paused", lambda: every_screen(browser, busy, "paused", given.pictures, paused, "The history is paused: no space is left")),
                ("first", lambda: marks.first_figures(browser, busy)),
                ("load", lambda: marks.loading(browser, busy)),
                ("hour", lambda: marks.an_hour(browser, busy)),
                ("updates", lambda: marks.updates(browser, world())),
                ("month", lambda: a_month(browser, grown(world()), given.pictures, worlds)),
                ("recovery", lambda: recovery(browser, busy, None)),
                ("incident", lambda: incident(browser, busy, None)),
                ("figures", lambda: (traffic.end(), figures(browser, busy, None))[1]),
                ("stopping", lambda: stopping(browser, world(), None)),
                ("empty", lambda: every_screen(browser, world(), "empty", given.pictures)),
                ("off", lambda: every_screen(browser, world(history="off"), "off", given.pictures, expected={**dict.fromkeys(SCREENS, "inferometer"), "now": "No history is kept"}, failing=True, unsaid=FORGOTTEN)),
                ("down", lambda: every_screen(browser, world(down=True), "down", given.pictures, expected="The backend does not answer: ollama at .*Start it", unsaid=re.compile("lists no model|no alerts|Nothing needs"))),
                ("401", lambda: every_screen(browser, busy, "401", given.pictures, answering(401, "UNAUTHENTICATED"), "Sign in")),
                ("429", lambda: every_screen(browser, busy, "429", given.pictures, answering(429, "RATE_LIMITED", 30), "Too many questions", unsaid=EMPTY)),
                ("500", lambda: every_screen(browser, busy, "500", given.pictures, answering(500, "UNAVAILABLE"), "connection to the program is lost|could not answer", unsaid=EMPTY)),
            ]
            for name, run in states:
                if given.only in name:
                    found = run() or []
                    ran += 1
                    print(f"{name}: {'ok' if not found else f'{len(found)} faults'}", flush=True)
                    faults += found
            traffic.end()
            browser.close()
    finally:
        for one in worlds:
            one.end()
    print("\n".join(faults))
    if faults or ran == 0:
        sys.exit(f"{len(faults)} faults")
    print("the page is as it should be")


main()
