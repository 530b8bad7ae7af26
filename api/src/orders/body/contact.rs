//! The body of a contact, which is personal data. Orders and amendments contain contacts.
//!
//! Errors contain the rule that a value breaks, and never the value.

use domain::Text;
use domain::contact::{Address, Contact, Country, Email};
use utoipa::ToSchema;
use validator::Validate;

use super::data;
use super::values::scalar;
use crate::input::{BodyField, FromJson, Parsed, ValidationCode, checked, members};

/// How to reach the people behind an order. Every member is optional.
#[derive(Debug, Default, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Contact)]
pub(crate) struct ContactBody {
    /// The person's name.
    #[schema(
        value_type = Option<String>, min_length = 1, max_length = 200,
        pattern = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x08\x0b-\x1f\x7f-\x9f\s][^\x00-\x08\x0b-\x1f\x7f-\x9f]*$"
    )]
    name: BodyField<Text<200>>,
    /// The e-mail address.
    #[schema(value_type = Option<String>, format = "email", max_length = 254)]
    email: BodyField<Email>,
    /// The telephone number, as the person writes it.
    #[schema(
        value_type = Option<String>, min_length = 1, max_length = 40,
        pattern = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x08\x0b-\x1f\x7f-\x9f\s][^\x00-\x08\x0b-\x1f\x7f-\x9f]*$"
    )]
    phone: BodyField<Text<40>>,
    /// The address to which the goods are sent.
    #[schema(value_type = Option<AddressBody>)]
    shipping_address: BodyField<Address>,
    /// The address to which the invoice is sent.
    #[schema(value_type = Option<AddressBody>)]
    billing_address: BodyField<Address>,
}

members!(ContactBody {
    "name" => name,
    "email" => email,
    "phone" => phone,
    "shipping_address" => shipping_address,
    "billing_address" => billing_address,
});

/// A postal address.
#[derive(Debug, Default, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Address)]
pub(crate) struct AddressBody {
    /// The name of the person at the address.
    #[schema(
        value_type = Option<String>, min_length = 1, max_length = 200,
        pattern = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x08\x0b-\x1f\x7f-\x9f\s][^\x00-\x08\x0b-\x1f\x7f-\x9f]*$"
    )]
    name: BodyField<Text<200>>,
    /// The company at the address.
    #[schema(
        value_type = Option<String>, min_length = 1, max_length = 200,
        pattern = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x08\x0b-\x1f\x7f-\x9f\s][^\x00-\x08\x0b-\x1f\x7f-\x9f]*$"
    )]
    company: BodyField<Text<200>>,
    /// The street and number.
    #[validate(required)]
    #[schema(
        value_type = String, min_length = 1, max_length = 200,
        pattern = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x08\x0b-\x1f\x7f-\x9f\s][^\x00-\x08\x0b-\x1f\x7f-\x9f]*$"
    )]
    line1: BodyField<Text<200>>,
    /// The rest of the street address.
    #[schema(
        value_type = Option<String>, min_length = 1, max_length = 200,
        pattern = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x08\x0b-\x1f\x7f-\x9f\s][^\x00-\x08\x0b-\x1f\x7f-\x9f]*$"
    )]
    line2: BodyField<Text<200>>,
    /// The town.
    #[validate(required)]
    #[schema(
        value_type = String, min_length = 1, max_length = 100,
        pattern = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x08\x0b-\x1f\x7f-\x9f\s][^\x00-\x08\x0b-\x1f\x7f-\x9f]*$"
    )]
    city: BodyField<Text<100>>,
    /// The postal code. Some countries have none.
    #[schema(
        value_type = Option<String>, min_length = 1, max_length = 20,
        pattern = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x08\x0b-\x1f\x7f-\x9f\s][^\x00-\x08\x0b-\x1f\x7f-\x9f]*$"
    )]
    postal_code: BodyField<Text<20>>,
    /// The state, province or region.
    #[schema(
        value_type = Option<String>, min_length = 1, max_length = 100,
        pattern = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x08\x0b-\x1f\x7f-\x9f\s][^\x00-\x08\x0b-\x1f\x7f-\x9f]*$"
    )]
    region: BodyField<Text<100>>,
    /// The country, as an ISO 3166-1 alpha-2 code in upper case.
    #[validate(required)]
    #[schema(value_type = String, pattern = "^[A-Z]{2}$", example = "DE")]
    country: BodyField<Country>,
}

members!(AddressBody {
    "name" => name,
    "company" => company,
    "line1" => line1,
    "line2" => line2,
    "city" => city,
    "postal_code" => postal_code,
    "region" => region,
    "country" => country,
});

data! {
    Contact, ContactBody => |contact| Some(Self {
        name: contact.name.into_valid(),
        email: contact.email.into_valid(),
        phone: contact.phone.into_valid(),
        shipping_address: contact.shipping_address.into_valid(),
        billing_address: contact.billing_address.into_valid(),
    });
    Address, AddressBody => |address| Some(Self {
        name: address.name.into_valid(),
        company: address.company.into_valid(),
        line1: address.line1.into_valid()?,
        line2: address.line2.into_valid(),
        city: address.city.into_valid()?,
        postal_code: address.postal_code.into_valid(),
        region: address.region.into_valid(),
        country: address.country.into_valid()?,
    });
}

scalar! {
    Email: from_text(&str), "a string", Format;
    Country: from_text(&str), "a string", Enum;
    Text<20>: from_text(&str), "a string", Format;
    Text<40>: from_text(&str), "a string", Format;
    Text<100>: from_text(&str), "a string", Format;
}
