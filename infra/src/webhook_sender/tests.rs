//! Tests deliveries to receivers on the local machine, and which addresses the sender refuses.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::subscription::SigningSecret;
use domain::{SubscriptionState, Timestamp};
use reqwest::dns::Resolve;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use uuid::Uuid;

use super::*;
use crate::signing::SigningKey;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OLD_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// A lookup that answers with the next entry of a list, and repeats the last entry.
#[derive(Default)]
struct Answers(Mutex<Vec<Vec<IpAddr>>>, AtomicUsize);

impl Answers {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |addresses: &&[&str]| addresses.iter().map(|address| address.parse().unwrap()).collect();
        Arc::new(Self(Mutex::new(answers.iter().rev().map(parse).collect()), AtomicUsize::new(0)))
    }
}

#[async_trait]
impl HostLookup for Answers {
    async fn lookup(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        let mut answers = self.0.lock().unwrap();
        Ok(if answers.len() > 1 { answers.pop().unwrap() } else { answers[0].clone() })
    }
}

fn subscription(url: &str) -> Subscription {
    // Each subscription gets a new revision, because the sender keeps the parsed target of a revision.
    static REVISION: AtomicUsize = AtomicUsize::new(0);
    let revision = REVISION.fetch_add(1, Ordering::Relaxed);
    let secret = |secret: &str, expires_at: Option<&str>| SigningSecret {
        secret: secret.to_owned(),
        expires_at: expires_at.map(|at| Timestamp::parse(at).unwrap()),
    };
    let mut subscription: Subscription = serde_json::from_value(serde_json::json!({
        "id": Uuid::from_u128(1), "revision": revision, "url": url, "state": "active", "secrets": [],
        "created_at": now(), "updated_at": now(),
    }))
    .unwrap();
    subscription.types = BTreeSet::new();
    subscription.state = SubscriptionState::Active;
    subscription.headers = BTreeMap::from([("x-token".to_owned(), "hush".to_owned())]);
    subscription.secrets = vec![
        secret(SECRET, None),
        secret(OLD_SECRET, Some("9999-01-01T00:00:00Z")),
        secret(OLD_SECRET, Some("2020-01-01T00:00:00Z")),
    ];
    subscription
}

fn payload() -> EventPayload {
    EventPayload {
        event_id: Uuid::from_u128(7).into(),
        event_type: None,
        recorded_at: now(),
        body: br#"{"specversion":"1.0"}"#.to_vec(),
    }
}

/// Starts a receiver that sends `answer` on each connection. Returns the receiver's port and the requests that it
/// receives.
async fn receiver(answer: &'static [u8]) -> (u16, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (requests, received) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"}") && stream.read_buf(&mut request).await.unwrap() > 0 {}
            requests.send(String::from_utf8(request).unwrap()).unwrap();
            stream.write_all(answer).await.unwrap();
        }
    });
    (port, received)
}

fn local(lookup: Arc<dyn HostLookup>) -> HttpSender {
    let options = SenderOptions { allow_private: true, ..SenderOptions::default() };
    HttpSender::with_lookup(options, lookup)
}

async fn post(sender: &HttpSender, url: &str) -> Result<Answer, PostError> {
    sender.post(&subscription(url), &payload()).await
}

#[tokio::test]
async fn a_delivery_is_signed_with_every_valid_secret_newest_first() {
    let (port, mut requests) = receiver(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let sender = local(Answers::new(&[&["127.0.0.1"]]));
    let answer = post(&sender, &format!("http://receiver.test:{port}/hook?a=b")).await.unwrap();
    assert_eq!((answer.status, answer.body_excerpt.as_deref()), (200, Some("ok")));
    let request = requests.recv().await.unwrap();
    let header = |name: &str| {
        let line = request.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("no {name} in {request}"))
    };
    assert!(request.starts_with("POST /hook?a=b HTTP/1.1\r\n"), "{request}");
    assert_eq!(header("content-type"), "application/cloudevents+json");
    assert_eq!((header("webhook-id"), header("x-token")), ("00000000-0000-0000-0000-000000000007", "hush"));
    let seconds = header("webhook-timestamp").parse().unwrap();
    let sign =
        |secret| SigningKey::parse(secret).unwrap().sign(header("webhook-id"), seconds, &payload().body);
    assert_eq!(header("webhook-signature"), format!("{} {}", sign(SECRET), sign(OLD_SECRET)));
}

#[tokio::test]
async fn redirects_are_not_followed_and_long_bodies_are_cut_off() {
    let sender = local(Answers::new(&[&["127.0.0.1"]]));
    let (target, mut requests) = receiver(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let redirect =
        format!("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:{target}/\r\ncontent-length: 0\r\n\r\n");
    let (port, _requests) = receiver(redirect.leak().as_bytes()).await;
    assert_eq!(post(&sender, &format!("http://127.0.0.1:{port}/")).await.unwrap().status, 302);
    assert!(requests.try_recv().is_err());
    let long =
        format!("HTTP/1.1 500 E\r\nretry-after: 7\r\ncontent-length: 3000\r\n\r\n{}", "x".repeat(3000));
    let (port, _requests) = receiver(long.leak().as_bytes()).await;
    let answer = post(&sender, &format!("http://127.0.0.1:{port}/")).await.unwrap();
    assert_eq!(
        (answer.body_excerpt.unwrap().len(), answer.retry_after),
        (1024, Some(Duration::from_secs(7)))
    );
}

#[tokio::test]
async fn no_answer_is_a_failure_that_does_not_contain_the_path() {
    let options = SenderOptions { allow_private: true, timeout: Duration::from_millis(200) };
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sender = HttpSender::new(options);
    let timed_out =
        post(&sender, &format!("http://{}/hush", silent.local_addr().unwrap())).await.unwrap_err();
    assert!(matches!(&timed_out, PostError::TimedOut(text) if !text.contains("hush")), "{timed_out}");
    let sender = local(Answers::new(&[&["127.0.0.1"]]));
    let (port, _requests) = receiver(b"").await;
    let reset = post(&sender, &format!("http://127.0.0.1:{port}/hush")).await.unwrap_err();
    assert!(matches!(&reset, PostError::Failed(text) if !text.contains("hush")), "{reset}");
}

#[tokio::test]
async fn private_addresses_in_any_form_and_http_are_refused_without_a_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let sender =
        HttpSender::with_lookup(SenderOptions::default(), Answers::new(&[&["1.1.1.1", "127.0.0.1"]]));
    for host in [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "0177.0.0.1",
        "2130706433",
        "0",
        "169.254.169.254",
        "10.0.0.1",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[fd00:ec2::254]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "mixed.test",
        "MIXED.test.",
    ] {
        let refused = post(&sender, &format!("https://{host}:{port}/")).await;
        assert!(matches!(refused, Err(PostError::Refused(_))), "{host}: {refused:?}");
    }
    let refused = post(&sender, "http://public.test/").await;
    assert!(matches!(refused, Err(PostError::Refused(_))), "{refused:?}");
    drop(sender);
    let connected = tokio::time::timeout(Duration::ZERO, listener.accept()).await;
    assert!(connected.is_err(), "something has connected");
}

#[tokio::test]
async fn a_name_is_resolved_for_each_attempt_and_the_client_connects_only_to_checked_addresses() {
    let lookup = Answers::new(&[&["1.1.1.1", "2606:4700::1111"], &["127.0.0.1"]]);
    let pinned = CheckedAddresses::default();
    let addresses = async |name: &str| -> Vec<String> {
        let resolved = pinned.resolve(name.parse().unwrap()).await;
        resolved.map_or_else(|_| Vec::new(), |all| all.map(|address| address.ip().to_string()).collect())
    };
    let check = || resolver::check("rebinding.test", lookup.as_ref(), &pinned, false);
    assert_eq!(addresses("rebinding.test").await, Vec::<String>::new());
    check().await.unwrap();
    assert_eq!(addresses("rebinding.test").await, ["1.1.1.1", "2606:4700::1111"]);
    // The second lookup returns a private address. The check refuses the host, and connections stay pinned to the
    // earlier addresses.
    let refused = check().await;
    assert!(matches!(&refused, Err(PostError::Refused(why)) if why.contains("127.0.0.1")), "{refused:?}");
    assert_eq!(addresses("rebinding.test").await, ["1.1.1.1", "2606:4700::1111"]);
    assert_eq!(addresses("other.test").await, Vec::<String>::new());
    assert_eq!(lookup.1.load(Ordering::Relaxed), 2);
}
