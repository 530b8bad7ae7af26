//! The bodies that clients send: orders to create, and events to propose. The handlers of `orders` read them, and `describe`
//! shows their schemas.

mod adjustments;
mod contact;
mod event;
mod goods;
mod lines;
mod metadata;
mod money;
mod notes;
mod order;
mod values;

use domain::EventType;
use domain::event::{
    Amended, Annotated, Cancelled, Created, Delivered, Empty, Held, Paid, PaymentAuthorized, PaymentVoided,
    Refunded, Released, ReturnRequested, Returned, Shipped,
};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

pub(crate) use self::adjustments::AdjustmentBody;
pub(crate) use self::contact::{AddressBody, ContactBody};
pub(crate) use self::event::proposable;
pub(crate) use self::lines::{LineQuantityBody, OrderLineBody};
pub(crate) use self::order::CreateOrder;
use crate::input::{FromJson, Parsed};

/// The data of one kind of event, as clients send it.
trait ClientData: for<'de> FromJson<'de> {
    /// The body that describes the members and their limits.
    type Body: ToSchema;

    /// The value to use if the data is absent. `None` if the data is required.
    fn absent() -> Option<Self> {
        None
    }
}

/// How clients send the data of one kind of event.
pub(crate) struct DataBody {
    /// The name of the schema of the data.
    pub(crate) name: String,
    pub(crate) schema: RefOr<Schema>,
    /// The named schemas that the schema of the data refers to.
    pub(crate) parts: Vec<(String, RefOr<Schema>)>,
    /// Whether the data may be absent or `null`.
    pub(crate) is_optional: bool,
}

fn data_body<T: ClientData>() -> DataBody {
    let mut parts = Vec::new();
    T::Body::schemas(&mut parts);
    let (name, schema) = (T::Body::name().into_owned(), T::Body::schema());
    DataBody { name, schema, parts, is_optional: T::absent().is_some() }
}

/// Generates the functions of this crate that depend on the kind of event. The table of event kinds in `domain` calls
/// this macro.
macro_rules! columns {
    ($($kind:ident($data:ty))*) => {
        impl DataBody {
            /// How clients send the data of events of type `event_type`.
            pub(crate) fn of(event_type: EventType) -> Self {
                match event_type {
                    $(EventType::$kind => data_body::<$data>(),)*
                }
            }
        }

        /// Reads the data of an event of type `event_type`.
        fn read_event(event_type: EventType, data: &event::ProposedData<'_>) -> Parsed<domain::Event> {
            match event_type {
                $(EventType::$kind => data.read::<$data>().map(domain::Event::$kind),)*
            }
        }
    };
}

domain::for_each_event_kind!(columns);

/// Implements [`FromJson`] and [`ClientData`] for the data of an event, through the DTO that describes the data. The
/// conversion returns `None` only if a required member is absent. Validation has already refused such data.
macro_rules! data {
    ($($value:ty, $dto:ident => $convert:expr;)*) => {$(
        impl<'de> $crate::input::FromJson<'de> for $value {
            const EXPECTED: &'static str = "an object";

            fn from_object<A: serde::de::MapAccess<'de>>(
                members: A,
            ) -> Result<$crate::input::Parsed<Self>, A::Error> {
                $crate::input::read_object(members, |dto: $dto| {
                    let convert: fn($dto) -> Option<Self> = $convert;
                    convert(dto)
                })
            }
        }
    )*};
}
use data;
