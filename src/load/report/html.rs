//! The report as a page that needs nothing else: the figures as JSON, and a script that draws them.

use super::LoadReport;

const PAGE: &str = include_str!("report.html");
/// Where the figures go.
const PLACE: &str = "\"REPORT\"";

pub(super) fn page(report: &LoadReport) -> anyhow::Result<String> {
    // Nothing in it may end the script, whatever the service answered.
    let json = serde_json::to_string(report)?.replace('<', "\\u003c");
    Ok(PAGE.replacen(PLACE, &json, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_one_place_for_the_figures_and_takes_nothing_from_elsewhere() {
        assert_eq!(PAGE.matches(PLACE).count(), 1);
        for from_elsewhere in ["src=", "href=", "@import", "url(", "fetch("] {
            assert!(!PAGE.contains(from_elsewhere), "{from_elsewhere}");
        }
    }
}
