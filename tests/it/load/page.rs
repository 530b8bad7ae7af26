//! Tests the report as a web page, in a real browser.

use tempfile::TempDir;

use super::load;
use crate::support::browser::Page;
use crate::support::service::Service;

/// The part of the page between the texts `from` and `to`.
fn between<'a>(page: &'a str, from: &str, to: &str) -> &'a str {
    let rest = page.split_once(from).unwrap_or_else(|| panic!("no {from}: {page}")).1;
    rest.split_once(to).unwrap_or_else(|| panic!("no {to} after {from}")).0
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_draws_its_plots_without_loading_anything() {
    let folder = TempDir::new().unwrap();
    let service = Service::start(&folder.path().join("data"), &["--log-level", "warn,orders=info"]);
    let page = folder.path().join("report.html");
    let flags = ["--rate", "300", "--duration", "3", "--html", page.to_str().unwrap()];
    let output = load(folder.path(), &service.url, &flags).await;
    output.assert_clean();

    let html = std::fs::read_to_string(&page).unwrap();
    let addresses = html.matches("http://").count() + html.matches("https://").count();
    let own = html.matches("http://www.w3.org/2000/svg").count() + html.matches(service.url.as_str()).count();
    assert_eq!(addresses, own, "the page loads something from elsewhere");

    let page = Page::open(&format!("file://{}", page.display())).await;
    let dom = page.html().await;
    page.assert_faultless();
    let dom = between(&dom, "<main", "</main>");
    for (plot, series) in [
        ("throughput", &["requests", "accepted"][..]),
        ("latency", &["accept_p50", "accept_p99", "recorded_p50", "recorded_p99"]),
        ("depth", &["depth"]),
        ("errors", &["errors"]),
    ] {
        let svg = between(dom, &format!("data-plot=\"{plot}\""), "</svg>");
        for name in series {
            let path = between(svg, &format!("data-series=\"{name}\""), ">");
            let path = between(path, " d=\"", "\"");
            let points = path.matches(['M', 'L']).count();
            assert!(points >= 5 && !path.contains("NaN"), "{plot}, {name}: {path}");
        }
        assert!(svg.matches("<text").count() >= 4, "axes: {svg}");
    }
    for plot in ["accept", "recorded"] {
        let svg = between(dom, &format!("data-plot=\"{plot}\""), "</svg>");
        let bars = svg.matches("class=\"bin\"").count();
        let bins = output.report["latency"][plot]["bins"].as_array().unwrap().len();
        assert!(bars == bins && bins > 3 && svg.contains("p99.9") && !svg.contains("NaN"), "{svg}");
    }
    assert!(between(dom, "id=\"verdict\"", "</span>").ends_with("audit clean"));
    assert!(between(dom, "id=\"cost\"", "</table>").contains("a million orders"));
    assert!(!dom.contains("undefined") && !dom.contains("NaN"), "{dom}");
}
