#!/bin/sh
# Runs the model test of webhook deliveries with a million deliveries, or as many as given: scripts/webhook-deliveries.sh [DELIVERIES] [SEED].
set -eu
cd "$(dirname "$0")/.."
export ORDERS_WEBHOOK_DELIVERIES="${1:-1000000}" ORDERS_WEBHOOK_SEED="${2:-1}"
exec cargo test --release --locked -p consumer --test webhooks -- --nocapture every_event_is_delivered
