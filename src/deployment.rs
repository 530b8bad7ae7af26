//! The flag that names the deployment in alerts. The commands that raise alerts use it.

use clap::Args;
use consumer::alert::Deployment;

#[derive(Debug, Clone, Args)]
pub(crate) struct DeploymentArgs {
    /// The name of this deployment, which alerts contain: 1 to 40 printable ASCII characters. Default: the name of the
    /// machine, or on AWS the name of the table.
    #[arg(long, env = "ORDERS_DEPLOYMENT", value_name = "NAME")]
    deployment: Option<Deployment>,
}

impl DeploymentArgs {
    /// The name that the user chose, or else the name of this machine.
    #[cfg(feature = "embedded")]
    pub(crate) fn or_machine(&self) -> Deployment {
        let machine = || rustix::system::uname().nodename().to_string_lossy().into_owned();
        self.or_named(machine)
    }

    /// The name that the user chose, or else the name of what the deployment stores its orders in.
    pub(crate) fn or_named(&self, store: impl FnOnce() -> String) -> Deployment {
        self.deployment.clone().unwrap_or_else(|| Deployment::closest_to(&store()))
    }
}
