//! Describes errors in JSON in plain words. The errors of `serde` contain Rust types and values of any length, which do
//! not help people who send or repair messages. The decoder and the API use this module.

use std::borrow::Cow;

/// The maximum number of characters of a message that an error repeats. Longer text is truncated.
const MAX_SHOWN: usize = 64;

/// Describes a JSON error in plain words, with line and column.
pub fn json_error(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let (what, place) = parts(error, &text);
    format!("{}{place}", plain(what))
}

/// Describes a JSON error in plain words, without line and column. For callers that report the path of the invalid value.
pub fn value_error(error: &serde_json::Error) -> String {
    let text = error.to_string();
    plain(parts(error, &text).0).into_owned()
}

/// Removes the invalid value from a description that [`value_error`] made. Only the rule remains.
pub fn without_value(description: &str) -> &str {
    description.split_once(", not ").map_or(description, |(rule, _)| rule)
}

/// Truncates a text to [`MAX_SHOWN`] characters, so that an error can repeat it.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

/// Splits the text of an error into the sentence and the position (line and column) at its end. The position is empty
/// if the error has none.
fn parts<'a>(error: &serde_json::Error, text: &'a str) -> (&'a str, &'a str) {
    let place = if error.line() > 0 { text.rfind(" at line ") } else { None };
    text.split_at(place.unwrap_or(text.len()))
}

fn plain(what: &str) -> Cow<'_, str> {
    for kind in ["invalid type: ", "invalid value: ", "invalid length "] {
        if let Some((found, expected)) = what.strip_prefix(kind).and_then(|it| it.rsplit_once(", expected "))
        {
            let found = if kind == "invalid type: " { found_type(found) } else { Cow::default() };
            return format!("must be {}{found}", expected_type(expected)).into();
        }
    }
    for (kind, rule) in [
        ("missing field ", "is required"),
        ("duplicate field ", "must occur only once"),
        ("unknown field ", "is not a known member"),
    ] {
        if let Some(rest) = what.strip_prefix(kind) {
            let name = rest.strip_prefix('`').and_then(|rest| rest.split('`').next()).unwrap_or(rest);
            return format!("`{}` {rule}", shown(name)).into();
        }
    }
    if let Some((_, known)) =
        what.strip_prefix("unknown variant ").and_then(|it| it.rsplit_once(", expected "))
    {
        return format!("must be {}", known.replace('`', "")).into();
    }
    syntax(what).unwrap_or_else(|| shown_rule(what))
}

/// Rewords the errors of `serde_json` about syntax.
fn syntax(what: &str) -> Option<Cow<'_, str>> {
    Some(match what {
        "expected value" | "expected ident" => "a JSON value is missing".into(),
        "expected `\"`" | "key must be a string" => "the name of a member must be in double quotes".into(),
        "trailing characters" => "there is more text after the end of the JSON value".into(),
        "recursion limit exceeded" => "the JSON is nested too deeply".into(),
        "number out of range" => "a number is too large".into(),
        "lone leading surrogate in hex escape" | "unexpected end of hex escape" => {
            "an escape such as \\ud83d is only half of a character".into()
        }
        "invalid unicode code point" => "the JSON must be UTF-8".into(),
        "EOF while parsing a list" => "the JSON ends in the middle of an array".into(),
        _ => format!("the JSON ends in the middle of {}", what.strip_prefix("EOF while parsing ")?).into(),
    })
}

/// Returns the text of an error that needs no rewording. The errors of our value types are short; a longer text is
/// truncated.
fn shown_rule(what: &str) -> Cow<'_, str> {
    match what.char_indices().nth(4 * MAX_SHOWN) {
        Some((end, _)) => format!("{}…", &what[..end]).into(),
        None => what.into(),
    }
}

/// Describes the invalid value. Booleans and numbers are repeated; strings, arrays and objects are described by their type.
fn found_type(found: &str) -> Cow<'_, str> {
    let value = || found.split('`').nth(1).unwrap_or(found);
    match found.split([' ', ',']).next().unwrap_or_default() {
        "boolean" | "integer" | "floating" => format!(", not {}", value()).into(),
        "null" | "unit" => ", not null".into(),
        "string" | "character" => ", not a string".into(),
        "sequence" => ", not an array".into(),
        "map" => ", not an object".into(),
        _ => Cow::default(),
    }
}

fn expected_type(expected: &str) -> &str {
    match expected {
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "an integer",
        "u8" | "u16" => "an integer from 0",
        "u32" => "an integer from 0 to 4294967295",
        "u64" | "u128" | "usize" => "an integer from 0",
        "f32" | "f64" => "a number",
        "string" | "str" | "a borrowed string" => "a string",
        "a boolean" | "bool" => "true or false",
        "a sequence" => "an array",
        "a map" => "an object",
        other if other.starts_with("struct ") => "an object",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde::de::DeserializeOwned;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "the tests read only the errors, and not the fields")]
    struct Probe {
        number: u32,
        texts: Option<Vec<String>>,
        entries: Option<BTreeMap<String, bool>>,
        choice: Option<Choice>,
        inner: Option<Box<Probe>>,
    }

    #[derive(Debug, Deserialize)]
    enum Choice {
        #[serde(rename = "one")]
        One,
        #[serde(rename = "two")]
        Two,
    }

    fn error<T: DeserializeOwned + std::fmt::Debug>(json: &str) -> String {
        json_error(&serde_json::from_str::<T>(json).unwrap_err())
    }

    #[test]
    fn no_error_contains_a_rust_type_or_a_long_value() {
        let long = "x".repeat(1 << 20);
        for (json, expected) in [
            (r#"{"number":9.5}"#, "must be an integer from 0 to 4294967295, not 9.5 at line 1 column 13"),
            (r#"{"number":-1}"#, "must be an integer from 0 to 4294967295 at line 1 column 12"),
            (&format!(r#"{{"number":"{long}"}}"#), "not a string at line 1"),
            (r#"{"number":null}"#, "not null"),
            (r#"{"number":1,"texts":{}}"#, "must be an array, not an object"),
            (r#"{"number":1,"texts":"a, expected i64"}"#, "must be an array, not a string"),
            (r#"{"number":1,"texts":[true]}"#, "must be a string, not true"),
            (r#"{"number":1,"entries":{"a":[]}}"#, "must be true or false, not an array"),
            (r#"{"number":1,"inner":7}"#, "must be an object, not 7"),
            (r#"{"number":1,"choice":"three"}"#, "must be one or two"),
            ("{}", "`number` is required at line 1 column 2"),
            (r#"{"number":1,"number":1}"#, "`number` must occur only once"),
            (&format!(r#"{{"{long}":1}}"#), &format!("`{}…` is not a known member", &long[..MAX_SHOWN])),
            ("", "the JSON ends in the middle of a value at line 1 column 0"),
            ("{", "the JSON ends in the middle of an object"),
            (r#"{"number":1,"texts":["#, "the JSON ends in the middle of an array"),
            (r#"{"number":nope}"#, "a JSON value is missing"),
            ("{number:1}", "the name of a member must be in double quotes"),
            (r#"{"number":1} x"#, "there is more text after the end of the JSON value at line 1 column 14"),
        ] {
            let error = error::<Probe>(json);
            assert!(error.contains(expected) && error.len() < 300, "{error}");
        }
        assert_eq!(error::<f64>("1e999"), "a number is too large at line 1 column 5");
        assert!(error::<serde_json::Value>(&"[".repeat(200)).starts_with("the JSON is nested too deeply"));
        assert!(error::<String>(r#""\ud800""#).contains("half of a character"));
    }
}
