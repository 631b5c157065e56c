//! Patterns with `*` and `?`.

/// Whether `text` fits `pattern`: `*` stands for any letters, `?` for one.
pub(super) fn like(pattern: &str, text: &str) -> bool {
    fits(pattern.as_bytes(), text.as_bytes(), |a, b| a == b)
}

/// The same without regard to case, as actions are compared.
pub(super) fn like_folded(pattern: &str, text: &str) -> bool {
    fits(pattern.as_bytes(), text.as_bytes(), |a, b| a.eq_ignore_ascii_case(&b))
}

/// Whether an ARN fits a pattern, each of its six parts by itself. A lone `*` fits whatever there is.
pub(super) fn arn_like(pattern: &str, arn: &str) -> bool {
    let (mut patterns, mut parts) = (pattern.splitn(6, ':'), arn.splitn(6, ':'));
    let part_fits = || match (patterns.next(), parts.next()) {
        (Some(pattern), Some(part)) => Some(like(pattern, part)),
        (None, None) => None,
        _ => Some(false),
    };
    pattern == "*" || std::iter::from_fn(part_fits).take(6).all(|fits| fits)
}

/// Goes back to the last `*` only: an earlier one can take nothing that a later one could not.
fn fits(pattern: &[u8], text: &[u8], same: impl Fn(u8, u8) -> bool) -> bool {
    let (mut at, mut reached) = (0, 0);
    let mut star = None;
    while let Some(letter) = text.get(reached) {
        match pattern.get(at) {
            Some(b'*') => {
                at += 1;
                star = Some((at, reached));
            }
            Some(b'?') => {
                at += 1;
                reached = after(text, reached);
            }
            Some(wanted) if same(*wanted, *letter) => {
                at += 1;
                reached += 1;
            }
            _ => {
                let Some((behind, taken)) = star else { return false };
                (at, reached) = (behind, after(text, taken));
                star = Some((at, reached));
            }
        }
    }
    pattern[at..].iter().all(|rest| *rest == b'*')
}

/// Where the letter of UTF-8 at `place` ends.
fn after(text: &[u8], place: usize) -> usize {
    let inner = |byte: &&u8| **byte & 0b1100_0000 == 0b1000_0000;
    place + 1 + text[place + 1..].iter().take_while(inner).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_takes_any_letters_and_a_question_mark_one() {
        for (pattern, text, fits) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("**", "abc", true),
            ("a", "A", false),
            ("a*c", "abbc", true),
            ("a*c", "abcd", false),
            ("a*b*c", "a-b-b-c", true),
            ("*ab", "aab", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("a?c", "aéc", true),
            ("a??c", "aéc", false),
            ("*?", "", false),
            ("*??", "é", false),
        ] {
            assert_eq!(like(pattern, text), fits, "{pattern} {text}");
        }
        assert!(like_folded("lambda:invoke*", "lambda:InvokeFunction"));
    }

    #[test]
    fn a_star_does_not_reach_beyond_its_part_of_an_arn() {
        for (pattern, arn, fits) in [
            ("arn:aws:s3:::b*", "arn:aws:s3:::bucket", true),
            ("arn:aws:sqs:*:1*:q", "arn:aws:sqs:us-east-1:111111111111:q", true),
            ("arn:aws:sqs:*:q", "arn:aws:sqs:us-east-1:111111111111:q", false),
            ("arn:aws:lambda:us-east-1:0:function:f:*", "arn:aws:lambda:us-east-1:0:function:f:live", true),
            ("arn:aws:lambda:us-east-1:0:function:f", "arn:aws:lambda:us-east-1:0:function:f:live", false),
            ("arn:*:*:*:*:*", "arn:aws:s3:::b", true),
            ("arn:*", "arn:aws:s3:::b", false),
            ("*", "anything", true),
        ] {
            assert_eq!(arn_like(pattern, arn), fits, "{pattern} {arn}");
        }
    }
}
