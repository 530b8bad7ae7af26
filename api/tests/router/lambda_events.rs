//! Tests Lambda events that do not come from API Gateway. Events of load balancers and of function URLs are served, pings are
//! answered, and others are refused.

use std::sync::Arc;

use lambda_http::lambda_runtime::{Context, LambdaEvent};
use serde_json::value::to_raw_value;
use serde_json::{Value, json};

use crate::fakes::{FakePorts, created, router};
use crate::lambda::{PING, body, header, invoke};

const GET: &str = include_str!("../fixtures/alb/get-query.json");
const POST: &str = include_str!("../fixtures/alb/multi-value-post-base64.json");
/// An event of a function URL without authentication by IAM
/// (<https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html>).
const URL_POST: &str = include_str!("../fixtures/url/post.json");

fn event(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

#[tokio::test]
async fn a_load_balancer_gets_a_list() {
    let log = vec![created("o-1", "c/1 & co"), created("o-2", "c/1 & co")];
    let fake = Arc::new(FakePorts { log, ..FakePorts::default() });
    let answer = invoke(&fake, &event(GET)).await;
    assert_eq!((&answer["statusCode"], &answer["statusDescription"]), (&json!(200), &json!("200 OK")));
    assert_eq!(header(&answer, "content-type"), "application/json");
    let page = body(&answer);
    assert_eq!(page["items"].as_array().unwrap().len(), 1, "{page}");
    assert_eq!(page["items"][0]["links"]["self"], "/v1/orders/o-2");
}

#[tokio::test]
async fn a_load_balancer_with_multi_value_headers_places_an_order_in_base64() {
    let fake = Arc::new(FakePorts::default());
    let answer = invoke(&fake, &event(POST)).await;
    assert_eq!(answer["statusCode"], 202, "{answer}");
    // If a load balancer sends multi-value headers, it reads only `multiValueHeaders` of the answer.
    assert_eq!(answer["multiValueHeaders"]["content-type"], json!(["application/json"]));
    let published = fake.published();
    let [envelope] = published.as_slice() else { panic!("{published:?}") };
    assert_eq!(envelope.correlation_id.as_str(), "checkout-17");
    let order = format!("/v1/orders/{}", envelope.order_id);
    assert_eq!(body(&answer)["links"]["order"], order);
}

#[tokio::test]
async fn a_function_url_places_an_order_and_reads_it() {
    let fake = Arc::new(FakePorts::default());
    let answer = invoke(&fake, &event(URL_POST)).await;
    assert_eq!((&answer["statusCode"], &answer["isBase64Encoded"]), (&json!(202), &json!(false)), "{answer}");
    let published = fake.published();
    let [envelope] = published.as_slice() else { panic!("{published:?}") };
    assert_eq!(envelope.correlation_id.as_str(), "checkout-17");
    let order = format!("/v1/orders/{}", envelope.order_id);
    assert_eq!(body(&answer)["links"]["order"], order, "a function URL has no stage in its path");

    let fake = Arc::new(FakePorts { log: vec![created("o-1", "c-1")], ..FakePorts::default() });
    let mut get = event(URL_POST);
    (get["rawPath"], get["body"]) = ("/v1/orders/o-1".into(), Value::Null);
    get["requestContext"]["http"]["method"] = "GET".into();
    let answer = invoke(&fake, &get).await;
    assert_eq!((&answer["statusCode"], &body(&answer)["order_id"]), (&json!(200), &json!("o-1")), "{answer}");
}

#[tokio::test]
async fn a_health_check_of_a_load_balancer_is_answered() {
    let mut check = event(GET);
    (check["path"], check["queryStringParameters"]) = ("/healthz".into(), json!({}));
    check["headers"] = json!({ "user-agent": "ELB-HealthChecker/2.0" });
    assert_eq!(invoke(&Arc::new(FakePorts::default()), &check).await["statusCode"], 200);
}

#[tokio::test]
async fn pings_are_answered() {
    let answer = invoke(&Arc::new(FakePorts::default()), &event(PING)).await;
    assert_eq!(answer, json!({ "statusCode": 200 }));
}

#[tokio::test]
async fn events_that_are_no_http_request_are_refused_with_an_explanation() {
    let lattice =
        json!({ "serviceNetworkArn": "arn:aws:vpc-lattice:eu-central-1:123456789012:servicenetwork/sn-1" });
    for (event, what) in [
        (json!({ "version": "2.0", "path": "/", "method": "GET", "requestContext": lattice }), "VPC Lattice"),
        (
            json!({ "raw_path": "/", "method": "GET", "headers": {}, "is_base64_encoded": false }),
            "VPC Lattice",
        ),
        (json!({ "requestContext": { "connectionId": "c", "eventType": "MESSAGE" } }), "a WebSocket API"),
        (json!({ "Records": [{ "eventSource": "aws:sqs" }] }), "`consumer`"),
        (json!({ "detail": {} }), "none of these"),
        (json!({}), "none of these"),
        (json!([]), "none of these"),
    ] {
        let invocation = LambdaEvent::new(to_raw_value(&event).unwrap(), Context::default());
        let refused =
            api::lambda::answer(router(&Arc::new(FakePorts::default())), invocation, |_| false).await;
        let message = refused.map(|answer| serde_json::to_value(answer).unwrap()).unwrap_err().error_message;
        assert!(message.contains("API Gateway") && message.contains(what), "{event}: {message}");
    }
}
