//! Tests `/v1/fence`, and the answers of a fenced service.

use std::sync::{Arc, Mutex};

use api::auth::{Principal, Scope};
use api::ports::fence::{Fence, FenceStore};
use api::{AppState, WriteGate};
use async_trait::async_trait;
use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use crate::fakes::{Answer, FakePorts, send_to, state};

#[derive(Default)]
struct FakeFence(Mutex<Option<Fence>>);

#[async_trait]
impl FenceStore for FakeFence {
    fn fence(&self) -> anyhow::Result<Option<Fence>> {
        Ok(self.0.lock().unwrap().clone())
    }

    async fn put_fence(&self, fence: Option<&Fence>) -> anyhow::Result<()> {
        *self.0.lock().unwrap() = fence.cloned();
        Ok(())
    }
}

fn app() -> AppState {
    let gate = WriteGate::new(Arc::new(FakeFence::default())).unwrap();
    AppState { write_gate: Some(gate), ..state(&Arc::new(FakePorts::default())) }
}

async fn ask(state: &AppState, method: &str, path: &str, body: Option<&str>) -> Answer {
    let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    let body = body.map_or_else(Body::empty, |body| Body::from(body.to_owned()));
    send_to(api::router(state.clone()), request.body(body).unwrap()).await
}

#[tokio::test]
async fn a_fenced_service_refuses_writes_and_answers_reads() {
    let app = app();
    let open = ask(&app, "GET", "/v1/fence", None).await;
    assert_eq!(open.json(), json!({ "fenced": false, "final": false }));
    let set = ask(&app, "POST", "/v1/fence", Some(r#"{"address":"https://orders.example"}"#)).await;
    assert_eq!((set.status.as_u16(), &set.json()["fenced"]), (200, &json!(true)));
    for (method, path) in [
        ("POST", "/v1/orders"),
        ("POST", "/v1/orders/batch"),
        ("POST", "/v1/orders/o-1/events"),
        ("POST", "/v1/dead-letters/redrive"),
        ("POST", "/v1/webhooks"),
        ("PATCH", "/v1/webhooks/019ab0c2-7d1e-7cc3-98c4-dc0c0c07398f"),
        ("DELETE", "/v1/webhooks/019ab0c2-7d1e-7cc3-98c4-dc0c0c07398f"),
    ] {
        let refused = ask(&app, method, path, Some("{}")).await;
        assert_eq!(
            (refused.status.as_u16(), &refused.json()["type"]),
            (503, &json!("/problems/service-moved"))
        );
        assert_eq!(refused.header("retry-after"), "10");
        assert_eq!(refused.json()["links"]["service"], "https://orders.example");
    }
    for path in ["/healthz", "/readyz", "/v1/orders?customer_id=c-1", "/openapi.json", "/v1/fence"] {
        assert_eq!(ask(&app, "GET", path, None).await.status, 200, "{path}");
    }
    assert_eq!(ask(&app, "DELETE", "/v1/fence", None).await.status, 204);
    assert_ne!(ask(&app, "POST", "/v1/orders", Some("{}")).await.status, 503);
}

#[tokio::test]
async fn a_final_fence_stays() {
    let app = app();
    assert_eq!(ask(&app, "POST", "/v1/fence", Some(r#"{"final":true}"#)).await.status, 200);
    for (method, body) in [("DELETE", None), ("POST", Some("{}"))] {
        let refused = ask(&app, method, "/v1/fence", body).await;
        assert_eq!(
            (refused.status.as_u16(), &refused.json()["type"]),
            (409, &json!("/problems/fence-final"))
        );
    }
    assert_eq!(ask(&app, "POST", "/v1/fence", Some(r#"{"final":true}"#)).await.status, 200);
}

#[tokio::test]
async fn addresses_are_validated_and_only_operators_of_a_folder_may_ask() {
    let app = app();
    for address in ["orders.example", "ftp://orders.example", "https://a:b@orders.example", "https://"] {
        let body = json!({ "address": address }).to_string();
        let refused = ask(&app, "POST", "/v1/fence", Some(&body)).await;
        assert_eq!(refused.status, 422, "{address}");
    }
    let without = state(&Arc::new(FakePorts::default()));
    for (method, body) in [("GET", None), ("POST", Some("{}")), ("DELETE", None)] {
        assert_eq!(ask(&without, method, "/v1/fence", body).await.status, 404);
        let mut request = Request::builder().method(method).uri("/v1/fence");
        request = request.header("content-type", "application/json");
        let mut request = request.body(body.map_or_else(Body::empty, Body::from)).unwrap();
        let scopes = [Scope::Read, Scope::Write].map(|scope| scope.as_str().to_owned());
        let client = Principal { scopes: Some(scopes.into()), ..Principal::anyone() };
        request.extensions_mut().insert(client);
        assert_eq!(send_to(api::router(app.clone()), request).await.status, 403, "{method}");
    }
}
