#!/usr/bin/env bash
# Runs the tests of power cuts with many more states per test: scripts/power-cuts.sh [STATES] [SEED]. See
# docs/testing-faults.md.
set -euo pipefail
cd "$(dirname "$0")/.."
export ORDERS_POWER_STATES=${1:-2000} ORDERS_POWER_SEED=${2:-$RANDOM} ORDERS_POWER_STALL=${ORDERS_POWER_STALL:-20}
echo "states of each test: $ORDERS_POWER_STATES, seed: $ORDERS_POWER_SEED"
cargo test --locked --all-features --test it power:: -- --test-threads 1
