//! Parses the setting of log levels, which may differ by target. This parser is stricter than the filter's own
//! notation, which reads a misspelt level as the name of a target and then logs nothing. `Cli::log_level` calls this
//! parser.

use tracing_subscriber::filter::{LevelFilter, Targets};

const LEVELS: [(&str, LevelFilter); 6] = [
    ("off", LevelFilter::OFF),
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
];

/// Parses levels separated by commas, as in `warn,consumer=info`. A level without a target applies to everything. A
/// level with a target applies only to that target.
pub(super) fn parse(text: &str) -> Result<Targets, String> {
    let mut targets = Targets::new();
    for part in text.split(',') {
        targets = match part.split_once('=') {
            None => targets.with_default(level(part.trim())?),
            Some((target, _)) if target.trim().is_empty() => {
                return Err("the target before the `=` is missing".to_owned());
            }
            Some((target, name)) => targets.with_target(target.trim(), level(name.trim())?),
        };
    }
    Ok(targets)
}

fn level(name: &str) -> Result<LevelFilter, String> {
    let known = LEVELS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    known.map(|(_, level)| *level).ok_or_else(|| {
        let names = LEVELS.map(|(name, _)| name).join(", ");
        format!("{name:?} is not a level; the levels are {names}; they can differ by target, as in `warn,consumer=info`")
    })
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn levels_differ_by_target_and_ignore_blanks_and_case() {
        for text in ["warn,consumer=info", " WARN , consumer = Info ", "consumer=info,warn"] {
            let targets = parse(text).unwrap();
            assert!(targets.would_enable("consumer::finish", &Level::INFO), "{text}");
            assert!(!targets.would_enable("api", &Level::INFO) && targets.would_enable("api", &Level::WARN));
        }
        assert!(!parse("off").unwrap().would_enable("api", &Level::ERROR));
    }

    #[test]
    fn an_unknown_level_is_refused_with_the_list_of_levels() {
        for text in ["warning", "verbose", "info,", "consumer", "consumer=", "orders=loud", "3"] {
            let error = parse(text).unwrap_err();
            assert!(error.contains("the levels are off, error, warn, info, debug, trace"), "{text}: {error}");
        }
        parse("=info").unwrap_err();
    }
}
