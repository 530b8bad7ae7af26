//! What a person does with a page: clicks, keys and typing, as real input events. Tests of pages call it.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::page::Page;

/// Keys that write no text, or another text than their name: their name, their Windows key code, and their text.
const KEYS: [(&str, u32, &str); 14] = [
    ("Enter", 13, "\r"),
    ("Tab", 9, ""),
    ("Escape", 27, ""),
    ("Backspace", 8, ""),
    ("Delete", 46, ""),
    ("Home", 36, ""),
    ("End", 35, ""),
    ("PageUp", 33, ""),
    ("PageDown", 34, ""),
    ("ArrowLeft", 37, ""),
    ("ArrowUp", 38, ""),
    ("ArrowRight", 39, ""),
    ("ArrowDown", 40, ""),
    ("Space", 32, " "),
];

/// The event of a key that a combination such as `Control+a` or `Shift+Tab` ends with.
fn key_event(combination: &str) -> Value {
    let mut parts: Vec<_> = combination.split('+').collect();
    let name = parts.pop().unwrap_or_default();
    let modifiers = parts.iter().map(|part| match *part {
        "Alt" => 1,
        "Control" => 2,
        "Meta" => 4,
        "Shift" => 8,
        other => panic!("{other} is no modifier"),
    });
    let modifiers: u32 = modifiers.sum();
    let (code, text) = match KEYS.iter().find(|key| key.0 == name) {
        Some((_, code, text)) => (*code, *text),
        // The codes of letters and digits are those of ASCII. Other characters have codes of their keyboard, which no page needs.
        None if name.chars().count() == 1 => {
            let code =
                name.chars().find(char::is_ascii_alphanumeric).map_or(0, |it| it.to_ascii_uppercase().into());
            (code, name)
        }
        None => panic!("{name} is no key"),
    };
    let key = if name == "Space" { " " } else { name };
    let mut event =
        json!({ "key": key, "code": name, "windowsVirtualKeyCode": code, "modifiers": modifiers });
    // Control and a letter are a command and write nothing.
    if !text.is_empty() && modifiers & 2 == 0 {
        event["text"] = text.into();
    }
    event
}

impl Page {
    /// Waits until the element (see `find.js`) can be clicked, and clicks it with the mouse.
    pub async fn click(&self, element: &str) {
        self.point_at(element).await;
        self.clicks.fetch_add(1, Ordering::Relaxed);
    }

    async fn point_at(&self, element: &str) {
        let script = format!("testing.place({})", json!(element));
        let place = self.wait_for(&format!("{element} can be clicked"), &script).await;
        for (event, buttons) in [("mouseMoved", 0), ("mousePressed", 1), ("mouseReleased", 0)] {
            let mut params = json!({ "type": event, "x": place["x"], "y": place["y"], "buttons": buttons });
            if event != "mouseMoved" {
                params["button"] = "left".into();
                params["clickCount"] = 1.into();
            }
            self.call("Input.dispatchMouseEvent", params).await;
        }
    }

    /// How often a test has clicked on this page.
    pub fn clicks(&self) -> usize {
        self.clicks.load(Ordering::Relaxed)
    }

    /// Presses and releases a key, such as `Enter`, `a`, `Shift+Tab` or `Control+a`.
    pub async fn press(&self, combination: &str) {
        let mut event = key_event(combination);
        event["type"] = if event["text"].is_null() { "rawKeyDown" } else { "keyDown" }.into();
        self.call("Input.dispatchKeyEvent", event.clone()).await;
        event["type"] = "keyUp".into();
        self.call("Input.dispatchKeyEvent", event).await;
    }

    /// Types a text into the element that has the focus, one key after the other.
    pub async fn type_text(&self, text: &str) {
        for character in text.chars() {
            match character {
                '\n' => self.press("Enter").await,
                ' ' => self.press("Space").await,
                // A person has these on a key of their keyboard, or pastes them.
                '+' => drop(self.call("Input.insertText", json!({ "text": "+" })).await),
                character if !character.is_ascii() => {
                    self.call("Input.insertText", json!({ "text": character })).await;
                }
                character => self.press(&character.to_string()).await,
            }
        }
    }

    /// Replaces the text of a field: clicks into it, selects everything and types.
    pub async fn fill(&self, field: &str, text: &str) {
        self.point_at(field).await;
        self.press("Control+a").await;
        match text {
            "" => self.press("Backspace").await,
            text => self.type_text(text).await,
        }
    }

    /// Presses Tab until the focus is on the element, at most `limit` times.
    pub async fn tab_to(&self, element: &str, limit: usize) {
        let script = format!("testing.one({}) === document.activeElement", json!(element));
        let mut seen = Vec::new();
        for _ in 0..=limit {
            if self.eval(&script).await == true {
                return;
            }
            self.press("Tab").await;
            seen.push(self.eval("document.activeElement && `${document.activeElement.tagName} ${testing.name(document.activeElement).slice(0, 60)}`").await);
        }
        panic!("{limit} times Tab do not lead to {element}: {seen:#?}");
    }
}
