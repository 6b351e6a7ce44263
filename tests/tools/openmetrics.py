#!/usr/bin/env python3
"""Reads metrics in OpenMetrics with the reference parser, and prints what it understood as JSON.

`families` is a list of names with their types and units, `samples` how many there are, `exemplars` a list of the series
that carry one with its trace. Ends with an error where the parser refuses the exposition.

Usage: openmetrics.py URL
"""

import json
import sys
import urllib.request

from prometheus_client.openmetrics.parser import text_string_to_metric_families

ACCEPT = "application/openmetrics-text;version=1.0.0"


def main():
    request = urllib.request.Request(sys.argv[1], headers={"Accept": ACCEPT})
    with urllib.request.urlopen(request, timeout=20) as response:
        kind = response.headers["Content-Type"]
        text = response.read().decode("utf-8")
    families = list(text_string_to_metric_families(text))
    samples = [sample for family in families for sample in family.samples]
    exemplars = [
        {"series": sample.name, "trace": sample.exemplar.labels["trace_id"], "value": sample.exemplar.value}
        for sample in samples
        if sample.exemplar
    ]
    described = [{"name": family.name, "type": family.type, "unit": family.unit} for family in families]
    print(json.dumps({"kind": kind, "families": described, "samples": len(samples), "exemplars": exemplars}))


if __name__ == "__main__":
    main()
