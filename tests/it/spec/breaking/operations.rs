//! Compares OpenAPI descriptions: paths, operations, parameters, bodies and answers.

use serde_json::{Value, json};

use super::{Comparison, Side, members, resolved};
use crate::spec::escaped;

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

impl Comparison<'_> {
    pub(super) fn operations(&mut self) {
        for (path, old_item) in members(&self.old["paths"]) {
            let at = format!("/paths/{}", escaped(path));
            let new_item = &self.new["paths"][path];
            if new_item.is_null() {
                self.report(&at, "the path was removed");
                continue;
            }
            for method in METHODS.iter().filter(|method| old_item[**method].is_object()) {
                let at = format!("{at}/{method}");
                if new_item[*method].is_null() {
                    self.report(&at, "the operation was removed");
                    continue;
                }
                self.parameters(&at, [old_item, &old_item[*method]], [new_item, &new_item[*method]]);
                self.operation(&at, &old_item[*method], &new_item[*method]);
            }
        }
    }

    fn operation(&mut self, at: &str, old: &Value, new: &Value) {
        let (old_id, new_id) = (&old["operationId"], &new["operationId"]);
        if old_id != new_id {
            let what = format!(
                "operationId was {old_id} and is {new_id}, but generated clients name the function after it"
            );
            self.report(&format!("{at}/operationId"), what);
        }
        if needs_credentials(self.new, new) && !needs_credentials(self.old, old) {
            self.report(&format!("{at}/security"), "the operation now requires credentials");
        }
        self.request_body(at, &old["requestBody"], &new["requestBody"]);
        let successes = successes(self.old, old);
        for (status, old_response) in members(&old["responses"]) {
            let at = format!("{at}/responses/{status}");
            let among = status.starts_with('2').then_some(&successes);
            match &new["responses"][status] {
                Value::Null => self.report(&at, format!("status {status} was removed")),
                new_response => self.response(&at, old_response, new_response, among),
            }
        }
    }

    fn parameters(&mut self, at: &str, old: [&Value; 2], new: [&Value; 2]) {
        let (old, new) = (parameters(self.old, at, old), parameters(self.new, at, new));
        for (name, old_at, old_parameter) in &old {
            let Some((_, new_at, new_parameter)) = new.iter().find(|(other, ..)| other == name) else {
                self.report(old_at, format!("the parameter {name} was removed"));
                continue;
            };
            if new_parameter["required"] == true && old_parameter["required"] != true {
                self.report(new_at, format!("the parameter {name} has become required"));
            }
            let at = format!("{new_at}/schema");
            self.schema(&at, &old_parameter["schema"], &new_parameter["schema"], Side::Sent);
        }
        for (name, at, parameter) in &new {
            if parameter["required"] == true && old.iter().all(|(other, ..)| other != name) {
                self.report(at, format!("the parameter {name} is new and required"));
            }
        }
    }

    fn request_body(&mut self, at: &str, old: &Value, new: &Value) {
        let at = format!("{at}/requestBody");
        let ((_, old), (at, new)) = (resolved(self.old, &at, old), resolved(self.new, &at, new));
        if new["required"] == true && old["required"] != true {
            self.report(&at, "the body has become required");
        }
        if old.is_object() && new.is_null() {
            self.report(&at, "the operation no longer accepts a body");
            return;
        }
        self.contents(&at, old, new, Side::Sent, None);
    }

    fn response(&mut self, at: &str, old: &Value, new: &Value, among: Option<&Value>) {
        let ((_, old), (at, new)) = (resolved(self.old, at, old), resolved(self.new, at, new));
        for (name, old_header) in members(&old["headers"]) {
            let at = format!("{at}/headers/{}", escaped(name));
            let found = members(&new["headers"]).find(|(other, _)| other.eq_ignore_ascii_case(name));
            let Some((_, new_header)) = found else {
                self.report(&at, format!("the header {name} was removed"));
                continue;
            };
            let ((_, old_header), (at, new_header)) =
                (resolved(self.old, &at, old_header), resolved(self.new, &at, new_header));
            self.schema(
                &format!("{at}/schema"),
                &old_header["schema"],
                &new_header["schema"],
                Side::Received,
            );
        }
        self.contents(&at, old, new, Side::Received, among);
    }

    /// Compares contents. `among` contains the schemas of all successful answers of the operation in the old
    /// description. A union with a discriminator may contain any of these schemas, because clients had to
    /// expect each of them and can distinguish them by the discriminator.
    fn contents(&mut self, at: &str, old: &Value, new: &Value, side: Side, among: Option<&Value>) {
        for (media_type, old_content) in members(&old["content"]) {
            let at = format!("{at}/content/{}", escaped(media_type));
            let new = match &new["content"][media_type] {
                Value::Null => {
                    self.report(&at, format!("the content type {media_type} was removed"));
                    continue;
                }
                new => &new["schema"],
            };
            let is_union = resolved(self.new, "", new).1["discriminator"].is_object();
            let old = among.filter(|_| is_union).unwrap_or(&old_content["schema"]);
            self.schema(&format!("{at}/schema"), old, new, side);
        }
    }
}

/// The union of the JSON schemas of all successful answers of an operation.
fn successes(document: &Value, operation: &Value) -> Value {
    let of_status = members(&operation["responses"]).filter(|(status, _)| status.starts_with('2'));
    let schemas = of_status.map(|(_, response)| {
        resolved(document, "", response).1["content"]["application/json"]["schema"].clone()
    });
    json!({ "oneOf": schemas.filter(|schema| !schema.is_null()).collect::<Value>() })
}

/// The parameters of a path and of its operation. Each is returned with a name, such as `limit in query`, and its JSON
/// pointer.
fn parameters<'a>(
    document: &'a Value,
    at: &str,
    [item, operation]: [&'a Value; 2],
) -> Vec<(String, String, &'a Value)> {
    let path = at.rsplit_once('/').map_or(at, |(path, _)| path);
    let of = |at: String, list: &'a Value| {
        let numbered = list.as_array().into_iter().flatten().enumerate();
        numbered.map(move |(n, parameter)| (format!("{at}/parameters/{n}"), parameter))
    };
    let all = of(path.to_owned(), &item["parameters"]).chain(of(at.to_owned(), &operation["parameters"]));
    all.map(|(at, parameter)| {
        let (at, parameter) = resolved(document, &at, parameter);
        let (place, name) =
            (parameter["in"].as_str().unwrap_or("?"), parameter["name"].as_str().unwrap_or("?"));
        // Header names are case-insensitive.
        let name = if place == "header" { name.to_ascii_lowercase() } else { name.to_owned() };
        (format!("{name} in {place}"), at, parameter)
    })
    .collect()
}

/// Whether an operation requires credentials.
fn needs_credentials(document: &Value, operation: &Value) -> bool {
    let security = operation.get("security").unwrap_or(&document["security"]);
    let ways = security.as_array().map(Vec::as_slice).unwrap_or_default();
    !ways.is_empty() && ways.iter().all(|way| way.as_object().is_some_and(|way| !way.is_empty()))
}
