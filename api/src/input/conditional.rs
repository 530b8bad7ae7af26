//! Conditional requests (RFC 9110, section 13). The entity tag of an order is its version. `accept` reads `If-Match`, and
//! `read` reads `If-None-Match`.

use std::fmt;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::json;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};

use crate::describe::schemas::header_parameter;
use crate::ports::OrderSnapshot;
use crate::problem::{Problem, ProblemKind};

/// The pattern of a header with entity tags, for the OpenAPI description.
pub(super) const TAGS: &str = r#"^(\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*)$"#;

/// The entity tag of an order: its version and, if the order has parked events, their number. The representation of an
/// order contains both numbers.
pub(crate) fn etag(snapshot: &OrderSnapshot) -> HeaderValue {
    let OrderSnapshot { order, parked } = snapshot;
    let tag = if *parked == 0 {
        format!("\"{}\"", order.version)
    } else {
        format!("\"{}-{parked}\"", order.version)
    };
    HeaderValue::try_from(tag).expect("digits and quotes are visible ASCII")
}

/// `If-Match`: the condition of a change.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum IfMatch {
    /// The request has no condition.
    Absent,
    /// The order must exist, at any version.
    Any,
    /// The order must be at one of these versions. An entity tag that this service never sent has no version and is
    /// omitted.
    Versions {
        strong: Vec<u64>,
        /// The versions that weak tags name. A weak tag never matches, because `If-Match` uses strong comparison.
        weak: Vec<u64>,
    },
}

/// The text form of the condition. Stored request hashes contain this text, so it must never change.
impl fmt::Debug for IfMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("Absent"),
            Self::Any => f.write_str("Any"),
            Self::Versions { strong, .. } => f.debug_tuple("Versions").field(strong).finish(),
        }
    }
}

impl IfMatch {
    /// Checks the condition against the current order. Returns the version at which the event must be recorded, if the
    /// condition requires one.
    pub(crate) fn check(&self, snapshot: Option<&OrderSnapshot>) -> Result<Option<u64>, Problem> {
        match (self, snapshot) {
            (Self::Absent, _) => Ok(None),
            (Self::Any, Some(_)) => Ok(None),
            (Self::Versions { strong, .. }, Some(snapshot)) if strong.contains(&snapshot.order.version) => {
                Ok(Some(snapshot.order.version))
            }
            (Self::Versions { weak, .. }, Some(snapshot)) => {
                let version = snapshot.order.version;
                let detail = if weak.contains(&version) {
                    format!(
                        "The order is at version {version}. If-Match names it with a weak entity tag, which never \
                         matches. Send \"{version}\", without W/."
                    )
                } else {
                    format!("The order is at version {version}, which If-Match does not name.")
                };
                Err(Problem::of_order(ProblemKind::PreconditionFailed, detail, &snapshot.order))
            }
            (_, None) => {
                let detail = "If-Match requires an existing order, but no event of this order is recorded.";
                Err(Problem::new(ProblemKind::PreconditionFailed, detail))
            }
        }
    }
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let rule = "must be *, or entity tags such as \"3\"";
        match tags(&parts.headers, &header::IF_MATCH) {
            Some(EntityTags::Absent) => Ok(Self::Absent),
            Some(EntityTags::Any) => Ok(Self::Any),
            Some(EntityTags::These(tags)) => {
                let (weak, strong): (Vec<_>, Vec<_>) = tags.iter().partition(|tag| tag.weak);
                let versions =
                    |tags: Vec<&EntityTag>| tags.into_iter().filter_map(EntityTag::version).collect();
                Ok(Self::Versions { strong: versions(strong), weak: versions(weak) })
            }
            None => Err(Problem::invalid_header("If-Match", rule)),
        }
    }
}

/// `If-None-Match`: the representations that the client already has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IfNoneMatch(EntityTags);

impl IfNoneMatch {
    /// Whether the client already has the representation with the tag `etag`.
    pub(crate) fn has(&self, etag: &HeaderValue) -> bool {
        match &self.0 {
            EntityTags::Absent => false,
            EntityTags::Any => true,
            // The comparison ignores whether a tag is weak, because a proxy may have weakened it.
            EntityTags::These(tags) => tags.iter().any(|tag| tag.opaque.as_bytes() == etag.as_bytes()),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let rule = "must be *, or entity tags such as \"3\"";
        let tags = tags(&parts.headers, &header::IF_NONE_MATCH);
        tags.map(Self).ok_or_else(|| Problem::invalid_header("If-None-Match", rule))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum EntityTags {
    Absent,
    Any,
    These(Vec<EntityTag>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct EntityTag {
    weak: bool,
    /// The tag, including its quotes.
    opaque: String,
}

impl EntityTag {
    /// The version, if this service could have sent the tag.
    fn version(&self) -> Option<u64> {
        let inner = self.opaque.trim_matches('"');
        let version = inner.split_once('-').map_or(inner, |(version, _)| version);
        let digits = version.bytes().all(|b| b.is_ascii_digit());
        version.parse().ok().filter(|_| digits)
    }
}

/// The tags in a header, or `None` if the syntax is wrong.
fn tags(headers: &HeaderMap, name: &HeaderName) -> Option<EntityTags> {
    let mut tags = Vec::new();
    let mut present = false;
    for value in headers.get_all(name) {
        present = true;
        let mut rest = value.to_str().ok()?.trim();
        if rest == "*" {
            return Some(EntityTags::Any);
        }
        while !rest.is_empty() {
            let (weak, quoted) = rest.strip_prefix("W/").map_or((false, rest), |quoted| (true, quoted));
            let end = quoted.strip_prefix('"')?.find('"')? + 2;
            tags.push(EntityTag { weak, opaque: quoted[..end].to_owned() });
            rest = quoted[end..].trim_start();
            rest = if rest.is_empty() { rest } else { rest.strip_prefix(',')?.trim_start() };
        }
    }
    match (present, tags.is_empty()) {
        (false, _) => Some(EntityTags::Absent),
        (true, true) => None,
        (true, false) => Some(EntityTags::These(tags)),
    }
}

impl IntoParams for IfMatch {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let description = "The entity tags that the order may have, such as `\"3\"` for version 3, or `*` for any. The event \
            is accepted and recorded only if the order is at one of these versions.";
        vec![header_parameter("If-Match", description, json!({ "type": "string", "pattern": TAGS }))]
    }
}

impl IntoParams for IfNoneMatch {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let description = "The entity tags that you already have, or `*`. If one matches, the answer is `304` \
        without a body.";
        vec![header_parameter("If-None-Match", description, json!({ "type": "string", "pattern": TAGS }))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(value: &'static str) -> Option<Vec<Option<u64>>> {
        let headers = HeaderMap::from_iter([(header::IF_MATCH, HeaderValue::from_static(value))]);
        match tags(&headers, &header::IF_MATCH)? {
            EntityTags::These(tags) => Some(tags.iter().map(EntityTag::version).collect()),
            _ => Some(vec![]),
        }
    }

    #[test]
    fn the_text_in_request_hashes_never_changes() {
        let versions = IfMatch::Versions { strong: vec![3, 4], weak: vec![5] };
        let texts = [IfMatch::Absent, IfMatch::Any, versions].map(|if_match| format!("{if_match:?}"));
        assert_eq!(texts, ["Absent", "Any", "Versions([3, 4])"]);
    }

    #[test]
    fn tags_follow_the_syntax_of_the_rfc() {
        assert_eq!(versions("\"3\""), Some(vec![Some(3)]));
        assert_eq!(
            versions("\"3\", \"4-1\" ,W/\"5\", \"x,y\", \"\""),
            Some(vec![Some(3), Some(4), Some(5), None, None])
        );
        assert_eq!(versions("*"), Some(vec![]));
        for no in ["", "3", "\"3", "3\"", "\"3\" \"4\"", "W/3", "\"3\";", "w/\"3\""] {
            assert_eq!(versions(no), None, "{no}");
        }
    }
}
