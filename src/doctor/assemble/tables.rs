//! Reads DynamoDB tables from Terraform resources. `assemble` calls it.

use std::collections::BTreeMap;

use crate::doctor::model::{Attribute, DynamoTable, WarmThroughput};
use crate::doctor::resources::{AttributeReader, TerraformResource};

pub(super) fn table(resource: &TerraformResource) -> DynamoTable {
    let a = resource.attributes();
    // The capacity of a provisioned table says what it takes.
    let is_on_demand = a.text("billing_mode").known().is_some_and(|mode| mode == "PAY_PER_REQUEST");
    let warm = |a| if is_on_demand { warm(a) } else { Attribute::Absent };
    DynamoTable {
        identity: resource.identity("name"),
        keys: keys(a),
        indexes: a.blocks("global_secondary_index").then(|indexes| {
            let mut all = BTreeMap::new();
            for index in indexes {
                match (index.text("name"), keys(index)) {
                    (Attribute::Known(name), Attribute::Known(keys)) => all.insert(name, keys),
                    (Attribute::Unknown(why), _) | (_, Attribute::Unknown(why)) => {
                        return Attribute::Unknown(why);
                    }
                    _ => continue,
                };
            }
            Attribute::Known(all)
        }),
        warm: warm(a),
        warm_indexes: match a.blocks("global_secondary_index") {
            Attribute::Known(indexes) => indexes
                .iter()
                .filter_map(|index| Some((index.text("name").known()?.clone(), warm(*index))))
                .collect(),
            _ => BTreeMap::new(),
        },
        recovery: a.block("point_in_time_recovery").then(|block| block.bool("enabled")),
        stream: a
            .bool("stream_enabled")
            .then(|is_on| if is_on { a.text("stream_view_type") } else { Attribute::Absent }),
        protection: a.bool("deletion_protection_enabled"),
    }
}

/// The names of the keys of a table or an index. A configuration declares them as attributes or as blocks.
fn keys(a: AttributeReader<'_>) -> Attribute<Vec<String>> {
    if let Attribute::Known(blocks) = a.blocks("key_schema") {
        let named = |kind: &str| {
            let of_kind =
                blocks.iter().find(|block| block.text("key_type").known().is_some_and(|k| k == kind));
            of_kind.and_then(|block| block.text("attribute_name").known().cloned())
        };
        return Attribute::Known(["HASH", "RANGE"].into_iter().filter_map(named).collect());
    }
    match (a.text("hash_key"), a.text("range_key")) {
        (Attribute::Unknown(why), _) | (_, Attribute::Unknown(why)) => Attribute::Unknown(why),
        (hash, range) => {
            Attribute::Known([hash, range].iter().filter_map(Attribute::known).cloned().collect())
        }
    }
}

/// What a table or an index takes at once. In a plan, the provider has read that of an existing table.
fn warm(a: AttributeReader<'_>) -> Attribute<WarmThroughput> {
    a.block("warm_throughput").then(|block| {
        let (reads, writes) = (block.number("read_units_per_second"), block.number("write_units_per_second"));
        Attribute::Known(WarmThroughput { reads, writes })
    })
}
