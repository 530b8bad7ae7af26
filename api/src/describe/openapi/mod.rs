//! The OpenAPI description. Paths, parameters and bodies come from the handlers that are registered; here is what all
//! of them share, and the schemas that cannot be derived.

mod answers;
mod objects;
mod operations;
mod shared;

use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

use crate::auth::Scope;
use crate::input::{ValidationCode, ValidationError};
use crate::problem::ProblemBody;

pub(crate) use objects::OrderOrReceipt;

const BEARER: &str = "bearer";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Orders",
        description = "An event-sourced order service. `POST` answers `202` with a receipt as soon as the event is \
            durable; the receipt tells whether it was recorded or rejected. Amounts are integers in the \
            currency's minor unit; `450.0` and `4.5e2` are integers, too. Every response carries \
            `X-Correlation-Id`; every error is a problem (RFC 9457) that lists its errors, up to 100; [each kind of problem](../problems) has a page. The messages on the queue are \
            described [beside this](../docs/events). Where the service is configured to require it, requests need a \
            bearer token; with a `customer_id` in it, the orders of other customers do not exist."
    ),
    servers((url = "/", description = "The service that serves this document")),
    tags(
        (name = "orders", description = "Orders, the events that change them, and receipts"),
        (name = "operations", description = "Dead letters and the pipeline, for operators"),
        (name = "health", description = "Health checks"),
    ),
    components(schemas(ProblemBody<'static>, ValidationError, ValidationCode))
)]
struct Document;

/// The description before any path is registered.
pub(crate) fn document() -> OpenApi {
    let mut document = Document::openapi();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").description(Some(
        "An access token of the issuer that the service is configured with, signed with RS256, ES256 or EdDSA. Needed \
         where the service is configured to require it.",
    ));
    let components = document.components.get_or_insert_default();
    components.add_security_scheme(BEARER, SecurityScheme::Http(bearer.build()));
    document
}

/// Adds what every operation has: the headers, and the problems any request can meet. And the schemas that no handler
/// names.
pub(crate) fn complete(api: &mut OpenApi) {
    let components = api.components.get_or_insert_default();
    components.schemas.extend(objects::named());
    answers::components(components);
    for (path, item) in &mut api.paths.paths {
        let limited = path.starts_with("/v1");
        for (operation, scope) in [(&mut item.get, Scope::Read), (&mut item.post, Scope::Write)] {
            let Some(operation) = operation else { continue };
            // Whoever keeps the service running needs no token.
            operation.security = Some(vec![]);
            if limited {
                let for_operators = operation.tags.iter().flatten().any(|tag| tag == "operations");
                let scope = if for_operators { Scope::Operate } else { scope };
                operations::secure(operation, scope);
            }
            operations::complete(operation, limited);
            answers::complete(operation);
        }
    }
    shared::share(api);
}
