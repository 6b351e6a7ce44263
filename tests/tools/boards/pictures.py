"""Draws dashboards as pictures, from a Prometheus that states.py fills.

Usage: pictures.py PROMETHEUS OUT [--state NAME]... [--theme dark|light]... [--width PIXELS]... [--board NAME]... [--unfold]
                   [--minutes N] [--until SECOND] [--height LINES]

Every combination makes OUT/BOARD-STATE-THEME-WIDTH.png; without an option it is all of its kind. They show so many minutes
until a second since 1970, or until now. `--unfold` opens collapsed rows, `--height` cuts the picture below so many lines of the grid. What gets no data is named. Needs Node with npm (which
downloads some 200 MB once, into target/boards/renderer) and chromium. The packages are Grafana's of the Apache licence; see
page.tsx for what is not Grafana's own.
"""

import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
RENDERER = ROOT / "target/boards/renderer"
CELL, HEAD, SCRAPE = 38, 46, 5
STEPS = [5, 10, 15, 30, 60, 120, 300]


def ask(base, path, **arguments):
    url = f"{base}/api/v1/{path}?{urllib.parse.urlencode(arguments)}"
    try:
        return json.load(urllib.request.urlopen(url))["data"]["result"]
    except urllib.error.HTTPError as error:
        sys.exit(f"{json.load(error)['error']} in {arguments['query']}")


def number(text):
    return None if text in ("NaN", "+Inf", "-Inf") else float(text)


def legend(pattern, labels):
    return re.sub(r"{{(\w+)}}", lambda found: labels.get(found[1], ""), pattern)


def filled(expression, state, step, seconds):
    values = {"__rate_interval": f"{max(step + SCRAPE, 4 * SCRAPE)}s", "__interval": f"{step}s", "__interval_ms": f"{step * 1000}", "__range": f"{seconds}s"}
    values["instance"] = state
    return re.sub(r"\$([a-z_]+)", lambda found: values.get(found[1], ".*"), expression)


def answer(panel, base, state, start, end, width):
    """Puts what Prometheus says into the panel, as page.tsx wants it."""
    panel["series"], panel["tables"] = [], []
    pixels = panel["gridPos"]["w"] * width / 24
    least = max(int((panel.get("interval") or "0s").replace("1m", "60s")[:-1]), (end - start) / pixels)
    step = next(it for it in STEPS if it >= least)
    for target in panel.get("targets", []):
        query = filled(target["expr"], state, step, end - start)
        if target.get("range"):
            found = ask(base, "query_range", query=query, start=start, end=end, step=step)
        else:
            found = ask(base, "query", query=query, time=end)
        if target["format"] == "table":
            rows = [{"labels": it["metric"], "value": number(it["value"][1])} for it in found]
            panel["tables"].append({"letter": target["refId"], "answers": rows})
            continue
        for it in found:
            samples = it.get("values") or [it["value"]]
            panel["series"].append({
                "legend": legend(target["legendFormat"], it["metric"]), "labels": it["metric"], "step": step * 1000,
                "times": [int(at * 1000) for at, _ in samples], "values": [number(value) for _, value in samples],
            })
    has_data = panel["series"] or any(it["answers"] for it in panel["tables"])
    return panel.get("targets") and not has_data


def laid_out(panels, unfold):
    """The panels that are shown, those of collapsed rows too where they are unfolded."""
    shown, moved = [], 0
    for panel in panels:
        panel["gridPos"]["y"] += moved
        shown.append(panel)
        if panel["type"] == "row" and panel["panels"] and unfold:
            panel["collapsed"] = False
            for inner in panel["panels"]:
                inner["gridPos"]["y"] += moved
                shown.append(inner)
            moved += max(it["gridPos"]["y"] + it["gridPos"]["h"] for it in panel["panels"]) - panel["gridPos"]["y"] - 1
    return shown


def build():
    """The page's code, bundled."""
    RENDERER.mkdir(parents=True, exist_ok=True)
    for name in ("page.tsx", "package.json"):
        shutil.copy(HERE / name, RENDERER)
    if not (RENDERER / "node_modules/@grafana/ui").exists():
        subprocess.run("npm install --silent --no-audit --no-fund --no-package-lock --ignore-scripts".split(), cwd=RENDERER, check=True)
    # Of all packages only the bundler needs its script: it fetches nothing, the binary came with npm.
    subprocess.run(["node", "node_modules/esbuild/install.js"], cwd=RENDERER, check=True)
    options = "--bundle --minify --log-level=error --outfile=bundle.js --jsx=transform --alias:react-router-dom-v5-compat=react-router-dom"
    loaders = [f"--loader:.{kind}=dataurl" for kind in ("svg", "ttf", "woff2")]
    environment = '--define:process.env.NODE_ENV="production"'
    subprocess.run(["node_modules/.bin/esbuild", "page.tsx", *options.split(), *loaders, environment], cwd=RENDERER, check=True)


def draw(picture, path, height):
    styles = ["uplot/dist/uPlot.min.css", "@grafana/react-data-grid/lib/styles.css"]
    links = "".join(f'<link rel="stylesheet" href="node_modules/{it}">' for it in styles)
    data = json.dumps(picture).replace("</", "<\\/")
    boot = 'window.__grafana_public_path__="";window.grafanaBootData={settings:{},user:{}};'
    page = f'<!doctype html><meta charset="utf-8">{links}<style>body{{margin:0;font-family:Inter,Helvetica,Arial,sans-serif}}</style><div id="root"></div>'
    page += f'<script>window.PICTURE={data};{boot}</script><script src="bundle.js"></script>'
    (RENDERER / "page.html").write_text(page)
    browser = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=6000"]
    browser += [f"--window-size={picture['width']},{height}", f"--screenshot={path}", f"file://{RENDERER}/page.html"]
    subprocess.run(browser, check=True, stderr=subprocess.DEVNULL)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("prometheus")
    parser.add_argument("out", type=pathlib.Path)
    for name, kind in (("state", str), ("theme", str), ("width", int), ("board", str)):
        parser.add_argument(f"--{name}", type=kind, action="append")
    parser.add_argument("--unfold", action="store_true")
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--until", type=int, default=int(time.time()))
    parser.add_argument("--height", type=int)
    arguments = parser.parse_args()
    out = arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    build()
    end = arguments.until // SCRAPE * SCRAPE
    start = end - arguments.minutes * 60
    boards = arguments.board or sorted(it.stem for it in (ROOT / "grafana/dashboards").glob("*.json"))
    for board in boards:
        for state in arguments.state or ["traffic", "idle", "down", "fault", "fleet"]:
            for width in arguments.width or [1600, 1280]:
                dashboard = json.loads((ROOT / f"grafana/dashboards/{board}.json").read_text())
                panels = laid_out(dashboard.pop("panels"), arguments.unfold)
                empty = [it["title"] for it in panels if answer(it, arguments.prometheus, state, start, end, width)]
                print(f"{board}, {state}: no data in {', '.join(empty) or 'none'}")
                lines = arguments.height or max(it["gridPos"]["y"] + it["gridPos"]["h"] for it in panels)
                for theme in arguments.theme or ["dark", "light"]:
                    picture = {"dashboard": dashboard, "panels": panels, "theme": theme, "width": width}
                    picture |= {"from": start * 1000, "to": end * 1000}
                    draw(picture, out / f"{board}-{state}-{theme}-{width}.png", lines * CELL + HEAD)


if __name__ == "__main__":
    main()
