"""Places, pays and reads orders with the Python client that OpenAPI Generator generates: driver.py URL"""

import sys

import orders_client
from orders_client.models import (
    CreateOrder, CreateOrders, Line, LineQuantity, OrderConfirmed, OrderPaid, OrderRefunded, OrderShipped, PaidData,
    ProposedEvent, Receipt, Order, RecordedOrderConfirmed, RecordedOrderCreated, RecordedOrderPaid, RefundedData, ShippedData,
)

WAIT = "wait=20"
api = orders_client.OrdersApi(orders_client.ApiClient(orders_client.Configuration(host=sys.argv[1])))


def order(**members):
    line = Line(sku="tea", quantity=2, unit_price=450)
    return CreateOrder(customer_id="python", currency="EUR", items=[line], **members)


def propose(order_id, event):
    return api.propose_event(order_id, ProposedEvent(event), prefer=WAIT).actual_instance


def refused(request):
    """Returns the problem of a refused request."""
    try:
        answer = request()
    except orders_client.ApiException as error:
        assert error.status == error.data.status, error
        return error.data
    raise AssertionError(f"a problem was expected: {answer}")


accepted = api.create_order(order()).actual_instance
assert isinstance(accepted, Receipt) and accepted.object == "receipt", accepted
assert api.get_receipt(accepted.order_id, accepted.event_id, prefer=WAIT).state == "recorded"

placed = api.create_order(order(), prefer=WAIT).actual_instance
assert isinstance(placed, Order) and placed.object == "order", placed
id = placed.order_id
shipped = OrderShipped(type="order_shipped", data=ShippedData(carrier="DHL", tracking_number="1"))
problem = refused(lambda: propose(id, shipped))
assert (problem.status, problem.type) == (409, "/problems/illegal-transition"), problem

propose(id, OrderConfirmed(type="order_confirmed"))
paid = propose(id, OrderPaid(type="order_paid", data=PaidData(payment_id="p-1", amount=900)))
assert (paid.status, paid.version, paid.total) == ("paid", 3, 900), paid

assert api.get_order(id) == paid
listed = api.list_orders("python").items
assert len(listed) >= 2 and id in [order.order_id for order in listed], listed

events = [event.actual_instance for event in api.list_events(id).items]
assert [type(event) for event in events] == [RecordedOrderCreated, RecordedOrderConfirmed, RecordedOrderPaid], events
assert (events[0].data.total, events[2].data.payment_id) == (900, "p-1"), events

page = api.read_feed(types=["order_paid"], limit=1000)
paid_events = [item.actual_instance for item in page.items]
assert id in [event.data.order_id for event in paid_events] and paid_events[-1].cursor and page.next_cursor, page

parcel = ShippedData(
    carrier="DHL", tracking_number="1", shipment_id="parcel-1", items=[LineQuantity(line_id="1", quantity=1)],
)
partly = propose(id, OrderShipped(type="order_shipped", data=parcel))
assert (partly.status, partly.items[0].shipped, partly.shipments[0].state) == ("partially_shipped", 1, "shipped"), partly
refund = RefundedData(refund_id="r-1", amount=450, payment_id="p-1")
refunded = propose(id, OrderRefunded(type="order_refunded", data=refund))
assert (refunded.payment_status, refunded.money.refunded) == ("partially_refunded", 450), refunded
problem = refused(lambda: propose(id, OrderRefunded(type="order_refunded", data=RefundedData(refund_id="r-2", amount=451))))
assert (problem.status, problem.violation.guard) == (409, "refundable"), problem

good, bad = api.create_orders(CreateOrders(orders=[order(), order(total=1)])).items
assert (good.status, bad.status) == (202, 422) and good.receipt and bad.problem, (good, bad)

problem = refused(lambda: api.create_order(order(total=1)))
assert (problem.status, problem.errors[0].pointer) == (422, "/total"), problem
print(f"Python (OpenAPI Generator): order {id} was placed, paid and read")
