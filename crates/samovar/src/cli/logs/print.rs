//! How a line of a log looks.

use std::io::{IsTerminal, Write};

use anyhow::Result;
use base::clock::Timestamp;
use clap::builder::styling::{AnsiColor, Style};
use serde_json::json;

use super::level::{self, Level};
use super::source::Source;
use crate::cli::client::logs::Event;
use crate::cli::{Color, Format, LogsArgs};

/// Of functions; red and yellow are for levels.
const PALETTE: [AnsiColor; 8] = [
    AnsiColor::Cyan,
    AnsiColor::Green,
    AnsiColor::Magenta,
    AnsiColor::Blue,
    AnsiColor::BrightCyan,
    AnsiColor::BrightGreen,
    AnsiColor::BrightMagenta,
    AnsiColor::BrightBlue,
];
/// Longer names are not waited for when columns are made.
const WIDEST_NAME: usize = 24;

/// Writes events as they are wanted.
pub struct Printer<W> {
    out: W,
    shape: Shape,
    coloured: bool,
    /// Whether a terminal reads, which what functions wrote must not drive.
    terminal: bool,
    marked: bool,
    width: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Short,
    Long,
    Json,
}

impl Printer<std::io::BufWriter<std::io::Stdout>> {
    /// Writes to standard output.
    pub fn new(args: &LogsArgs) -> Self {
        let terminal = std::io::stdout().is_terminal();
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let shape = match (args.json, args.format) {
            (true, _) => Shape::Json,
            (false, Format::Short) => Shape::Short,
            (false, Format::Long) => Shape::Long,
        };
        Self {
            out: std::io::BufWriter::new(std::io::stdout()),
            shape,
            coloured: shape != Shape::Json && is_coloured(args.color, terminal, no_color),
            terminal,
            marked: shape == Shape::Long,
            width: 0,
        }
    }
}

impl<W: Write> Printer<W> {
    /// Lines are marked with their source from two on.
    pub fn make_room_for<'a>(&mut self, sources: impl ExactSizeIterator<Item = &'a Source>) {
        self.marked |= sources.len() > 1;
        let widths = sources.map(|source| source.label.chars().count());
        self.width = widths.filter(|width| *width <= WIDEST_NAME).max().unwrap_or(0).max(self.width);
    }

    /// Writes one event; `number` is its source's, for the colour.
    pub fn event(&mut self, number: usize, source: &Source, event: &Event) -> Result<()> {
        let at = Timestamp::from_millis(event.timestamp);
        let message = event.message.trim_end();
        if self.shape == Shape::Json {
            let object = json!({
                "timestamp": at.iso_millis(),
                "function": source.label,
                "group": source.group,
                "stream": event.log_stream_name,
                "message": message,
            });
            writeln!(self.out, "{object}")?;
            return Ok(());
        }
        let mark = self.mark(number, source);
        let style = self.style(message);
        let dim = self.faint();
        let stream =
            if self.shape == Shape::Long { format!("{} ", event.log_stream_name) } else { String::new() };
        let mut head = format!("{dim}{at} {stream}{dim:#}");
        // Of one event, what comes after the first line stands alone; Python's traces have \r between theirs.
        for line in message.replace("\r\n", "\n").split(['\n', '\r']) {
            let line = if self.terminal { harmless(line) } else { line.to_owned() };
            writeln!(self.out, "{mark}{head}{style}{line}{style:#}")?;
            head.clear();
        }
        Ok(())
    }

    /// Gives what was written to its reader.
    pub fn flush(&mut self) -> Result<()> {
        Ok(self.out.flush()?)
    }

    fn mark(&self, number: usize, source: &Source) -> String {
        if !self.marked {
            return String::new();
        }
        let colour = PALETTE[number % PALETTE.len()];
        let style = if self.coloured { colour.on_default() } else { Style::new() };
        format!("{style}{:<width$} |{style:#} ", source.label, width = self.width)
    }

    fn faint(&self) -> Style {
        if self.coloured { Style::new().dimmed() } else { Style::new() }
    }

    fn style(&self, message: &str) -> Style {
        if !self.coloured {
            return Style::new();
        }
        match level::of(message) {
            Level::Error => AnsiColor::Red.on_default(),
            Level::Warn => AnsiColor::Yellow.on_default(),
            Level::Dim => self.faint(),
            Level::Plain => Style::new(),
        }
    }
}

const fn is_coloured(wanted: Color, terminal: bool, no_color: bool) -> bool {
    match wanted {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => terminal && !no_color,
    }
}

/// A line that cannot do more to a terminal than colour its own text.
fn harmless(line: &str) -> String {
    if !line.chars().any(|letter| letter.is_control() && letter != '\t') {
        return line.to_owned();
    }
    let mut shown = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(letter) = rest.chars().next() {
        let colour = colour_sequence(rest);
        match letter {
            _ if colour > 0 => shown.push_str(&rest[..colour]),
            '\t' => shown.push('\t'),
            letter if letter.is_control() => shown.extend(letter.escape_default()),
            letter => shown.push(letter),
        }
        rest = &rest[colour.max(letter.len_utf8())..];
    }
    // What a line switched on ends with it.
    shown.push_str("\x1b[0m");
    shown
}

/// Bytes of a sequence that sets colours, at the beginning of `text`.
fn colour_sequence(text: &str) -> usize {
    let Some(inner) = text.strip_prefix("\x1b[") else { return 0 };
    let length = inner.find(|letter: char| !letter.is_ascii_digit() && letter != ';' && letter != ':');
    length.filter(|length| inner[*length..].starts_with('m')).map_or(0, |length| length + 3)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn printed(shape: Shape, coloured: bool, labels: &[&str], messages: &[(usize, &str)]) -> String {
        let sources: Vec<Source> =
            labels.iter().map(|label| Source::group(&format!("/aws/lambda/{label}"))).collect();
        let mut printer = Printer {
            out: Vec::new(),
            shape,
            coloured,
            terminal: false,
            marked: shape == Shape::Long,
            width: 0,
        };
        printer.make_room_for(sources.iter());
        for (number, message) in messages {
            let event = Event {
                timestamp: 1_795_255_200_123,
                ingestion_time: None,
                log_stream_name: "2026/11/21/[$LATEST]00".into(),
                message: (*message).into(),
                log_group_identifier: None,
            };
            printer.event(*number, &sources[*number], &event).unwrap();
        }
        String::from_utf8(printer.out).unwrap().replace('\x1b', "^")
    }

    fn check(shape: Shape, coloured: bool, labels: &[&str], messages: &[(usize, &str)], expected: Expect) {
        expected.assert_eq(&printed(shape, coloured, labels, messages));
    }

    #[test]
    fn one_function_has_no_mark() {
        let said = [(0, "hello\n"), (0, "two\nlines\n"), (0, "a\rtrace")];
        check(
            Shape::Short,
            false,
            &["f"],
            &said,
            expect![[r#"
                2026-11-21T10:00:00.123Z hello
                2026-11-21T10:00:00.123Z two
                lines
                2026-11-21T10:00:00.123Z a
                trace
            "#]],
        );
    }

    #[test]
    fn several_functions_are_marked_in_columns() {
        let said = [(0, "hello"), (1, "two\nlines")];
        check(
            Shape::Short,
            false,
            &["f", "longer"],
            &said,
            expect![[r#"
                f      | 2026-11-21T10:00:00.123Z hello
                longer | 2026-11-21T10:00:00.123Z two
                longer | lines
            "#]],
        );
    }

    #[test]
    fn the_long_format_names_the_stream() {
        check(
            Shape::Long,
            false,
            &["f"],
            &[(0, "hello")],
            expect![[r#"
                f | 2026-11-21T10:00:00.123Z 2026/11/21/[$LATEST]00 hello
            "#]],
        );
    }

    #[test]
    fn json_is_an_object_a_line() {
        check(
            Shape::Json,
            false,
            &["f"],
            &[(0, "two\n\"lines\"\n")],
            expect![[r#"
                {"function":"f","group":"/aws/lambda/f","message":"two\n\"lines\"","stream":"2026/11/21/[$LATEST]00","timestamp":"2026-11-21T10:00:00.123Z"}
            "#]],
        );
    }

    #[test]
    fn levels_and_functions_have_colours() {
        let said = [(0, "ERROR x\ny"), (1, "WARN x"), (0, "START RequestId: 1"), (1, "plain")];
        check(
            Shape::Short,
            true,
            &["f", "g"],
            &said,
            expect![[r#"
                ^[36mf |^[0m ^[2m2026-11-21T10:00:00.123Z ^[0m^[31mERROR x^[0m
                ^[36mf |^[0m ^[31my^[0m
                ^[32mg |^[0m ^[2m2026-11-21T10:00:00.123Z ^[0m^[33mWARN x^[0m
                ^[36mf |^[0m ^[2m2026-11-21T10:00:00.123Z ^[0m^[2mSTART RequestId: 1^[0m
                ^[32mg |^[0m ^[2m2026-11-21T10:00:00.123Z ^[0mplain
            "#]],
        );
    }

    #[test]
    fn colours_are_for_terminals_unless_told_otherwise() {
        for (wanted, terminal, no_color, coloured) in [
            (Color::Auto, true, false, true),
            (Color::Auto, true, true, false),
            (Color::Auto, false, false, false),
            (Color::Always, false, true, true),
            (Color::Never, true, false, false),
        ] {
            assert_eq!(is_coloured(wanted, terminal, no_color), coloured, "{wanted:?} {terminal} {no_color}");
        }
    }

    #[test]
    fn a_line_does_not_drive_the_terminal() {
        for (line, shown) in [
            ("tab\tstays", "tab\tstays"),
            ("ünï", "ünï"),
            ("\x1b[1;31mred\x1b[0m", "\x1b[1;31mred\x1b[0m\x1b[0m"),
            ("\x1b[2J", "\\u{1b}[2J\x1b[0m"),
            ("\x1b]0;title\x07", "\\u{1b}]0;title\\u{7}\x1b[0m"),
            ("a\x08b\x1b[", "a\\u{8}b\\u{1b}[\x1b[0m"),
        ] {
            assert_eq!(harmless(line), shown);
        }
    }
}
