//! Lambda functions, which the emulator runs as processes. The deployed program polls the Lambda runtime API.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};

use reqwest::Method;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{Aws, python};
use crate::support::eventually::{check, eventually};

/// The timeout of functions, which is longer than any test waits.
const TIMEOUT_SECONDS: u32 = 30;

/// A deployed function.
pub struct Function<'a> {
    aws: &'a Aws,
    pub name: String,
    pub arn: String,
}

/// An HTTP API in front of a function, with its base URLs by stage.
pub struct HttpApi {
    pub default_stage: String,
    pub prod_stage: String,
}

impl<'a> Function<'a> {
    /// Deploys `program` as a function with the given handler. The function uses the emulator, unless
    /// `environment` sets another AWS endpoint.
    pub async fn deploy(aws: &'a Aws, program: &Path, handler: &str, environment: &[(&str, &str)]) -> Self {
        let name = format!("{handler}-{}", Uuid::now_v7().simple());
        let mut variables = Map::from_iter([("AWS_ENDPOINT_URL".to_owned(), json!(aws.endpoint))]);
        variables.extend(environment.iter().map(|(name, value)| ((*name).to_owned(), json!(value))));
        let function = json!({
            "FunctionName": name,
            "Runtime": "provided.al2023",
            "Handler": handler,
            "Role": "arn:aws:iam::000000000000:role/orders",
            "Timeout": TIMEOUT_SECONDS,
            "Environment": { "Variables": variables },
            "Code": { "ZipFile": package(program) },
        });
        let created = aws.lambda(Method::POST, "/functions", &function).await;
        let function = Self { aws, name, arn: created["FunctionArn"].as_str().unwrap().to_owned() };
        let path = format!("/functions/{}/configuration", function.name);
        wait_for(aws, &path, "State", "Active").await;
        function
    }

    /// Maps a queue to the function, in batches of up to `batch_size`.
    pub async fn consume(&self, queue_arn: &str, batch_size: u32) {
        let mapping = json!({
            "FunctionName": self.name,
            "EventSourceArn": queue_arn,
            "BatchSize": batch_size,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
        });
        let mapping = self.aws.lambda(Method::POST, "/event-source-mappings", &mapping).await;
        let path = format!("/event-source-mappings/{}", mapping["UUID"].as_str().unwrap());
        wait_for(self.aws, &path, "State", "Enabled").await;
    }

    /// Invokes the function. Returns the answer, which may be an error.
    pub async fn invoke(&self, event: &Value) -> Value {
        let path = format!("/functions/{}/invocations", self.name);
        self.aws.lambda(Method::POST, &path, event).await
    }

    /// Creates an HTTP API that passes all requests to the function, in payload format 2.0.
    pub async fn http_api(&self) -> HttpApi {
        let post = async |path: &str, input: &Value, id: &str| {
            let made = self.aws.apigateway(Method::POST, path, input).await;
            made[id].as_str().unwrap().to_owned()
        };
        let api = post("/apis", &json!({ "name": self.name, "protocolType": "HTTP" }), "apiId").await;
        let integration = json!({
            "integrationType": "AWS_PROXY", "integrationUri": self.arn, "payloadFormatVersion": "2.0",
        });
        let integration = post(&format!("/apis/{api}/integrations"), &integration, "integrationId").await;
        let route = json!({ "routeKey": "$default", "target": format!("integrations/{integration}") });
        post(&format!("/apis/{api}/routes"), &route, "routeId").await;
        for stage in ["$default", "prod"] {
            let stage = json!({ "stageName": stage, "autoDeploy": true });
            post(&format!("/apis/{api}/stages"), &stage, "stageName").await;
        }
        let base = format!("{}/_aws/execute-api/{api}", self.aws.endpoint);
        HttpApi { prod_stage: format!("{base}/prod"), default_stage: base }
    }

    /// The log of the function's processes, up to the last invocation.
    pub async fn log(&self) -> Vec<String> {
        let group = format!("/aws/lambda/{}", self.name);
        let input = json!({ "logGroupName": group, "limit": 10_000 });
        // The log group does not exist before the first invocation.
        let Ok(mut log) = self.aws.try_logs("FilterLogEvents", &input).await else { return Vec::new() };
        let Value::Array(events) = log["events"].take() else { return Vec::new() };
        events.iter().filter_map(|event| Some(event["message"].as_str()?.to_owned())).collect()
    }
}

async fn wait_for(aws: &Aws, path: &str, field: &str, expected: &str) {
    eventually(&format!("{field} is {expected}"), async || {
        let now = aws.lambda(Method::GET, path, &Value::Null).await;
        check(now[field] == expected, now)
    })
    .await;
}

/// The deployment package of a program, in base64. Each binary is packed only once, because packing is slow.
fn package(program: &Path) -> String {
    static PACKAGES: LazyLock<Mutex<HashMap<PathBuf, String>>> = LazyLock::new(Mutex::default);
    let mut packages = PACKAGES.lock().unwrap();
    let pack = || python::run_script("bundle.py", &[program.as_os_str()], &[], "").trim().to_owned();
    packages.entry(program.to_owned()).or_insert_with(pack).clone()
}
