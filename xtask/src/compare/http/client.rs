//! Clients that send images as fast as they are answered, for a while.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Serialize;

/// No answer takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is sent, by how many, for how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load<'a> {
    pub(super) address: SocketAddr,
    pub(super) path: &'a str,
    pub(super) images: &'a [Vec<u8>],
    pub(super) clients: u32,
    /// Time before answers count.
    pub(super) warm: Duration,
    /// Time for which they count.
    pub(super) time: Duration,
    /// Requests, at most.
    pub(super) most: usize,
}

/// What came of it. Times are from the first byte sent to the last byte read.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Measured {
    pub(super) requests: usize,
    pub(super) requests_per_second: f64,
    pub(super) p50_ms: f64,
    pub(super) p95_ms: f64,
    pub(super) p99_ms: f64,
    /// Requests that were answered with 503.
    pub(super) sent_away: usize,
}

/// Sends images from all clients at once.
///
/// # Errors
/// A connection that fails, an answer that is neither 200 nor 503, no answer at all.
pub(super) fn load(load: &Load<'_>) -> Result<Measured> {
    let begun = Instant::now();
    let sent = AtomicUsize::new(0);
    let results: Vec<Result<(Vec<f64>, usize)>> = thread::scope(|scope| {
        let clients: Vec<_> = (0..load.clients)
            .map(|_| scope.spawn(|| client(load, begun, &sent)))
            .collect();
        let joined = clients.into_iter().map(|client| client.join());
        joined
            .map(|result| result.unwrap_or_else(|_| bail!("a client failed")))
            .collect()
    });
    let counted = begun.elapsed().saturating_sub(load.warm);
    let (mut times, mut sent_away) = (Vec::new(), 0);
    for result in results {
        let (some, away) = result?;
        times.extend(some);
        sent_away += away;
    }
    if times.is_empty() {
        bail!("nothing was answered in time");
    }
    times.sort_by(f64::total_cmp);
    Ok(Measured {
        requests: times.len(),
        requests_per_second: times.len() as f64 / counted.as_secs_f64(),
        p50_ms: percentile(&times, 0.50),
        p95_ms: percentile(&times, 0.95),
        p99_ms: percentile(&times, 0.99),
        sent_away,
    })
}

/// The value of sorted ones that this share does not exceed.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let place = (share * sorted.len() as f64).ceil() as usize;
    sorted[place.clamp(1, sorted.len()) - 1]
}

/// Milliseconds of the answers that count, and how many were sent away.
fn client(load: &Load<'_>, begun: Instant, sent: &AtomicUsize) -> Result<(Vec<f64>, usize)> {
    let mut connection = Connection::open(load.address)?;
    let (mut times, mut away) = (Vec::new(), 0);
    while begun.elapsed() < load.warm + load.time {
        let number = sent.fetch_add(1, Ordering::Relaxed);
        if number >= load.most {
            break;
        }
        let image = &load.images[number % load.images.len()];
        let from = Instant::now();
        let (status, _) = connection.post(load.path, image)?;
        let counts = begun.elapsed() >= load.warm;
        match status {
            200 if counts => times.push(from.elapsed().as_secs_f64() * 1e3),
            200 => {}
            503 => away += usize::from(counts),
            other => bail!("{}: status {other}", load.path),
        }
    }
    Ok((times, away))
}

/// A connection that is kept.
pub(super) struct Connection {
    address: SocketAddr,
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// If nobody listens.
    pub(super) fn open(address: SocketAddr) -> Result<Self> {
        let connect = || {
            let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok::<_, std::io::Error>(stream)
        };
        let stream = connect().with_context(|| address.to_string())?;
        Ok(Self {
            address,
            stream: BufReader::new(stream),
        })
    }

    /// Sends an image; the status and body of the answer.
    ///
    /// # Errors
    /// A connection that breaks, an answer without a length.
    pub(super) fn post(&mut self, path: &str, image: &[u8]) -> Result<(u16, Vec<u8>)> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/octet-stream\r\ncontent-length: {}\r\n\r\n",
            self.address,
            image.len()
        );
        let stream = self.stream.get_mut();
        stream.write_all(head.as_bytes())?;
        stream.write_all(image)?;
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.with_context(|| format!("{path}: no answer: {line:?}"))?;
        let mut length = None;
        loop {
            line.clear();
            if self.stream.read_line(&mut line)? == 0 {
                bail!("{path}: the answer broke off");
            }
            match line.trim_end().split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse().ok();
                }
                Some(_) => {}
                None => break,
            }
        }
        let length: usize = length.with_context(|| format!("{path}: an answer without a length"))?;
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok((status, body))
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let times: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(
            [0.5, 0.95, 0.99].map(|share| percentile(&times, share)),
            [50.0, 95.0, 99.0]
        );
        assert_eq!(percentile(&[7.0], 0.01), 7.0);
    }

    #[test]
    fn requests_are_counted_and_bounded() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || {
                    let mut reader = BufReader::new(stream);
                    let mut turn = 0;
                    loop {
                        let mut head = String::new();
                        while !head.ends_with("\r\n\r\n") {
                            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                                return;
                            }
                        }
                        let mut body = [0; 3];
                        reader.read_exact(&mut body).unwrap();
                        turn += 1;
                        let status = if turn % 5 == 0 { "503 Busy" } else { "200 OK" };
                        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok");
                        reader.get_mut().write_all(answer.as_bytes()).unwrap();
                    }
                });
            }
        });
        let measured = load(&Load {
            address,
            path: "/",
            images: &[vec![1, 2, 3]],
            clients: 2,
            warm: Duration::ZERO,
            time: Duration::from_secs(30),
            most: 100,
        })
        .unwrap();
        assert_eq!(measured.requests + measured.sent_away, 100);
        assert!(
            measured.sent_away >= 10 && measured.p50_ms <= measured.p99_ms,
            "{measured:?}"
        );
    }
}
