//! Reads the claims that an authorizer of API Gateway has verified. API Gateway puts them into the context of the
//! event, where clients cannot write. The middleware in the parent calls [`principal`].

use std::sync::Arc;

use axum::extract::Request;
use lambda_http::RequestExt;
use lambda_http::request::RequestContext;
use serde_json::{Map, Value};

use crate::auth::claims::TokenClaims;
use crate::auth::principal::Principal;
use crate::auth::refusal::AuthRefusal;

/// The principal of a request, from the claims that the authorizer has verified. For `scope_prefix`, see
/// [`Principal::scope_prefix`].
pub(super) fn principal(request: &Request, scope_prefix: Option<Arc<str>>) -> Result<Principal, AuthRefusal> {
    let claims = request.request_context_ref().and_then(claims).ok_or(AuthRefusal::NoClaims)?;
    TokenClaims::stated(claims).principal(scope_prefix)
}

/// Reads the claims of a request from the context of its event. Their place depends on the kind of authorizer:
///
/// | authorizer | where its claims are |
/// |---|---|
/// | JWT, of an HTTP API, payload format 2.0 | `authorizer.jwt.claims` and `authorizer.jwt.scopes` |
/// | JWT, of an HTTP API, payload format 1.0 | `authorizer.claims` and `authorizer.scopes` |
/// | Cognito, of a REST API | `authorizer.claims` |
/// | a Lambda function | `authorizer` itself; in payload format 2.0 `authorizer.lambda` |
fn claims(context: &RequestContext) -> Option<Map<String, Value>> {
    let authorizer = context.authorizer()?;
    let (stated, scopes) = match &authorizer.jwt {
        Some(jwt) => {
            let claims = jwt.claims.iter().map(|(name, claim)| (name.clone(), claim.as_str().into()));
            (claims.collect(), jwt.scopes.clone().map(Value::from))
        }
        None => match authorizer.fields.get("claims") {
            Some(Value::Object(claims)) => (claims.clone(), authorizer.fields.get("scopes").cloned()),
            Some(_) => return None,
            None => (authorizer.fields.clone().into_iter().collect(), None),
        },
    };
    if stated.is_empty() {
        return None;
    }
    Some(with_scopes(stated, scopes.filter(|scopes| !scopes.is_null())))
}

/// Puts the scopes into the claims in the form that tokens use. API Gateway writes a list as `[a b]`, so the brackets
/// are removed from such a list.
fn with_scopes(mut claims: Map<String, Value>, scopes: Option<Value>) -> Map<String, Value> {
    for name in ["scope", "scp"] {
        if let Some(Value::String(text)) = claims.get_mut(name)
            && let Some(list) = text.strip_prefix('[').and_then(|list| list.strip_suffix(']'))
        {
            *text = list.replace(',', " ");
        }
    }
    if let Some(scopes) = scopes.filter(|_| !claims.contains_key("scope") && !claims.contains_key("scp")) {
        claims.insert("scope".to_owned(), scopes);
    }
    claims
}
