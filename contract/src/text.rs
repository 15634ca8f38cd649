//! Untrusted texts, made safe to show.

/// Whether a terminal or a viewer interprets this character instead of showing it: a
/// control character, a line or paragraph separator, or one that changes the order
/// in which the rest is displayed.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{2069}'
                | '\u{feff}'
        )
}

/// The text with hidden characters escaped, and cut after `most` characters.
pub fn escaped(text: &str, most: usize) -> String {
    let mut shown = String::new();
    for (index, c) in text.chars().enumerate() {
        if index == most {
            shown.push('…');
            break;
        }
        if is_hidden(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_characters_are_escaped_and_long_texts_cut() {
        assert_eq!(escaped("a\u{1b}[1m\n\u{202e}é\u{9b}", 99), "a\\u{1b}[1m\\n\\u{202e}é\\u{9b}");
        assert_eq!(escaped("abcdef", 3), "abc…");
        assert_eq!(escaped("abc", 3), "abc");
    }
}
