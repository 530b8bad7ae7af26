//! What is wrong with a request: every fault, each with the place it is at.
//!
//! While a body is read, faults gather in the `validator` crate's [`ValidationErrors`]: a tree of the body's shape, in
//! which the key [`SELF`] holds what is wrong with a value itself. [`list`] turns the tree into the flat list of JSON
//! pointers that clients get.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Serialize;
use utoipa::ToSchema;
use validator::{ValidationError, ValidationErrors, ValidationErrorsKind};

/// The most faults that one answer lists: a body can hold more of them than anyone would read.
pub(crate) const MAX_FAULTS: usize = 100;

/// The key under which the tree holds a value's own faults; `validator` uses it for those of a whole struct.
const SELF: &str = "__all__";

/// What is said of a member that is not there. `validator`'s own rule for that is the only one without a message.
pub(crate) const IS_REQUIRED: &str = "is required";

/// The parameter of a fault that is found by comparing members: which of them it is reported at.
const MEMBER: &str = "member";

/// One fault of a request: in the body (`pointer`) or in the path or query (`parameter`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Fault {
    /// A JSON pointer (RFC 6901) to the fault in the body; empty for the body as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, example = "/items/3/quantity")]
    pub(crate) pointer: Option<String>,
    /// The name of the parameter in the path or query.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub(crate) parameter: Option<Cow<'static, str>>,
    /// The kind of fault.
    #[schema(value_type = FaultCode)]
    pub(crate) code: Cow<'static, str>,
    /// The fault in words, to follow the name of the place.
    #[schema(value_type = String, example = "must be 1–1000000")]
    pub(crate) detail: Cow<'static, str>,
}

impl Fault {
    /// A fault of a parameter in the path or query.
    pub(crate) fn parameter(
        name: impl Into<Cow<'static, str>>,
        code: FaultCode,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        let (parameter, code) = (Some(name.into()), code.as_str().into());
        Self { pointer: None, parameter, code, detail: detail.into() }
    }
}

/// The kinds of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FaultCode {
    /// It must be there.
    Required,
    /// It is of the wrong JSON type.
    Type,
    /// Nothing of this name is known here.
    Unknown,
    /// It is there more than once.
    Duplicate,
    /// It is not written as it must be.
    Format,
    /// It is not one of the possible values.
    Enum,
    /// It is too small or too large.
    Range,
    /// It has too few or too many elements, or they are too long.
    Length,
    /// It does not equal the sum of the lines.
    Sum,
}

impl FaultCode {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Type => "type",
            Self::Unknown => "unknown",
            Self::Duplicate => "duplicate",
            Self::Format => "format",
            Self::Enum => "enum",
            Self::Range => "range",
            Self::Length => "length",
            Self::Sum => "sum",
        }
    }

    /// This kind of fault, in the form that validators report.
    pub(crate) fn error(self, detail: impl Into<Cow<'static, str>>) -> ValidationError {
        ValidationError::new(self.as_str()).with_message(detail.into())
    }
}

/// A fault of a value itself.
pub(crate) fn own(error: ValidationError) -> ValidationErrors {
    ValidationErrors(HashMap::from([(SELF.into(), ValidationErrorsKind::Field(vec![error]))]))
}

/// Adds the faults of the member `name`.
pub(crate) fn add(errors: &mut ValidationErrors, name: String, of_member: ValidationErrors) {
    errors.0.insert(name.into(), ValidationErrorsKind::Struct(Box::new(of_member)));
}

/// A fault that a struct's own validator reports at one of the members it compared.
pub(crate) fn at_member(mut error: ValidationError, name: &'static str) -> ValidationError {
    error.params.insert(MEMBER.into(), name.into());
    error
}

/// The faults as clients get them: at most [`MAX_FAULTS`], in a stable order, and how many there are in all.
pub(crate) fn list(errors: &ValidationErrors) -> (Vec<Fault>, usize) {
    let mut faults = Faults::default();
    faults.walk(errors, "");
    (faults.listed, faults.count)
}

#[derive(Default)]
struct Faults {
    listed: Vec<Fault>,
    count: usize,
}

impl Faults {
    fn walk(&mut self, errors: &ValidationErrors, at: &str) {
        let mut members: Vec<_> = errors.0.iter().collect();
        // Lines by number, so that line 2 comes before line 10; the rest by name.
        members.sort_by_key(|(name, _)| (name.parse::<usize>().unwrap_or(usize::MAX), *name));
        for (name, kind) in members {
            match kind {
                ValidationErrorsKind::Field(own) if name == SELF => {
                    own.iter().for_each(|error| self.push(at, error));
                }
                ValidationErrorsKind::Field(own) => {
                    own.iter().for_each(|error| self.push(&child(at, name), error));
                }
                ValidationErrorsKind::Struct(nested) => self.walk(nested, &child(at, name)),
                ValidationErrorsKind::List(nested) => {
                    let list = child(at, name);
                    nested.iter().for_each(|(i, errors)| self.walk(errors, &format!("{list}/{i}")));
                }
            }
        }
    }

    fn push(&mut self, at: &str, error: &ValidationError) {
        self.count += 1;
        if self.listed.len() == MAX_FAULTS {
            return;
        }
        let member = error.params.get(MEMBER).and_then(serde_json::Value::as_str);
        self.listed.push(Fault {
            pointer: Some(member.map_or_else(|| at.to_owned(), |name| child(at, name))),
            parameter: None,
            code: error.code.clone(),
            detail: error.message.clone().unwrap_or(IS_REQUIRED.into()),
        });
    }
}

/// The pointer to a member, escaped as RFC 6901 section 3 says.
fn child(parent: &str, name: &str) -> String {
    format!("{parent}/{}", name.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_in_a_stable_order_with_escaped_pointers_and_a_bound() {
        let fault = || own(FaultCode::Unknown.error("x"));
        let mut items = ValidationErrors::new();
        for line in ["10", "2"] {
            add(&mut items, line.to_owned(), fault());
        }
        let mut errors = own(at_member(FaultCode::Sum.error("x"), "total"));
        add(&mut errors, "items".to_owned(), items);
        add(&mut errors, "a/b~c".to_owned(), fault());
        add(&mut errors, SELF.to_owned(), ValidationErrors::new());

        let (faults, count) = list(&errors);
        let pointers: Vec<_> = faults.iter().filter_map(|fault| fault.pointer.as_deref()).collect();
        assert_eq!(pointers, ["/a~1b~0c", "/items/2", "/items/10"]);
        assert_eq!(count, 3);

        let mut many = own(at_member(FaultCode::Sum.error("x"), "total"));
        (0..200).for_each(|i| add(&mut many, format!("m{i}"), fault()));
        let (faults, count) = list(&many);
        assert_eq!((faults.len(), count), (MAX_FAULTS, 201));
        assert_eq!(faults[0].pointer.as_deref(), Some("/total"));
    }
}
