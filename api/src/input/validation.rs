//! Validation errors: what is wrong with a request, and where. All files of `input` create these errors, and `problem`
//! lists them.
//!
//! While a body is read, its errors are collected in [`BodyErrors`]. The JSON pointer of an error is built from the
//! innermost value outwards. The list is bounded, so that a body with millions of errors needs no more memory than one
//! with a hundred.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::ControlFlow;

use serde::Serialize;
use utoipa::ToSchema;
use validator::ValidationErrorsKind;

/// The maximum number of errors in an answer. No client would read more, although a body can have more.
pub(crate) const MAX_LISTED_ERRORS: usize = 100;

/// The maximum length of a member's or parameter's name in an error message, in characters.
const MAX_NAME: usize = 64;

/// The key under which `validator` stores errors of a whole struct. No member has this name.
const WHOLE: &str = "__all__";

/// The detail of the error for a missing member. `validator`'s rule `required` has no message of its own, unlike our
/// other rules.
pub(crate) const IS_REQUIRED: &str = "is required";

/// The key under which [`at_member`] stores the name of a member in a `validator` error.
const MEMBER: &str = "member";

/// One validation error of a request: in the body (`pointer`), or in the path, the query or a header (`parameter`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Fault)]
pub(crate) struct ValidationError {
    /// A JSON pointer (RFC 6901) to the invalid value in the body; empty for the whole body. Member names are cut after 64
    /// characters and then end with an ellipsis.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, example = "/items/3/quantity")]
    pub(crate) pointer: Option<String>,
    /// The name of the parameter in the path or query, or of the header.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub(crate) parameter: Option<Cow<'static, str>>,
    /// The kind of error.
    #[schema(value_type = ValidationCode)]
    pub(crate) code: Cow<'static, str>,
    /// The error in words. The text follows the name of the member or parameter.
    #[schema(value_type = String, example = "must be 1–1000000")]
    pub(crate) detail: Cow<'static, str>,
}

impl ValidationError {
    /// An error of a parameter in the path or query, or of a header.
    pub(crate) fn parameter(
        name: impl Into<Cow<'static, str>>,
        code: ValidationCode,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        let (name, code) = (name.into(), code.as_str().into());
        let name = if short(&name).len() < name.len() { Cow::Owned(shown(&name)) } else { name };
        Self { pointer: None, parameter: Some(name), code, detail: detail.into() }
    }

    fn at(pointer: String, code: ValidationCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { pointer: Some(pointer), parameter: None, code: code.as_str().into(), detail: detail.into() }
    }
}

/// The kinds of validation errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = FaultCode)]
pub(crate) enum ValidationCode {
    /// The value is missing.
    Required,
    /// The value has the wrong JSON type.
    Type,
    /// The name is unknown.
    Unknown,
    /// The name occurs more than once.
    Duplicate,
    /// The value has the wrong format.
    Format,
    /// The value is not one of the possible values.
    Enum,
    /// The value is too small or too large.
    Range,
    /// The value is too short or too long, or has too few or too many elements.
    Length,
    /// The value does not equal the sum of the line items.
    Sum,
}

impl ValidationCode {
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

    /// A `validator` error with this code and the detail `detail`.
    pub(crate) fn error(self, detail: impl Into<Cow<'static, str>>) -> validator::ValidationError {
        validator::ValidationError::new(self.as_str()).with_message(detail.into())
    }
}

/// Assigns an error of a struct's own rule to one of its members, so that the error's pointer names that member.
pub(crate) fn at_member(
    mut error: validator::ValidationError,
    name: &'static str,
) -> validator::ValidationError {
    error.params.insert(MEMBER.into(), name.into());
    error
}

/// The errors of a value. The first [`MAX_LISTED_ERRORS`] are listed, and the others are only counted. The pointers are
/// relative to the value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct BodyErrors {
    listed: Vec<ValidationError>,
    omitted: usize,
}

impl BodyErrors {
    /// A list with one error, which concerns the value as a whole.
    pub(crate) fn own(code: ValidationCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { listed: vec![ValidationError::at(String::new(), code, detail)], omitted: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// Adds an error of the member `name`.
    pub(crate) fn add(&mut self, name: &str, code: ValidationCode, detail: &'static str) {
        if self.has_room() {
            self.listed.push(ValidationError::at(child(name), code, detail));
        }
    }

    /// Whether to look for more errors. `Break` means that the list is full.
    pub(crate) fn next(&self) -> ControlFlow<()> {
        if self.listed.len() < MAX_LISTED_ERRORS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    /// Adds errors that concern the value as a whole. If the list is full, they replace its last entries.
    pub(crate) fn extend_replacing(&mut self, of_value: Self) {
        let room = MAX_LISTED_ERRORS.saturating_sub(of_value.listed.len());
        self.omitted += self.listed.len().saturating_sub(room);
        self.listed.truncate(room);
        self.extend(of_value);
    }

    /// Adds errors of the value itself. Their pointers are relative to the value already.
    pub(crate) fn extend(&mut self, of_value: Self) {
        self.take(of_value, |_| {});
    }

    /// Adds the errors of the member or element `name`, and prepends its name to their pointers.
    pub(crate) fn extend_at(&mut self, name: &str, of_member: Self) {
        let prefix = child(name);
        self.take(of_member, |pointer| pointer.insert_str(0, &prefix));
    }

    fn take(&mut self, other: Self, prefix: impl Fn(&mut String)) {
        self.omitted += other.omitted;
        for mut error in other.listed {
            if self.has_room() {
                error.pointer.iter_mut().for_each(&prefix);
                self.listed.push(error);
            }
        }
    }

    /// Adds the errors that `validator` found in a struct.
    pub(crate) fn extend_validated(&mut self, found: &validator::ValidationErrors) {
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
                    self.listed.push(ValidationError { pointer, parameter: None, code, detail });
                }
            }
        }
    }

    /// Whether the list has space for one more error. If the list is full, counts the error as omitted.
    fn has_room(&mut self) -> bool {
        let room = self.listed.len() < MAX_LISTED_ERRORS;
        self.omitted += usize::from(!room);
        room
    }

    /// The errors for the client, sorted by pointer, and the number of omitted errors.
    pub(crate) fn into_list(mut self) -> (Vec<ValidationError>, usize) {
        self.listed.sort_by(|a, b| by_pointer(a.pointer.as_deref(), b.pointer.as_deref()));
        (self.listed, self.omitted)
    }

    /// Shortens the list to at most `left` errors, but keeps at least one. Reduces `left` by the length of the list,
    /// because several lists share this limit. Counts the removed errors as omitted.
    pub(crate) fn cut(&mut self, left: &mut usize) {
        let keep = (*left).clamp(1, MAX_LISTED_ERRORS);
        self.omitted += self.listed.len().saturating_sub(keep);
        self.listed.truncate(keep);
        *left = left.saturating_sub(self.listed.len());
    }
}

/// Compares two pointers: array indexes as numbers, so that element 2 comes before element 10, and member names as
/// text.
fn by_pointer(a: Option<&str>, b: Option<&str>) -> Ordering {
    fn segments(pointer: Option<&str>) -> impl Iterator<Item = (usize, &str)> {
        let segments = pointer.unwrap_or_default().split('/');
        segments.map(|segment| (segment.parse().unwrap_or(usize::MAX), segment))
    }
    segments(a).cmp(segments(b))
}

/// The part of a JSON pointer that leads to the member `name`, escaped as in RFC 6901, section 3.
fn child(name: &str) -> String {
    format!("/{}", shown(name).replace('~', "~0").replace('/', "~1"))
}

/// A name in the form that error messages show: a long name is cut and ends with an ellipsis.
pub(crate) fn shown(name: &str) -> String {
    let short = short(name);
    let ellipsis = if short.len() < name.len() { "…" } else { "" };
    format!("{short}{ellipsis}")
}

/// The first [`MAX_NAME`] characters of a name.
fn short(name: &str) -> &str {
    name.char_indices().nth(MAX_NAME).map_or(name, |(end, _)| &name[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointers(errors: BodyErrors) -> (Vec<String>, usize) {
        let (listed, omitted) = errors.into_list();
        (listed.into_iter().filter_map(|error| error.pointer).collect(), omitted)
    }

    #[test]
    fn errors_are_sorted_by_pointer_and_names_are_escaped() {
        let mut items = BodyErrors::default();
        for line in ["10", "2"] {
            items.extend_at(line, BodyErrors::own(ValidationCode::Type, "x"));
        }
        let mut errors = BodyErrors::default();
        errors.extend_at("items", items);
        errors.add("a/b~c", ValidationCode::Unknown, "x");
        errors.add("__all__", ValidationCode::Unknown, "x");
        errors.extend(BodyErrors::own(ValidationCode::Length, "x"));
        let expected = ["", "/__all__", "/a~1b~0c", "/items/2", "/items/10"].map(str::to_owned).to_vec();
        assert_eq!(pointers(errors), (expected, 0));
    }

    #[test]
    fn the_list_is_bounded_and_the_rest_is_counted() {
        let mut many = BodyErrors::default();
        (0..200).for_each(|i| many.add(&format!("m{i}"), ValidationCode::Unknown, "x"));
        let mut outer = BodyErrors::own(ValidationCode::Sum, "x");
        outer.extend_at("data", many);
        let (listed, omitted) = pointers(outer);
        assert_eq!((listed.len(), omitted), (MAX_LISTED_ERRORS, 101));
    }

    #[test]
    fn every_list_of_a_shared_limit_keeps_one_error() {
        let many = || {
            let mut many = BodyErrors::default();
            (0..60).for_each(|i| many.add(&format!("m{i}"), ValidationCode::Unknown, "x"));
            many
        };
        let (mut lists, mut left) = ([many(), many(), many(), many()], 130);
        lists.iter_mut().for_each(|errors| errors.cut(&mut left));
        let lists = lists.map(|errors| (errors.listed.len(), errors.omitted));
        assert_eq!(lists, [(60, 0), (60, 0), (10, 50), (1, 59)]);
    }

    #[test]
    fn long_names_are_cut() {
        let mut errors = BodyErrors::default();
        errors.add(&"é".repeat(64), ValidationCode::Unknown, "x");
        errors.add(&"é".repeat(1 << 20), ValidationCode::Unknown, "x");
        let expected = [format!("/{}", "é".repeat(64)), format!("/{}…", "é".repeat(64))].to_vec();
        assert_eq!(pointers(errors), (expected, 0));
    }
}
