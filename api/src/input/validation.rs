//! What is wrong with a request: every error, each with the place it is at.
//!
//! While a body is read, its errors gather in [`Errors`], whose JSON pointers grow on the way from the innermost value to the
//! whole body. They are bounded: a body of four million errors costs no more memory than one of a hundred.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::ControlFlow;

use serde::Serialize;
use utoipa::ToSchema;
use validator::{ValidationError, ValidationErrors, ValidationErrorsKind};

/// The most errors that one answer lists: a body can hold more of them than anyone would read.
pub(crate) const MAX_FAULTS: usize = 100;

/// The longest name of a member or parameter that is repeated to the client, in characters; of a longer one, its start.
const MAX_NAME: usize = 64;

/// The key under which `validator` keeps what a rule for a whole struct finds. No member of a body gets there.
const WHOLE: &str = "__all__";

/// The detail of an error about a missing member. `validator`'s own rule for that is the only one without a message.
pub(crate) const IS_REQUIRED: &str = "is required";

/// The parameter of an error that is found by comparing members: which of them it is reported at.
const MEMBER: &str = "member";

/// One fault of a request: in the body (`pointer`) or in the path or query (`parameter`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Fault {
    /// A JSON pointer (RFC 6901) to the fault in the body; empty for the body as a whole. A member's name of more than 64
    /// characters is cut, and ends with an ellipsis.
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
        let (name, code) = (name.into(), code.as_str().into());
        let name = if short(&name).len() < name.len() { Cow::Owned(shown(&name)) } else { name };
        Self { pointer: None, parameter: Some(name), code, detail: detail.into() }
    }

    fn at(pointer: String, code: FaultCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { pointer: Some(pointer), parameter: None, code: code.as_str().into(), detail: detail.into() }
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

/// An error that a struct's own rule reports at one of the members it compared.
pub(crate) fn at_member(mut error: ValidationError, name: &'static str) -> ValidationError {
    error.params.insert(MEMBER.into(), name.into());
    error
}

/// What is wrong with a value: the first [`MAX_FAULTS`] errors, with pointers that begin at that value, and how many more
/// there are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Errors {
    listed: Vec<Fault>,
    omitted: usize,
}

impl Errors {
    /// One error, of the value itself.
    pub(crate) fn own(code: FaultCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { listed: vec![Fault::at(String::new(), code, detail)], omitted: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// Adds an error of the member `name`.
    pub(crate) fn add(&mut self, name: &str, code: FaultCode, detail: &'static str) {
        if self.has_room() {
            self.listed.push(Fault::at(child(name), code, detail));
        }
    }

    /// Whether to look for more: not when those that were found are more than anyone would read.
    pub(crate) fn next(&self) -> ControlFlow<()> {
        if self.listed.len() < MAX_FAULTS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    /// Adds the errors of the value itself, in place of others if there is no room.
    pub(crate) fn insist(&mut self, of_value: Self) {
        let room = MAX_FAULTS.saturating_sub(of_value.listed.len());
        self.omitted += self.listed.len().saturating_sub(room);
        self.listed.truncate(room);
        self.extend(of_value);
    }

    /// Adds the errors of the value itself.
    pub(crate) fn extend(&mut self, of_value: Self) {
        self.take(of_value, |_| {});
    }

    /// Adds the errors of the member, or the element, `name`.
    pub(crate) fn extend_at(&mut self, name: &str, of_member: Self) {
        let prefix = child(name);
        self.take(of_member, |pointer| pointer.insert_str(0, &prefix));
    }

    fn take(&mut self, other: Self, place: impl Fn(&mut String)) {
        self.omitted += other.omitted;
        for mut fault in other.listed {
            if self.has_room() {
                fault.pointer.iter_mut().for_each(&place);
                self.listed.push(fault);
            }
        }
    }

    /// Adds what the rules of a struct found: they know its members by name.
    pub(crate) fn extend_validated(&mut self, found: &ValidationErrors) {
        let mut members: Vec<_> = found.0.iter().collect();
        members.sort_by_key(|(name, _)| *name);
        for (name, kind) in members {
            let ValidationErrorsKind::Field(errors) = kind else { continue };
            for error in errors {
                let whole = error.params.get(MEMBER).and_then(serde_json::Value::as_str).unwrap_or_default();
                let pointer = child(if name == WHOLE { whole } else { name });
                let detail = error.message.clone().unwrap_or(IS_REQUIRED.into());
                if self.has_room() {
                    let (pointer, code) = (Some(pointer), error.code.clone());
                    self.listed.push(Fault { pointer, parameter: None, code, detail });
                }
            }
        }
    }

    /// Whether one more is listed; if not, it is counted.
    fn has_room(&mut self) -> bool {
        let room = self.listed.len() < MAX_FAULTS;
        self.omitted += usize::from(!room);
        room
    }

    /// The errors as clients get them, sorted by place, and how many are not listed.
    pub(crate) fn into_list(mut self) -> (Vec<Fault>, usize) {
        self.listed.sort_by(|a, b| by_place(a.pointer.as_deref(), b.pointer.as_deref()));
        (self.listed, self.omitted)
    }

    /// Takes what others left to list, but for one error: the others are counted.
    pub(crate) fn cut(&mut self, left: &mut usize) {
        let keep = (*left).clamp(1, MAX_FAULTS);
        self.omitted += self.listed.len().saturating_sub(keep);
        self.listed.truncate(keep);
        *left = left.saturating_sub(self.listed.len());
    }
}

/// Lines by number, so that line 2 comes before line 10; the rest by name.
fn by_place(a: Option<&str>, b: Option<&str>) -> Ordering {
    fn segments(pointer: Option<&str>) -> impl Iterator<Item = (usize, &str)> {
        let segments = pointer.unwrap_or_default().split('/');
        segments.map(|segment| (segment.parse().unwrap_or(usize::MAX), segment))
    }
    segments(a).cmp(segments(b))
}

/// The last part of a pointer to a member, escaped as RFC 6901 section 3 says.
fn child(name: &str) -> String {
    format!("/{}", shown(name).replace('~', "~0").replace('/', "~1"))
}

/// A name as clients get it back.
pub(crate) fn shown(name: &str) -> String {
    let short = short(name);
    let ellipsis = if short.len() < name.len() { "…" } else { "" };
    format!("{short}{ellipsis}")
}

/// The start of a name that has [`MAX_NAME`] characters at most.
fn short(name: &str) -> &str {
    name.char_indices().nth(MAX_NAME).map_or(name, |(end, _)| &name[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointers(errors: Errors) -> (Vec<String>, usize) {
        let (faults, omitted) = errors.into_list();
        (faults.into_iter().filter_map(|fault| fault.pointer).collect(), omitted)
    }

    #[test]
    fn lists_by_place_with_escaped_pointers() {
        let mut items = Errors::default();
        for line in ["10", "2"] {
            items.extend_at(line, Errors::own(FaultCode::Type, "x"));
        }
        let mut errors = Errors::default();
        errors.extend_at("items", items);
        errors.add("a/b~c", FaultCode::Unknown, "x");
        errors.add("__all__", FaultCode::Unknown, "x");
        errors.extend(Errors::own(FaultCode::Length, "x"));
        let expected = ["", "/__all__", "/a~1b~0c", "/items/2", "/items/10"].map(str::to_owned).to_vec();
        assert_eq!(pointers(errors), (expected, 0));
    }

    #[test]
    fn the_list_is_bounded_and_the_rest_is_counted() {
        let mut many = Errors::default();
        (0..200).for_each(|i| many.add(&format!("m{i}"), FaultCode::Unknown, "x"));
        let mut outer = Errors::own(FaultCode::Sum, "x");
        outer.extend_at("data", many);
        let (listed, omitted) = pointers(outer);
        assert_eq!((listed.len(), omitted), (MAX_FAULTS, 101));
    }

    #[test]
    fn lists_that_share_a_bound_have_one_error_each_at_least() {
        let many = || {
            let mut many = Errors::default();
            (0..60).for_each(|i| many.add(&format!("m{i}"), FaultCode::Unknown, "x"));
            many
        };
        let (mut lists, mut left) = ([many(), many(), many(), many()], 130);
        lists.iter_mut().for_each(|errors| errors.cut(&mut left));
        let lists = lists.map(|errors| (errors.listed.len(), errors.omitted));
        assert_eq!(lists, [(60, 0), (60, 0), (10, 50), (1, 59)]);
    }

    #[test]
    fn long_names_are_cut() {
        let mut errors = Errors::default();
        errors.add(&"é".repeat(64), FaultCode::Unknown, "x");
        errors.add(&"é".repeat(1 << 20), FaultCode::Unknown, "x");
        let expected = [format!("/{}", "é".repeat(64)), format!("/{}…", "é".repeat(64))].to_vec();
        assert_eq!(pointers(errors), (expected, 0));
    }
}
