//! The contact of an order: how to reach the customer, and where to send the goods and the invoice. Events and orders
//! contain this personal data.
//!
//! Personal data is never logged. `Debug` shows only that a contact exists, and errors do not repeat values.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::value::{InvalidValue, Text, string_value};

/// How to reach the customer of an order, and where to send the goods and the invoice. Every member is optional.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Contact {
    /// The person's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Text<200>>,
    /// The e-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// The telephone number, in any notation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<Text<40>>,
    /// The address that the goods are sent to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipping_address: Option<Address>,
    /// The address that the invoice is sent to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billing_address: Option<Address>,
}

/// A postal address.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The name of the person at the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Text<200>>,
    /// The company at the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company: Option<Text<200>>,
    /// The street and number.
    pub line1: Text<200>,
    /// Further details of the street address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line2: Option<Text<200>>,
    /// The town.
    pub city: Text<100>,
    /// The postal code. Some countries have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<Text<20>>,
    /// The state, province or region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Text<100>>,
    /// The country.
    pub country: Country,
}

impl Serialize for Contact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

/// Reads a contact from a JSON object. The derived implementation of `Deserialize` would also accept an array.
impl<'de> Deserialize<'de> for Contact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Contact;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Contact, A::Error> {
                Contact::deserialize(MapAccessDeserializer::new(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

impl fmt::Debug for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Contact(…)")
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address(…)")
    }
}

/// An e-mail address in the form that HTML forms accept, with at most 254 characters (RFC 5321 section 4.5.3.1).
#[derive(Clone, PartialEq, Eq)]
pub struct Email(Box<str>);

impl Email {
    /// Parses an e-mail address. The error describes the expected form, and never repeats the text.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        use validator::ValidateEmail as _;
        if text.len() > 254 || !text.validate_email() {
            return Err(InvalidValue::new("email", "must be an e-mail address, such as name@example.com"));
        }
        Ok(Self(text.into()))
    }

    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(…)")
    }
}

string_value!(Email);

/// A country by its ISO 3166-1 alpha-2 code, such as `DE`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Country(&'static str);

impl Country {
    /// Parses an alpha-2 code in upper case. The error describes the expected form, and never repeats the text.
    pub fn parse(code: &str) -> Result<Self, InvalidValue> {
        let known = celes::Country::from_alpha2(code).ok().filter(|country| country.alpha2 == code);
        known.map(|country| Self(country.alpha2)).ok_or_else(|| {
            InvalidValue::new("country", "must be an ISO 3166-1 alpha-2 code in upper case, such as DE")
        })
    }

    /// The code.
    pub fn as_str(&self) -> &'static str {
        self.0
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Country(…)")
    }
}

string_value!(Country);
