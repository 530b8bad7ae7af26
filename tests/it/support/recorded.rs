//! Reads everything that was recorded: from the feed of a running service, and with `orders export`.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use super::service::{Api, run};

/// All items of the feed, read in pages of the given length.
pub async fn whole_feed(api: &Api, limit: usize) -> Vec<Value> {
    let (mut items, mut path) = (Vec::new(), format!("/v1/events?limit={limit}"));
    loop {
        let (status, page) = api.get(&path).await;
        assert_eq!(status, 200, "{page}");
        items.extend(page["items"].as_array().unwrap().iter().cloned());
        if page["has_more"] == false {
            return items;
        }
        path = format!("/v1/events?limit={limit}&after={}", page["next_cursor"].as_str().unwrap());
    }
}

/// All events of the data folder, as `orders export` prints them: order by order, each with its versions in order.
pub fn exported(data: &Path) -> Vec<Value> {
    let lines = exported_events(&run(&["export"], data));
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The lines of an export with the recorded events. The last line of the export has no event, and must be there.
pub fn exported_events(output: &Output) -> Vec<String> {
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    let last = lines.pop().unwrap_or_default();
    assert!(last.starts_with(r#"{"object":"export_end","#), "the export has no last line: {last}");
    lines
}

/// The text in a member of an event.
#[track_caller]
pub fn text<'a>(event: &'a Value, name: &str) -> &'a str {
    event[name].as_str().unwrap_or_else(|| panic!("{name} in {event}"))
}
