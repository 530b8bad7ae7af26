//! JSON in characters that SQS and SNS accept. The outputs of the relay and the adapter of SQS call this
//! module.

/// Returns the JSON in characters that SQS and SNS accept: all of Unicode except U+FFFE, U+FFFF and control characters
/// ([SendMessage](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html)). JSON
/// escapes control characters anyway. U+FFFE and U+FFFF occur only in JSON strings, where an escape has the same
/// meaning.
pub fn printable_json(json: Vec<u8>) -> String {
    let text = String::from_utf8(json).expect("JSON is UTF-8");
    if !text.contains(['\u{fffe}', '\u{ffff}']) {
        return text;
    }
    text.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff")
}
