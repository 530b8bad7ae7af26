//! Tests that the OpenAPI and AsyncAPI descriptions are true ([`messages`], [`examples`], [`live_examples`]), and
//! that they do not break clients of the last release ([`breaking`]).

mod breaking;
mod examples;
mod live_examples;
mod messages;

use boon::{Compiler, Draft, SchemaIndex, Schemas};
use serde_json::Value;

/// Validates values against the schemas of a description.
struct Validator {
    schemas: Schemas,
    compiler: Compiler,
}

impl Validator {
    fn of(document: Value) -> Self {
        let mut compiler = Compiler::new();
        compiler.set_default_draft(Draft::V2020_12);
        compiler.enable_format_assertions();
        compiler.add_resource("mem:///document", document).unwrap();
        Self { schemas: Schemas::new(), compiler }
    }

    /// Validates `value` against the schema at the given pointer.
    fn check(&mut self, pointer: &str, value: &Value) -> Result<(), String> {
        let schema = self.schema(pointer);
        self.schemas.validate(value, schema).map_err(|error| format!("{error:#}"))
    }

    fn schema(&mut self, pointer: &str) -> SchemaIndex {
        let compiled = self.compiler.compile(&format!("mem:///document#{pointer}"), &mut self.schemas);
        compiled.unwrap_or_else(|error| panic!("{pointer}: {error:#}"))
    }
}

/// A name, escaped for a JSON pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn openapi() -> Value {
    serde_json::to_value(api::openapi()).unwrap()
}
