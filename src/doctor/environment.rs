//! The environment of this process: whether the role that it is for would start with it, and what it would let happen.

use std::ffi::OsStr;
use std::path::Path;

use clap::ValueEnum;

use super::model::{Area, Deployment, Fault};
use super::rules::{OPEN, RECEIVES, WRONG};
use crate::auth::Settings as Auth;
use crate::cli::{Cli, Command};

/// The command whose variables are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// The API and the consumer on one data folder.
    #[cfg(feature = "embedded")]
    Serve,
    /// The API on SQS and DynamoDB.
    #[cfg(feature = "aws")]
    Api,
    /// The consumer on SQS and DynamoDB.
    #[cfg(feature = "aws")]
    Consumer,
    /// What archives dead letters and raises alerts.
    #[cfg(feature = "aws")]
    DeadLetters,
}

impl Role {
    /// The role that the environment seems to be made for.
    fn of_process() -> Self {
        #[cfg(feature = "aws")]
        {
            let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
            if set("ALERTS_TOPIC") {
                return Self::DeadLetters;
            }
            // With the archive, it is the API's, which counts what is not archived yet.
            if set("DLQ_URL") && !set("DLQ_BUCKET") {
                return Self::Consumer;
            }
            if set("QUEUE_URL") || set("TABLE_NAME") || cfg!(not(feature = "embedded")) {
                return Self::Api;
            }
        }
        #[cfg(feature = "embedded")]
        return Self::Serve;
        #[cfg(not(feature = "embedded"))]
        Self::Api
    }

    fn name(self) -> &'static str {
        match self {
            #[cfg(feature = "embedded")]
            Self::Serve => "serve",
            #[cfg(feature = "aws")]
            Self::Api => "api",
            #[cfg(feature = "aws")]
            Self::Consumer => "consumer",
            #[cfg(feature = "aws")]
            Self::DeadLetters => "dead-letters",
        }
    }
}

/// What the environment says, to the role that it is for unless another is meant; and how that is called.
pub(super) async fn read(role: Option<Role>, config: Option<&Path>) -> (String, Deployment) {
    let role = role.unwrap_or_else(Role::of_process);
    let name = format!("orders {}", role.name());
    let faults = faults(role, config).await;
    let environment = faults.into_iter().map(|(rule, fault)| {
        let variable = fault
            .split([' ', ':', ',', '(', ')', '='])
            .find(|word| is_variable(word))
            .unwrap_or_default()
            .to_owned();
        Fault { rule, role: name.clone(), variable, fault }
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

type Faults = Vec<(&'static str, String)>;

async fn faults(role: Role, config: Option<&Path>) -> Faults {
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
    let mut faults: Faults = cli.log_level().err().into_iter().map(|fault| (WRONG, fault)).collect();
    match &cli.command {
        #[cfg(feature = "embedded")]
        Command::Serve(args) => {
            let origin = crate::auth::Origin::Listening(args.listen);
            let metrics = args.metrics.read().err();
            let alerts = args.alerts().err().map(|error| format!("{error:#}"));
            let wrong = args.http.read().err().into_iter().flatten().chain(metrics).chain(alerts);
            faults.extend(wrong.map(|fault| (WRONG, fault)));
            match args.auth.settings(origin) {
                Ok(auth) => faults.extend(open(&auth)),
                Err(wrong) => faults.extend(wrong.into_iter().map(|fault| (WRONG, fault))),
            }
            if args.max_receives < 3 {
                faults.push((RECEIVES, format!("ORDERS_MAX_RECEIVES is {}", args.max_receives)));
            }
        }
        #[cfg(feature = "aws")]
        Command::Api(args) => match crate::aws::check_api(args).await {
            Ok(auth) => faults.extend(open(&auth)),
            Err(wrong) => faults.extend(wrong.into_iter().map(|fault| (WRONG, fault))),
        },
        #[cfg(feature = "aws")]
        Command::Consumer(args) => {
            let wrong = crate::aws::check_consumer(args).await.err();
            faults.extend(wrong.into_iter().flatten().map(|fault| (WRONG, fault)));
        }
        #[cfg(feature = "aws")]
        Command::DeadLetters(args) => {
            let wrong = crate::aws::check_dead_letters(args).await.err();
            faults.extend(wrong.into_iter().flatten().map(|fault| (WRONG, fault)));
        }
        _ => {}
    }
    faults
}

fn open(auth: &Auth) -> Option<(&'static str, String)> {
    let open = matches!(auth, Auth::Nobody { warn: true, .. });
    open.then(|| (OPEN, "ORDERS_INSECURE_NO_AUTH lets everybody in".to_owned()))
}
