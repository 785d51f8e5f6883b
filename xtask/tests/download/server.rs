//! A server of one file on this machine, in every manner that a server can have.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Manner {
    /// Knows ranges.
    Good,
    /// Breaks off after half of what was asked for, every time; knows ranges.
    BreaksOff,
    /// Breaks off after half the first time, and always sends from the start.
    WithoutRange,
    /// The right length, a byte changed.
    Corrupt,
    /// A page of words, as success.
    ErrorPage,
    /// Never says how long and never stops.
    Endless,
    /// Busy the first time.
    BusyOnce,
    /// Sends elsewhere.
    Redirect,
}

#[derive(Clone, Debug, PartialEq)]
struct Request {
    path: String,
    range: Option<u64>,
}

pub(crate) struct Server {
    pub(crate) address: String,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Serves `content` in the given manner at each path; everything else is not found. Lives as long as the test process.
    pub(crate) fn new(content: &[u8], manners: &[(&'static str, Manner)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (content, manners) = (
            content.to_vec(),
            manners.iter().copied().collect::<HashMap<_, _>>(),
        );
        let log = seen.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Some(request) = read_request(&stream) else {
                    continue;
                };
                let nth = {
                    let mut log = log.lock().expect("unpoisoned");
                    log.push(request.clone());
                    log.iter().filter(|r| r.path == request.path).count()
                };
                // Clients hang up on us in some of the tests.
                let _ = answer(
                    stream,
                    &request,
                    &content,
                    manners.get(request.path.as_str()).copied(),
                    nth,
                );
            }
        });
        Self { address, seen }
    }

    pub(crate) fn requests(&self) -> Vec<(String, Option<u64>)> {
        self.seen
            .lock()
            .expect("unpoisoned")
            .iter()
            .map(|r| (r.path.clone(), r.range))
            .collect()
    }
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines();
    let path = lines.next()?.ok()?.split(' ').nth(1)?.to_owned();
    let mut range = None;
    for line in lines {
        let line = line.ok()?.to_lowercase();
        if line.is_empty() {
            return Some(Request { path, range });
        }
        if let Some(value) = line.strip_prefix("range: bytes=") {
            range = value.trim_end_matches('-').parse().ok();
        }
    }
    None
}

fn answer(
    mut stream: TcpStream,
    request: &Request,
    content: &[u8],
    manner: Option<Manner>,
    nth: usize,
) -> std::io::Result<()> {
    let Some(manner) = manner else {
        return write!(
            stream,
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    };
    let total = content.len();
    let start = match (manner, request.range) {
        (Manner::WithoutRange, _) | (_, None) => 0,
        (_, Some(start)) => start as usize,
    };
    if start > 0 && start >= total {
        return write!(
            stream,
            "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */{total}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    }
    let mut body = content[start.min(total)..].to_vec();
    let mut send = body.len();
    match manner {
        Manner::BreaksOff => send = send.div_ceil(2),
        Manner::WithoutRange if nth == 1 => send /= 2,
        Manner::Corrupt => body[send / 2] ^= 1,
        Manner::ErrorPage => {
            return write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nsorry"
            );
        }
        Manner::Endless => {
            write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            loop {
                stream.write_all(content)?;
            }
        }
        Manner::BusyOnce if nth == 1 => {
            return write!(
                stream,
                "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
        }
        Manner::Redirect => {
            return write!(
                stream,
                "HTTP/1.1 302 Found\r\nLocation: /good.tar.gz\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
        }
        _ => {}
    }
    if start > 0 {
        write!(
            stream,
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {start}-{}/{total}\r\n",
            total - 1
        )?;
    } else {
        write!(stream, "HTTP/1.1 200 OK\r\n")?;
    }
    write!(
        stream,
        "Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    stream.write_all(&body[..send])
}
