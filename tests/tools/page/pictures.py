#!/usr/bin/env python3
"""Draws the pictures of the page in the README, from the traffic of some minutes.

Usage: pictures.py FOLDER [--minutes N] [--origin http://127.0.0.1:8001]   (with an origin: of a program that runs)
"""

import argparse
import json
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from browser import FLAGS
from world import Traffic, World

parser = argparse.ArgumentParser()
parser.add_argument("folder", type=Path)
parser.add_argument("--minutes", type=float, default=20)
parser.add_argument("--origin")
given = parser.parse_args()


def draw(origin):
    with urllib.request.urlopen(f"{origin}/dashboard/exchanges?order=longest&limit=1&outcome=completed") as answer:
        longest = json.load(answer)["exchanges"][0]["id"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        for name, address, height in [("now", "#/now", 800), ("models", "#/models", 800), ("exchange", f"#/exchange/{longest}", 570)]:
            page = browser.new_page(viewport={"width": 1280, "height": height}, locale="en-GB", reduced_motion="reduce")
            page.goto(f"{origin}/{address}")
            expect(page.locator("main [aria-busy=true]")).to_have_count(0)
            expect(page.get_by_text("live", exact=True)).to_be_visible()
            time.sleep(4)
            if name == "now":
                # Something goes on, and is seen at its work.
                expect(page.locator(".flight .phases i.on.decode").nth(1)).to_be_visible(timeout=60_000)
            page.screenshot(path=given.folder / f"page-{name}.png")
            page.close()
        browser.close()


given.folder.mkdir(parents=True, exist_ok=True)
if given.origin:
    draw(given.origin)
else:
    world = World(helper=True)
    try:
        traffic = Traffic(world)
        time.sleep(given.minutes * 60)
        draw(world.origin)
        traffic.end()
    finally:
        world.end()
