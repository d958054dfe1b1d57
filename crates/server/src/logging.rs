//! Log lines on standard error.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::Directive;

/// How a log line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line, for machines.
    Json,
}

impl LogFormat {
    pub(crate) fn parse(text: &str) -> Result<LogFormat, String> {
        match text {
            "pretty" => Ok(LogFormat::Pretty),
            "json" => Ok(LogFormat::Json),
            _ => Err("is no format".to_owned()),
        }
    }
}

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// The database driver logs statements with their parameters below `info`: personal data and digests
/// of keys. The crate that checks passkeys calls every wrong answer an error, and anybody can send those. No level
/// that an operator sets lets either through.
const CAPS: [&str; 4] = ["tokio_postgres=info", "postgres=info", "webauthn_rs=off", "webauthn_rs_core=off"];

/// Checks a filter and answers it. Every part has to end in a level: the filter's own grammar would take
/// a misspelt one for the name of a module.
pub(crate) fn check_filter(text: &str) -> Result<String, String> {
    let level = |part: &str| LEVELS.contains(&part.rsplit_once('=').map_or(part, |(_, level)| level).trim());
    if !text.split(',').all(level) || EnvFilter::try_new(text).is_err() {
        return Err("is not a log filter".to_owned());
    }
    Ok(text.to_owned())
}

fn filter(text: &str) -> EnvFilter {
    let base = EnvFilter::try_new(text).unwrap_or_else(|_| EnvFilter::new("info"));
    CAPS.iter().filter_map(|cap| cap.parse::<Directive>().ok()).fold(base, EnvFilter::add_directive)
}

/// Starts logging. Does nothing if the process logs already, as in tests.
pub(crate) fn start(format: LogFormat, level: &str) {
    // A line that cannot be written is dropped: a full or closed log must not take requests with it.
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(level))
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    let _ = match format {
        LogFormat::Pretty => {
            let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
            builder.with_ansi(colours).try_init()
        }
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_levels_or_directives() {
        for good in ["info", "off", "info,store=debug", "web=trace,warn"] {
            assert_eq!(check_filter(good).as_deref(), Ok(good));
        }
        for bad in ["", "inof", "info,debgu", "store=loud", "INFO="] {
            assert!(check_filter(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn no_level_lets_the_database_driver_log_parameters() {
        for level in ["trace", "tokio_postgres=trace", "trace,postgres=trace"] {
            let shown = filter(level).to_string();
            assert!(shown.contains("tokio_postgres=info") && !shown.contains("postgres=trace"), "{shown}");
        }
    }
}
