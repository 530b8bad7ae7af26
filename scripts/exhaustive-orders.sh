#!/bin/sh
# Runs the long form of the search through all histories of small orders (domain/tests/it/exhaustive). It takes a minute.
set -eu
cd "$(dirname "$0")/.."
exec cargo test --release --locked -p domain --test it -- --ignored --nocapture every_history_of_a_larger_order
