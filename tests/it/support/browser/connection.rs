//! The DevTools protocol over one WebSocket: calls, their answers, and events. [`super::page`] opens one for each page.
//! The crates for it compile 5 MB of generated types, or need Node; the tests use some twenty methods.

use std::collections::HashMap;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::process::browser;

/// What a caller waits for: the result, or the error that the browser states.
type Answer = Result<Value, String>;

struct Call {
    message: Value,
    answer: oneshot::Sender<Answer>,
}

/// A connection to the browser. It closes when this value and its clones are dropped.
#[derive(Clone)]
pub(super) struct Connection {
    calls: mpsc::UnboundedSender<Call>,
}

impl Connection {
    /// Connects, and passes every event of the browser to `on_event` in order.
    pub(super) async fn open(on_event: impl FnMut(&Value) + Send + 'static) -> Self {
        let browser = browser();
        let stream = TcpStream::connect(("127.0.0.1", browser.port)).await.unwrap();
        let url = format!("ws://127.0.0.1:{}{}", browser.port, browser.path);
        let (socket, _) = client_async(url, stream).await.unwrap();
        let (calls, queue) = mpsc::unbounded_channel();
        tokio::spawn(run(socket, queue, on_event));
        Self { calls }
    }

    /// Calls a method of the browser, or of the page with this session.
    pub(super) async fn call(&self, session: Option<&str>, method: &str, params: Value) -> Answer {
        let mut message = json!({ "method": method, "params": params });
        if let Some(session) = session {
            message["sessionId"] = session.into();
        }
        let (answer, answered) = oneshot::channel();
        let ended = |method| format!("{method}: the connection to the browser has ended");
        self.calls.send(Call { message, answer }).map_err(|_| ended(method))?;
        answered.await.map_err(|_| ended(method))?.map_err(|error| format!("{method}: {error}"))
    }
}

async fn run(
    mut socket: WebSocketStream<TcpStream>,
    mut calls: mpsc::UnboundedReceiver<Call>,
    mut on_event: impl FnMut(&Value),
) {
    let mut pending: HashMap<u64, oneshot::Sender<Answer>> = HashMap::new();
    let mut last_id = 0;
    loop {
        tokio::select! {
            call = calls.recv() => {
                let Some(Call { mut message, answer }) = call else { break };
                last_id += 1;
                message["id"] = last_id.into();
                pending.insert(last_id, answer);
                if socket.send(Message::text(message.to_string())).await.is_err() { break }
            }
            message = socket.next() => {
                let Some(Ok(message)) = message else { break };
                let Message::Text(text) = message else { continue };
                let mut message: Value = serde_json::from_str(&text).unwrap();
                let Some(id) = message["id"].as_u64() else {
                    on_event(&message);
                    continue;
                };
                let answer = match message.get("error") {
                    Some(error) => Err(error.to_string()),
                    None => Ok(message["result"].take()),
                };
                // The caller may have given up.
                let _ = pending.remove(&id).map(|caller| caller.send(answer));
            }
        }
    }
    // A browser that has gone needs no farewell.
    let _ = socket.close(None).await;
}
