#!/usr/bin/env python3
"""A week of a shop against a running service, with its books kept by hand: shop_week.py [--url URL] [--token-file FILE] [--expiry]

Every step states what an accountant would write down after it: the three statuses, the money and the lines. The script reads the
order after each step, prints its account, and ends with exit code 1 at the first difference. It needs nothing but Python's
standard library.

Money is in minor units: cents, whole yen, or thousandths of a dinar. A line's units are written as five numbers: ordered,
cancelled, shipped, delivered and returned.
"""

import argparse
import datetime
import sys

from shop_account import RUN, Account, Difference, Shop, adjustment, item, some


def monday_family(shop):
    """Gift card and card, a webhook that comes twice and early, a hold, two parcels, a cancelled line, returns and refunds."""
    a = Account(shop, "Monday: a family, EUR")
    items = [item("tea", 3, 450), item("mug", 2, 1250), item("pot", 1, 6900), item("sticker", 1, 0)]
    prices = [
        adjustment("discount", -1000, id="welcome"),
        adjustment("discount", -200, id="mug-sale", line_id="mug"),
        adjustment("shipping", 490, label="Standard shipping"),
        adjustment("tax", 1900),
    ]
    home = {"name": "Ada Lovelace", "email": "ada@example.com"}
    home["shipping_address"] = {"line1": "Hauptstr. 5", "city": "Köln", "postal_code": "50667", "country": "DE"}
    order = {"currency": "EUR", "items": items, "adjustments": prices, "contact": home, "total": 11940}
    order["reference"] = f"WEB-{RUN}-1"
    none = ["3 0 0 0 0", "2 0 0 0 0", "1 0 0 0 0", "1 0 0 0 0"]
    a.create("checkout, sent three times", order, "pending unpaid unfulfilled", 11940, 0, 0, 11940, *none, times=3)
    gift = {"payment_id": "gift-1", "amount": 3000, "method": "gift_card"}
    a.event("gift card, before confirmation", "order_paid", gift,
            "pending partially_paid unfulfilled", 11940, 3000, 0, 8940, *none)
    card = {"payment_id": "card-1", "amount": 8940, "method": "card"}
    a.event("card authorized", "order_payment_authorized", card,
            "pending partially_paid unfulfilled", 11940, 3000, 0, 8940, *none)
    paid = ("pending paid unfulfilled", 11940, 11940, 0, 0, *none)
    a.event("payment webhook, twice", "order_paid", {"payment_id": "card-1", "amount": 8940}, *paid, times=2)
    a.refused("the same capture under another key", "order_paid", {"payment_id": "card-1", "amount": 8940},
              "payment_capturable", *paid)
    paid = ("paid paid unfulfilled", 11940, 11940, 0, 0, *none)
    a.event("confirmed", "order_confirmed", None, *paid)
    a.event("held for a fraud check", "order_held", {"hold": "fraud-check", "reason": "Two names."}, *paid)
    a.refused("parcel while held", "order_shipped", {"carrier": "DHL", "tracking_number": "JD0"}, "not_held", *paid)
    a.event("released", "order_released", {"hold": "fraud-check"}, *paid)
    home["shipping_address"] = {"line1": "5 Rue Neuve", "city": "Lyon", "postal_code": "69001", "country": "FR"}
    a.event("new address", "order_amended", {"contact": home}, *paid)
    parcel = {"carrier": "DHL", "tracking_number": "JD1", "shipment_id": "parcel-1", "items": some(tea=3, sticker=1)}
    sent = ["3 0 3 0 0", "2 0 0 0 0", "1 0 0 0 0", "1 0 1 0 0"]
    a.event("parcel 1: tea and sticker", "order_shipped", parcel,
            "partially_shipped paid partially_shipped", 11940, 11940, 0, 0, *sent)
    sent[2] = "1 1 0 0 0"
    a.event("the pot is cancelled", "order_cancelled", {"reason": "Out of stock.", "items": some(pot=1)},
            "partially_shipped overpaid partially_shipped", 5040, 11940, 0, -6900, *sent)
    prices[3] = adjustment("tax", 800)
    a.event("its tax falls away", "order_amended", {"adjustments": prices},
            "partially_shipped overpaid partially_shipped", 3940, 11940, 0, -8000, *sent)
    back = {"refund_id": "refund-1", "amount": 6900, "payment_id": "card-1", "reason": "Out of stock."}
    a.event("refund 1: the pot", "order_refunded", back,
            "partially_shipped partially_refunded partially_shipped", 3940, 11940, 6900, -1100, *sent)
    back = {"refund_id": "refund-2", "amount": 1100, "payment_id": "card-1", "reason": "Its tax."}
    a.event("refund 2: its tax", "order_refunded", back,
            "partially_shipped partially_refunded partially_shipped", 3940, 11940, 8000, 0, *sent)
    sent[1] = "2 0 2 0 0"
    a.event("parcel 2: all that is left", "order_shipped", {"carrier": "UPS", "tracking_number": "1Z2"},
            "shipped partially_refunded shipped", 3940, 11940, 8000, 0, *sent)
    sent = ["3 0 3 3 0", "2 0 2 0 0", "1 1 0 0 0", "1 0 1 1 0"]
    a.event("parcel 1 arrives", "order_delivered", {"shipment_id": "parcel-1"},
            "shipped partially_refunded partially_delivered", 3940, 11940, 8000, 0, *sent)
    sent[1] = "2 0 2 2 0"
    delivered = ("delivered partially_refunded delivered", 3940, 11940, 8000, 0, *sent)
    a.event("parcel 2 arrives", "order_delivered", None, *delivered)
    request = {"return_id": "return-1", "reason": "A mug is broken.", "items": some(mug=1)}
    a.event("a mug is to be returned", "order_return_requested", request, *delivered)
    sent[1] = "2 0 2 2 1"
    a.event("the mug is back", "order_returned", {"return_id": "return-1", "reason": "A mug is broken."},
            "delivered partially_refunded partially_returned", 2790, 11940, 8000, -1150, *sent)
    back = {"refund_id": "refund-3", "amount": 1150, "payment_id": "gift-1", "reason": "A mug is broken."}
    a.event("refund 3: the mug, onto the gift card", "order_refunded", back,
            "delivered partially_refunded partially_returned", 2790, 11940, 9150, 0, *sent)
    back = {"refund_id": "refund-4", "amount": 300, "goodwill": True, "reason": "The parcel was late."}
    last = ("delivered partially_refunded partially_returned", 2490, 11940, 9450, 0, *sent)
    a.event("goodwill: 3 euros for the late parcel", "order_refunded", back, *last)
    a.refused("refund of more than is left", "order_refunded", {"refund_id": "refund-5", "amount": 2491}, "refundable", *last)
    return "EUR", 11940 - 9450


def tuesday_invoice(shop):
    """Yen have no minor unit. The goods are shipped before they are paid."""
    a = Account(shop, "Tuesday: an invoice, JPY")
    order = {"currency": "JPY", "items": [item("brush", 2, 1200), item("ink", 1, 3400)], "ship_unpaid": True}
    a.create("checkout", order, "pending unpaid unfulfilled", 5800, 0, 0, 5800, "2 0 0 0 0", "1 0 0 0 0")
    parcel = {"carrier": "Yamato", "tracking_number": "4000"}
    a.refused("parcel before confirmation", "order_shipped", parcel, "confirmed",
              "pending unpaid unfulfilled", 5800, 0, 0, 5800, "2 0 0 0 0", "1 0 0 0 0")
    a.event("confirmed", "order_confirmed", None,
            "confirmed unpaid unfulfilled", 5800, 0, 0, 5800, "2 0 0 0 0", "1 0 0 0 0")
    a.event("parcel", "order_shipped", parcel, "shipped unpaid shipped", 5800, 0, 0, 5800, "2 0 2 0 0", "1 0 1 0 0")
    a.event("delivered", "order_delivered", None,
            "delivered unpaid delivered", 5800, 0, 0, 5800, "2 0 2 2 0", "1 0 1 1 0")
    a.event("bank transfer", "order_paid", {"payment_id": "transfer-1", "amount": 5800},
            "delivered paid delivered", 5800, 5800, 0, 0, "2 0 2 2 0", "1 0 1 1 0")
    return "JPY", 5800


def wednesday_authorizations(shop):
    """A dinar has three decimals. An authorization ends unused, and another is captured in two parts."""
    a = Account(shop, "Wednesday: a pearl, KWD")
    order = {"currency": "KWD", "items": [item("pearl", 4, 1250)], "adjustments": [adjustment("shipping", 750)]}
    a.create("checkout", order, "pending unpaid unfulfilled", 5750, 0, 0, 5750, "4 0 0 0 0")
    a.event("authorized", "order_payment_authorized", {"payment_id": "knet-1", "amount": 5750},
            "pending authorized unfulfilled", 5750, 0, 0, 5750, "4 0 0 0 0")
    a.event("voided", "order_payment_voided", {"payment_id": "knet-1"},
            "pending unpaid unfulfilled", 5750, 0, 0, 5750, "4 0 0 0 0")
    a.event("authorized again", "order_payment_authorized", {"payment_id": "knet-2", "amount": 5750},
            "pending authorized unfulfilled", 5750, 0, 0, 5750, "4 0 0 0 0")
    a.event("confirmed", "order_confirmed", None, "confirmed authorized unfulfilled", 5750, 0, 0, 5750, "4 0 0 0 0")
    a.event("first capture", "order_paid", {"payment_id": "knet-2", "amount": 5000},
            "confirmed partially_paid unfulfilled", 5750, 5000, 0, 750, "4 0 0 0 0")
    a.event("parcel", "order_shipped", {"carrier": "Aramex", "tracking_number": "77"},
            "shipped partially_paid shipped", 5750, 5000, 0, 750, "4 0 4 0 0")
    a.event("second capture", "order_paid", {"payment_id": "knet-2", "amount": 750},
            "shipped paid shipped", 5750, 5750, 0, 0, "4 0 4 0 0")
    a.event("delivered", "order_delivered", None, "delivered paid delivered", 5750, 5750, 0, 0, "4 0 4 4 0")
    return "KWD", 5750


def thursday_sample(shop):
    """A free sample costs nothing, so nothing is due."""
    a = Account(shop, "Thursday: a free sample, EUR")
    a.create("checkout", {"currency": "EUR", "items": [item("sample", 1, 0)]},
             "pending paid unfulfilled", 0, 0, 0, 0, "1 0 0 0 0")
    a.event("confirmed", "order_confirmed", None, "confirmed paid unfulfilled", 0, 0, 0, 0, "1 0 0 0 0")
    a.event("letter", "order_shipped", {"carrier": "Post", "tracking_number": "1"}, "shipped paid shipped", 0, 0, 0, 0, "1 0 1 0 0")
    a.event("delivered", "order_delivered", None, "delivered paid delivered", 0, 0, 0, 0, "1 0 1 1 0")
    return "EUR", 0


def friday_wholesale(shop):
    """500 lines of 0.10, 0.20, 0.30 … euros: 12,525.00 together."""
    a = Account(shop, "Friday: 500 lines, EUR")
    lines = [item(f"line-{n}", 1, 10 * n) for n in range(1, 501)]
    a.create("checkout", {"currency": "EUR", "items": lines},
             "pending unpaid unfulfilled", 1252500, 0, 0, 1252500, *["1 0 0 0 0"] * 500)
    a.event("paid", "order_paid", {"payment_id": "wire-1", "amount": 1252500},
            "pending paid unfulfilled", 1252500, 1252500, 0, 0, *["1 0 0 0 0"] * 500)
    a.event("confirmed", "order_confirmed", None,
            "paid paid unfulfilled", 1252500, 1252500, 0, 0, *["1 0 0 0 0"] * 500)
    half = {"carrier": "Truck", "tracking_number": "K-1", "shipment_id": "half"}
    half["items"] = some(**{f"line-{n}": 1 for n in range(1, 251)})
    a.event("half of the lines leave", "order_shipped", half, "partially_shipped paid partially_shipped",
            1252500, 1252500, 0, 0, *["1 0 1 0 0"] * 250, *["1 0 0 0 0"] * 250)
    gone = {"reason": "Sold out.", "items": some(**{"line-500": 1})}
    a.event("the last line is cancelled", "order_cancelled", gone, "partially_shipped overpaid partially_shipped",
            1247500, 1252500, 0, -5000, *["1 0 1 0 0"] * 250, *["1 0 0 0 0"] * 249, "1 1 0 0 0")
    a.event("the rest leaves", "order_shipped", {"carrier": "Truck", "tracking_number": "K-2"}, "shipped overpaid shipped",
            1247500, 1252500, 0, -5000, *["1 0 1 0 0"] * 499, "1 1 0 0 0")
    a.event("it is refunded", "order_refunded", {"refund_id": "refund-1", "amount": 5000},
            "shipped partially_refunded shipped", 1247500, 1252500, 5000, 0, *["1 0 1 0 0"] * 499, "1 1 0 0 0")
    a.event("both trucks arrive", "order_delivered", None, "delivered partially_refunded delivered",
            1247500, 1252500, 5000, 0, *["1 0 1 1 0"] * 499, "1 1 0 0 0")
    return "EUR", 1247500


def saturday_mistakes(shop):
    """A customer pays too much, changes their mind, and gets everything back."""
    a = Account(shop, "Saturday: too much, EUR")
    a.create("checkout", {"currency": "EUR", "items": [item("lamp", 1, 1000)]},
             "pending unpaid unfulfilled", 1000, 0, 0, 1000, "1 0 0 0 0")
    a.event("11 euros for 10", "order_paid", {"payment_id": "transfer-1", "amount": 1100},
            "pending overpaid unfulfilled", 1000, 1100, 0, -100, "1 0 0 0 0")
    a.event("confirmed", "order_confirmed", None, "paid overpaid unfulfilled", 1000, 1100, 0, -100, "1 0 0 0 0")
    a.event("refund of the euro", "order_refunded", {"refund_id": "refund-1", "amount": 100},
            "paid partially_refunded unfulfilled", 1000, 1100, 100, 0, "1 0 0 0 0")
    a.event("cancelled", "order_cancelled", {"reason": "They changed their mind."},
            "cancelled partially_refunded unfulfilled", 0, 1100, 100, -1000, "1 1 0 0 0")
    a.event("refund of the rest", "order_refunded", {"refund_id": "refund-2", "amount": 1000},
            "refunded refunded unfulfilled", 0, 1100, 1100, 0, "1 1 0 0 0")
    return "EUR", 0


def sunday_forgotten_cart(shop):
    """Nobody pays, so the service cancels the order. The payment comes too late, and is owed back."""
    a = Account(shop, "Sunday: a forgotten cart, EUR")
    soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=5)
    order = {"currency": "EUR", "items": [item("candle", 2, 700)], "expires_at": soon.isoformat()}
    a.create("checkout, to be paid in 5 seconds", order, "pending unpaid unfulfilled", 1400, 0, 0, 1400, "2 0 0 0 0")
    a.expires("the service cancels it", "cancelled unpaid unfulfilled", 0, 0, 0, 0, "2 2 0 0 0")
    a.event("the payment comes", "order_paid", {"payment_id": "card-1", "amount": 1400},
            "cancelled overpaid unfulfilled", 0, 1400, 0, -1400, "2 2 0 0 0")
    a.event("it goes back", "order_refunded", {"refund_id": "refund-1", "amount": 1400},
            "refunded refunded unfulfilled", 0, 1400, 1400, 0, "2 2 0 0 0")
    return "EUR", 0


WEEK = [monday_family, tuesday_invoice, wednesday_authorizations, thursday_sample, friday_wholesale, saturday_mistakes]


def main():
    parser = argparse.ArgumentParser(description="Runs a week of a shop against the service, and checks its books.")
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--token-file", type=argparse.FileType())
    parser.add_argument("--expiry", action="store_true", help="the service cancels unpaid orders, so check that too")
    arguments = parser.parse_args()
    shop = Shop(arguments.url, arguments.token_file and arguments.token_file.read().strip())
    kept = {}
    try:
        for day in WEEK + ([sunday_forgotten_cart] if arguments.expiry else []):
            currency, amount = day(shop)
            kept[currency] = kept.get(currency, 0) + amount
    except Difference as difference:
        sys.exit(f"\nDIFFERENCE: {difference}")
    print("\nkept at the end of the week: " + ", ".join(f"{amount} {currency}" for currency, amount in sorted(kept.items())))
    print("the service's books agree with ours after every step")


if __name__ == "__main__":
    main()
