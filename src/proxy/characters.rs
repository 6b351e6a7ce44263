//! Character classes as lookup tables, computed at compile time.

/// A table, by byte, of the ASCII letters and digits and these characters.
pub(super) const fn alphanumeric_or(marks: &[u8]) -> [bool; 256] {
    let (mut table, mut at) = ([false; 256], 0);
    while at < table.len() {
        table[at] = (at as u8).is_ascii_alphanumeric();
        at += 1;
    }
    at = 0;
    while at < marks.len() {
        table[marks[at] as usize] = true;
        at += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_holds_letters_digits_and_the_given_marks_and_nothing_else() {
        let table = alphanumeric_or(b"-\xff");
        for byte in 0..=u8::MAX {
            let is_in = byte.is_ascii_alphanumeric() || byte == b'-' || byte == 0xff;
            assert_eq!(table[usize::from(byte)], is_in, "{byte}");
        }
    }
}
