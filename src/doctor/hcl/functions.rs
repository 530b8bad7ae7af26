//! The Terraform functions that typical configurations of this program use. The result of any other function is
//! unknown.

use std::collections::BTreeMap;

use crate::doctor::value::TerraformValue;

pub(super) fn call(name: &str, arguments: Vec<TerraformValue>) -> TerraformValue {
    match name {
        // An argument is unknown if its evaluation fails, or if its value is known only after apply. `try` skips only
        // arguments that fail.
        "try" => attempt(arguments),
        "can" => match arguments.first() {
            Some(TerraformValue::Unknown(unknown)) => TerraformValue::Unknown(unknown.clone()),
            _ => TerraformValue::Bool(true),
        },
        "coalesce" => coalesce(arguments),
        // `jsonencode` returns the structure itself and not its text, because the rules read structures.
        "jsonencode" | "tolist" | "toset" | "tomap" | "sensitive" | "nonsensitive" => only(arguments)
            .map_or_else(|| wrong(name), |value| if name == "toset" { set(value) } else { value }),
        "merge" => merge(arguments),
        "concat" => concat(arguments),
        // The hashed file need not exist: no rule uses the hash, so the hash is not computed.
        "filebase64sha256" => match arguments.first().map(TerraformValue::to_text) {
            Some(Ok(file)) => TerraformValue::Text(format!("${{filebase64sha256({file})}}")),
            _ => wrong(name),
        },
        _ => match arguments.iter().find(|argument| matches!(argument, TerraformValue::Unknown(_))) {
            Some(unknown) => unknown.clone(),
            None => known(name, &arguments).unwrap_or_else(|| wrong(name)),
        },
    }
}

fn wrong(name: &str) -> TerraformValue {
    TerraformValue::unknown(format!("{name}() is not evaluated for these arguments"))
}

fn only(mut arguments: Vec<TerraformValue>) -> Option<TerraformValue> {
    let value = arguments.pop();
    if arguments.is_empty() { value } else { None }
}

fn set(value: TerraformValue) -> TerraformValue {
    match value {
        TerraformValue::List(items) => {
            let mut distinct = Vec::new();
            for item in items {
                if !distinct.contains(&item) {
                    distinct.push(item);
                }
            }
            TerraformValue::List(distinct)
        }
        other => other,
    }
}

fn attempt(arguments: Vec<TerraformValue>) -> TerraformValue {
    let is_missing =
        |value: &TerraformValue| matches!(value, TerraformValue::Unknown(unknown) if unknown.is_missing);
    let first = arguments.into_iter().find(|argument| !is_missing(argument));
    first.unwrap_or_else(|| TerraformValue::unknown("no argument of try() can be evaluated"))
}

fn coalesce(arguments: Vec<TerraformValue>) -> TerraformValue {
    let empty = |value: &TerraformValue| *value == TerraformValue::Null || *value == TerraformValue::text("");
    arguments.into_iter().find(|argument| !empty(argument)).unwrap_or(TerraformValue::Null)
}

fn merge(arguments: Vec<TerraformValue>) -> TerraformValue {
    let mut merged = BTreeMap::new();
    for argument in arguments {
        match argument {
            TerraformValue::Map(map) => merged.extend(map),
            TerraformValue::Null => {}
            unknown @ TerraformValue::Unknown(_) => return unknown,
            _ => return wrong("merge"),
        }
    }
    TerraformValue::Map(merged)
}

fn concat(arguments: Vec<TerraformValue>) -> TerraformValue {
    let mut all = Vec::new();
    for argument in arguments {
        match argument {
            TerraformValue::List(items) => all.extend(items),
            unknown @ TerraformValue::Unknown(_) => return unknown,
            _ => return wrong("concat"),
        }
    }
    TerraformValue::List(all)
}

fn known(name: &str, arguments: &[TerraformValue]) -> Option<TerraformValue> {
    let numbers = || arguments.iter().map(number).collect::<Option<Vec<_>>>();
    let texts = || arguments.iter().map(|argument| argument.to_text().ok()).collect::<Option<Vec<_>>>();
    match name {
        "max" => numbers()?.into_iter().reduce(f64::max).map(TerraformValue::Number),
        "min" => numbers()?.into_iter().reduce(f64::min).map(TerraformValue::Number),
        "floor" => Some(TerraformValue::Number(numbers()?.first()?.floor())),
        "ceil" => Some(TerraformValue::Number(numbers()?.first()?.ceil())),
        "abs" => Some(TerraformValue::Number(numbers()?.first()?.abs())),
        "tonumber" => numbers()?.first().copied().map(TerraformValue::Number),
        "tostring" => match arguments {
            [TerraformValue::Null] => Some(TerraformValue::Null),
            _ => Some(TerraformValue::Text(texts()?.pop()?)),
        },
        "tobool" => match arguments {
            [TerraformValue::Bool(bool)] => Some(TerraformValue::Bool(*bool)),
            [TerraformValue::Null] => Some(TerraformValue::Null),
            [TerraformValue::Text(text)] => text.parse().ok().map(TerraformValue::Bool),
            _ => None,
        },
        "lower" | "upper" | "trimspace" => change(name, texts()?.first()?),
        "trimprefix" | "trimsuffix" | "startswith" | "endswith" => affix(name, &texts()?),
        "replace" => match texts()?.as_slice() {
            // `replace` treats a pattern between slashes as a regular expression, which this program does not evaluate.
            [text, from, to] if !(from.len() > 1 && from.starts_with('/') && from.ends_with('/')) => {
                Some(TerraformValue::Text(text.replace(from.as_str(), to)))
            }
            _ => None,
        },
        "regexall" => regex_all(&texts()?),
        "join" => match arguments {
            [separator, TerraformValue::List(items)] => {
                let items: Option<Vec<_>> = items.iter().map(|item| item.to_text().ok()).collect();
                Some(TerraformValue::Text(items?.join(&separator.to_text().ok()?)))
            }
            _ => None,
        },
        "split" => match texts()?.as_slice() {
            [separator, text] if !text.contains("${") => {
                Some(TerraformValue::List(text.split(separator.as_str()).map(TerraformValue::text).collect()))
            }
            _ => None,
        },
        "format" => format(arguments),
        "jsondecode" => Some(arguments.first()?.clone().into_document()),
        _ => collections(name, arguments),
    }
}

fn number(value: &TerraformValue) -> Option<f64> {
    match value {
        TerraformValue::Number(number) => Some(*number),
        TerraformValue::Text(text) => text.parse().ok(),
        _ => None,
    }
}

fn change(name: &str, text: &str) -> Option<TerraformValue> {
    if text.contains("${") {
        return None;
    }
    Some(TerraformValue::Text(match name {
        "lower" => text.to_lowercase(),
        "upper" => text.to_uppercase(),
        _ => text.trim().to_owned(),
    }))
}

fn affix(name: &str, texts: &[String]) -> Option<TerraformValue> {
    let [text, affix] = texts else { return None };
    if text.contains("${") {
        return None;
    }
    let affix = affix.as_str();
    Some(match name {
        "trimprefix" => TerraformValue::text(text.strip_prefix(affix).unwrap_or(text)),
        "trimsuffix" => TerraformValue::text(text.strip_suffix(affix).unwrap_or(text)),
        "startswith" => TerraformValue::Bool(text.starts_with(affix)),
        _ => TerraformValue::Bool(text.ends_with(affix)),
    })
}

/// The result of `regexall`: all matches of a regular expression. Each match is a text, or a list of groups if the
/// expression has groups.
fn regex_all(texts: &[String]) -> Option<TerraformValue> {
    let [pattern, text] = texts else { return None };
    let pattern = regex::Regex::new(pattern).ok().filter(|_| !text.contains("${"))?;
    let matches = pattern.captures_iter(text).map(|found| {
        let group =
            |at| found.get(at).map_or(TerraformValue::Null, |group| TerraformValue::text(group.as_str()));
        match found.len() {
            1 => group(0),
            count => TerraformValue::List((1..count).map(group).collect()),
        }
    });
    Some(TerraformValue::List(matches.collect()))
}

fn format(arguments: &[TerraformValue]) -> Option<TerraformValue> {
    let (TerraformValue::Text(pattern), rest) = arguments.split_first()? else { return None };
    let mut rest = rest.iter();
    let mut parts = pattern.split('%');
    let mut text = parts.next()?.to_owned();
    while let Some(part) = parts.next() {
        match part.chars().next() {
            Some('s' | 'd' | 'v') => {
                text.push_str(&rest.next()?.to_text().ok()?);
                text.push_str(&part[1..]);
            }
            None => {
                text.push('%');
                text.push_str(parts.next()?);
            }
            _ => return None,
        }
    }
    Some(TerraformValue::Text(text))
}

fn collections(name: &str, arguments: &[TerraformValue]) -> Option<TerraformValue> {
    match (name, arguments) {
        ("length", [TerraformValue::List(items)]) => Some(TerraformValue::Number(items.len() as f64)),
        ("length", [TerraformValue::Map(map)]) => Some(TerraformValue::Number(map.len() as f64)),
        ("length", [TerraformValue::Text(text)]) if !text.contains("${") => {
            Some(TerraformValue::Number(text.chars().count() as f64))
        }
        ("one", [TerraformValue::List(items)]) => match items.as_slice() {
            [] => Some(TerraformValue::Null),
            [single] => Some(single.clone()),
            _ => None,
        },
        ("one", [TerraformValue::Null]) => Some(TerraformValue::Null),
        ("alltrue", [TerraformValue::List(items)]) => {
            let is_false = |item: &TerraformValue| *item == TerraformValue::Bool(false);
            let all = items.iter().all(|item| *item == TerraformValue::Bool(true));
            (all || items.iter().any(is_false)).then_some(TerraformValue::Bool(all))
        }
        ("keys", [TerraformValue::Map(map)]) => {
            Some(TerraformValue::List(map.keys().map(TerraformValue::text).collect()))
        }
        ("values", [TerraformValue::Map(map)]) => Some(TerraformValue::List(map.values().cloned().collect())),
        ("lookup", [TerraformValue::Map(map), TerraformValue::Text(key), rest @ ..]) => {
            map.get(key).or_else(|| rest.first()).cloned()
        }
        ("element", [TerraformValue::List(items), TerraformValue::Number(at)])
            if !items.is_empty() && *at >= 0.0 =>
        {
            items.get(*at as usize % items.len()).cloned()
        }
        ("contains", [TerraformValue::List(items), item]) => {
            let unsure = item.is_symbolic()
                || items.iter().any(|i| i.is_symbolic() || matches!(i, TerraformValue::Unknown(_)));
            let there = items.contains(item);
            (there || !unsure).then_some(TerraformValue::Bool(there))
        }
        ("distinct", [list @ TerraformValue::List(_)]) => Some(set(list.clone())),
        ("reverse", [TerraformValue::List(items)]) => {
            Some(TerraformValue::List(items.iter().rev().cloned().collect()))
        }
        ("compact", [TerraformValue::List(items)]) => {
            let full =
                |item: &&TerraformValue| **item != TerraformValue::Null && **item != TerraformValue::text("");
            Some(TerraformValue::List(items.iter().filter(full).cloned().collect()))
        }
        ("flatten", [TerraformValue::List(items)]) => Some(TerraformValue::List(flat(items))),
        ("setunion", lists) => {
            let concat = concat(lists.to_vec());
            Some(set(concat))
        }
        ("range", [TerraformValue::Number(end)]) if (0.0..=1000.0).contains(end) => Some(
            TerraformValue::List((0..*end as u32).map(|i| TerraformValue::Number(f64::from(i))).collect()),
        ),
        ("zipmap", [TerraformValue::List(keys), TerraformValue::List(values)]) => {
            let keys: Option<Vec<_>> = keys.iter().map(|key| key.to_text().ok()).collect();
            Some(TerraformValue::Map(keys?.into_iter().zip(values.iter().cloned()).collect()))
        }
        _ => None,
    }
}

fn flat(items: &[TerraformValue]) -> Vec<TerraformValue> {
    let each = items.iter().flat_map(|item| match item {
        TerraformValue::List(inner) => flat(inner),
        other => vec![other.clone()],
    });
    each.collect()
}
