"""Fetches metrics like Prometheus, parses them with its client library, and prints them as JSON."""

import json
import math
import sys
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

with urllib.request.urlopen(sys.argv[1]) as response:
    content_type = response.headers["content-type"]
    text = response.read().decode()
families = [
    {
        "name": family.name,
        "type": family.type,
        "help": family.documentation,
        "samples": [
            {
                "name": sample.name,
                "labels": sample.labels,
                "value": None if math.isnan(sample.value) else sample.value,
            }
            for sample in family.samples
        ],
    }
    for family in text_string_to_metric_families(text)
]
print(json.dumps({"content_type": content_type, "families": families}))
