"""Holds a running program against its own OpenAPI document, with schemathesis.

    api_conformance.py URL --cases N [--seed S]

URL is that of the second listener, without credentials and with its limits of requests raised. At least N requests are
made up from /openapi.json, half of them as it allows and half of them not, and each answer must be as it says:

* no status of 500 or more, and none that is not documented; its content, and what it is, as documented;
* what the document allows is accepted, and what it forbids is refused, except for RULES;
* a method that a path does not know is refused, and the answer names those that it knows.

The ids of a path are those that the program's lists have, beside made-up ones. The same seed makes up the same
requests. Prints one JSON object: `cases`, `positive`, `negative`, `operations`, `answered` (those that answered with
2xx), `limited` (those that answered with 429), `statuses`, `rules` (how often each of RULES was met), `seconds` and
`failures`, a list that should be empty.
"""

import argparse
import collections
import datetime
import json
import time
import urllib.parse

import requests
import schemathesis
from schemathesis.engine import events, from_schema
from schemathesis.openapi.checks import RejectedPositiveData
from schemathesis.specs.openapi.checks import positive_data_acceptance

# Requests for each operation in one round of made-up ones.
ROUND = 40

# What takes a period, or a beginning and an end.
RANGED = (
    "/dashboard/alerts/history", "/dashboard/cache", "/dashboard/exchanges", "/dashboard/exchanges/failures", "/dashboard/models",
    "/dashboard/series",
)

# Each is a rule between several parts of a request, which a schema of one parameter cannot say; their descriptions do.
# name -> (the paths, the parameter that the refusal names, when it must be refused)
RULES = {
    "a period or a beginning, not both": (
        RANGED,
        "period",
        lambda query, error: "period" in query and "from" in query,
    ),
    "a beginning before its end": (
        RANGED,
        "from",
        lambda query, error: "from" in query and instant(query["from"]) >= end(query),
    ),
    "an interval that gives no more points than the answer may have": (
        (
            "/dashboard/series",
            "/dashboard/workload/agents/{id}/performance",
            "/dashboard/workload/deployments/{id}/metrics",
        ),
        "interval",
        # A range is widened to whole intervals.
        lambda query, error: intervals(query) + 2 > error["details"]["allowed"]["points"],
    ),
    "one page in another order than the newest first": (
        ("/dashboard/exchanges",),
        "page",
        lambda query, error: query.get("order", "newest") != "newest" and int(query["page"]) > 1,
    ),
    "metrics of the machine are not divided": (
        ("/dashboard/series",),
        "by",
        lambda query, error: "by" in query and any(name in error["message"] for name in query["metrics"].split(",")),
    ),
    "a WebSocket is opened by an upgrade, which a plain GET is not": (
        ("/dashboard/ws", "/ws"),
        None,
        lambda query, error: "Upgrade: websocket" in error["message"],
    ),
}

# Where ids of a path are listed: the path, the list, the key of each.
IDS = {
    "/dashboard/exchanges/{id}": ("/dashboard/exchanges", "exchanges", "id"),
    "/dashboard/traces/{id}": ("/dashboard/traces", "traces", "trace_id"),
    "/dashboard/infrastructure/nodes/{id}": ("/dashboard/infrastructure/nodes", "nodes", "_id"),
    "/dashboard/infrastructure/resources/{id}": ("/dashboard/infrastructure/resources", "resources", "_id"),
    "/dashboard/workload/agents/{id}/performance": ("/dashboard/workload/agents", "agents", "name"),
    "/dashboard/workload/deployments/{id}/metrics": ("/dashboard/workload/deployments", "deployments", "_id"),
    "/dashboard/workload/executions/{id}": ("/dashboard/workload/executions", "executions", "_id"),
}


def instant(text):
    """Seconds since the year 1, of what the document's pattern allows; its year 0 is before all."""
    if text.startswith("0000"):
        return -1
    text = text.upper().replace(" ", "T").removesuffix("Z")
    day, _, clock = text.partition("T")
    clock, _, fraction = (clock or "00:00").partition(".")
    since = datetime.datetime.fromisoformat(f"{day}T{clock}") - datetime.datetime.min
    return since.total_seconds() + float(f"0.{fraction}0")


def end(query):
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    return instant(query["to"]) if "to" in query else (now - datetime.datetime.min).total_seconds()


def seconds(span):
    return int(span[:-1]) * {"s": 1, "m": 60, "h": 3_600, "d": 86_400}[span[-1]]


def intervals(query):
    # The longest period and interval that are taken where none is asked for.
    span = end(query) - instant(query["from"]) if "from" in query else seconds(query.get("period", "24h"))
    return span / seconds(query.get("interval", "7d"))


def rule_of(path, url, error):
    """The rule that a refused request has broken."""
    query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query, keep_blank_values=True))
    for name, (paths, parameter, is_broken) in RULES.items():
        if path in paths and error["details"].get("parameter") == parameter and is_broken(query, error):
            return name
    return None


met = collections.Counter()


@schemathesis.check
def what_is_allowed_is_accepted(context, response, case):
    try:
        positive_data_acceptance(context, response, case)
    except RejectedPositiveData:
        is_refused = response.status_code == 400
        rule = rule_of(case.path, response.request.url, response.json()["error"]) if is_refused else None
        if rule is None:
            raise
        met[rule] += 1


def document_of(url):
    """The document, with ids that there are as examples of those that its paths need."""
    document = requests.get(url + "/openapi.json", timeout=20).json()
    for path, (listed, key, name) in IDS.items():
        entries = requests.get(url + listed, timeout=20).json()[key] or []
        ids = list(dict.fromkeys(entry[name] for entry in entries))[:3]
        parameters = document["paths"][path]["get"]["parameters"]
        place = next(parameter for parameter in parameters if parameter["name"] == "id")
        place["examples"] = {str(at): {"value": value} for at, value in enumerate(ids)}
    return document


class Tally:
    def __init__(self):
        self.cases = self.positive = self.negative = 0
        self.operations, self.answered, self.limited = set(), set(), set()
        self.statuses = collections.Counter()
        self.failures = {}

    def add(self, recorder):
        for case_id, interaction in recorder.interactions.items():
            case = recorder.cases[case_id].value
            self.cases += 1
            self.operations.add(case.operation.label)
            is_negative = case.meta is not None and case.meta.generation.mode.is_negative
            self.negative += is_negative
            self.positive += not is_negative
            status = interaction.response.status_code if interaction.response is not None else 0
            self.statuses[status] += 1
            if 200 <= status < 300:
                self.answered.add(case.operation.label)
            if status == 429:
                self.limited.add(case.operation.label)
        for checks in recorder.checks.values():
            for check in checks:
                if check.failure_info is not None:
                    failure = check.failure_info.failure
                    told = f"{recorder.label}: {check.name}: {failure}\n{check.failure_info.code_sample}"
                    self.failures.setdefault((recorder.label, check.name, failure.title), told)


def play(schema, phases, examples, seed, tally):
    config = schema.config
    config.phases.update(phases=phases)
    config.seed = seed
    config.generation.update(max_examples=examples, database="none")
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            tally.add(event.recorder)
        elif isinstance(event, (events.NonFatalError, events.FatalError)):
            error = getattr(event, "value", None) or event.exception
            label = getattr(event, "label", "all")
            tally.failures.setdefault((label, "error", str(error)), f"{label}: {error!r}")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("url")
    arguments.add_argument("--cases", type=int, required=True)
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    begun = time.monotonic()
    schema = schemathesis.openapi.from_dict(document_of(given.url))
    schema.config.update(base_url=given.url, continue_on_failure=True)
    schema.config.checks.update(excluded_check_names=["positive_data_acceptance"])
    tally, seed = Tally(), given.seed
    # Bounds and examples of each parameter first, then what chance makes up.
    play(schema, ["examples", "coverage"], ROUND, seed, tally)
    while tally.cases < given.cases and not tally.failures:
        play(schema, ["fuzzing"], ROUND, seed, tally)
        seed += 1
    print(
        json.dumps(
            {
                "cases": tally.cases,
                "positive": tally.positive,
                "negative": tally.negative,
                "operations": len(tally.operations),
                "answered": sorted(tally.answered),
                "limited": sorted(tally.limited),
                "statuses": {str(status): count for status, count in sorted(tally.statuses.items())},
                "rules": dict(sorted(met.items())),
                "seconds": round(time.monotonic() - begun, 1),
                "failures": list(tally.failures.values()),
            }
        )
    )


if __name__ == "__main__":
    main()
