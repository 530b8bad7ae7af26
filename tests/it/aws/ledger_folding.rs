//! Tests that folding writers of the ledger loses no count, while others read the ledger and after a folded
//! process goes on.

use super::ledger::{OUTCOMES, Process, batch, ledger, open, times};
use crate::support::events::new_order_id;

#[tokio::test(flavor = "multi_thread")]
async fn folded_writers_keep_their_counts_and_may_come_back() {
    let backend = open().await;
    let [living, killed, successor] =
        [Process::of(&backend).await, Process::of(&backend).await, Process::of(&backend).await];
    let orders = || [new_order_id(), new_order_id()];
    assert!(living.handle(&batch(&orders(), 1)).await);
    let counted = orders();
    assert!(killed.handle(&batch(&counted, 1)).await);
    // The killed process has recorded its last batch, but has not counted it.
    let uncounted = orders();
    killed.consumer.handle(batch(&uncounted, 1)).await;
    drop(killed);
    assert_eq!(ledger(&backend).await, times(OUTCOMES, 2));

    assert_eq!(backend.table.fold_all_writers().await.unwrap(), 2);
    assert_eq!(ledger(&backend).await, times(OUTCOMES, 2), "folding changes no sum");
    assert_eq!(backend.table.fold_all_writers().await.unwrap(), 0);

    assert!(successor.handle(&batch(&counted, 2)).await);
    assert_eq!(ledger(&backend).await, times(OUTCOMES, 2), "the numbers of a folded writer are still known");
    assert!(successor.handle(&batch(&uncounted, 2)).await);
    assert_eq!(ledger(&backend).await, times(OUTCOMES, 3), "a message of a folded writer counts late");
    for batches in 4..7 {
        assert!(living.handle(&batch(&orders(), 1)).await);
        assert_eq!(
            ledger(&backend).await,
            times(OUTCOMES, batches),
            "a folded process goes on as a new writer"
        );
    }
    // The living process and its successor each have a new writer. The killed process has none.
    assert_eq!(backend.table.fold_all_writers().await.unwrap(), 2);
    assert_eq!(ledger(&backend).await, times(OUTCOMES, 6));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_while_writers_are_folded_misses_nothing() {
    let backend = open().await;
    let mut writers = Vec::new();
    for _ in 0..12 {
        let process = Process::of(&backend).await;
        assert!(process.handle(&batch(&[new_order_id(), new_order_id()], 1)).await);
        writers.push(process);
    }
    let folding = async {
        assert_eq!(backend.table.fold_all_writers().await.unwrap(), 12);
        true
    };
    let mut folding = std::pin::pin!(folding);
    let mut reads = 0;
    loop {
        let folded = tokio::select! {
            folded = &mut folding => folded,
            read = ledger(&backend) => {
                assert_eq!(read, times(OUTCOMES, 12), "read {reads}");
                reads += 1;
                false
            }
        };
        if folded {
            break;
        }
    }
    assert_eq!(ledger(&backend).await, times(OUTCOMES, 12));
    assert!(reads > 0, "nothing was read meanwhile");
}
