//! What to log: a level, also by target. Stricter than the filter's own notation, in which a misspelt level is a target
//! that logs nothing.

use tracing_subscriber::filter::{LevelFilter, Targets};

const LEVELS: [(&str, LevelFilter); 6] = [
    ("off", LevelFilter::OFF),
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
];

/// Reads levels with commas between them: one for everything, and others for targets (`warn,consumer=info`).
pub(super) fn parse(text: &str) -> Result<Targets, String> {
    let mut targets = Targets::new();
    for part in text.split(',') {
        targets = match part.split_once('=') {
            None => targets.with_default(level(part.trim())?),
            Some((target, _)) if target.trim().is_empty() => {
                return Err("there is no target before the `=`".to_owned());
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
        format!("{name:?} is not a level; the levels are {names}, also by target, as in `warn,consumer=info`")
    })
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn levels_go_by_target_and_blanks_and_case_do_not_matter() {
        for text in ["warn,consumer=info", " WARN , consumer = Info ", "consumer=info,warn"] {
            let targets = parse(text).unwrap();
            assert!(targets.would_enable("consumer::finish", &Level::INFO), "{text}");
            assert!(!targets.would_enable("api", &Level::INFO) && targets.would_enable("api", &Level::WARN));
        }
        assert!(!parse("off").unwrap().would_enable("api", &Level::ERROR));
    }

    #[test]
    fn what_is_no_level_is_refused_with_the_levels() {
        for text in ["warning", "verbose", "info,", "consumer", "consumer=", "orders=loud", "3"] {
            let error = parse(text).unwrap_err();
            assert!(error.contains("the levels are off, error, warn, info, debug, trace"), "{text}: {error}");
        }
        parse("=info").unwrap_err();
    }
}
