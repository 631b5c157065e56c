//! From tokens to commands.

mod expression;

pub use expression::normal;

use regex::{Regex, RegexBuilder};

use super::syntax::{Command, Direction, Expression, Extract, Named};
use super::token::{Token, Tokens};
use super::{QUERY_REGEX_BYTES, QUERY_ROWS_MOST, QueryError};

/// Commands of the language that are not built.
///
/// Source: the user guide, "CloudWatch Logs Insights language query syntax".
const NOT_BUILT: [&str; 10] =
    ["anomaly", "diff", "filterIndex", "join", "lookup", "pattern", "SOURCE", "subquery", "unmask", "unnest"];

/// Reads a whole query; it has at least one command.
pub fn commands(text: &str) -> Result<Vec<Command>, QueryError> {
    let mut tokens = Tokens::new(text)?;
    let mut commands = Vec::new();
    loop {
        commands.push(command(&mut tokens)?);
        if !tokens.eat("|")? {
            break;
        }
    }
    match tokens.peek() {
        Token::End => Ok(commands),
        _ => Err(tokens.unexpected("a | or the end is expected")),
    }
}

fn command(tokens: &mut Tokens<'_>) -> Result<Command, QueryError> {
    let Token::Word(word) = tokens.peek().clone() else {
        return Err(tokens.unexpected("a command is expected"));
    };
    let word = word.to_ascii_lowercase();
    if let Some(name) = NOT_BUILT.into_iter().find(|name| name.eq_ignore_ascii_case(&word)) {
        return Err(tokens.unexpected(&format!("Samovar does not implement the command {name}")));
    }
    let known = ["fields", "display", "filter", "parse", "stats", "sort", "limit", "head", "tail", "dedup"];
    if !known.contains(&word.as_str()) {
        return Err(tokens.unexpected("it is not a command"));
    }
    tokens.next()?;
    Ok(match word.as_str() {
        "fields" => Command::Fields(named_list(tokens)?),
        "display" => Command::Display(named_list(tokens)?),
        "filter" => Command::Filter(expression::read(tokens)?),
        "parse" => parse(tokens)?,
        "stats" => {
            let values = named_list(tokens)?;
            let by = if tokens.eat_word("by")? { named_list(tokens)? } else { Vec::new() };
            Command::Stats { values, by }
        }
        "sort" => sort(tokens)?,
        "limit" | "head" => Command::Limit(count(tokens)?),
        "tail" => Command::Tail(count(tokens)?),
        _ => Command::Dedup(named_list(tokens)?),
    })
}

fn named_list(tokens: &mut Tokens<'_>) -> Result<Vec<Named>, QueryError> {
    let mut list = Vec::new();
    loop {
        let start = tokens.start();
        let expression = expression::read(tokens)?;
        let text = tokens.since(start).to_owned();
        let aliased = tokens.eat_word("as")?;
        let name = match (aliased, &expression) {
            (true, _) => name(tokens)?,
            (false, Expression::Field(field)) => field.clone(),
            (false, _) => text,
        };
        list.push(Named { expression, name });
        if !tokens.eat(",")? {
            return Ok(list);
        }
    }
}

fn name(tokens: &mut Tokens<'_>) -> Result<String, QueryError> {
    match tokens.peek() {
        Token::Word(_) | Token::Field(_) => match tokens.next()? {
            Token::Word(name) | Token::Field(name) => Ok(name),
            _ => Ok(String::new()),
        },
        _ => Err(tokens.unexpected("a name is expected")),
    }
}

fn count(tokens: &mut Tokens<'_>) -> Result<usize, QueryError> {
    match *tokens.peek() {
        Token::Number(number)
            if number.fract() == 0.0 && (1.0..=QUERY_ROWS_MOST as f64).contains(&number) =>
        {
            tokens.next()?;
            Ok(number as usize)
        }
        _ => Err(tokens.unexpected(&format!("a whole number from 1 to {QUERY_ROWS_MOST} is expected"))),
    }
}

fn sort(tokens: &mut Tokens<'_>) -> Result<Command, QueryError> {
    let mut keys = Vec::new();
    loop {
        let start = tokens.start();
        let expression = expression::read(tokens)?;
        let key = Named { expression, name: tokens.since(start).into() };
        let direction = if tokens.eat_word("desc")? {
            Direction::Descending
        } else {
            tokens.eat_word("asc")?;
            Direction::Ascending
        };
        keys.push((key, direction));
        if !tokens.eat(",")? {
            return Ok(Command::Sort(keys));
        }
    }
}

fn parse(tokens: &mut Tokens<'_>) -> Result<Command, QueryError> {
    let field = match tokens.peek() {
        Token::Word(_) | Token::Field(_) => name(tokens)?,
        _ => "@message".into(),
    };
    let start = tokens.start();
    if let Some(text) = tokens.regex()? {
        let regex = regex(tokens, start, &text)?;
        if regex.capture_names().flatten().next().is_none() {
            return Err(tokens.wrong(start, "the regular expression has no named group (?<name>...)"));
        }
        return Ok(Command::Parse { field, extract: Extract::Regex(regex) });
    }
    let Token::Text(_) = tokens.peek() else {
        return Err(tokens.unexpected("a text with stars or a /regular expression/ is expected"));
    };
    let Token::Text(glob) = tokens.next()? else { return Err(tokens.unexpected("a text is expected")) };
    if !tokens.eat_word("as")? {
        return Err(tokens.unexpected("as is expected, and a name for each star"));
    }
    let mut names = vec![name(tokens)?];
    while tokens.eat(",")? {
        names.push(name(tokens)?);
    }
    let pieces: Vec<_> = glob.split('*').map(String::from).collect();
    if pieces.len() != names.len() + 1 {
        let (stars, names) = (pieces.len() - 1, names.len());
        return Err(tokens.wrong(start, format!("there are {stars} stars and {names} names")));
    }
    Ok(Command::Parse { field, extract: Extract::Glob { pieces, names } })
}

/// Compiles what was between strokes, which began at `start`.
fn regex(tokens: &Tokens<'_>, start: usize, text: &str) -> Result<Regex, QueryError> {
    RegexBuilder::new(text).size_limit(QUERY_REGEX_BYTES).build().map_err(|_| {
        tokens.wrong(start, format!("the regular expression /{text}/ is not valid or not supported"))
    })
}
