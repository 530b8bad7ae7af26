//! The outputs of the relay. `containers` and `lambda` create them with the relay.

use std::sync::Arc;

use consumer::relay::outputs::{EventOutput, Outputs};
use infra::aws::{self as adapters, SdkConfig};

use super::settings::OutputSettings;

/// The configured outputs. Fails if the bus does not exist, because EventBridge would not report that later.
pub(super) async fn outputs(sdk: &SdkConfig, settings: &OutputSettings) -> anyhow::Result<Outputs> {
    let OutputSettings { event_bus, topic, source, default_currency } = settings;
    let mut outputs: Vec<Arc<dyn EventOutput>> = Vec::new();
    if let Some(bus) = event_bus {
        let bus = adapters::event_bus(sdk, bus, source);
        bus.exists().await?;
        outputs.push(Arc::new(bus));
    }
    if let Some(arn) = topic {
        outputs.push(Arc::new(adapters::topic(sdk, arn)));
    }
    Ok(Outputs::new(outputs, source.clone(), *default_currency))
}
