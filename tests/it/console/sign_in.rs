//! Tests the sign-in of the console.

use tempfile::TempDir;

use crate::auth::{ISSUER, pair, publish, token_with_scope};
use crate::support::browser::Page;
use crate::support::service::Service;

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_pasted_and_stays_in_the_session_of_the_tab() {
    let folder = TempDir::new().unwrap();
    let keys = folder.path().join("jwks.json");
    let pair = pair();
    publish(&keys, "k", &pair);
    let arguments = [&["--jwks-file", keys.to_str().unwrap()][..], &ISSUER].concat();
    let service = Service::start(&folder.path().join("data"), &arguments);
    let page = Page::open(&format!("{}/console/orders", service.url)).await;
    page.sees("This service needs a token.").await;
    page.fill("textarea >> Access token", "nonsense").await;
    page.click("button >> Sign in").await;
    page.sees("The service refused the token").await;
    // The page allows what the token allows, and says what it does not.
    let reader = token_with_scope("orders.read", "k", &pair, 600);
    let set = format!(
        "testing.one('textarea').value = '{reader}'; testing.one('textarea').dispatchEvent(new Event('input', {{ bubbles: true }}))"
    );
    page.eval(&set).await;
    page.click("button >> Sign in").await;
    page.sees("The token may not list the orders of all customers.").await;
    page.click("nav a >> Pipeline").await;
    page.sees("orders.operate").await;
    let everywhere = "[location.href, document.cookie, JSON.stringify(localStorage), document.documentElement.outerHTML].join()";
    assert!(!page.eval(everywhere).await.as_str().unwrap().contains(&reader));
    assert_eq!(page.eval("sessionStorage.getItem('orders.token')").await, reader);
    page.click("button >> Sign out").await;
    page.sees("This service needs a token.").await;
    assert_eq!(page.eval("sessionStorage.length").await, 0);
    page.assert_faultless();
}
