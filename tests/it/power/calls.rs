//! Parses the output of strace. A system call is on one line, or on two lines if calls of several threads overlap.

use std::collections::HashMap;

/// The result that strace shows for a call during which its thread was killed.
pub(super) const UNKNOWN_RESULT: i64 = i64::MIN;

/// A system call.
#[derive(Debug, Clone)]
pub(super) struct Call<'a> {
    pub(super) name: &'a str,
    /// The arguments in the form that strace prints.
    pub(super) arguments: Vec<&'a str>,
    pub(super) returned: i64,
    /// Whether strace injected the result. If so, the call never reached the kernel.
    pub(super) is_injected: bool,
    /// The lines of strace's output at which the call began and ended. Later calls of the same thread have higher line
    /// numbers.
    pub(super) begin: usize,
    pub(super) end: usize,
}

/// A call that has not ended yet.
struct UnfinishedCall<'a> {
    name: &'a str,
    arguments: &'a str,
    line: usize,
}

/// The calls, in the order in which they took effect. A `close` takes effect when it begins: another thread can open a
/// file with the same descriptor before strace shows the end of the `close`. Every other call takes effect when it ends.
/// Calls whose threads were killed come last. Line numbers start with `first_line`.
pub(super) fn calls(trace: &str, first_line: usize) -> Vec<Call<'_>> {
    let mut begun: HashMap<&str, UnfinishedCall<'_>> = HashMap::new();
    let mut ended = Vec::new();
    for (line, text) in trace.lines().enumerate() {
        let line = first_line + line;
        let (thread, text) = text.split_once(' ').expect("a line begins with the thread");
        let text = text.trim_start();
        if text.starts_with("+++") || text.starts_with("---") {
            continue;
        }
        if let Some(resumed) = text.strip_prefix("<... ") {
            let Some(UnfinishedCall { name, arguments, line: begin }) = begun.remove(thread) else {
                panic!("line {line} resumes a call that never began: {text}");
            };
            let (_, rest) =
                resumed.split_once(" resumed>").expect("a resumed line contains the name of the call");
            let (more, result) = split_result(rest, line);
            let mut arguments = split_arguments(arguments);
            arguments.extend(split_arguments(more.trim_start_matches([',', ' '])));
            ended.push(call(name, arguments, result, (begin, line)));
            continue;
        }
        let (name, rest) = text.split_once('(').unwrap_or_else(|| panic!("no call in line {line}: {text}"));
        if let Some(arguments) = rest.strip_suffix("<unfinished ...>") {
            let arguments = arguments.trim_end_matches([',', ' ']);
            begun.insert(thread, UnfinishedCall { name, arguments, line });
        } else {
            let (arguments, result) = split_result(rest, line);
            ended.push(call(name, split_arguments(arguments), result, (line, line)));
        }
    }
    ended.sort_by_key(|call| if call.name == "close" { call.begin } else { call.end });
    let last = first_line + trace.lines().count();
    let mut killed: Vec<_> = begun.into_values().collect();
    killed.sort_unstable_by_key(|call| call.line);
    ended.extend(killed.iter().map(|it| call(it.name, split_arguments(it.arguments), "?", (it.line, last))));
    ended
}

fn call<'a>(name: &'a str, arguments: Vec<&'a str>, result: &str, lines: (usize, usize)) -> Call<'a> {
    let number = result.split([' ', '<']).next().unwrap_or_default();
    let returned = match number.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).expect("a result is a number").cast_signed(),
        None if number == "?" => UNKNOWN_RESULT,
        None => number.parse().unwrap_or_else(|_| panic!("line {}: {result}", lines.1)),
    };
    let is_injected = result.ends_with("(INJECTED)");
    Call { name, arguments, returned, is_injected, begin: lines.0, end: lines.1 }
}

/// Splits a line into arguments and result, at the last ` = `. The last ` = ` is never inside a string, because it comes
/// after the closing quotes of all strings.
fn split_result(text: &str, line: usize) -> (&str, &str) {
    let at = text.rfind(" = ").unwrap_or_else(|| panic!("line {line} has no result"));
    let arguments = text[..at].trim_end().strip_suffix(')');
    (arguments.unwrap_or_else(|| panic!("line {line} has no end of arguments")), &text[at + 3..])
}

/// Splits the arguments of a call at the commas that are not inside of strings or brackets.
pub(super) fn split_arguments(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at = end_of_string(bytes, at),
            b'[' | b'{' | b'<' | b'(' => depth += 1,
            b']' | b'}' | b'>' | b')' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    if !text[start..].trim().is_empty() {
        parts.push(text[start..].trim());
    }
    parts
}

/// The index of the closing quote of the string that begins at `start`.
fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    loop {
        // strace escapes the quotes in a string.
        at += bytes[at..].iter().position(|byte| matches!(byte, b'"' | b'\\')).expect("a string ends");
        if bytes[at] == b'"' {
            return at;
        }
        at += 2;
    }
}

/// The bytes of a string that strace printed.
pub(super) fn unquote(argument: &str) -> Vec<u8> {
    let text = argument.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    // Three dots after the quote mean that strace has truncated the string.
    let mut rest = text.unwrap_or_else(|| panic!("the string is truncated: {argument:.80}")).as_bytes();
    let mut bytes = Vec::with_capacity(rest.len());
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        bytes.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        let digits = rest.iter().take(3).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
        let (byte, length) = match rest[0] {
            b'n' => (b'\n', 1),
            b't' => (b'\t', 1),
            b'r' => (b'\r', 1),
            b'v' => (0x0b, 1),
            b'f' => (0x0c, 1),
            _ if digits > 0 => (octal(&rest[..digits]), digits),
            other => (other, 1),
        };
        bytes.push(byte);
        rest = &rest[length..];
    }
    bytes.extend_from_slice(rest);
    bytes
}

fn octal(digits: &[u8]) -> u8 {
    digits.iter().fold(0, |number, digit| number * 8 + (digit - b'0'))
}

/// The number of a descriptor. strace prints the number together with the file or socket, as in `5</data/file>`.
pub(super) fn descriptor_number(argument: &str) -> i64 {
    let number = argument.split('<').next().unwrap_or_default();
    number.parse().unwrap_or(-1)
}

/// The file or socket that a descriptor refers to, in the form that strace prints.
pub(super) fn descriptor_target(argument: &str) -> &str {
    argument.split_once('<').and_then(|(_, rest)| rest.strip_suffix('>')).unwrap_or_default()
}

/// A copy of the call with the result that a successful call returns. `None` if the call changes no file or folder.
pub(super) fn as_successful<'a>(call: &Call<'a>) -> Option<Call<'a>> {
    let returned = match call.name {
        "write" | "pwrite64" if !descriptor_target(call.arguments[0]).starts_with("socket:") => {
            call.arguments[2].parse().unwrap()
        }
        "open" | "openat" | "creat" => i64::MAX,
        "ftruncate" | "mkdir" | "mkdirat" | "unlink" | "unlinkat" | "rmdir" | "rename" | "renameat"
        | "renameat2" | "link" | "linkat" => 0,
        _ => return None,
    };
    Some(Call { returned, ..call.clone() })
}

/// The bytes that a call wrote.
pub(super) fn sent_bytes(call: &Call<'_>) -> Vec<u8> {
    assert!(call.name != "sendmsg", "answers sent with sendmsg are not supported");
    let mut bytes = match call.name {
        "writev" | "pwritev" | "pwritev2" => {
            let list = call.arguments[1].trim_start_matches('[').trim_end_matches(']');
            let parts = split_arguments(list).into_iter().map(|part| {
                let part = part.trim_start_matches('{').trim_end_matches('}');
                let base = split_arguments(part)[0]
                    .strip_prefix("iov_base=")
                    .expect("each part of a vectored write has an address");
                unquote(base)
            });
            parts.collect::<Vec<_>>().concat()
        }
        _ => unquote(call.arguments[1]),
    };
    bytes.truncate(usize::try_from(call.returned).unwrap());
    bytes
}

#[test]
fn the_two_lines_of_overlapping_calls_are_joined() {
    let trace = r#"7 write(5</d/a "b">, "x) = 3\"\0\12\\", 6 <unfinished ...>
8 openat(AT_FDCWD</d>, "f", O_RDWR|O_CREAT, 0666) = 9</d/f>
8 fdatasync(9</d/f>) = 0 (INJECTED)
7 <... write resumed>)              = 6
8 fsync(9</d/f>) = -1 EIO (Input/output error) (INJECTED)
8 write(5</d/f>, "y", 1 <unfinished ...>
7 +++ killed by SIGKILL +++
"#;
    let calls = calls(trace, 10);
    let seen: Vec<_> =
        calls.iter().map(|it| (it.name, it.returned, it.is_injected, it.begin, it.end)).collect();
    assert_eq!(
        seen,
        [
            ("openat", 9, false, 11, 11),
            ("fdatasync", 0, true, 12, 12),
            ("write", 6, false, 10, 13),
            ("fsync", -1, true, 14, 14),
            ("write", UNKNOWN_RESULT, false, 15, 17)
        ]
    );
    assert_eq!(calls[2].arguments, [r#"5</d/a "b">"#, r#""x) = 3\"\0\12\\""#, "6"]);
    assert_eq!(unquote(calls[2].arguments[1]), b"x) = 3\"\0\n\\");
}

#[test]
fn a_descriptor_is_free_from_the_beginning_of_its_close() {
    let trace = r#"7 close(5</d/a> <unfinished ...>
8 openat(AT_FDCWD</d>, "b", O_RDONLY) = 5</d/b>
7 <... close resumed>) = 0
8 fsync(5</d/b>) = 0
"#;
    let names: Vec<_> = calls(trace, 1).iter().map(|call| (call.name, call.end)).collect();
    assert_eq!(names, [("close", 3), ("openat", 2), ("fsync", 4)]);
}
