//! Moves headers, parameters and problems that several operations share to the components. [`super::complete`] calls it
//! last. Without it, the document would repeat the same problems for each operation.

use std::collections::{BTreeMap, HashMap};

use axum::http::StatusCode;
use serde::Serialize;
use utoipa::openapi::path::{Operation, Parameter, PathItem};
use utoipa::openapi::{OpenApi, Ref, RefOr, Response};

use super::answers::OperationTraits;
use crate::problem::ProblemKind;

/// Moves every header, parameter and problem that occurs more than once to the components.
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
        let problems = responses.filter(|(status, _)| status.starts_with(['4', '5']));
        problems.map(move |(status, response)| (variant.name(status, response), response))
    });
    let problems = moved("responses", problems.collect(), generalized);

    let components = api.components.get_or_insert_default();
    components.headers.extend(headers);
    components.parameters.extend(parameters);
    components.responses.extend(problems);
}

fn operations(api: &mut OpenApi) -> impl Iterator<Item = (&str, &mut Operation)> {
    api.paths.paths.iter_mut().flat_map(|(path, PathItem { get, post, .. })| {
        get.iter_mut().chain(post).map(|operation| (path.as_str(), operation))
    })
}

/// Replaces parts that occur at several places by references, and returns the new components. `split` returns the part to
/// share, and the description of the reference to it.
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
        // If two different parts have the same name, the first becomes the component, and the other stays in place.
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

/// The properties of an operation that distinguish its problems from those of other operations with the same status.
#[derive(Clone, Copy)]
struct ProblemVariant {
    traits: OperationTraits,
    /// Whether its requests count towards the request limit.
    limited: bool,
}

impl ProblemVariant {
    /// The name of a problem response: its kind's if only one kind is possible, otherwise its status's.
    fn name(self, status: &str, response: &RefOr<Response>) -> String {
        let code: StatusCode = status.parse().unwrap_or_default();
        let mut name = match kinds(response).as_slice() {
            [kind] => pascal_case(kind, '-'),
            // The first kind is the most specific thing that can be missing.
            [kind, ..] if code == StatusCode::NOT_FOUND => pascal_case(kind, '-'),
            _ => pascal_case(code.canonical_reason().unwrap_or_default(), ' '),
        };
        name += match code {
            StatusCode::BAD_REQUEST if self.traits.takes_key => "WithKey",
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

/// The response with a description that holds for every operation, and its own description.
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
