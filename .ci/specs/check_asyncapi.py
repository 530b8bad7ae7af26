"""Checks an AsyncAPI document against the official JSON Schema of AsyncAPI: check_asyncapi.py DOCUMENT SCHEMA"""

import json
import sys

import jsonschema

with open(sys.argv[1], encoding="utf-8") as document, open(sys.argv[2], encoding="utf-8") as schema:
    document, schema = json.load(document), json.load(schema)
errors = list(jsonschema.validators.validator_for(schema)(schema).iter_errors(document))
for error in errors:
    # If a schema has alternatives, the error of the alternative that fits best is the most useful one.
    error = jsonschema.exceptions.best_match([error])
    print(f"{sys.argv[1]}: {error.json_path}: {error.message[:300]}", file=sys.stderr)
sys.exit(1 if errors else 0)
