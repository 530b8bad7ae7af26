//! Calls to AWS APIs as they are on the wire. Tests have no SDK: it stays inside the adapters.

use std::fmt;
use std::path::PathBuf;

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::Value;

pub const REGION: &str = "us-east-1";
/// The emulator asks nobody for a secret, but reads region and service from a signature.
pub const ACCESS_KEY: &str = "test";
pub const SECRET_KEY: &str = "test";

/// AWS at an endpoint. The calls panic unless they succeed, except those that `try`.
pub struct Aws {
    pub endpoint: String,
    /// What the server there has logged.
    pub log: PathBuf,
}

/// A call that was answered with an error.
#[derive(Debug)]
pub struct Refused {
    pub status: StatusCode,
    /// The last part of `__type`.
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

    pub async fn try_logs(&self, action: &str, input: &Value) -> Result<Value, Refused> {
        self.json("logs", "application/x-amz-json-1.1", &format!("Logs_20140328.{action}"), input).await
    }

    /// `path` comes after the version of the API: `/functions`.
    pub async fn lambda(&self, method: Method, path: &str, input: &Value) -> Value {
        self.rest("lambda", method, &format!("/2015-03-31{path}"), input).await
    }

    /// `path` comes after the version of the API: `/apis`.
    pub async fn apigateway(&self, method: Method, path: &str, input: &Value) -> Value {
        self.rest("apigateway", method, &format!("/v2{path}"), input).await
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
        // A client of its own: connections of a shared one die with the runtime of the test that opened them.
        Client::new().request(method, format!("{}{path}", self.endpoint)).header("authorization", signature)
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
