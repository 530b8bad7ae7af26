//! Asks the operator to confirm a change that cannot be undone: `dlq discard` and `webhooks delete`.

use std::io::{BufRead, IsTerminal, Write, stderr, stdin};

use anyhow::bail;

use crate::style::without_controls;

/// Fails with `refusal` unless the operator agrees. With `yes`, the operator is not asked, and `question` is not called.
pub(crate) async fn confirm(
    yes: bool,
    question: impl AsyncFnOnce() -> anyhow::Result<String>,
    refusal: &str,
) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    if !stdin().is_terminal() {
        bail!("cannot ask for confirmation without a terminal: add --yes");
    }
    // The question is printed and not logged, because its reader is the operator at the terminal.
    let _ = write!(stderr(), "{} [y/N] ", without_controls(&question().await?));
    let mut answer = String::new();
    stdin().lock().read_line(&mut answer)?;
    if !answer.trim().eq_ignore_ascii_case("y") {
        bail!("{refusal}");
    }
    Ok(())
}
