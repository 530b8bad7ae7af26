//! Measures requests through the [`metrics`] facade. `correlation` starts and stops a timer for each request.

use std::cell::RefCell;
use std::time::Instant;

use axum::extract::MatchedPath;
use axum::http::{Extensions, Method, StatusCode};
use metrics::{Counter, Histogram, SharedString, counter, histogram};

/// A request that is being answered.
pub(crate) struct RequestTimer {
    route: Option<MatchedPath>,
    method: &'static str,
    started: Instant,
}

impl RequestTimer {
    pub(crate) fn of(method: &Method, extensions: &Extensions) -> Self {
        Self { route: extensions.get().cloned(), method: label(method), started: Instant::now() }
    }

    pub(crate) fn answered(self, status: StatusCode) {
        // The label is the route and not the path. Clients can send any number of different paths, and each would
        // create a series.
        let route = self.route.as_ref().map_or("none", MatchedPath::as_str);
        let (method, took) = (self.method, self.started.elapsed());
        SERIES.with_borrow_mut(|series| {
            let found = series.iter().position(|known| known.is_of(route, method, status));
            let index = found.unwrap_or_else(|| {
                series.push(RequestSeries::register(route, method, status));
                series.len() - 1
            });
            series[index].duration.record(took);
            series[index].requests.increment(1);
        });
    }
}

thread_local! {
    /// The series that this thread has registered so far. Looking up a series here is much cheaper than building and
    /// hashing a metric's key. There are only a few dozen series, because routes, methods and statuses are few. The
    /// recorder is installed before the first request and never replaced, so the series stay valid.
    static SERIES: RefCell<Vec<RequestSeries>> = RefCell::default();
}

/// The metrics of all requests with one route, method and status.
struct RequestSeries {
    route: String,
    method: &'static str,
    status: StatusCode,
    duration: Histogram,
    requests: Counter,
}

impl RequestSeries {
    fn is_of(&self, route: &str, method: &'static str, status: StatusCode) -> bool {
        self.status == status && self.method == method && self.route == route
    }

    fn register(route: &str, method: &'static str, status: StatusCode) -> Self {
        let label = SharedString::from_owned(route.to_owned());
        let code = SharedString::from_owned(status.as_str().to_owned());
        let duration =
            histogram!("orders_http_request_duration_seconds", "route" => label.clone(), "method" => method);
        let requests =
            counter!("orders_http_requests_total", "route" => label, "method" => method, "status" => code);
        Self { route: route.to_owned(), method, status, duration, requests }
    }
}

/// The method as a label. An unusual method becomes `other`, because clients can send any text as the method.
fn label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}
