//! The repair record that is sent with a redriven dead letter, so that the recorded event shows who repaired it. Both
//! backends send this record.

use domain::{DeadLetter, MessageBody, Repaired};
use sha2::{Digest, Sha256};

/// The maximum size of an original body that is kept in the event, in bytes. If the body is larger, only its hash is
/// kept.
const MAX_ORIGINAL: usize = 16 << 10;
/// The maximum size of the original and the repaired body together, in bytes. The limit ensures that the event fits
/// into a DynamoDB item.
const MAX_BOTH: usize = 256 << 10;

/// The repair record of a dead letter, or `None` if the dead letter was not repaired.
pub(crate) fn repaired(letter: &DeadLetter) -> Option<Repaired> {
    let original = letter.original.as_ref()?;
    let fits = original.0.len() <= MAX_ORIGINAL && original.0.len() + letter.body.0.len() <= MAX_BOTH;
    Some(Repaired {
        dead_letter: letter.id.clone(),
        repairs: letter.repairs.clone(),
        original_sha256: hex(&Sha256::digest(&original.0)),
        original: fits.then(|| MessageBody(original.0.clone())),
    })
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use domain::{ParkReason, Repair};

    use super::*;

    fn letter(original: Vec<u8>, body: Vec<u8>) -> DeadLetter {
        let mut letter = DeadLetter::new("m", original, ParkReason::Malformed, String::new(), crate::now());
        letter.repair(body, Repair { at: crate::now(), by: Some("ada".to_owned()) });
        letter
    }

    #[test]
    fn the_record_has_the_original_body_unless_it_is_too_long() {
        let found = repaired(&letter(b"abc".to_vec(), b"{}".to_vec())).unwrap();
        assert_eq!((found.dead_letter.as_str(), found.original), ("m", Some(MessageBody(b"abc".to_vec()))));
        assert_eq!(found.repairs[0].by.as_deref(), Some("ada"));
        assert_eq!(found.original_sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        for (original, body) in [(MAX_ORIGINAL + 1, 2), (MAX_ORIGINAL, MAX_BOTH)] {
            let found = repaired(&letter(vec![b'x'; original], vec![b'y'; body])).unwrap();
            assert_eq!((found.original, found.original_sha256.len()), (None, 64));
        }
    }

    #[test]
    fn a_dead_letter_that_was_not_repaired_has_no_record() {
        let as_sent =
            DeadLetter::new("m", b"abc".to_vec(), ParkReason::Malformed, String::new(), crate::now());
        assert_eq!(repaired(&as_sent), None);
    }
}
