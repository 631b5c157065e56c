use std::io::Write;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// A question for `name` of a type.
fn packet(name: &str, kind: u8) -> Vec<u8> {
    let mut packet = vec![0xab, 0xcd, 0x01, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        packet.push(label.len() as u8);
        packet.extend(label.as_bytes());
    }
    packet.extend([0, 0, kind, 0, 1]);
    packet
}

fn question(name: &str, kind: u8) -> Question {
    Question::read(&packet(name, kind)).unwrap()
}

/// What an honest resolver says: the question again, and 192.0.2.7.
fn answer_to(question: &[u8]) -> Vec<u8> {
    let mut answer = question.to_vec();
    answer[2] |= 0x80;
    answer[7] = 1;
    answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7]);
    answer
}

#[test]
fn a_question_asks_one_thing_and_nothing_else_is_one() {
    assert!(Question::read(&packet("example.com", 1)).is_some());
    assert!(
        Question::read(&[packet("example.com", 1), vec![0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]].concat())
            .is_some()
    );
    let changed = |at: usize, value: u8| {
        let mut packet = packet("example.com", 1);
        packet[at] = value;
        packet
    };
    for odd in [
        Vec::new(),
        vec![0; 11],
        changed(2, 0x80),
        changed(2, 0x28),
        changed(5, 2),
        changed(7, 1),
        changed(12, 0xc0),
        changed(12, 63),
        packet(&["a"; 130].join("."), 1),
        packet("example.com", 1)[..27].to_vec(),
        vec![0; QUESTION_BYTES_TOO_MANY],
    ] {
        assert_eq!(Question::read(&odd), None, "{odd:?}");
    }
}

const QUESTION_BYTES_TOO_MANY: usize = rules::QUESTION_BYTES + 1;

#[test]
fn bytes_of_any_kind_break_nothing() {
    let dice = Dice::seeded(53);
    let valid = question("example.com", 1);
    for _ in 0..20_000 {
        let [length, flip, value] = dice.bytes::<3>();
        let mut bytes = vec![0; usize::from(length)];
        dice.fill(&mut bytes);
        let _ = Question::read(&bytes);
        let _ = valid.reply(&bytes, 1, true);
        let mut nearly = answer_to(&valid.packet(1));
        let at = usize::from(flip) % nearly.len();
        nearly[at] = value;
        nearly.truncate(nearly.len().min(usize::from(length)));
        let _ = valid.reply(&nearly, 1, length % 2 == 0);
        if let Some(question) = Question::read(&nearly) {
            let _ = (question.answer_here(), question.failure());
        }
    }
}

#[test]
fn only_an_answer_to_the_very_question_is_one() {
    let asked = question("example.com", 1);
    let answer = answer_to(&asked.packet(7));
    let Some(Reply::Final(relayed)) = asked.reply(&answer, 7, true) else { panic!("no answer") };
    assert_eq!((&relayed[..2], &relayed[2..]), ([0xab, 0xcd].as_slice(), &answer[2..]));

    let shouted = answer_to(&question("EXAMPLE.com", 1).packet(7));
    assert!(asked.reply(&shouted, 7, true).is_some());
    for forged in [
        answer_to(&asked.packet(8)),
        answer_to(&question("example.org", 1).packet(7)),
        answer_to(&question("example.com", 28).packet(7)),
        asked.packet(7),
        Vec::new(),
    ] {
        assert_eq!(asked.reply(&forged, 7, true), None, "{forged:?}");
    }
}

#[test]
fn a_resolver_that_cannot_tell_leaves_it_to_the_next() {
    let asked = question("example.com", 1);
    for (code, useless) in [(2, true), (5, true), (3, false), (0, false)] {
        let mut answer = answer_to(&asked.packet(7));
        answer[3] |= code;
        assert_eq!(asked.reply(&answer, 7, true) == Some(Reply::Useless), useless, "{code}");
    }
    let bare = [0, 7, 0x81, 5, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(asked.reply(&bare, 7, true), Some(Reply::Useless));
}

#[test]
fn an_answer_that_did_not_fit_says_so() {
    let asked = question("example.com", 1);
    let Some(Reply::Final(cut)) = asked.reply(&answer_to(&asked.packet(7)), 7, false) else {
        panic!("no answer")
    };
    assert_eq!((cut[2] & 0x02, cut[7], cut.len()), (0x02, 0, asked.packet(7).len()));
}

#[test]
fn the_sandbox_knows_its_own_names() {
    let address = |name: &str, kind| {
        let answer = question(name, kind).answer_here()?;
        assert_eq!((&answer[..2], answer[2], answer[3]), ([0xab, 0xcd].as_slice(), 0x81, 0x80));
        Some(if answer[7] == 0 {
            Vec::new()
        } else {
            answer[answer.len() - if kind == 1 { 4 } else { 16 }..].to_vec()
        })
    };
    assert_eq!(address("localhost", 1), Some(vec![127, 0, 0, 1]));
    assert_eq!(address("a.LocalHost", 28).unwrap().last(), Some(&1));
    assert_eq!(address("169-254-100-1", 1), Some(vec![169, 254, 100, 1]));
    assert_eq!(address("sandbox.localdomain", 28), Some(Vec::new()));
    assert_eq!(address("localhost", 16), Some(Vec::new()));
    assert_eq!(address("notlocalhost", 1), None);
    assert_eq!(address("localhost.example", 1), None);
}

#[test]
fn resolvers_are_those_of_the_file() {
    let text = "# nameserver 192.0.2.9\nsearch example.com\nnameserver 127.0.0.53\nnameserver\tfd00::53 \nnameserver x\n\
                nameserver 127.0.0.53\nnameserver 192.0.2.1\nnameserver 192.0.2.2\n";
    let found: Vec<_> = rules::servers(text).iter().map(ToString::to_string).collect();
    assert_eq!(found, ["127.0.0.53", "fd00::53", "192.0.2.1"]);
}

/// A resolver on a loopback address that answers as it is told, and counts what it is asked.
async fn resolver(address: [u8; 4], port: u16, speak: fn(&[u8]) -> Vec<Vec<u8>>) -> (u16, Arc<AtomicUsize>) {
    let socket = UdpSocket::bind(SocketAddrV4::new(Ipv4Addr::from(address), port)).await.unwrap();
    let (port, asked) = (socket.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            count.fetch_add(1, Ordering::Relaxed);
            for answer in speak(&buffer[..length]) {
                let _ = socket.send_to(&answer, from).await;
            }
        }
    });
    (port, asked)
}

async fn serve(file: &std::path::Path, port: u16) -> (Service, UdpSocket, SocketAddr) {
    serve_from(&NameServer::of(Resolvers::of(file.to_owned(), port), Dice::seeded(1))).await
}

async fn serve_from(server: &NameServer) -> (Service, UdpSocket, SocketAddr) {
    let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    datagrams.set_nonblocking(true).unwrap();
    listener.set_nonblocking(true).unwrap();
    let (to, over_tcp) = (datagrams.local_addr().unwrap(), listener.local_addr().unwrap());
    let service = server.serve(NameSockets { datagrams, listener }).unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.connect(to).await.unwrap();
    (service, client, over_tcp)
}

async fn ask(client: &UdpSocket, question: &[u8]) -> Vec<u8> {
    client.send(question).await.unwrap();
    let mut buffer = [0; 2048];
    let length = timeout(Duration::from_secs(20), client.recv(&mut buffer)).await.unwrap().unwrap();
    buffer[..length].to_vec()
}

#[tokio::test]
async fn forged_answers_are_passed_over_and_the_true_one_is_relayed() {
    let (port, _) = resolver([127, 0, 0, 1], 0, |question| {
        let mut wrong_number = answer_to(question);
        wrong_number[1] ^= 1;
        vec![wrong_number, answer_to(&packet("example.org", 1)), answer_to(question)]
    })
    .await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "nameserver 127.0.0.1").unwrap();
    let (_service, client, _) = serve(file.path(), port).await;
    client.send(b"no question").await.unwrap();
    assert_eq!(ask(&client, &packet("example.com", 1)).await, answer_to(&packet("example.com", 1)));
}

#[tokio::test]
async fn the_next_resolver_is_asked_and_a_changed_file_is_read_again() {
    let fail: fn(&[u8]) -> Vec<Vec<u8>> = |question| {
        let mut answer = answer_to(question);
        answer[3] |= 2;
        vec![answer]
    };
    let (port, first) = resolver([127, 0, 0, 2], 0, fail).await;
    let (_, second) = resolver([127, 0, 0, 3], port, |question| vec![answer_to(question)]).await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "nameserver 127.0.0.2\nnameserver 127.0.0.3").unwrap();
    let (_service, client, _) = serve(file.path(), port).await;
    let asked = packet("example.com", 1);
    assert_eq!(ask(&client, &asked).await, answer_to(&asked));
    assert_eq!((first.load(Ordering::Relaxed), second.load(Ordering::Relaxed)), (1, 1));

    std::fs::write(file.path(), "nameserver 127.0.0.3\n").unwrap();
    assert_eq!(ask(&client, &asked).await, answer_to(&asked));
    assert_eq!((first.load(Ordering::Relaxed), second.load(Ordering::Relaxed)), (1, 2));

    std::fs::write(file.path(), "nameserver 127.0.0.2\n#\n").unwrap();
    let failed = ask(&client, &asked).await;
    assert_eq!((failed[3] & 0x0f, failed.len()), (2, asked.len()));
}

#[tokio::test]
async fn questions_over_tcp_are_answered_in_turn_and_others_end_the_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let asked = read_framed(&mut stream, 2048).await.unwrap();
            write_framed(&mut stream, &answer_to(&asked)).await.unwrap();
        }
    });
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "nameserver 127.0.0.1").unwrap();
    let (_service, _client, over_tcp) = serve(file.path(), port).await;
    let mut stream = TcpStream::connect(over_tcp).await.unwrap();
    for name in ["example.com", "localhost", "example.org"] {
        write_framed(&mut stream, &packet(name, 1)).await.unwrap();
        let answer = read_framed(&mut stream, 2048).await.unwrap();
        assert_eq!((&answer[..2], answer[7]), ([0xab, 0xcd].as_slice(), 1), "{name}");
    }
    write_framed(&mut stream, b"no question").await.unwrap();
    assert!(read_framed(&mut stream, 2048).await.is_err());
}

#[tokio::test]
async fn others_who_ask_without_end_leave_each_its_own_questions() {
    let (port, asked) = resolver([127, 0, 0, 1], 0, |question| {
        let is_wanted = question.windows(6).any(|part| part == b"wanted");
        if is_wanted { vec![answer_to(question)] } else { Vec::new() }
    })
    .await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "nameserver 127.0.0.1").unwrap();
    let server = NameServer::of(Resolvers::of(file.path().to_owned(), port), Dice::seeded(1));
    let mut hostile = Vec::new();
    for _ in 0..QUESTIONS.div_ceil(QUESTIONS_EACH - QUESTIONS_OWN) {
        let (service, client, _) = serve_from(&server).await;
        for _ in 0..QUESTIONS_EACH {
            client.send(&packet("slow.example", 1)).await.unwrap();
        }
        hostile.push((service, client));
    }
    while server.shared.under_way.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    let (_service, client, _) = serve_from(&server).await;
    for kind in [1, 28] {
        client.send(&packet("wanted.example", kind)).await.unwrap();
    }
    for _ in 0..2 {
        let mut buffer = [0; 2048];
        timeout(PATIENCE, client.recv(&mut buffer)).await.unwrap().unwrap();
        assert_eq!(buffer[3] & 0x0f, 0);
    }
    assert!(asked.load(Ordering::Relaxed) > 2, "the others asked, too");
}
