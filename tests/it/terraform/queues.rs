//! Tests the queues: their settings, and the requirements of SQS.

use serde_json::{Value as Json, json};

use super::module::Plan;
use super::{KEY, document, plan, plan_with, standard, try_plan};

const MAIN: &str = "aws_sqs_queue.main";
const DLQ: &str = "aws_sqs_queue.dlq";

#[test]
fn a_fifo_queue_is_in_high_throughput_mode_and_keeps_messages_for_14_days() {
    let plan = plan();
    let main = plan.get(MAIN);
    assert_eq!(main["name"], "orders-queue.fifo");
    assert_eq!(main["fifo_queue"], true);
    assert_eq!(main["content_based_deduplication"], false);
    assert_eq!(main["deduplication_scope"], "messageGroup");
    assert_eq!(main["fifo_throughput_limit"], "perMessageGroupId");
    assert_eq!(main["visibility_timeout_seconds"], 300);
    assert_eq!(main["message_retention_seconds"], 1_209_600);
    // SQS requires that the dead-letter queue of a FIFO queue is also a FIFO queue.
    assert_eq!(
        (&plan.get(DLQ)["name"], &plan.get(DLQ)["fifo_queue"]),
        (&json!("orders-queue-dlq.fifo"), &json!(true))
    );
}

#[test]
fn a_standard_queue_has_no_fifo_settings() {
    let plan = standard();
    let (main, dlq) = (plan.get(MAIN), plan.get(DLQ));
    assert_eq!((&main["name"], &dlq["name"]), (&json!("orders-queue"), &json!("orders-queue-dlq")));
    assert_eq!(main["visibility_timeout_seconds"], 300);
    for queue in [main, dlq] {
        assert_eq!(queue["fifo_queue"], false);
        // SQS refuses these arguments on a standard queue.
        assert_eq!(
            (&queue["deduplication_scope"], &queue["fifo_throughput_limit"]),
            (&Json::Null, &Json::Null)
        );
        assert_eq!(queue["content_based_deduplication"], false);
    }
}

#[test]
fn both_queues_take_large_messages_and_keep_them_for_14_days() {
    for plan in [plan(), standard()] {
        for queue in [MAIN, DLQ].map(|queue| plan.get(queue)) {
            assert_eq!(queue["message_retention_seconds"], 14 * 24 * 60 * 60, "14 days");
            assert_eq!(queue["receive_wait_time_seconds"], 20, "long polling");
            assert_eq!(queue["max_message_size"], 1 << 20, "the service publishes messages of up to 1 MiB");
        }
    }
}

#[test]
fn the_visibility_timeout_is_six_times_that_of_the_function() {
    for fifo in [true, false] {
        for (consumer, dead_letters) in [(50, 50), (10, 7), (900, 60)] {
            let plan = plan_with(&[
                ("queue.fifo", fifo.into()),
                ("consumer.timeout", consumer.into()),
                ("dead_letters.timeout", dead_letters.into()),
            ]);
            for (queue, role, timeout) in [(MAIN, "consumer", consumer), (DLQ, "dead-letters", dead_letters)]
            {
                let function = &plan.get(&format!("aws_lambda_function.function[{role}]"))["timeout"];
                assert_eq!(*function, timeout);
                assert_eq!(plan.get(queue)["visibility_timeout_seconds"], 6 * timeout);
            }
        }
    }
}

#[test]
fn messages_move_to_the_dead_letter_queue_after_max_receive_count() {
    let redrive = |plan: &Plan| document(&plan.get(MAIN)["redrive_policy"]);
    let five = json!({ "deadLetterTargetArn": "aws_sqs_queue.dlq.arn", "maxReceiveCount": 5 });
    assert_eq!(redrive(&plan()), five);
    assert_eq!(redrive(&standard()), five);
    // The minimum of `max_receive_count` is 3.
    let three = plan_with(&[("queue.max_receive_count", 3.into())]);
    assert_eq!(redrive(&three)["maxReceiveCount"], 3);
    let errors = try_plan(&[("queue.max_receive_count", 2.into())]).err().unwrap();
    assert!(errors[0].starts_with("queue.max_receive_count must be 3 to 1000"), "{errors:?}");
}

#[test]
fn only_the_main_queue_may_use_the_dead_letter_queue() {
    let plan = plan();
    let allow = plan.get("aws_sqs_queue_redrive_allow_policy.dlq");
    assert_eq!(allow["queue_url"], "aws_sqs_queue.dlq.url");
    let by_queue = json!({ "redrivePermission": "byQueue", "sourceQueueArns": ["aws_sqs_queue.main.arn"] });
    assert_eq!(document(&allow["redrive_allow_policy"]), by_queue);
}

#[test]
fn queues_are_encrypted_by_sqs_or_with_a_key() {
    for (plan, managed, key) in [
        (plan(), json!(true), Json::Null),
        (plan_with(&[("kms_key_arn", KEY.into())]), Json::Null, json!(KEY)),
    ] {
        for queue in [MAIN, DLQ].map(|queue| plan.get(queue)) {
            // SQS refuses a queue with both kinds of encryption.
            assert_eq!((&queue["sqs_managed_sse_enabled"], &queue["kms_master_key_id"]), (&managed, &key));
        }
    }
}

#[test]
fn batch_settings_follow_the_kind_of_queue() {
    let mapping = "aws_lambda_event_source_mapping.consumer";
    let by_default = plan();
    assert_eq!(by_default.get(mapping)["batch_size"], 10);
    assert_eq!(by_default.get(mapping)["maximum_batching_window_in_seconds"], Json::Null, "FIFO takes none");
    // The mapping of a FIFO queue has no batching window, even if the variable is set.
    let asked = plan_with(&[("consumer.batching_window", 20.into())]);
    assert_eq!(asked.get(mapping)["maximum_batching_window_in_seconds"], Json::Null);
    assert_eq!(standard().get(mapping)["maximum_batching_window_in_seconds"], 5);

    let refused = |variables: &[(&'static str, Json)]| try_plan(variables).err().unwrap().remove(0);
    assert!(
        refused(&[("consumer.batch_size", 11.into())])
            .starts_with("consumer.batch_size must be 1 to 10 on a FIFO queue")
    );
    let (large, no_window) = (("consumer.batch_size", 100.into()), ("consumer.batching_window", 0.into()));
    let standard = ("queue.fifo", false.into());
    assert!(refused(&[large.clone(), no_window, standard.clone()]).contains("needs a batching_window"));
    assert_eq!(plan_with(&[large, standard]).get(mapping)["batch_size"], 100);
    let long = [("consumer.batching_window", 30.into()), ("consumer.timeout", 20.into())];
    assert!(refused(&long).contains("no more than timeout"));
}

#[test]
fn standard_queues_are_fair_and_fifo_queues_need_no_fairness() {
    let fair = |plan: &Plan, role: &str| {
        let function = plan.get(&format!("aws_lambda_function.function[{role}]"));
        function["environment"][0]["variables"]["ORDERS_FAIR_QUEUE"].clone()
    };
    let unfair = plan_with(&[("queue.fifo", false.into()), ("queue.fair", false.into())]);
    for role in ["api", "expiry"] {
        assert_eq!(fair(&standard(), role), json!("true"), "{role} sends events");
        assert_eq!((fair(&plan(), role), fair(&unfair, role)), (Json::Null, Json::Null));
    }
    assert_eq!(fair(&standard(), "consumer"), Json::Null);
}
