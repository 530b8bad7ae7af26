//! The report as a self-contained web page: the figures as JSON, and a script that draws them.

use super::LoadReport;

const PAGE: &str = include_str!("report.html");
/// The placeholder for the figures.
const PLACEHOLDER: &str = "\"REPORT\"";

pub(super) fn page(report: &LoadReport) -> anyhow::Result<String> {
    // Escapes `<`, so that text from the service's answers cannot end the script element.
    let json = serde_json::to_string(report)?.replace('<', "\\u003c");
    Ok(PAGE.replacen(PLACEHOLDER, &json, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_one_placeholder_and_loads_nothing_from_elsewhere() {
        assert_eq!(PAGE.matches(PLACEHOLDER).count(), 1);
        for from_elsewhere in ["src=", "href=", "@import", "url(", "fetch("] {
            assert!(!PAGE.contains(from_elsewhere), "{from_elsewhere}");
        }
    }
}
