//! Reads a stream of server-sent events block by block. The tests of the feed use this module.

use std::collections::VecDeque;

use axum::body::BodyDataStream;
use axum::response::Response;
use futures_util::StreamExt;
use serde_json::Value;

/// The fields of one block of a stream.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Block {
    pub(super) id: Option<String>,
    pub(super) event: Option<String>,
    pub(super) data: Option<String>,
    pub(super) comment: Option<String>,
    pub(super) retry: Option<String>,
}

impl Block {
    fn parse(text: &str) -> Self {
        let mut block = Self::default();
        for line in text.lines() {
            let (field, value) = line.split_once(": ").unwrap_or_else(|| panic!("{line:?}"));
            let field = match field {
                "id" => &mut block.id,
                "event" => &mut block.event,
                "data" => &mut block.data,
                "retry" => &mut block.retry,
                "" => &mut block.comment,
                other => panic!("{other:?}"),
            };
            assert!(field.replace(value.to_owned()).is_none(), "{text}");
        }
        block
    }

    pub(super) fn item(&self) -> Value {
        serde_json::from_str(self.data.as_ref().unwrap()).unwrap()
    }

    pub(super) fn name(&self) -> String {
        super::name(&self.item())
    }
}

/// Reads a stream block by block.
pub(super) struct StreamReader {
    body: BodyDataStream,
    text: String,
    blocks: VecDeque<Block>,
}

impl StreamReader {
    pub(super) fn of(response: Response) -> Self {
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body().into_data_stream(), text: String::new(), blocks: VecDeque::new() }
    }

    /// The next block, or `None` at the end of the stream.
    pub(super) async fn block(&mut self) -> Option<Block> {
        while self.blocks.is_empty() {
            let chunk = self.body.next().await?.unwrap();
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                self.blocks.push_back(Block::parse(block));
                self.text = rest.to_owned();
            }
        }
        self.blocks.pop_front()
    }

    /// The next block with an event.
    pub(super) async fn event(&mut self) -> Block {
        loop {
            let block = self.block().await.expect("the stream has a further block");
            if block.data.is_some() {
                return block;
            }
        }
    }

    /// Reads the stream to its end, and asserts that it contains no further events.
    pub(super) async fn ends(&mut self) {
        while let Some(block) = self.block().await {
            assert_eq!(block.data, None);
        }
    }
}
