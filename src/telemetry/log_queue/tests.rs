use std::io::{Error, Read};
use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;

/// A time limit that only a failing test reaches.
const PATIENCE: Duration = Duration::from_secs(60);

/// A writer that finishes a write only when the test allows it.
struct GatedWriter {
    allowed: Receiver<io::Result<()>>,
    seen: Sender<Vec<u8>>,
}

impl Write for GatedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.seen.send(bytes.to_vec()).unwrap();
        self.allowed.recv().unwrap().map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A queue whose writer waits until the test allows a write. Also returns the sender that lets writes finish, and the
/// receiver of the written bytes.
fn gated() -> (LogQueue, Sender<io::Result<()>>, Receiver<Vec<u8>>) {
    let ((open, allowed), (seen, written)) = (channel(), channel());
    let report = |lines: &LogQueue, dropped: u64| {
        lines.push(format!("dropped {dropped}\n").as_bytes(), true);
    };
    (LogQueue::start(GatedWriter { allowed, seen }, report).unwrap(), open, written)
}

fn text(written: &Receiver<Vec<u8>>) -> String {
    String::from_utf8(written.recv_timeout(PATIENCE).unwrap()).unwrap()
}

#[test]
fn a_stopped_reader_blocks_nobody_and_the_reserve_keeps_errors() {
    let (lines, open, written) = gated();
    lines.push(b"first\n", false);
    assert_eq!(text(&written), "first\n", "the writer has taken the first line, and its write is blocked");

    let line = [b"x".repeat(1023), b"\n".to_vec()].concat();
    let room = MAX_BYTES / line.len();
    (0..room + 7).for_each(|_| lines.push(&line, false));
    lines.push(b"an error\n", true);
    assert_eq!(lines.dropped(), 7);
    (0..2 * RESERVED_BYTES / line.len()).for_each(|_| lines.push(&line, true));
    let dropped = lines.dropped();
    assert!(dropped > 7, "the reserve for errors is limited as well");
    lines.flush(Duration::from_millis(1));

    // From now on, writes succeed again.
    open.send(Ok(())).unwrap();
    let all = text(&written);
    assert!(all.contains("\nan error\n"));
    let report = format!("\ndropped {dropped}\n");
    assert!(all.ends_with(&report) && all.len() <= MAX_BYTES + RESERVED_BYTES + report.len());
    open.send(Ok(())).unwrap();
    lines.push(b"later\n", false);
    assert_eq!(text(&written), "later\n");
    open.send(Ok(())).unwrap();
    lines.flush(PATIENCE);
    assert_eq!(lines.dropped(), dropped);
}

#[test]
fn failed_writes_are_counted_and_reported_after_the_next_success() {
    let (lines, open, written) = gated();
    lines.push(b"one\ntwo\n", false);
    assert_eq!(text(&written), "one\ntwo\n");
    open.send(Err(Error::from(ErrorKind::StorageFull))).unwrap();
    lines.flush(PATIENCE);
    assert_eq!(lines.dropped(), 2);
    lines.push(b"three\n", false);
    assert_eq!(text(&written), "three\n");
    open.send(Ok(())).unwrap();
    assert_eq!(text(&written), "dropped 2\n");
}

#[test]
fn lines_are_written_in_order() {
    let (reader, writer) = io::pipe().unwrap();
    let lines = LogQueue::start(writer, |_, _| {}).unwrap();
    let expected: String = (0..1000).map(|number| format!("line {number}\n")).collect();
    expected.split_inclusive('\n').for_each(|line| lines.push(line.as_bytes(), false));
    let mut got = String::new();
    reader.take(expected.len() as u64).read_to_string(&mut got).unwrap();
    assert_eq!(got, expected);
    lines.flush(PATIENCE);
}
