//! Tests the tables of `orders export --format csv`: their rows, decimals and quotes, and that no cell is a formula.

use std::path::Path;

use serde_json::json;
use tempfile::TempDir;

use super::{file, import, line, order_data, printed, text};
use crate::support::service::{orders, run};

/// A folder with two orders: one in EUR with texts that a spreadsheet could misread, and one in JPY.
fn two_orders() -> TempDir {
    let folder = TempDir::new().unwrap();
    let created = json!({
        "customer_id": "=cmd|'/C calc'!A1", "currency": "EUR", "total": 1899, "reference": "R,1",
        "items": [
            { "line_id": "1", "sku": "+tea", "name": "Tee \"grün\"\nlose", "quantity": 2, "unit_price": 450 },
            { "line_id": "2", "sku": "cup", "name": "@SUM(A1)", "quantity": 1, "unit_price": 999 },
        ],
    });
    let paid = json!({ "payment_id": "-1", "amount": 1899, "method": "card" });
    let mut yen = order_data();
    yen["currency"] = "JPY".into();
    let lines = [
        line("o-1", 1, 1, "order_created", &created),
        line("o-1", 2, 2, "order_confirmed", &json!({})),
        line("o-1", 3, 3, "order_paid", &paid),
        line("o-2", 1, 4, "order_created", &yen),
    ];
    printed(&import(&file(folder.path(), "lines", &lines), &folder.path().join("data"), &["--partial"]));
    folder
}

fn table(folder: &TempDir, name: &str) -> String {
    printed(&run(&["export", "--format", "csv", "--table", name], &folder.path().join("data")))
}

fn rows(csv: &str) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(csv.as_bytes());
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

#[test]
fn each_order_line_and_payment_is_a_row() {
    let folder = two_orders();
    let orders = table(&folder, "orders");
    let time = "2026-11-23T10:00:00Z";
    assert_eq!(
        orders.split("\r\n").collect::<Vec<_>>(),
        [
            "order_id,customer_id,reference,status,payment_status,fulfilment_status,currency,total,captured,refunded,balance,created_at,updated_at,version",
            &format!(
                "o-1,'=cmd|'/C calc'!A1,\"R,1\",paid,paid,unfulfilled,EUR,18.99,18.99,0.00,0.00,{time},{time},3"
            ),
            &format!("o-2,c-1,,pending,unpaid,unfulfilled,JPY,900,0,0,900,{time},{time},1"),
            "",
        ]
    );
    let lines = rows(&table(&folder, "lines"));
    assert_eq!(lines.len(), 4);
    assert_eq!(
        lines[1],
        [
            "o-1",
            "'=cmd|'/C calc'!A1",
            "1",
            "'+tea",
            "Tee \"grün\"\nlose",
            "EUR",
            "4.50",
            "2",
            "0",
            "0",
            "0",
            "0"
        ]
    );
    assert_eq!(lines[2][4], "'@SUM(A1)");
    let payments = rows(&table(&folder, "payments"));
    assert_eq!(
        payments[1..],
        [["o-1", "'=cmd|'/C calc'!A1", "'-1", "card", "EUR", "", "false", "18.99", "0.00"]]
    );
}

#[test]
fn three_files_are_written_and_none_is_replaced() {
    let folder = two_orders();
    let out = folder.path().join("tables");
    let write = || {
        let mut command = orders(&["export", "--format", "csv", "--data"]);
        command.arg(folder.path().join("data")).arg("--to").arg(&out).output().unwrap()
    };
    printed(&write());
    let mut names: Vec<_> = std::fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["lines.csv", "orders.csv", "payments.csv"]);
    let read = |name: &str| std::fs::read_to_string(Path::new(&out).join(name)).unwrap();
    for name in ["orders", "lines", "payments"] {
        assert_eq!(read(&format!("{name}.csv")), table(&folder, name));
    }
    let again = write();
    assert!(
        !again.status.success() && text(&again).contains("already exists and was not replaced"),
        "{}",
        text(&again)
    );
}

#[test]
fn a_table_from_a_time_has_whole_orders() {
    let folder = two_orders();
    let late = json!({ "version": 2, "recorded_at": "2026-12-01T00:00:00Z", "type": "order_confirmed", "schema_version": 2,
        "event_id": "0199d3a0-0000-7000-8000-000000000009", "timestamp": "2026-12-01T00:00:00Z", "correlation_id": "r",
        "data": { "order_id": "o-2" } });
    let data = folder.path().join("data");
    printed(&import(&file(folder.path(), "late", &[late.to_string()]), &data, &["--partial"]));
    let from = ["export", "--format", "csv", "--table", "orders", "--from", "2026-11-30T00:00:00Z"];
    let rows = rows(&printed(&run(&from, &data)));
    assert_eq!(rows.len(), 2);
    assert_eq!((rows[1][0].as_str(), rows[1][13].as_str()), ("o-2", "2"));
}
