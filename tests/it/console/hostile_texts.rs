//! Tests that no text of a client can become markup or change how the text around it is read, on the pages of orders and of the
//! pipeline.

use serde_json::{Value, json};

use super::Shop;

/// Markup that runs a script, and characters that reverse the text around them. The number makes each text unique.
fn hostile(number: u32) -> String {
    format!("<img src=x onerror=hit()>{number}\u{202e}evil\u{2066}'\"&amp;")
}

/// An order with a hostile text in every member that takes one. Each text fits its limit of 64 characters.
fn order() -> Value {
    let [customer, reference, sku, name, line, adjustment, label, person, phone] =
        [1, 2, 3, 4, 5, 6, 7, 8, 9].map(hostile);
    let short = |text: &str| text.chars().take(40).collect::<String>();
    let address = json!({ "name": hostile(10), "company": hostile(11), "line1": hostile(12), "line2": hostile(13),
        "city": hostile(14), "region": hostile(15), "postal_code": "\u{202e}<b>1</b>", "country": "DE" });
    json!({
        "customer_id": customer, "currency": "EUR", "reference": reference,
        "items": [{ "line_id": line, "sku": sku, "name": name, "quantity": 3, "unit_price": 100 }],
        "adjustments": [{ "adjustment_id": adjustment, "kind": "other", "amount": 1, "label": label, "line_id": line }],
        "contact": { "name": person, "phone": short(&phone), "shipping_address": address, "billing_address": address },
        "notes": hostile(16), "metadata": { short(&hostile(17)): hostile(18) },
    })
}

/// Events with a hostile text in every member that takes one.
fn events() -> Vec<Value> {
    let line = hostile(5);
    let one = json!([{ "line_id": line, "quantity": 1 }]);
    let event = |kind: &str, data: Value| json!({ "type": kind, "data": data });
    vec![
        event("order_held", json!({ "hold": hostile(20), "reason": hostile(21) })),
        event("order_released", json!({ "hold": hostile(20), "reason": hostile(22) })),
        event("order_held", json!({ "hold": hostile(23), "reason": hostile(24) })),
        event("order_released", json!({ "hold": hostile(23) })),
        json!({ "type": "order_confirmed" }),
        event(
            "order_payment_authorized",
            json!({ "payment_id": hostile(25), "amount": 301, "method": hostile(26) }),
        ),
        event("order_paid", json!({ "payment_id": hostile(25), "amount": 301 })),
        event(
            "order_shipped",
            json!({ "carrier": hostile(27), "tracking_number": hostile(28), "shipment_id": hostile(29), "items": one }),
        ),
        event("order_delivered", json!({ "shipment_id": hostile(29) })),
        event(
            "order_return_requested",
            json!({ "reason": hostile(30), "return_id": hostile(31), "items": one }),
        ),
        event(
            "order_refunded",
            json!({ "refund_id": hostile(32), "amount": 100, "reason": hostile(33), "payment_id": hostile(25) }),
        ),
        event("order_held", json!({ "hold": hostile(34), "reason": hostile(35) })),
    ]
}

/// What is wrong with the texts of a page: a script of a text has run, a text became an element, or a character that reverses texts
/// is among the texts.
const WRONG: &str = r#"(() => {
    const texts = [document.title, document.body.innerText];
    for (const element of document.querySelectorAll("*")) {
      for (const { name, value } of element.attributes) if (["title", "aria-label", "alt", "aria-valuetext"].includes(name)) texts.push(value);
    }
    return [
      ...(window.hits ? [`${window.hits} scripts have run`] : []),
      ...[...document.querySelectorAll("img[src=x], main b")].map((element) => element.outerHTML),
      ...texts.filter((text) => /[\u202a-\u202e\u2066-\u2069]/.test(text)),
    ];
})()"#;

#[tokio::test(flavor = "multi_thread")]
async fn no_text_of_a_client_becomes_markup_or_reverses_others() {
    let shop = Shop::start(&["--webhooks-allow-private"]);
    let id = shop.create(&order()).await;
    for event in events() {
        shop.record(&id, &event).await;
    }
    let webhook = json!({ "url": "http://127.0.0.1:9/", "description": hostile(40) });
    let created = shop.service.ask(reqwest::Method::POST, "/v1/webhooks", &[], Some(&webhook)).await;
    assert_eq!(created.status, 201, "{:?}", created.body);
    // The first delivery fails, so the page of the pipeline names the subscription.
    shop.record(&id, &json!({ "type": "order_annotated", "data": { "notes": hostile(41) } })).await;

    let page = shop.open("/orders").await;
    page.eval("window.hit = () => { window.hits = (window.hits ?? 0) + 1; }").await;
    let check = async |place: &str| assert_eq!(page.eval(WRONG).await, json!([]), "{place}");
    let shows = async |number: u32| page.sees(&format!("{number}U+202Eevil")).await;
    shows(2).await;
    check("the list").await;
    page.click("tbody .main a").await;
    for number in [1, 2, 3, 4, 5, 7, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 18, 41] {
        shows(number).await;
    }
    page.click("button >> Show contact").await;
    for number in 8..=15 {
        shows(number).await;
    }
    check("the order").await;
    for version in [1, 2, 3, 14] {
        page.click(&format!("button >> What changed in version {version}")).await;
    }
    shows(20).await;
    check("its history").await;
    page.click(".choices button >> Released").await;
    page.sees("Propose released").await;
    check("a form").await;
    page.go(&shop.console("/")).await;
    shows(40).await;
    check("the pipeline").await;
    page.assert_faultless();
}
