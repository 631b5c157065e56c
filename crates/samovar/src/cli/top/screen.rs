//! The terminal while `samovar top` has it: keys come one by one, and frames are painted over one another.

use std::io::{self, Write};

use rustix::termios::{InputModes, LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::sync::mpsc;

/// The other screen, without cursor and without lines that break.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/// A terminal that is ours until this is dropped.
pub struct Screen {
    before: Termios,
    keys: mpsc::Receiver<Vec<Key>>,
}

/// What was pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A letter, digit or sign.
    Letter(char),
    /// Enter.
    Enter,
    /// Escape.
    Escape,
    /// Backspace.
    Back,
    /// The arrow up, or one page.
    Up(usize),
    /// The arrow down, or one page.
    Down(usize),
    /// Ctrl-C, or the terminal is gone.
    Quit,
}

/// Keys that wait while a frame is painted.
const KEYS: usize = 16;

/// Rows that a page key goes.
const PAGE: usize = 10;

impl Screen {
    /// Takes the terminal.
    pub fn take() -> io::Result<Self> {
        let stdin = io::stdin();
        let before = tcgetattr(&stdin)?;
        let mut raw = before.clone();
        // Ctrl-C and Ctrl-Z come as keys: nothing may end or stop us while the terminal is not as it was.
        raw.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG | LocalModes::IEXTEN;
        raw.input_modes -= InputModes::IXON | InputModes::ICRNL;
        tcsetattr(stdin, OptionalActions::Now, &raw)?;
        // From here on the terminal is given back, whatever fails.
        let screen = Self { before, keys: listen() };
        say(ENTER)?;
        Ok(screen)
    }

    /// Columns and rows.
    pub fn size(&self) -> (usize, usize) {
        let size = tcgetwinsize(io::stdout()).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
        size.map_or((80, 24), |size| (usize::from(size.ws_col), usize::from(size.ws_row)))
    }

    /// Paints lines from the top; nothing of an earlier frame stays.
    pub fn paint(&self, lines: &[String]) -> io::Result<()> {
        let lines: Vec<String> = lines.iter().map(|line| format!("{line}\x1b[K")).collect();
        say(&format!("\x1b[H{}\x1b[J", lines.join("\r\n")))
    }

    /// Waits for keys.
    pub async fn keys(&mut self) -> Vec<Key> {
        self.keys.recv().await.unwrap_or_else(|| vec![Key::Quit])
    }
}

/// Reads keys until the terminal is gone. A thread of its own: a read from a terminal waits, and ends with the process.
fn listen() -> mpsc::Receiver<Vec<Key>> {
    let (tell, told) = mpsc::channel(KEYS);
    std::thread::spawn(move || {
        let mut bytes = [0; 64];
        while let Ok(count @ 1..) = rustix::io::read(io::stdin(), &mut bytes) {
            if tell.blocking_send(read(&bytes[..count])).is_err() {
                return;
            }
        }
    });
    told
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = say(LEAVE);
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// What bytes that came together were pressed as. Terminals send the bytes of one key at once.
fn read(bytes: &[u8]) -> Vec<Key> {
    let text = String::from_utf8_lossy(bytes);
    let mut rest = &*text;
    let mut keys = Vec::new();
    while let Some(letter) = rest.chars().next() {
        let (key, length) = match letter {
            '\x1b' => escaped(&rest[1..]),
            '\r' | '\n' => (Some(Key::Enter), 1),
            '\x08' | '\x7f' => (Some(Key::Back), 1),
            '\x03' => (Some(Key::Quit), 1),
            letter if letter.is_control() => (None, 1),
            letter => (Some(Key::Letter(letter)), letter.len_utf8()),
        };
        keys.extend(key);
        rest = &rest[length..];
    }
    keys
}

/// The key that begins with an escape, and its length with that.
fn escaped(rest: &str) -> (Option<Key>, usize) {
    let Some(inner) = rest.strip_prefix(['[', 'O']) else { return (Some(Key::Escape), 1) };
    let Some(last) = inner.find(|letter: char| ('@'..='~').contains(&letter)) else {
        return (None, 1 + rest.len());
    };
    let key = match &inner[..=last] {
        "A" => Some(Key::Up(1)),
        "B" => Some(Key::Down(1)),
        "5~" => Some(Key::Up(PAGE)),
        "6~" => Some(Key::Down(PAGE)),
        _ => None,
    };
    (key, 3 + last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_keys() {
        use Key::{Back, Down, Enter, Escape, Letter, Quit, Up};
        for (bytes, keys) in [
            ("q", vec![Letter('q')]),
            ("/ä\r", vec![Letter('/'), Letter('ä'), Enter]),
            ("\x1b", vec![Escape]),
            ("\x1b[A\x1bOB\x1b[5~\x1b[6~", vec![Up(1), Down(1), Up(PAGE), Down(PAGE)]),
            ("\x1b[1;5Cx", vec![Letter('x')]),
            ("\x1b[", vec![]),
            ("\x7f\x03\x1a", vec![Back, Quit]),
        ] {
            assert_eq!(read(bytes.as_bytes()), keys, "{bytes:?}");
        }
    }
}
