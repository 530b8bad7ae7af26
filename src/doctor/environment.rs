//! Checks the environment of this process and the configuration file: whether the role would start, and whether the
//! setup is safe. `doctor::doctor` calls `read` when there is no target.

use std::ffi::OsStr;
use std::path::Path;

use super::args::ServiceRole;
use super::model::{Area, Deployment, EnvironmentProblem};
use super::rules::{OPEN, RECEIVES, WRONG};
use crate::auth::AuthSettings;
use crate::cli::{Cli, Command};

/// Returns the name of the checked command, and the problems with its settings. Without a `role`, guesses it from the
/// environment.
pub(super) async fn read(role: Option<ServiceRole>, config: Option<&Path>) -> (String, Deployment) {
    let role = role.unwrap_or_else(ServiceRole::of_process);
    let name = format!("orders {}", role.name());
    let problems = problems(role, config).await;
    let environment = problems.into_iter().map(|(rule, problem)| {
        let variable = problem
            .split([' ', ':', ',', '(', ')', '='])
            .find(|word| is_variable(word))
            .unwrap_or_default()
            .to_owned();
        EnvironmentProblem { rule, role: name.clone(), variable, problem }
    });
    let deployment = Deployment {
        environment: environment.collect(),
        seen: [Area::Environment].into(),
        ..Deployment::default()
    };
    (format!("the environment of {name}"), deployment)
}

fn is_variable(word: &str) -> bool {
    word.contains('_') && word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
}

type EnvironmentProblems = Vec<(&'static str, String)>;

async fn problems(role: ServiceRole, config: Option<&Path>) -> EnvironmentProblems {
    let file = config.map(|path| [OsStr::new("--config"), path.as_os_str()]);
    let words =
        [OsStr::new("orders")].into_iter().chain(file.into_iter().flatten()).chain([OsStr::new(role.name())]);
    let cli = match Cli::of(words) {
        Ok(cli) => cli,
        Err(error) => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            return vec![(WRONG, first.trim_start_matches("error: ").to_owned())];
        }
    };
    let mut problems: EnvironmentProblems =
        cli.log_level().err().into_iter().map(|problem| (WRONG, problem)).collect();
    match &cli.command {
        #[cfg(feature = "embedded")]
        Command::Serve(args) => {
            let origin = crate::auth::RequestOrigin::Listening(args.listen);
            let alerts = args.alerts.sinks().err().map(|error| format!("{error:#}"));
            let wrong = args.settings().err().into_iter().flatten().chain(alerts);
            problems.extend(wrong.map(|problem| (WRONG, problem)));
            match args.auth.settings(origin) {
                Ok(auth) => problems.extend(open(&auth)),
                Err(wrong) => problems.extend(wrong.into_iter().map(|problem| (WRONG, problem))),
            }
            if args.max_receives < 3 {
                problems.push((RECEIVES, format!("ORDERS_MAX_RECEIVES is {}", args.max_receives)));
            }
        }
        #[cfg(feature = "aws")]
        Command::Api(args) => match crate::aws::check_api(args).await {
            Ok(auth) => problems.extend(open(&auth)),
            Err(wrong) => problems.extend(wrong.into_iter().map(|problem| (WRONG, problem))),
        },
        #[cfg(feature = "aws")]
        Command::Consumer(args) => {
            problems.extend(wrong(crate::aws::check_consumer(args).await));
        }
        #[cfg(feature = "aws")]
        Command::DeadLetters(args) => {
            problems.extend(wrong(crate::aws::check_dead_letters(args).await));
        }
        #[cfg(feature = "aws")]
        Command::Expiry(args) => {
            problems.extend(wrong(crate::aws::check_expiry(args).await));
        }
        #[cfg(feature = "aws")]
        Command::Relay(args) => {
            problems.extend(wrong(crate::aws::check_relay(args).await));
        }
        #[cfg(feature = "aws")]
        Command::WebhookSender(args) => {
            problems.extend(wrong(crate::aws::check_webhooks(args).await));
        }
        _ => {}
    }
    problems
}

/// The problems of a role on AWS.
#[cfg(feature = "aws")]
fn wrong(checked: Result<(), Vec<String>>) -> impl Iterator<Item = (&'static str, String)> {
    checked.err().into_iter().flatten().map(|problem| (WRONG, problem))
}

fn open(auth: &AuthSettings) -> Option<(&'static str, String)> {
    let open = matches!(auth, AuthSettings::Nobody { warn: true, .. });
    open.then(|| (OPEN, "ORDERS_INSECURE_NO_AUTH makes the API accept unauthenticated requests".to_owned()))
}
