//! The descriptions say what is so ([`messages`], [`examples`], [`tried`]), and break nothing that was released ([`breaking`]).

mod breaking;
mod examples;
mod messages;
mod tried;

use boon::{Compiler, Draft, SchemaIndex, Schemas};
use serde_json::Value;

/// The schemas in a description, to validate with.
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

    /// Why `value` is not as the schema at this pointer says.
    fn check(&mut self, pointer: &str, value: &Value) -> Result<(), String> {
        let schema = self.schema(pointer);
        self.schemas.validate(value, schema).map_err(|error| format!("{error:#}"))
    }

    fn schema(&mut self, pointer: &str) -> SchemaIndex {
        let compiled = self.compiler.compile(&format!("mem:///document#{pointer}"), &mut self.schemas);
        compiled.unwrap_or_else(|error| panic!("{pointer}: {error:#}"))
    }
}

/// A name as a part of a JSON pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn openapi() -> Value {
    serde_json::to_value(api::openapi()).unwrap()
}
