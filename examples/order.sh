#!/bin/sh
# Takes one order from created to delivered with curl: order.sh [URL]
# Every request that changes something has an idempotency key, so that it can be sent again safely.
set -eu

url=${1:-http://127.0.0.1:8080}
run=$(date +%s)-$$

# post PATH KEY BODY: prints the status, and then the body of the answer.
post() {
  curl -sS --max-time 30 -w '\n%{http_code}\n' "$url$1" \
    -H 'content-type: application/json' -H "idempotency-key: \"$2\"" -H 'prefer: wait=10' -d "$3"
}

# member NAME: prints a member of the JSON on standard input.
member() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }

answer=$(post /v1/orders "create-$run" '{
  "customer_id": "customer-7", "currency": "EUR",
  "items": [{ "sku": "MUG-BLUE", "quantity": 2, "unit_price": 1250 }]
}')
[ "$(echo "$answer" | tail -n 1)" = 201 ] || { echo "not created: $answer" >&2; exit 1; }
order=$(echo "$answer" | sed '$d' | member order_id)
echo "created $order"

# propose TYPE DATA: proposes an event, and prints the order's status, or why it was refused.
propose() {
  answer=$(post "/v1/orders/$order/events" "$1-$run" "{\"type\":\"$1\",\"data\":$2}")
  code=$(echo "$answer" | tail -n 1)
  body=$(echo "$answer" | sed '$d')
  case $code in
  200) echo "$1: the order is $(echo "$body" | member status)" ;;
  409) echo "$1: 409, $(echo "$body" | member detail)" ;;
  *) echo "$1: $answer" >&2; exit 1 ;;
  esac
}

propose order_shipped '{"carrier":"DHL","tracking_number":"JD01"}'
propose order_confirmed '{}'
propose order_paid '{"payment_id":"pay-81","amount":2500}'
run=$run-2
propose order_shipped '{"carrier":"DHL","tracking_number":"JD01"}'
propose order_delivered '{}'
