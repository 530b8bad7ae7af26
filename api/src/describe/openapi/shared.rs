//! Moves the headers, parameters, problems and empty answers that several operations share into components. The operations
//! refer to these components, so the document does not repeat the same problems for each operation. [`super::complete`]
//! calls this module last.

use std::collections::{BTreeMap, HashMap};

use axum::http::StatusCode;
use serde::Serialize;
use utoipa::openapi::path::{Operation, Parameter, PathItem};
use utoipa::openapi::{OpenApi, Ref, RefOr, Response};

use super::answers::OperationTraits;
use crate::problem::ProblemKind;

/// Moves every header, parameter and problem that occurs more than once into a component. Each occurrence becomes a
/// reference to the component.
pub(super) fn share(api: &mut OpenApi) {
    let headers = operations(api).flat_map(|(_, operation)| operation.responses.responses.values_mut());
    let headers = headers.filter_map(|response| match response {
        RefOr::T(response) => Some(response.headers.iter_mut()),
        RefOr::Ref(_) => None,
    });
    let headers = headers.flatten().map(|(name, header)| (name.clone(), header));
    let headers = moved("headers", headers.collect(), |header| (header.clone(), String::new()));

    let parameters = operations(api).flat_map(|(_, operation)| operation.parameters.iter_mut().flatten());
    let parameters = parameters.map(|parameter| (parameter_name(parameter), parameter));
    let parameters =
        moved("parameters", parameters.collect(), |parameter| (parameter.clone(), String::new()));

    let problems = operations(api).flat_map(|(path, operation)| {
        let variant =
            ProblemVariant { traits: OperationTraits::of(operation), limited: path.starts_with("/v1") };
        let responses = operation.responses.responses.iter_mut();
        let shared = responses.filter(|(status, _)| status.starts_with(['4', '5']) || *status == "204");
        shared.map(move |(status, response)| (variant.name(status, response), response))
    });
    let problems = moved("responses", problems.collect(), generalized);

    let components = api.components.get_or_insert_default();
    components.headers.extend(headers);
    components.parameters.extend(parameters);
    components.responses.extend(problems);
}

fn operations(api: &mut OpenApi) -> impl Iterator<Item = (&str, &mut Operation)> {
    api.paths.paths.iter_mut().flat_map(|(path, PathItem { get, post, patch, delete, .. })| {
        let operations = get.iter_mut().chain(post).chain(patch).chain(delete);
        operations.map(|operation| (path.as_str(), operation))
    })
}

/// Moves each part that occurs more than once into a component, replaces its occurrences by references, and returns the
/// components. `split` returns a part in the form that operations share, and the description that the reference keeps.
fn moved<T: Serialize>(
    kind: &str,
    places: Vec<(String, &mut RefOr<T>)>,
    split: impl Fn(&T) -> (T, String),
) -> BTreeMap<String, RefOr<T>> {
    let json = |part: &T| serde_json::to_string(part).unwrap_or_default();
    let mut uses: HashMap<String, usize> = HashMap::new();
    for (_, place) in &places {
        if let RefOr::T(part) = place {
            *uses.entry(json(&split(part).0)).or_default() += 1;
        }
    }
    let mut components: BTreeMap<String, (String, T)> = BTreeMap::new();
    for (name, place) in places {
        let RefOr::T(part) = place else { continue };
        let (part, description) = split(part);
        let key = json(&part);
        if uses.get(&key).is_none_or(|uses| *uses < 2) {
            continue;
        }
        // Two different parts may have the same name. Then only the first of them becomes a component.
        let (known, _) = components.entry(name.clone()).or_insert_with(|| (key.clone(), part));
        if *known == key {
            let mut reference = Ref::new(format!("#/components/{kind}/{name}"));
            reference.description = description;
            *place = RefOr::Ref(reference);
        }
    }
    components.into_iter().map(|(name, (_, part))| (name, RefOr::T(part))).collect()
}

fn parameter_name(parameter: &RefOr<Parameter>) -> String {
    match parameter {
        RefOr::T(parameter) => parameter.name.clone(),
        RefOr::Ref(_) => String::new(),
    }
}

/// The properties of an operation that decide which problems it can return with a given status.
#[derive(Clone, Copy)]
struct ProblemVariant {
    traits: OperationTraits,
    /// Whether requests of this operation count towards the request limit.
    limited: bool,
}

impl ProblemVariant {
    /// The name of a problem response. If only one kind of problem is possible, the response is named after the kind;
    /// otherwise it is named after the status.
    fn name(self, status: &str, response: &RefOr<Response>) -> String {
        let code: StatusCode = status.parse().unwrap_or_default();
        let mut name = match kinds(response).as_slice() {
            [kind] => pascal_case(kind, '-'),
            // A 404 response is named after its first kind that is not `NotFound`, because `NotFound` only means that
            // the path does not exist.
            [first, second, ..] if code == StatusCode::NOT_FOUND => {
                pascal_case(if *first == ProblemKind::NotFound.name() { second } else { first }, '-')
            }
            _ => pascal_case(code.canonical_reason().unwrap_or_default(), ' '),
        };
        name += match code {
            StatusCode::BAD_REQUEST if self.traits.takes_key => "WithKey",
            StatusCode::SERVICE_UNAVAILABLE
                if kinds(response).contains(&ProblemKind::TooManyStreams.name()) =>
            {
                "OfStream"
            }
            StatusCode::SERVICE_UNAVAILABLE if self.traits.has_body && self.traits.of_webhooks => "OfWebhook",
            StatusCode::BAD_REQUEST | StatusCode::SERVICE_UNAVAILABLE if self.traits.has_body => "WithBody",
            _ => "",
        };
        if !self.limited && code != StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE {
            name += "Unlimited";
        }
        name
    }
}

/// The names of the problem kinds among a response's examples.
fn kinds(response: &RefOr<Response>) -> Vec<&str> {
    let RefOr::T(response) = response else { return vec![] };
    let examples = response.content.values().filter_map(|content| match content {
        RefOr::T(content) => Some(content.examples.keys().map(String::as_str)),
        RefOr::Ref(_) => None,
    });
    examples.flatten().collect()
}

fn pascal_case(text: &str, separator: char) -> String {
    let capitalized = |word: &str| word[..1].to_ascii_uppercase() + &word[1..];
    text.split(separator).filter(|word| !word.is_empty()).map(capitalized).collect()
}

/// Returns a copy of a response with a general description, which operations can share, and the response's own
/// description.
fn generalized(response: &Response) -> (Response, String) {
    let mut shared = response.clone();
    let whole = RefOr::T(response.clone());
    let title = |name: &str| {
        ProblemKind::ALL.iter().find(|kind| kind.name() == name).map(|kind| kind.definition().title)
    };
    let titles: Vec<_> = kinds(&whole).into_iter().filter_map(title).collect();
    if !titles.is_empty() {
        shared.description = titles.join(", or: ");
    }
    (shared, response.description.clone())
}
