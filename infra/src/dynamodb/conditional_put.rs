//! Puts an item on a condition, and returns the item that is in its way. The log, receipts, references and the ledger put their
//! items so: a failed condition returns the existing item for free
//! ([ReturnValuesOnConditionCheckFailure](https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_PutItem.html)).

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;

use crate::sdk::explain;

use super::items::TableItem;

/// What came of a conditional put.
#[derive(Debug)]
pub(super) enum ConditionalPut {
    /// The item was put.
    Put,
    /// The condition was not met. Contains the item with the same key, if there is one.
    Refused(Option<TableItem>),
}

/// Sends a put that has a condition.
pub(super) async fn put_on_condition(call: PutItemFluentBuilder) -> anyhow::Result<ConditionalPut> {
    let call = call.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    let error = match Box::pin(call.send()).await {
        Ok(_) => return Ok(ConditionalPut::Put),
        Err(error) => error,
    };
    match error.as_service_error() {
        Some(PutItemError::ConditionalCheckFailedException(failed)) => {
            Ok(ConditionalPut::Refused(failed.item().cloned()))
        }
        _ => Err(explain(error)),
    }
}
