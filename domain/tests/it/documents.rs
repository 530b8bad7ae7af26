//! Tests that the document about the API contains the statuses and guards as the code defines them.

use domain::diagram::{diagram, guards_table};
use domain::{EventType, Guard, OrderStatus};

const DOCUMENT: &str = include_str!("../../../docs/api.md");

#[test]
fn the_document_about_the_api_contains_the_diagram_and_the_guards() {
    for expected in [diagram(), guards_table()] {
        assert!(DOCUMENT.contains(&expected), "renew it:\n{expected}");
    }
}

#[test]
fn the_document_about_the_api_describes_every_status_and_event() {
    for status in OrderStatus::ALL {
        let row = format!("| `{status}` | {} |", status.meaning());
        assert!(DOCUMENT.contains(&row), "add the row:\n{row}");
        assert!(diagram().contains(&format!("--> {status}: ")), "{status} is not in the diagram");
    }
    for event_type in EventType::ALL {
        assert!(DOCUMENT.contains(&format!("| `{event_type}` | ")), "{event_type} has no row");
    }
    assert_eq!(guards_table().lines().count(), EventType::ALL.len() + Guard::ALL.len() + 5);
}
