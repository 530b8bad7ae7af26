//! Tests imports into a folder that already contains events.

use serde_json::json;
use tempfile::TempDir;

use super::{check, export, file, import, line, order_data, printed, text};

#[test]
fn other_content_at_a_version_is_a_conflict_and_changes_nothing() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let created = line("o-1", 1, 1, "order_created", &order_data());
    printed(&import(&file(folder.path(), "first", std::slice::from_ref(&created)), &data, &["--partial"]));
    let before = export(&data);
    let mut other = order_data();
    other["customer_id"] = "c-2".into();
    for (line, reason) in [
        (
            line("o-1", 1, 1, "order_created", &other),
            "conflict: version 1 of order o-1 is the same event with other content",
        ),
        (
            line("o-1", 1, 2, "order_created", &order_data()),
            "conflict: version 1 of order o-1 is event 0199d3a0-0000-7000-8000-000000000001 there",
        ),
        (
            line("o-1", 2, 1, "order_confirmed", &json!({})),
            "conflict: event 0199d3a0-0000-7000-8000-000000000001 is version 1 of order o-1 already",
        ),
    ] {
        let output = import(&file(folder.path(), "second", &[created.clone(), line]), &data, &["--partial"]);
        let text = text(&output);
        assert!(!output.status.success() && text.contains(&format!("line 2: {reason}")), "{text}");
        assert!(export(&data) == before);
    }
    check(&data);
}

#[test]
fn a_reference_that_another_order_has_is_a_conflict() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let with = |order: &str, number: u64, reference: &str| {
        let mut data = order_data();
        data["reference"] = reference.into();
        line(order, 1, number, "order_created", &data)
    };
    printed(&import(&file(folder.path(), "first", &[with("o-1", 1, "R-1")]), &data, &["--partial"]));
    let lines = [with("o-2", 2, "R-1"), with("o-3", 3, "R-3")];
    let output = import(&file(folder.path(), "second", &lines), &data, &["--partial", "--on-error", "skip"]);
    let text = text(&output);
    assert!(text.contains(r#"line 1: order o-1 has the reference "R-1""#), "{text}");
    assert!(text.contains("1 events imported, 0 were there already, 1 lines refused"), "{text}");
    check(&data);

    // An order may earlier have had a reference that another order has now.
    let renamed = line("o-5", 2, 6, "order_amended", &json!({ "reference": "R-5" }));
    let lines = [with("o-4", 4, "R-4"), with("o-5", 5, "R-4"), renamed];
    printed(&import(&file(folder.path(), "third", &lines), &data, &["--partial"]));
    check(&data);
}
