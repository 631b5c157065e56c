//! What is a question, and what answers it. Source: RFC 1035, section 4.

use sandbox::identity::{HOST_NAME, INSIDE_ADDRESS};

/// Largest question, in bytes: a name of 255, and room for options. Ours.
pub const QUESTION_BYTES: usize = 1024;

/// Resolvers that are asked, one after the other. Source: resolv.conf(5), `MAXNS`.
pub const SERVERS: usize = 3;

const HEADER: usize = 12;
const NAME_BYTES: usize = 255;
const LABEL_BYTES: u8 = 63;

const IS_ANSWER: u8 = 0x80; // QR
const OPERATION: u8 = 0x78; // OPCODE
const TRUNCATED: u8 = 0x02; // TC
const RECURSION_DESIRED: u8 = 0x01; // RD
const RECURSION_AVAILABLE: u8 = 0x80; // RA
const CODE: u8 = 0x0f; // RCODE

const SERVER_FAILURE: u8 = 2;
const REFUSED: u8 = 5;

const TYPE_A: [u8; 2] = [0, 1];
const TYPE_AAAA: [u8; 2] = [0, 28];
const CLASS_INTERNET: [u8; 2] = [0, 1];

/// Seconds that an answer about the sandbox itself holds. Ours: it holds for as long as there is one to ask.
const OWN_LIFE: [u8; 4] = [0, 0, 1, 44];

/// One question, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    packet: Vec<u8>,
    /// Where name, type and class end.
    end: usize,
}

/// What a resolver said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The packet for whoever asked.
    Final(Vec<u8>),
    /// It cannot tell; another may.
    Useless,
}

impl Question {
    /// Reads a packet that asks one thing; nothing else is a question.
    pub fn read(packet: &[u8]) -> Option<Self> {
        let header: &[u8; HEADER] = packet.first_chunk()?;
        let asks_one = header[4..6] == [0, 1] && header[6..10] == [0; 4];
        if packet.len() > QUESTION_BYTES || header[2] & (IS_ANSWER | OPERATION) != 0 || !asks_one {
            return None;
        }
        let end = end_of_question(packet)?;
        Some(Self { packet: packet.to_vec(), end })
    }

    /// The packet to send to a resolver, under another number.
    pub fn packet(&self, number: u16) -> Vec<u8> {
        with_number(&self.packet, number.to_be_bytes())
    }

    /// What a packet from a resolver means, if it answers the question that was sent under `number`. One that is not
    /// `whole` is passed on as cut off, so that whoever asked asks again over TCP.
    pub fn reply(&self, packet: &[u8], number: u16, is_whole: bool) -> Option<Reply> {
        let header: &[u8; HEADER] = packet.first_chunk()?;
        let is_answer = header[2] & IS_ANSWER != 0 && header[2] & OPERATION == 0;
        if !is_answer || header[..2] != number.to_be_bytes() {
            return None;
        }
        let code = header[3] & CODE;
        // A resolver may refuse without repeating what it was asked.
        let repeats =
            header[4..6] == [0, 1] && packet.get(HEADER..self.end).is_some_and(|part| self.is_same(part));
        if !repeats && (header[4..6] != [0, 0] || code == 0) {
            return None;
        }
        if matches!(code, SERVER_FAILURE | REFUSED) || !repeats {
            return Some(Reply::Useless);
        }
        if !is_whole {
            let mut cut = packet[..self.end].to_vec();
            cut[2] |= TRUNCATED;
            cut[6..HEADER].fill(0);
            return Some(Reply::Final(with_number(&cut, self.number())));
        }
        Some(Reply::Final(with_number(packet, self.number())))
    }

    /// The answer when nobody can tell.
    pub fn failure(&self) -> Vec<u8> {
        self.respond(SERVER_FAILURE, &[])
    }

    /// The answer to a question about the sandbox itself, which nobody outside is asked.
    pub fn answer_here(&self) -> Option<Vec<u8>> {
        let name = self.name();
        let (v4, v6): ([u8; 4], Option<[u8; 16]>) = match name.as_str() {
            "localhost" => ([127, 0, 0, 1], Some(LOOPBACK6)),
            _ if name.ends_with(".localhost") => ([127, 0, 0, 1], Some(LOOPBACK6)),
            "sandbox" | "sandbox.localdomain" | HOST_NAME => (INSIDE_ADDRESS, None),
            _ => return None,
        };
        let (kind, class) = (&self.packet[self.end - 4..self.end - 2], &self.packet[self.end - 2..self.end]);
        let data = match (kind, class == CLASS_INTERNET) {
            (kind, true) if kind == TYPE_A => Some(v4.to_vec()),
            (kind, true) if kind == TYPE_AAAA => v6.map(|address| address.to_vec()),
            _ => None,
        };
        let record = data.map(|data| {
            let name = [0xc0, HEADER as u8]; // a pointer to the question's
            [&name[..], kind, class, &OWN_LIFE, &(data.len() as u16).to_be_bytes(), &data].concat()
        });
        Some(self.respond(0, &record.unwrap_or_default()))
    }

    fn respond(&self, code: u8, record: &[u8]) -> Vec<u8> {
        let mut answer = self.packet[..self.end].to_vec();
        answer[2] = IS_ANSWER | (self.packet[2] & RECURSION_DESIRED);
        answer[3] = RECURSION_AVAILABLE | code;
        answer[7] = u8::from(!record.is_empty());
        answer[10..HEADER].fill(0);
        answer.extend(record);
        answer
    }

    fn number(&self) -> [u8; 2] {
        [self.packet[0], self.packet[1]]
    }

    /// Whether a resolver repeated name, type and class; it may write the name in other cases.
    fn is_same(&self, part: &[u8]) -> bool {
        // No length of a label is a letter, so that comparing letters without case confuses none.
        self.packet[HEADER..self.end].eq_ignore_ascii_case(part)
    }

    /// The name in lower case, without the last dot; bytes that are no text are no name of ours.
    fn name(&self) -> String {
        let mut labels = Vec::new();
        let mut rest = &self.packet[HEADER..self.end - 4];
        while let Some((length, after)) = rest.split_first().filter(|(length, _)| **length != 0) {
            let (label, after) = after.split_at(usize::from(*length));
            labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
            rest = after;
        }
        labels.join(".")
    }
}

const LOOPBACK6: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

fn with_number(packet: &[u8], number: [u8; 2]) -> Vec<u8> {
    [&number, &packet[2..]].concat()
}

/// Where the first question's name, type and class end. Names in questions are never compressed.
fn end_of_question(packet: &[u8]) -> Option<usize> {
    let mut at = HEADER;
    loop {
        match *packet.get(at)? {
            0 => break,
            length @ 1..=LABEL_BYTES => at += 1 + usize::from(length),
            _ => return None,
        }
        if at - HEADER >= NAME_BYTES {
            return None;
        }
    }
    let end = at + 1 + 4;
    (end <= packet.len()).then_some(end)
}

/// Addresses of the resolvers that the text of a `resolv.conf` names, in order, without doubles.
pub fn servers(text: &str) -> Vec<core::net::IpAddr> {
    let mut servers = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some(server) = words.next().filter(|word| *word == "nameserver").and(words.next()) else {
            continue;
        };
        if let Ok(server) = server.parse()
            && !servers.contains(&server)
        {
            servers.push(server);
        }
    }
    servers.truncate(SERVERS);
    servers
}
