//! Tests the console in a real browser, as people use it: finding an order, walking through its history, changing it, and
//! looking at the pipeline. [`operators`] tests its pages of dead letters and webhooks.

mod hostile_texts;
mod operators;
mod order;
mod orders;
mod pipeline;
mod sign_in;
mod windows;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::browser::Page;
use crate::support::service::Service;

/// A running service with an empty data folder.
struct Shop {
    service: Service,
    _folder: TempDir,
}

impl Shop {
    fn start(arguments: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let service = Service::start(&folder.path().join("data"), arguments);
        Self { service, _folder: folder }
    }

    /// Creates an order, and returns its id.
    async fn create(&self, order: &Value) -> String {
        let receipt = self.service.accept("/v1/orders", order).await;
        assert_eq!(self.service.outcome(&receipt).await["state"], "recorded");
        receipt["order_id"].as_str().unwrap().to_owned()
    }

    /// Proposes an event that is recorded.
    async fn record(&self, order_id: &str, event: &Value) {
        let receipt = self.service.accept(&format!("/v1/orders/{order_id}/events"), event).await;
        assert_eq!(self.service.outcome(&receipt).await["state"], "recorded", "{event}");
    }

    async fn order(&self, order_id: &str) -> Value {
        self.service.get(&format!("/v1/orders/{order_id}")).await.1
    }

    fn console(&self, path: &str) -> String {
        format!("{}/console{path}", self.service.url)
    }

    async fn open(&self, path: &str) -> Page {
        Page::open(&self.console(path)).await
    }
}

/// An order of two units of tea and a mug, for EUR 26.40.
fn tea(reference: &str) -> Value {
    json!({
        "customer_id": "customer-7", "currency": "EUR", "reference": reference,
        "items": [
            { "sku": "TEA", "name": "Green tea", "quantity": 2, "unit_price": 450 },
            { "sku": "MUG", "name": "Blue mug", "quantity": 1, "unit_price": 1250 },
        ],
        "adjustments": [{ "adjustment_id": "shipping", "kind": "shipping", "amount": 490 }],
        "contact": { "name": "Ada Lovelace", "email": "ada@example.com" },
        "notes": "Please ring twice.", "metadata": { "channel": "web" },
    })
}
