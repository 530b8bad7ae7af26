//! The OpenAPI description. `lib.rs` starts with [`document`], adds the handlers' own descriptions, and ends with
//! [`complete`], which adds the parts that all operations share.

mod answers;
mod objects;
mod operations;
mod shared;
mod webhooks;

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
        description = "An event-sourced order service.\n\n\
            **Writing.** A `POST` proposes an event. It returns `202` with a receipt as soon as the event is durable. The \
            event is then recorded or rejected by the rules; the receipt shows which. With `Prefer: wait=5`, the request \
            waits up to 5 seconds for that outcome and returns the order. With an `Idempotency-Key`, a request can be \
            retried safely.\n\n\
            **Amounts** are integers in the currency's minor unit: `450` is €4.50. `450.0` and `4.5e2` are accepted as \
            integers.\n\n\
            **Errors.** Every error is a problem (RFC 9457). Each [type of problem](../problems) has a page that explains \
            it. Every response has an `X-Correlation-Id`, which identifies the request in the logs.\n\n\
            **Authentication.** If the service requires it, send a bearer token. A token with a `customer_id` sees only \
            that customer's orders.\n\n\
            **Events.** Every recorded event can be posted to a URL, as a [webhook](../docs/#webhooks). The messages on the \
            queue are described [separately](../docs/events)."
    ),
    servers((url = "/", description = "The service that serves this document")),
    tags(
        (name = "orders", description = "Orders, the events that change them, and receipts"),
        (name = "operations", description = "Dead letters and the pipeline, for operators"),
        (name = "webhooks", description = "Webhook subscriptions and their deliveries, for operators"),
        (name = "health", description = "Health checks"),
    ),
    components(schemas(ProblemBody<'static>, ValidationError, ValidationCode))
)]
struct Document;

/// The OpenAPI description without any paths.
pub(crate) fn document() -> OpenApi {
    let mut document = Document::openapi();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").description(Some(
        "A JWT access token from the issuer that the service trusts, signed with RS256, ES256 or EdDSA. Required only \
         if the service is configured for authentication.",
    ));
    let components = document.components.get_or_insert_default();
    components.add_security_scheme(BEARER, SecurityScheme::Http(bearer.build()));
    document
}

/// Adds the parts that all operations share, such as headers and problems. Also adds the schemas that no handler refers
/// to.
pub(crate) fn complete(api: &mut OpenApi) {
    let components = api.components.get_or_insert_default();
    components.schemas.extend(objects::named());
    answers::components(components);
    for (path, item) in &mut api.paths.paths {
        let limited = path.starts_with("/v1");
        let operations = [
            (&mut item.get, Scope::Read),
            (&mut item.post, Scope::Write),
            (&mut item.patch, Scope::Write),
            (&mut item.delete, Scope::Write),
        ];
        for (operation, scope) in operations {
            let Some(operation) = operation else { continue };
            // Health checks need no token.
            operation.security = Some(vec![]);
            if limited {
                let for_operators = answers::OperationTraits::of(operation).for_operators;
                let scope = if for_operators { Scope::Operate } else { scope };
                operations::secure(operation, scope);
            }
            operations::complete(operation, limited);
            answers::complete(operation);
        }
    }
    shared::share(api);
    webhooks::add(api);
}
