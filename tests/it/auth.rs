//! Tests authentication with the real binary: tokens, key rotation, and the refusal to listen without authentication.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::StatusCode;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::http;
use crate::support::service::{Service, order, orders};

pub const ISSUER: [&str; 4] = ["--jwt-issuer", "https://login.example", "--jwt-audience", "orders"];

fn encoded(part: &Value) -> String {
    URL_SAFE_NO_PAD.encode(part.to_string())
}

pub fn pair() -> Ed25519KeyPair {
    let der = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    Ed25519KeyPair::from_pkcs8(der.as_ref()).unwrap()
}

/// Writes the public key of `pair` to a key set file, under the id `kid`.
pub fn publish(file: &Path, kid: &str, pair: &Ed25519KeyPair) {
    let x = URL_SAFE_NO_PAD.encode(pair.public_key());
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x });
    std::fs::write(file, json!({ "keys": [jwk] }).to_string()).unwrap();
}

/// A token that expires in the given number of seconds.
pub fn token(kid: &str, pair: &Ed25519KeyPair, expires_in: i64) -> String {
    token_with_scope("orders.read orders.write", kid, pair, expires_in)
}

pub fn token_with_scope(scope: &str, kid: &str, pair: &Ed25519KeyPair, expires_in: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed();
    let claims = json!({ "iss": "https://login.example", "aud": "orders", "sub": "shop", "exp": now + expires_in,
                         "scope": scope });
    let signed = format!("{}.{}", encoded(&json!({ "alg": "EdDSA", "kid": kid })), encoded(&claims));
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(pair.sign(signed.as_bytes())))
}

/// Posts an order. Returns the status and the body.
async fn posted(url: &str, token: Option<&str>) -> (StatusCode, String) {
    let request = http::client().post(format!("{url}/v1/orders"));
    let request = request.header("content-type", "application/json").body(order("c-1").to_string());
    let request = match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    };
    let response = request.send().await.unwrap();
    (response.status(), response.text().await.unwrap())
}

fn refusal(arguments: &[&str], data: PathBuf) -> (Output, String) {
    let output = orders(&["serve"]).args(arguments).arg("--data").arg(data).output().unwrap();
    let error = String::from_utf8(output.stderr.clone()).unwrap();
    (output, error)
}

#[test]
fn the_service_refuses_to_listen_on_a_public_address_without_auth() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let (output, error) = refusal(&["--listen", "0.0.0.0:0"], data.clone());
    assert_eq!(output.status.code(), Some(1), "{error}");
    for name in ["--jwks-file", "--jwks-url", "--jwt-issuer", "--jwt-audience", "--insecure-no-auth"] {
        assert!(error.contains(name), "{error}");
    }
    let file = folder.path().join("jwks.json").display().to_string();
    let with_file = [&["--listen", "0.0.0.0:0", "--jwks-file", &file][..], &ISSUER].concat();
    let (_, error) = refusal(&with_file, data.clone());
    assert!(error.contains("jwks.json") && error.contains("No such file"), "{error}");
    let (_, error) = refusal(&["--jwks-file", &file], data.clone());
    assert!(error.contains("ORDERS_JWT_ISSUER") && error.contains("ORDERS_JWT_AUDIENCE"), "{error}");
    assert!(!data.exists(), "the service refuses to start before it creates anything");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_accepts_unauthenticated_requests_if_configured() {
    let folder = TempDir::new().unwrap();
    let mut command = orders(&["serve", "--listen", "0.0.0.0:0", "--insecure-no-auth", "--data"]);
    command.arg(folder.path().join("data")).env("ORDERS_MIN_FREE_DISK", "1");
    let (service, _) = Service::spawn_until(command, "accepts unauthenticated requests");
    let listen = service.wait_for_log("\"serving\"")["listen"].as_str().unwrap().to_owned();
    let url = format!("http://{}", listen.replace("0.0.0.0", "127.0.0.1"));
    assert_eq!(posted(&url, None).await.0, StatusCode::ACCEPTED);
}

#[tokio::test(flavor = "multi_thread")]
async fn valid_tokens_are_accepted_and_keys_rotate() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("jwks.json");
    let (old, new) = (pair(), pair());
    publish(&file, "old", &old);
    let path = file.display().to_string();
    let arguments = [&["--jwks-file", path.as_str()][..], &ISSUER].concat();
    let mut service = Service::start(&folder.path().join("data"), &arguments);
    let url = service.url.clone();

    let (status, body) = posted(&url, None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{body}");
    let (status, body) = posted(&url, Some(&token("old", &old, -3600))).await;
    assert!(status == StatusCode::UNAUTHORIZED && body.contains("expired"), "{body}");
    let good = token("old", &old, 3600);
    let (status, body) = posted(&url, Some(&good)).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{body}");
    assert_eq!(service.get("/healthz").await.0, StatusCode::OK);
    assert_eq!(service.get("/v1/orders?customer_id=c-1").await.0, StatusCode::UNAUTHORIZED);

    publish(&file, "new", &new);
    assert_eq!(posted(&url, Some(&token("new", &new, 3600))).await.0, StatusCode::ACCEPTED);
    assert_eq!(posted(&url, Some(&good)).await.0, StatusCode::UNAUTHORIZED);

    assert!(service.terminate().success());
    let log = service.rest_of_log();
    assert!(!log.contains(&good) && !log.contains(good.rsplit_once('.').unwrap().0), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_tokens_are_rate_limited_and_removed_keys_are_refused() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("jwks.json");
    let pair = self::pair();
    publish(&file, "k", &pair);
    let path = file.display().to_string();
    let arguments = [&["--jwks-file", path.as_str()][..], &ISSUER].concat();
    let service = Service::start(&folder.path().join("data"), &arguments);
    let good = token("k", &pair, 3600);
    assert_eq!(posted(&service.url, Some(&good)).await.0, StatusCode::ACCEPTED);

    let forged = token("k", &self::pair(), 3600);
    let mut statuses = Vec::new();
    for _ in 0..200 {
        statuses.push(posted(&service.url, Some(&forged)).await.0);
    }
    assert!(statuses.contains(&StatusCode::TOO_MANY_REQUESTS), "{statuses:?}");
    assert_eq!(posted(&service.url, Some(&good)).await.0, StatusCode::ACCEPTED, "a verified token passes");

    std::fs::write(&file, r#"{"keys":[]}"#).unwrap();
    service.signal("HUP");
    service.wait_for_log("reloaded");
    let (status, body) = posted(&service.url, Some(&good)).await;
    assert!([401, 429].contains(&status.as_u16()), "{status} {body}");
}
