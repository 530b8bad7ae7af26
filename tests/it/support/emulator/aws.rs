//! Calls AWS APIs without an SDK, because only the adapters use the SDK.

use std::fmt;
use std::path::PathBuf;

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;

pub const REGION: &str = "us-east-1";
/// The emulator reads only the region and the service from a signature, and does not check the secret.
pub const ACCESS_KEY: &str = "test";
pub const SECRET_KEY: &str = "test";

/// Access to AWS at an endpoint. Calls panic if they fail, except those whose name begins with `try_`.
pub struct Aws {
    pub endpoint: String,
    /// The log of the server.
    pub log: PathBuf,
}

/// An error answer.
#[derive(Debug)]
pub struct Refused {
    pub status: StatusCode,
    /// The error code, which is the last part of `__type`.
    pub code: String,
    pub answer: Value,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.answer)
    }
}

impl Aws {
    pub async fn sqs(&self, action: &str, input: &Value) -> Value {
        self.expect(action, self.try_sqs(action, input).await)
    }

    pub async fn try_sqs(&self, action: &str, input: &Value) -> Result<Value, Refused> {
        self.json("sqs", "application/x-amz-json-1.0", &format!("AmazonSQS.{action}"), input).await
    }

    pub async fn dynamodb(&self, action: &str, input: &Value) -> Value {
        self.expect(action, self.try_dynamodb(action, input).await)
    }

    pub async fn try_dynamodb(&self, action: &str, input: &Value) -> Result<Value, Refused> {
        let target = format!("DynamoDB_20120810.{action}");
        self.json("dynamodb", "application/x-amz-json-1.0", &target, input).await
    }

    /// Calls the API of DynamoDB Streams.
    pub async fn streams(&self, action: &str, input: &Value) -> Value {
        let target = format!("DynamoDBStreams_20120810.{action}");
        let answer = self.json("dynamodb", "application/x-amz-json-1.0", &target, input).await;
        self.expect(action, answer)
    }

    pub async fn try_logs(&self, action: &str, input: &Value) -> Result<Value, Refused> {
        self.json("logs", "application/x-amz-json-1.1", &format!("Logs_20140328.{action}"), input).await
    }

    /// Calls Lambda. `path` follows the version of the API, as in `/functions`.
    pub async fn lambda(&self, method: Method, path: &str, input: &Value) -> Value {
        self.rest("lambda", method, &format!("/2015-03-31{path}"), input).await
    }

    /// Calls API Gateway. `path` follows the version of the API, as in `/apis`.
    pub async fn apigateway(&self, method: Method, path: &str, input: &Value) -> Value {
        self.rest("apigateway", method, &format!("/v2{path}"), input).await
    }

    pub async fn create_bucket(&self, name: &str) {
        self.rest("s3", Method::PUT, &format!("/{name}"), &Value::Null).await;
    }

    pub async fn object_keys(&self, bucket: &str) -> Vec<String> {
        let list = self.rest("s3", Method::GET, &format!("/{bucket}?list-type=2"), &Value::Null).await;
        let xml = list.as_str().unwrap();
        xml.split("<Key>").skip(1).map(|rest| rest.split("</Key>").next().unwrap().to_owned()).collect()
    }

    /// The object under the given key in a bucket, as JSON.
    pub async fn object(&self, bucket: &str, key: &str) -> Value {
        self.rest("s3", Method::GET, &format!("/{bucket}/{key}"), &Value::Null).await
    }

    /// Creates a topic and a queue that is subscribed to it. Returns the topic's ARN and the queue's URL.
    pub async fn create_topic(&self, name: &str) -> (String, String) {
        let topic = self.sns(&[("Action", "CreateTopic"), ("Name", name)]).await;
        let topic = topic.split("<TopicArn>").nth(1).unwrap().split('<').next().unwrap().to_owned();
        let queue = self.create_queue(name, &serde_json::Map::new()).await;
        let arn = self.queue_arn(&queue).await;
        self.sns(&[("Action", "Subscribe"), ("TopicArn", &topic), ("Protocol", "sqs"), ("Endpoint", &arn)])
            .await;
        (topic, queue)
    }

    /// Creates a FIFO topic. Returns its ARN.
    pub async fn create_fifo_topic(&self, name: &str) -> String {
        let fifo = [("Attributes.entry.1.key", "FifoTopic"), ("Attributes.entry.1.value", "true")];
        let form = [("Action", "CreateTopic"), ("Name", name)];
        let topic = self.sns(&[form, fifo].concat()).await;
        topic.split("<TopicArn>").nth(1).unwrap().split('<').next().unwrap().to_owned()
    }

    /// Subscribes a queue to a topic, with the given attributes of the subscription.
    pub async fn subscribe(&self, topic: &str, queue: &str, attributes: &[(&str, &str)]) {
        let arn = self.queue_arn(queue).await;
        let entry = |(place, (name, value)): (usize, &(&str, &str))| {
            let of = |part: &str| format!("Attributes.entry.{}.{part}", place + 1);
            [(of("key"), (*name).to_owned()), (of("value"), (*value).to_owned())]
        };
        let attributes: Vec<_> = attributes.iter().enumerate().flat_map(entry).collect();
        let mut form = vec![
            ("Action", "Subscribe"),
            ("TopicArn", topic),
            ("Protocol", "sqs"),
            ("Endpoint", arn.as_str()),
        ];
        form.extend(attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        self.sns(&form).await;
    }

    /// Calls EventBridge.
    pub async fn events(&self, action: &str, input: &Value) -> Value {
        let target = format!("AWSEvents.{action}");
        let answer = self.json("events", "application/x-amz-json-1.1", &target, input).await;
        self.expect(action, answer)
    }

    /// Calls SNS, which accepts forms and answers with XML.
    async fn sns(&self, form: &[(&str, &str)]) -> String {
        let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
        let fields: Vec<_> = form.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        let request = self.request(Method::POST, "sns", "/");
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = answer(request.body(format!("{}&Version=2010-03-31", fields.join("&")))).await;
        self.expect("SNS", answer).as_str().unwrap().to_owned()
    }

    async fn json(
        &self,
        service: &str,
        content: &str,
        target: &str,
        input: &Value,
    ) -> Result<Value, Refused> {
        let request = self.request(Method::POST, service, "/").header("content-type", content);
        answer(request.header("x-amz-target", target).body(input.to_string())).await
    }

    async fn rest(&self, service: &str, method: Method, path: &str, input: &Value) -> Value {
        let mut request = self.request(method, service, path);
        if !input.is_null() {
            request = request.header("content-type", "application/json").body(input.to_string());
        }
        self.expect(path, answer(request).await)
    }

    fn expect(&self, call: &str, answer: Result<Value, Refused>) -> Value {
        answer.unwrap_or_else(|refused| panic!("{call}: {refused}\nsee {}", self.log.display()))
    }

    fn request(&self, method: Method, service: &str, path: &str) -> RequestBuilder {
        let scope = format!("{ACCESS_KEY}/20260101/{REGION}/{service}/aws4_request");
        let signature = format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0");
        // Each call uses a new client, because the connections of a shared client would end with the runtime of the
        // test that opened them.
        crate::support::http::client()
            .request(method, format!("{}{path}", self.endpoint))
            .header("authorization", signature)
    }
}

async fn answer(request: RequestBuilder) -> Result<Value, Refused> {
    let response = request.send().await.unwrap();
    let (status, text) = (response.status(), response.text().await.unwrap());
    let answer: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
    if status.is_success() {
        return Ok(answer);
    }
    let kind = answer["__type"].as_str().unwrap_or_default();
    Err(Refused { status, code: kind.rsplit('#').next().unwrap_or_default().to_owned(), answer })
}
