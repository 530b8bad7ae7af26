//! Tests the HTTP API, the table, the archive of dead letters and the topic for alerts.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::{KEY, Plan, document, plan, plan_with, try_plan};

/// The routes that require a scope, from the OpenAPI document.
fn described() -> BTreeMap<String, String> {
    let document = serde_json::to_value(api::openapi()).unwrap();
    let mut scopes = BTreeMap::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let schemes = operation["security"].as_array().into_iter().flatten();
            let needed: Vec<_> = schemes.filter_map(|scheme| scheme["bearer"][0].as_str()).collect();
            if let [scope] = needed[..] {
                scopes.insert(format!("{} {path}", method.to_uppercase()), scope.to_owned());
            } else {
                assert!(needed.is_empty(), "{method} {path}: {needed:?}");
            }
        }
    }
    scopes
}

#[test]
fn every_route_requires_the_scope_of_the_openapi_document() {
    let plan = plan();
    let mut scopes = BTreeMap::new();
    for (address, route) in plan.all("aws_apigatewayv2_route") {
        assert_eq!(route["target"], "integrations/aws_apigatewayv2_integration.orders.id");
        if route["route_key"] == "$default" {
            assert_eq!(route["authorization_type"], "NONE");
            continue;
        }
        assert_eq!(route["authorization_type"], "JWT", "{address}");
        assert_eq!(route["authorizer_id"], "aws_apigatewayv2_authorizer.jwt.id", "{address}");
        let [scope] = &route["authorization_scopes"].as_array().unwrap()[..] else { panic!("{address}") };
        let text = |json: &Json| json.as_str().unwrap().to_owned();
        scopes.insert(text(&route["route_key"]), text(scope));
    }
    assert_eq!(scopes, described());
}

#[test]
fn scopes_have_the_prefix_of_their_issuer_in_the_gateway_and_in_the_function() {
    let plan = plan_with(&[("jwt.scope_prefix", "orders/".into())]);
    let scoped = plan.all("aws_apigatewayv2_route").filter(|(_, route)| route["route_key"] != "$default");
    for (address, route) in scoped {
        let scope = route["authorization_scopes"][0].as_str().unwrap();
        assert!(scope.starts_with("orders/orders."), "{address}: {scope}");
    }
    let variables = &plan.get("aws_lambda_function.function[api]")["environment"][0]["variables"];
    assert_eq!(variables["ORDERS_JWT_SCOPE_PREFIX"], "orders/");
}

#[test]
fn tokens_are_checked_for_issuer_and_audience() {
    let plan = plan();
    let authorizer = plan.get("aws_apigatewayv2_authorizer.jwt");
    assert_eq!(authorizer["authorizer_type"], "JWT");
    assert_eq!(authorizer["identity_sources"], json!(["$request.header.Authorization"]));
    let expected = json!([{ "issuer": "https://id.example", "audience": ["orders"] }]);
    assert_eq!(authorizer["jwt_configuration"], expected);
    for (name, value) in [("jwt.issuer", json!("http://id.example")), ("jwt.audience", json!([]))] {
        let given =
            [("package", json!("p")), ("jwt.issuer", json!("https://i")), ("jwt.audience", json!(["a"]))];
        let given: Vec<_> =
            given.into_iter().filter(|(other, _)| *other != name).chain([(name, value)]).collect();
        assert!(super::orders().plan(&given).is_err(), "{name}");
    }
}

#[test]
fn the_api_is_throttled_logged_and_no_slower_than_its_gateway() {
    let plan = plan();
    let stage = plan.get("aws_apigatewayv2_stage.default");
    assert_eq!((&stage["name"], &stage["auto_deploy"]), (&json!("$default"), &json!(true)));
    let throttled = json!([{ "throttling_rate_limit": 1000, "throttling_burst_limit": 2000,
                             "detailed_metrics_enabled": false }]);
    assert_eq!(stage["default_route_settings"], throttled);
    let logs = &stage["access_log_settings"][0];
    assert_eq!(logs["destination_arn"], "aws_cloudwatch_log_group.access.arn");
    let format = document(&logs["format"]);
    assert_eq!(
        (&format["route"], &format["status"]),
        (&json!("$context.routeKey"), &json!("$context.status"))
    );

    let integration = plan.get("aws_apigatewayv2_integration.orders");
    assert_eq!(integration["payload_format_version"], "2.0");
    assert_eq!(integration["integration_uri"], "aws_lambda_function.function[api].invoke_arn");
    let gateway = integration["timeout_milliseconds"].as_u64().unwrap();
    let function = plan.get("aws_lambda_function.function[api]")["timeout"].as_u64().unwrap();
    assert!(1000 * function < gateway && gateway <= 30_000);
    assert!(try_plan(&[("api.timeout", 30.into())]).is_err());

    let permission = plan.get("aws_lambda_permission.api");
    assert_eq!(permission["source_arn"], "aws_apigatewayv2_api.orders.execution_arn/*/*");
    assert_eq!(permission["function_name"], "orders-api");
}

#[test]
fn the_table_is_as_the_program_makes_it_and_protected() {
    let plan = plan();
    let table = plan.get("aws_dynamodb_table.orders");
    assert_eq!((&table["hash_key"], &table["range_key"]), (&json!("pk"), &json!("sk")));
    assert_eq!(table["billing_mode"], "PAY_PER_REQUEST");
    let attributes: Vec<_> =
        table["attribute"].as_array().unwrap().iter().map(|it| (&it["name"], &it["type"])).collect();
    let string = json!("S");
    let names = ["pk", "sk", "customer_id", "listed_at", "due_shard", "due_at"].map(Json::from);
    assert_eq!(attributes, names.iter().map(|name| (name, &string)).collect::<Vec<_>>());
    let index = json!([
        { "name": "customer-orders", "hash_key": "customer_id", "range_key": "listed_at", "projection_type": "KEYS_ONLY" },
        { "name": "due-orders", "hash_key": "due_shard", "range_key": "due_at", "projection_type": "KEYS_ONLY" },
    ]);
    assert_eq!(table["global_secondary_index"], index);
    assert_eq!(table["point_in_time_recovery"], json!([{ "enabled": true }]));
    assert_eq!(table["deletion_protection_enabled"], true);
    assert_eq!(table["server_side_encryption"], json!([{ "enabled": false, "kms_key_arn": null }]));
    // Only the records of released dead letters expire (infra/src/dynamodb/dead_letter_index.rs). The data of orders
    // never expires.
    assert_eq!(table["ttl"], json!([{ "attribute_name": "expires_at", "enabled": true }]));
    let keyed = plan_with(&[("kms_key_arn", KEY.into())]);
    let keyed = &keyed.get("aws_dynamodb_table.orders")["server_side_encryption"];
    assert_eq!(*keyed, json!([{ "enabled": true, "kms_key_arn": KEY }]));
}

#[test]
fn the_search_index_is_made_and_used_only_if_it_is_wanted() {
    let variable = |plan: &Plan, role: &str| {
        let function = plan.get(&format!("aws_lambda_function.function[{role}]"));
        function["environment"][0]["variables"]["ORDERS_SEARCH_INDEX"].clone()
    };
    let roles = ["api", "consumer", "dead-letters"];
    assert_eq!(roles.map(|role| variable(&plan(), role)), [Json::Null, Json::Null, Json::Null]);

    let plan = plan_with(&[("table.search_index", true.into())]);
    assert_eq!(roles.map(|role| variable(&plan, role)), [json!("true"), json!("true"), Json::Null]);
    let table = plan.get("aws_dynamodb_table.orders");
    let index = json!({ "name": "order-search", "hash_key": "search_list", "range_key": "search_at",
                        "projection_type": "INCLUDE",
                        "non_key_attributes": ["status", "payment_status", "fulfilment_status"] });
    assert!(table["global_secondary_index"].as_array().unwrap().contains(&index), "{table}");
    for name in ["search_list", "search_at"] {
        let attribute = json!({ "name": name, "type": "S" });
        assert!(table["attribute"].as_array().unwrap().contains(&attribute), "{table}");
    }
}

#[test]
fn the_archive_is_closed_encrypted_versioned_and_kept() {
    let plan = plan();
    assert_eq!(plan.get("aws_s3_bucket.archive")["force_destroy"], false);
    let closed = plan.get("aws_s3_bucket_public_access_block.archive").as_object().unwrap();
    assert_eq!(closed.values().filter(|value| **value == json!(true)).count(), 4);
    let ownership = &plan.get("aws_s3_bucket_ownership_controls.archive")["rule"];
    assert_eq!(*ownership, json!([{ "object_ownership": "BucketOwnerEnforced" }]));
    let versioning = &plan.get("aws_s3_bucket_versioning.archive")["versioning_configuration"];
    assert_eq!(*versioning, json!([{ "status": "Enabled" }]));
    let encryption = "aws_s3_bucket_server_side_encryption_configuration.archive";
    let algorithm = |plan: &super::Plan| {
        plan.get(encryption)["rule"][0]["apply_server_side_encryption_by_default"][0]["sse_algorithm"].clone()
    };
    assert_eq!(algorithm(&plan), "AES256");
    assert_eq!(algorithm(&plan_with(&[("kms_key_arn", KEY.into())])), "aws:kms");

    let policy = document(&plan.get("aws_s3_bucket_policy.archive")["policy"]);
    let statement = &policy["Statement"][0];
    assert_eq!((&statement["Effect"], &statement["Action"]), (&json!("Deny"), &json!("s3:*")));
    assert_eq!(statement["Condition"], json!({ "Bool": { "aws:SecureTransport": "false" } }));
    assert_eq!(statement["Resource"], json!(["aws_s3_bucket.archive.arn", "aws_s3_bucket.archive.arn/*"]));

    let lifecycle = "aws_s3_bucket_lifecycle_configuration.archive";
    let rule = &plan.get(lifecycle)["rule"][0];
    assert_eq!(rule["transition"], json!([{ "days": 90, "storage_class": "GLACIER_IR" }]));
    assert_eq!(rule["expiration"], Json::Null, "a dead letter holds an accepted event, so it must be kept");
    let expiring = plan_with(&[("archive.expiration_days", 400.into())]);
    assert_eq!(expiring.get(lifecycle)["rule"][0]["expiration"], json!([{ "days": 400 }]));
    assert!(try_plan(&[("archive.expiration_days", 90.into())]).is_err());
}

#[test]
fn cloudwatch_can_publish_alarms_on_the_encrypted_topic() {
    let plan = plan();
    assert_eq!(plan.get("aws_sns_topic.alerts")["kms_master_key_id"], "aws_kms_key.alerts[0].arn");
    let key = plan.get("aws_kms_key.alerts[0]");
    assert_eq!(key["enable_key_rotation"], true);
    let policy = document(&key["policy"]);
    let alarms = &policy["Statement"][1];
    assert_eq!(alarms["Principal"], json!({ "Service": "cloudwatch.amazonaws.com" }));
    assert_eq!(alarms["Action"], json!(["kms:Decrypt", "kms:GenerateDataKey*"]));

    let emails = json!(["ops@shop.example"]);
    let own = plan_with(&[("kms_key_arn", KEY.into()), ("alarms.emails", emails)]);
    assert_eq!(own.get("aws_sns_topic.alerts")["kms_master_key_id"], KEY);
    assert!(own.find("aws_kms_key.alerts[0]").is_none());
    let subscription = own.get("aws_sns_topic_subscription.email[ops@shop.example]");
    assert_eq!(
        (&subscription["protocol"], &subscription["endpoint"]),
        (&json!("email"), &json!("ops@shop.example"))
    );
}

#[test]
fn a_warm_table_has_warm_indexes() {
    let cold = plan();
    assert_eq!(cold.get("aws_dynamodb_table.orders")["warm_throughput"], Json::Null);
    let warm = |units: Json| [("table.warm_throughput", units), ("table.search_index", true.into())];
    let plan = plan_with(&warm(json!({ "write_units": 9000 })));
    let table = plan.get("aws_dynamodb_table.orders");
    let expected = json!([{ "read_units_per_second": 12_000, "write_units_per_second": 9000 }]);
    assert_eq!(table["warm_throughput"], expected);
    for index in table["global_secondary_index"].as_array().unwrap() {
        // Only orders with a deadline are in that index.
        let expected = if index["name"] == "due-orders" { &Json::Null } else { &expected };
        assert_eq!(index["warm_throughput"], *expected, "{index}");
    }
    let errors = try_plan(&warm(json!({ "write_units": 3999 }))).err().unwrap();
    assert!(errors[0].starts_with("table.warm_throughput must be at least"), "{errors:?}");
}

#[test]
fn nothing_names_a_partition_or_a_region() {
    // AWS has partitions with other ARNs and domains: China, GovCloud, the European Sovereign Cloud. The names of service
    // principals are the same in all of them.
    let principal = regex::Regex::new(r#"(Service += |principal += )"[a-z-]+\.amazonaws\.com""#).unwrap();
    for path in super::configuration_files() {
        let text = std::fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with('#'))
        {
            let is_text = ["description", "error_message"].iter().any(|name| line.contains(name));
            let fixed = ["arn:aws", "amazonaws.com", "amazonaws.eu"].iter().any(|part| line.contains(part));
            assert!(
                is_text || !fixed || principal.is_match(line),
                "{}:{}: {line}",
                path.display(),
                number + 1
            );
        }
    }
}
