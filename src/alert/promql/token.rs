//! Words, numbers and signs.

/// A token.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Word(String),
    Number(f64),
    /// Of a quoted string.
    Text(String),
    /// A span between brackets, in milliseconds.
    Window(i64),
    Sign(&'static str),
}

const SIGNS: [&str; 17] = ["==", "!=", "=~", ">=", "<=", ">", "<", "=", "(", ")", "{", "}", ",", "/", "*", "-", "^"];

/// Splits a text into its tokens.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let (mut tokens, mut rest) = (Vec::new(), text.trim_start());
    while !rest.is_empty() {
        let (token, length) = next(rest)?;
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

fn next(rest: &str) -> Result<(Token, usize), String> {
    let first = rest.chars().next().unwrap_or_default();
    let while_all = |fits: fn(char) -> bool| rest.find(|character| !fits(character)).unwrap_or(rest.len());
    if first.is_ascii_alphabetic() || first == '_' {
        let length = while_all(|it| it.is_ascii_alphanumeric() || matches!(it, '_' | ':'));
        return Ok((Token::Word(rest[..length].to_owned()), length));
    }
    if first.is_ascii_digit() {
        let length = while_all(|it| it.is_ascii_digit() || it == '.');
        let number = rest[..length].parse().map_err(|_| format!("{} is no number", &rest[..length]))?;
        return Ok((Token::Number(number), length));
    }
    if let Some(inner) = rest.strip_prefix('"') {
        let end = inner.find('"').ok_or("a string has no end")?;
        if inner[..end].contains('\\') {
            return Err("strings with escapes are not known".to_owned());
        }
        return Ok((Token::Text(inner[..end].to_owned()), end + 2));
    }
    if let Some(inner) = rest.strip_prefix('[') {
        let end = inner.find(']').ok_or("a window has no end")?;
        let millis = millis(&inner[..end]).ok_or_else(|| format!("{} is no span", &inner[..end]))?;
        return Ok((Token::Window(millis), end + 2));
    }
    let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
    sign.map(|sign| (Token::Sign(sign), sign.len())).ok_or_else(|| format!("{first} is not known"))
}

fn millis(span: &str) -> Option<i64> {
    let unit = match span.chars().last()? {
        's' => 1_000,
        'm' => 60_000,
        'h' => 3_600_000,
        'd' => 86_400_000,
        'w' => 604_800_000,
        _ => return None,
    };
    span[..span.len() - 1].parse::<i64>().ok().map(|number| number * unit)
}
