//! Names of the model as names of Rust.

/// The words of a model name: `KMSKeyArn` is `kms key arn`, `CodeSha256` is `code sha256`.
fn words(name: &str) -> Vec<String> {
    let chars: Vec<char> = name.chars().collect();
    let mut words: Vec<String> = Vec::new();
    for (at, &char) in chars.iter().enumerate() {
        if !char.is_ascii_alphanumeric() {
            words.push(String::new());
            continue;
        }
        let previous = at.checked_sub(1).map(|before| chars[before]);
        let after_lower = previous.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        let before_lower = chars.get(at + 1).is_some_and(char::is_ascii_lowercase);
        let begins = char.is_ascii_uppercase()
            && (after_lower || (previous.is_some_and(|c| c.is_ascii_uppercase()) && before_lower));
        if begins || words.is_empty() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(char.to_ascii_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// `FunctionName` as `function_name`, with `r#` where it is a keyword.
pub fn field(name: &str) -> String {
    let snake = words(name).join("_");
    match snake.as_str() {
        "type" | "match" | "move" | "ref" | "use" | "where" | "loop" | "fn" | "in" | "as" | "gen" => {
            format!("r#{snake}")
        }
        _ => snake,
    }
}

/// `FunctionName` as `FUNCTION_NAME`.
pub fn constant(name: &str) -> String {
    words(name).join("_").to_uppercase()
}

/// `PER_TENANT` as `PerTenant`, `x86_64` as `X86_64`; mixed-case names stay.
pub fn variant(name: &str) -> String {
    let pieces: Vec<String> = name.split(|c: char| !c.is_ascii_alphanumeric()).map(piece).collect();
    let mut joined = String::new();
    for piece in pieces {
        let between_digits =
            joined.ends_with(|c: char| c.is_ascii_digit()) && piece.starts_with(|c: char| c.is_ascii_digit());
        joined += if between_digits { "_" } else { "" };
        joined += &piece;
    }
    joined
}

fn piece(piece: &str) -> String {
    let shouted = piece.len() > 1 && !piece.contains(|c: char| c.is_ascii_lowercase());
    let (first, rest) = piece.split_at(piece.len().min(1));
    first.to_uppercase() + &if shouted { rest.to_lowercase() } else { rest.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_model_become_names_of_rust() {
        for (name, expected) in [
            ("FunctionName", "function_name"),
            ("KMSKeyArn", "kms_key_arn"),
            ("CodeSha256", "code_sha256"),
            ("S3ObjectVersion", "s3_object_version"),
            ("Ipv6AllowedForDualStack", "ipv6_allowed_for_dual_stack"),
            ("Type", "r#type"),
            ("logStreamNames", "log_stream_names"),
        ] {
            assert_eq!(field(name), expected);
        }
        for (name, expected) in [
            ("PER_TENANT", "PerTenant"),
            ("x86_64", "X86_64"),
            ("RequestResponse", "RequestResponse"),
            ("FunctionError.InitTimeout", "FunctionErrorInitTimeout"),
            ("JSON", "Json"),
            ("arm64", "Arm64"),
        ] {
            assert_eq!(variant(name), expected);
        }
    }
}
