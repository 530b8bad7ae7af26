//! Tests API Gateway events, from the event's JSON through the router to the JSON of the answer.
//!
//! The name of a fixture consists of the kind of API, the payload format, the stage or domain, and the request.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lambda_http::Context;
use lambda_http::lambda_runtime::LambdaEvent;
use serde_json::value::to_raw_value;
use serde_json::{Value, json};

use crate::fakes::{FakePorts, QueueBehaviour, created, router};

macro_rules! fixture {
    ($name:literal) => {
        serde_json::from_str::<Value>(include_str!(concat!("../fixtures/apigw/", $name, ".json"))).unwrap()
    };
}

/// The trace id of the Lambda context. It takes precedence over the gateway's header.
const XRAY: &str = "Root=1-6924d1c8-0f4e2a9b5c7d8e1f2a3b4c5d;Parent=53995c3f42cd8ad8;Sampled=1";

/// An event that only keeps the function warm. The function answers it without the router.
pub(crate) const PING: &str = r#"{"ping":true}"#;

/// Invokes the function with the time `left` until its timeout. Returns the JSON that API Gateway receives.
async fn invoke_with(fake: &Arc<FakePorts>, event: &Value, left: Duration) -> Value {
    let mut context = Context::default();
    let deadline = SystemTime::now() + left;
    context.deadline = deadline.duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap();
    context.request_id = "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned();
    context.xray_trace_id = Some(XRAY.to_owned());
    let event = LambdaEvent::new(to_raw_value(event).unwrap(), context);
    let answer = api::lambda::answer(router(fake), event, |event| event == PING).await.unwrap();
    serde_json::to_value(answer).unwrap()
}

pub(crate) async fn invoke(fake: &Arc<FakePorts>, event: &Value) -> Value {
    invoke_with(fake, event, Duration::from_secs(29)).await
}

/// A header of the answer. It is a string in payload format 2.0, and a list of strings in 1.0.
pub(crate) fn header<'a>(answer: &'a Value, name: &str) -> &'a str {
    let value = &answer["headers"][name];
    value.as_str().or_else(|| answer["multiValueHeaders"][name][0].as_str()).unwrap_or_default()
}

/// The body, which must be text.
#[track_caller]
pub(crate) fn body(answer: &Value) -> Value {
    assert_eq!(answer["isBase64Encoded"], false, "{answer}");
    serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
}

#[track_caller]
fn is_problem(answer: &Value, status: u16, problem: &str) {
    assert_eq!(header(answer, "content-type"), "application/problem+json", "{answer}");
    let body = body(answer);
    assert_eq!((&answer["statusCode"], &body["type"]), (&json!(status), &json!(problem)), "{body}");
    assert_eq!(body["correlation_id"], header(answer, "x-correlation-id"));
}

/// Asserts that the event is accepted and that the links of its receipt start with `base`. Returns the published
/// envelope.
async fn is_accepted(event: &Value, base: &str) -> Value {
    let fake = Arc::new(FakePorts::default());
    let answer = invoke(&fake, event).await;
    assert_eq!(answer["statusCode"], 202, "{answer}");
    assert_eq!(header(&answer, "content-type"), "application/json");

    let published = fake.published();
    let [envelope] = published.as_slice() else { panic!("{published:?}") };
    assert_eq!(header(&answer, "x-correlation-id"), envelope.correlation_id.as_str());
    let order = format!("{base}/v1/orders/{}", envelope.order_id);
    let receipt = format!("{order}/events/{}", envelope.event_id);
    assert_eq!(header(&answer, "location"), receipt);
    assert_eq!(body(&answer)["links"], json!({ "self": receipt, "order": order }));
    assert_eq!(fake.trace.lock().unwrap().as_ref().unwrap().xray.as_deref(), Some(XRAY));
    serde_json::from_slice(&envelope.encode()).unwrap()
}

#[tokio::test]
async fn an_http_api_accepts_an_order() {
    let published = is_accepted(&fixture!("http-v2-default-post"), "").await;
    assert_eq!(published["correlation_id"], "checkout-17");
    assert_eq!(published["data"]["metadata"], json!({ "note": "Grüße" }));
}

#[tokio::test]
async fn an_http_api_with_a_stage_accepts_an_order_in_base64() {
    let published = is_accepted(&fixture!("http-v2-prod-post-base64"), "/prod").await;
    assert_eq!(published["data"]["metadata"], json!({ "note": "Grüße" }));
}

#[tokio::test]
async fn an_http_api_with_a_custom_domain_accepts_an_event() {
    let published = is_accepted(&fixture!("http-v2-custom-domain-post"), "").await;
    assert_eq!(published["data"]["order_id"], "article_7");
}

#[tokio::test]
async fn a_rest_api_accepts_an_order() {
    let published = is_accepted(&fixture!("rest-v1-prod-post"), "/prod").await;
    assert_eq!(published["data"]["metadata"], json!({ "note": "Grüße" }));
}

#[tokio::test]
async fn a_rest_api_accepts_an_event_in_base64() {
    let published = is_accepted(&fixture!("rest-v1-prod-post-base64"), "/prod").await;
    assert_eq!((&published["type"], &published["data"]["amount"]), (&json!("order_paid"), &json!(1600)));
}

#[tokio::test]
async fn a_rest_api_with_a_custom_domain_accepts_an_order() {
    is_accepted(&fixture!("rest-v1-custom-domain-post"), "/shop").await;
}

#[tokio::test]
async fn a_list_is_selected_by_its_query() {
    let fake = Arc::new(FakePorts {
        log: vec![created("o-1", "c/1 & co"), created("o-2", "c/1 & co")],
        ..FakePorts::default()
    });
    for (event, base) in
        [(fixture!("http-v2-default-get-query"), ""), (fixture!("rest-v1-prod-get-query"), "/prod")]
    {
        let answer = invoke(&fake, &event).await;
        assert_eq!(answer["statusCode"], 200, "{answer}");
        let page = body(&answer);
        assert_eq!(page["items"].as_array().unwrap().len(), 1, "{page}");
        assert_eq!(page["items"][0]["links"]["self"], format!("{base}/v1/orders/o-2"));
        assert!(page["next_cursor"].is_string());
    }
}

#[tokio::test]
async fn errors_are_problems() {
    let fake = Arc::new(FakePorts::default());
    for mut event in [fixture!("http-v2-default-post"), fixture!("rest-v1-prod-post")] {
        event["body"] = json!("{\"customer_id\": ");
        is_problem(&invoke(&fake, &event).await, 400, "/problems/invalid-json");
        event["body"] = Value::Null;
        is_problem(&invoke(&fake, &event).await, 400, "/problems/invalid-json");
        event["body"] = json!("{}");
        is_problem(&invoke(&fake, &event).await, 422, "/problems/invalid-request");
        for path in ["/rawPath", "/path", "/requestContext/path"] {
            if let Some(path) = event.pointer_mut(path) {
                *path = path.as_str().unwrap().replace("orders", "nothing").into();
            }
        }
        is_problem(&invoke(&fake, &event).await, 404, "/problems/not-found");
    }
    assert!(fake.published().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_slow_request_is_answered_before_the_function_times_out() {
    let fake = Arc::new(FakePorts { queue: QueueBehaviour::Hangs, ..FakePorts::default() });
    for (event, base) in [(fixture!("http-v2-default-post"), ""), (fixture!("rest-v1-prod-post"), "/prod")] {
        for left in [29_000, 499, 0].map(Duration::from_millis) {
            let answer = invoke_with(&fake, &event, left).await;
            is_problem(&answer, 503, "/problems/outcome-unknown");
            let receipt = body(&answer)["links"]["receipt"].as_str().unwrap().to_owned();
            assert!(receipt.starts_with(&format!("{base}/v1/orders/")), "{receipt}");
        }
    }
}

/// An HTTP API event with the given route and path. `parameters` are the path parameters that API Gateway
/// fills in.
fn http(route: &str, path: &str, parameters: Value, stage: &str, domain: &str) -> Value {
    let mut event = fixture!("http-v2-default-get-query");
    event["routeKey"] = route.into();
    event["rawPath"] = path.into();
    event["pathParameters"] = parameters;
    let context = &mut event["requestContext"];
    (context["routeKey"], context["stage"]) = (route.into(), stage.into());
    context["http"]["path"] = path.into();
    context["domainPrefix"] = domain.into();
    event
}

/// A REST API event with the given resource. `paths` are the paths of the event and of its context.
fn rest(resource: &str, paths: (&str, &str), parameters: Value, stage: &str) -> Value {
    let mut event = fixture!("rest-v1-prod-get-query");
    event["resource"] = resource.into();
    event["path"] = paths.0.into();
    event["pathParameters"] = parameters;
    let context = &mut event["requestContext"];
    (context["resourcePath"], context["path"], context["stage"]) =
        (resource.into(), paths.1.into(), stage.into());
    event
}

#[tokio::test]
async fn a_path_is_found_under_any_stage_or_mapping() {
    const GATEWAY: &str = "a1b2c3d4e5";
    let proxy = |path: &str| json!({ "proxy": path });
    let any = "ANY /{proxy+}";
    let table = [
        // The stage is called `v1`, like the first segment of the API's own paths.
        (http(any, "/v1/v1/orders/o-1", proxy("v1/orders/o-1"), "v1", GATEWAY), "/v1/v1/orders/o-1"),
        (
            rest("/{proxy+}", ("/v1/orders/o-1", "/v1/v1/orders/o-1"), proxy("v1/orders/o-1"), "v1"),
            "/v1/v1/orders/o-1",
        ),
        (http(any, "/v1/orders/o-1", proxy("v1/orders/o-1"), "$default", GATEWAY), "/v1/orders/o-1"),
        // The stage is called `v`, which is only a prefix of the segment `v1`.
        (http("$default", "/v1/orders/o-1", Value::Null, "v", GATEWAY), "/v1/orders/o-1"),
        (http("$default", "/prod/v1/orders/o-1", Value::Null, "prod", GATEWAY), "/prod/v1/orders/o-1"),
        (http("$default", "/prod/v1/orders/o-1", Value::Null, "prod", "api"), "/v1/orders/o-1"),
        // Some gateways put the key of the API mapping, here `shop`, in front of the path.
        (http(any, "/shop/v1/orders/o-1", proxy("v1/orders/o-1"), "prod", "api"), "/shop/v1/orders/o-1"),
        // These events come from an HTTP API with payload format 1.0.
        (
            rest("$default", ("/prod/v1/orders/o-1", "/prod/v1/orders/o-1"), Value::Null, "prod"),
            "/prod/v1/orders/o-1",
        ),
        (
            rest(
                "/v1/orders/{id}",
                ("/a/b/v1/orders/o-1", "/a/b/v1/orders/o-1"),
                json!({ "id": "o-1" }),
                "prod",
            ),
            "/a/b/v1/orders/o-1",
        ),
        (
            rest(
                "/{proxy+}",
                ("/a/prod/v1/orders/o-1", "/a/prod/v1/orders/o-1"),
                proxy("v1/orders/o-1"),
                "prod",
            ),
            "/a/prod/v1/orders/o-1",
        ),
        (
            rest("/{proxy+}", ("/prod/v1/orders/o-1", "/prod/v1/orders/o-1"), proxy("v1/orders/o-1"), "prod"),
            "/prod/v1/orders/o-1",
        ),
        // The test call of the AWS console names a stage that is not in the path.
        (
            rest(
                "/{proxy+}",
                ("/v1/orders/o-1", "/v1/orders/o-1"),
                proxy("v1/orders/o-1"),
                "test-invoke-stage",
            ),
            "/v1/orders/o-1",
        ),
    ];
    let fake = Arc::new(FakePorts::default());
    for (mut event, seen) in table {
        (event["rawQueryString"], event["multiValueQueryStringParameters"]) = (Value::Null, Value::Null);
        event["queryStringParameters"] = Value::Null;
        let answer = invoke(&fake, &event).await;
        // The order does not exist. The `instance` of the problem shows which path the router received.
        is_problem(&answer, 404, "/problems/order-not-found");
        assert_eq!(body(&answer)["instance"], seen, "{event}");
    }
}

#[tokio::test]
async fn an_escaped_path_is_routed() {
    let paths = ("/shop/v1/orders/a%20b%2", "/shop/v1/orders/a%20b%2");
    let event = rest("/{proxy+}", paths, json!({ "proxy": "v1/orders/a b%2" }), "prod");
    let answer = invoke(&Arc::new(FakePorts::default()), &event).await;
    is_problem(&answer, 400, "/problems/invalid-parameter");
}

#[tokio::test]
async fn the_root_under_a_stage_and_foreign_paths_are_answered() {
    let fake = Arc::new(FakePorts::default());
    for event in [
        http("$default", "/prod", Value::Null, "prod", "a1b2c3d4e5"),
        http("$default", "/prod/", Value::Null, "prod", "a1b2c3d4e5"),
        rest("/", ("/", "/prod/"), Value::Null, "prod"),
    ] {
        let answer = invoke(&fake, &event).await;
        assert_eq!(body(&answer)["links"]["openapi"], "/prod/openapi.json", "{event} {answer}");
    }
    let foreign = rest("/{proxy+}", ("/v2", "//evil.example/v2"), json!({ "proxy": "v2" }), "prod");
    let answer = invoke(&fake, &foreign).await;
    is_problem(&answer, 404, "/problems/not-found");
    assert_eq!(body(&answer)["instance"], "/v2");
}

#[tokio::test]
async fn the_documentation_is_served_under_a_stage() {
    let fake = Arc::new(FakePorts::default());
    let event = |path: &str| http("$default", path, Value::Null, "prod", "a1b2c3d4e5");
    assert_eq!(header(&invoke(&fake, &event("/prod/docs")).await, "location"), "/prod/docs/");
    let description = body(&invoke(&fake, &event("/prod/openapi.json")).await);
    assert_eq!(description["servers"], json!([{ "url": "/prod" }]));
    for (path, base64) in
        [("/prod/docs/", false), ("/prod/try/index.css", false), ("/prod/try/favicon-32x32.png", true)]
    {
        let answer = invoke(&fake, &event(path)).await;
        assert_eq!(
            (&answer["statusCode"], &answer["isBase64Encoded"]),
            (&json!(200), &json!(base64)),
            "{path}"
        );
    }
}
