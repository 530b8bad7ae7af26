//! Formats latencies for people. The report and the progress line use it.

/// A latency in microseconds with the unit that suits its size and three significant digits.
pub(super) fn latency_text(micros: u64) -> String {
    let micros = micros as f64;
    match micros {
        ..1_000.0 => format!("{micros:.0} µs"),
        ..10_000.0 => format!("{:.2} ms", micros / 1e3),
        ..100_000.0 => format!("{:.1} ms", micros / 1e3),
        ..1_000_000.0 => format!("{:.0} ms", micros / 1e3),
        _ => format!("{:.2} s", micros / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_suits_the_latency() {
        for (micros, text) in
            [(7, "7 µs"), (1500, "1.50 ms"), (15_040, "15.0 ms"), (150_400, "150 ms"), (2_345_000, "2.35 s")]
        {
            assert_eq!(latency_text(micros), text);
        }
    }
}
