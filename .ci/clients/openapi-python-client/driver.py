"""Places, pays and reads orders with the client that openapi-python-client generates: driver.py URL"""

import sys

from orders_client import Client
from orders_client.api.orders import (
    create_order, create_orders, get_order, get_receipt, list_events, list_orders, propose_event,
    read_feed,
)
from orders_client.models import (
    CreateOrder, CreateOrders, Line, Order, OrderConfirmed, OrderConfirmedType, OrderPaid, OrderPaidType, OrderShipped,
    OrderShippedType, PaidData, Problem, Receipt, RecordedOrderConfirmed, RecordedOrderCreated, RecordedOrderPaid,
    ShippedData,
)

WAIT = "wait=20"
client = Client(base_url=sys.argv[1])


def order(**members):
    line = Line(sku="tea", quantity=2, unit_price=450)
    return CreateOrder(customer_id="openapi-python-client", currency="EUR", items=[line], **members)


def propose(order_id, event):
    return propose_event.sync(order_id, client=client, body=event, prefer=WAIT)


accepted = create_order.sync(client=client, body=order())
assert isinstance(accepted, Receipt), accepted
receipt = get_receipt.sync(accepted.order_id, accepted.event_id, client=client, prefer=WAIT)
assert receipt.state == "recorded", receipt

placed = create_order.sync(client=client, body=order(), prefer=WAIT)
assert isinstance(placed, Order), placed
id = placed.order_id
shipped = OrderShipped(
    type_=OrderShippedType.ORDER_SHIPPED, data=ShippedData(carrier="DHL", tracking_number="1")
)
problem = propose(id, shipped)
assert isinstance(problem, Problem), problem
assert (problem.status, problem.type_) == (409, "/problems/illegal-transition"), problem

propose(id, OrderConfirmed(type_=OrderConfirmedType.ORDER_CONFIRMED))
paid = propose(id, OrderPaid(type_=OrderPaidType.ORDER_PAID, data=PaidData(payment_id="p-1", amount=900)))
assert isinstance(paid, Order) and (paid.status, paid.version, paid.total) == ("paid", 3, 900), paid

assert get_order.sync(id, client=client) == paid
listed = list_orders.sync(client=client, customer_id="openapi-python-client").items
assert len(listed) >= 2 and id in [order.order_id for order in listed], listed

events = list_events.sync(id, client=client).items
assert [type(event) for event in events] == [RecordedOrderCreated, RecordedOrderConfirmed, RecordedOrderPaid], events
assert (events[0].data.total, events[2].data.payment_id) == (900, "p-1"), events

page = read_feed.sync(client=client, types=["order_paid"], limit=1000)
assert id in [event.data.order_id for event in page.items] and page.items[-1].cursor and page.next_cursor, page

good, bad = create_orders.sync(client=client, body=CreateOrders(orders=[order(), order(total=1)])).items
assert (good.status, bad.status) == (202, 422) and good.receipt and bad.problem, (good, bad)

problem = create_order.sync(client=client, body=order(total=1))
assert isinstance(problem, Problem), problem
assert (problem.status, problem.errors[0].pointer) == (422, "/total"), problem
print(f"Python (openapi-python-client): order {id} was placed, paid and read")
