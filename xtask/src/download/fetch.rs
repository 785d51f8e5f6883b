//! Over HTTP into a file: continued where it stopped, from one address after the other, and believed only when hashed.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::net::ToSocketAddrs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::Agent;
use ureq::http::uri::InvalidUri;
use ureq::http::{Response, StatusCode, Uri, header};

use super::meter::Meter;
use super::{DataSet, DownloadError, Show, checksum};

/// How long to put up with a network.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Attempts in a row at one address that bring no new byte before the next address is tried; at least one.
    pub attempts: u32,
    /// Pause before the second attempt; doubled before each further one.
    pub pause: Duration,
    /// Longest silence of a server, while connecting, answering or sending.
    pub silence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            attempts: 4,
            pause: Duration::from_secs(2),
            silence: Duration::from_secs(60),
        }
    }
}

/// Fetches a data set's archive to `target`. What an earlier call left in `target` + `.part` is continued. The file at
/// `target` has the catalogue's length and SHA-256, or does not exist.
///
/// # Errors
/// When no address serves the right file, or a file cannot be written.
pub fn fetch(set: &DataSet, target: &Path, patience: &Patience, show: Show) -> Result<(), DownloadError> {
    if target.exists() {
        match checksum::check(target, set, show) {
            Ok(()) => return Ok(()),
            Err(DownloadError::WrongFile { .. }) => {
                show.note(&format!("{}: not the right file, fetched anew", target.display()));
                fs::remove_file(target).map_err(DownloadError::io(target))?;
            }
            Err(other) => return Err(other),
        }
    }
    let part = part_of(target);
    let mut reasons = Vec::new();
    for address in &set.addresses {
        match from_address(set, address, &part, patience, show) {
            Ok(()) => {
                fs::rename(&part, target).map_err(DownloadError::io(target))?;
                return Ok(());
            }
            Err(Failure::Local(error)) => return Err(error),
            Err(Failure::Address(reason) | Failure::Interrupted(reason)) => {
                show.note(&format!("{address}: {reason}"));
                reasons.push(format!("{}: {reason}", host(address)));
            }
        }
    }
    if length(&part)? == 0 {
        // Nothing to continue from; it may never have been made.
        let _ = fs::remove_file(&part);
    }
    Err(DownloadError::NoAddress {
        archive: set.archive.clone(),
        page: set.page.clone(),
        reasons,
    })
}

/// The file that grows while `target` is fetched.
fn part_of(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

/// What failed, which decides what is tried next.
enum Failure {
    /// Our disk: no other address will help.
    Local(DownloadError),
    /// This address does not have the file: try the next.
    Address(String),
    /// The connection: try again from where it broke.
    Interrupted(String),
}

impl From<DownloadError> for Failure {
    fn from(error: DownloadError) -> Self {
        Self::Local(error)
    }
}

/// Everything one address has to offer: continued over interruptions, and once from the beginning should a file that was
/// begun earlier turn out wrong.
fn from_address(
    set: &DataSet,
    address: &str,
    part: &Path,
    patience: &Patience,
    show: Show,
) -> Result<(), Failure> {
    let begun_earlier = length(part)? > 0;
    complete(set, address, part, patience, show)?;
    let fault = match checksum::check(part, set, show) {
        Ok(()) => return Ok(()),
        Err(DownloadError::WrongFile { fault, .. }) => fault,
        Err(other) => return Err(other.into()),
    };
    fs::remove_file(part).map_err(DownloadError::io(part))?;
    if !begun_earlier {
        return Err(Failure::Address(fault));
    }
    show.note(&format!("{}: {fault}; begun anew", set.archive));
    from_address(set, address, part, patience, show)
}

/// Calls [`transfer`] until the file has its length or patience runs out.
fn complete(
    set: &DataSet,
    address: &str,
    part: &Path,
    patience: &Patience,
    show: Show,
) -> Result<(), Failure> {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .accept_encoding("identity") // the archive itself, byte for byte
        .timeout_resolve(Some(patience.silence))
        .timeout_connect(Some(patience.silence))
        .timeout_recv_response(Some(patience.silence))
        .timeout_per_read(Some(patience.silence));
    // A proxy from the environment cannot reach a server on this machine.
    let own = matches!(host(address).split(':').next(), Some("127.0.0.1" | "localhost"));
    let agent: Agent = if own { config.proxy(None) } else { config }.build().into();
    // Once, before the first request: a name that is lost later comes back with the network.
    if agent.config().proxy().is_none() {
        resolve(address)?;
    }
    let mut meter = Meter::new(show, &format!("Fetching {}", set.archive), set.bytes);
    let mut barren = 0;
    loop {
        let before = length(part)?;
        let broken = match transfer(&agent, set, address, part, &mut meter) {
            Ok(()) => {
                meter.finish();
                return Ok(());
            }
            Err(Failure::Interrupted(reason)) => reason,
            Err(other) => return Err(other),
        };
        barren = if length(part)? > before { 0 } else { barren + 1 };
        if barren >= patience.attempts.max(1) {
            return Err(Failure::Interrupted(broken));
        }
        show.note(&format!("{}: {broken}; continued", host(address)));
        std::thread::sleep(patience.pause.saturating_mul(1 << barren.min(5)));
    }
}

/// An error where the name of an address's host cannot be resolved: asking again would not help.
fn resolve(address: &str) -> Result<(), Failure> {
    let unknown = |why: String| Failure::Address(format!("the name of the host cannot be resolved ({why})"));
    let uri: Uri = address
        .parse()
        .map_err(|e: InvalidUri| Failure::Address(e.to_string()))?;
    let default = if uri.scheme_str() == Some("http") { 80 } else { 443 };
    let name = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let found = (name, uri.port_u16().unwrap_or(default)).to_socket_addrs();
    match found.map(|mut found| found.next()) {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(unknown("it has no address".into())),
        Err(e) => Err(unknown(e.to_string())),
    }
}

/// One request, from the end of the partial file on.
fn transfer(
    agent: &Agent,
    set: &DataSet,
    address: &str,
    part: &Path,
    meter: &mut Meter,
) -> Result<(), Failure> {
    let io = DownloadError::io(part);
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(part)
        .map_err(&io)?;
    let mut have = file.metadata().map_err(&io)?.len();
    if have > set.bytes {
        have = restart(&mut file).map_err(&io)?;
    }
    let exact = !set.is_weights();
    if exact && have == set.bytes {
        meter.resume_at(have);
        return Ok(());
    }
    let mut request = agent.get(address);
    if have > 0 {
        request = request.header(header::RANGE, format!("bytes={have}-"));
    }
    let mut response = request.call().map_err(|e| Failure::Interrupted(e.to_string()))?;
    match response.status() {
        StatusCode::PARTIAL_CONTENT if range_start(&response) == Some(have) => {}
        // A server that knows no ranges, or answers another one than was asked for, sends from the start.
        StatusCode::OK => have = restart(&mut file).map_err(&io)?,
        // Of a file whose length is not known, everything was there already; its hash will tell.
        StatusCode::RANGE_NOT_SATISFIABLE if !exact && have > 0 && whole_length(&response) == Some(have) => {
            return Ok(());
        }
        StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
            restart(&mut file).map_err(&io)?;
            return Err(Failure::Interrupted(
                "the server would not continue where it stopped".into(),
            ));
        }
        status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            return Err(Failure::Interrupted(format!("the server answers {status}")));
        }
        status => return Err(Failure::Address(format!("the server answers {status}"))),
    }
    let missing = set.bytes - have;
    let offered = content_length(&response);
    let expected = if exact { Some(missing) } else { offered };
    if let Some(offered) = offered
        && (offered > missing || Some(offered) != expected)
    {
        // An error page served as success, or another file: not worth five gigabytes to find out.
        return Err(Failure::Address(format!(
            "the server offers {} bytes instead of {}",
            have + offered,
            set.bytes
        )));
    }
    file.seek(std::io::SeekFrom::Start(have)).map_err(&io)?;
    meter.resume_at(have);
    // One byte more than is missing, to notice a file that goes on.
    let mut body = response.body_mut().as_reader().take(missing + 1);
    let mut buffer = vec![0; 1 << 18];
    loop {
        let read = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(Failure::Interrupted(format!("the connection broke: {e}"))),
        };
        have += read as u64;
        if have > set.bytes {
            restart(&mut file).map_err(&io)?;
            return Err(Failure::Address(format!(
                "the server sends more than {} bytes",
                set.bytes
            )));
        }
        file.write_all(&buffer[..read]).map_err(&io)?;
        meter.add(read as u64);
    }
    let end = expected.map(|expected| expected + set.bytes - missing);
    if let Some(end) = end.filter(|&end| have < end) {
        return Err(Failure::Interrupted(format!(
            "the connection ended after {have} of {end} bytes"
        )));
    }
    file.sync_all().map_err(&io)?;
    Ok(())
}

/// Empties the partial file.
fn restart(file: &mut File) -> std::io::Result<u64> {
    file.set_len(0)?;
    file.rewind()?;
    Ok(0)
}

fn length(part: &Path) -> Result<u64, DownloadError> {
    match fs::metadata(part) {
        Ok(data) => Ok(data.len()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(e) => Err(DownloadError::io(part)(e)),
    }
}

/// First byte of `Content-Range: bytes 100-199/200`.
fn range_start<B>(response: &Response<B>) -> Option<u64> {
    let value = response.headers().get(header::CONTENT_RANGE)?.to_str().ok()?;
    value
        .trim()
        .strip_prefix("bytes")?
        .trim_start()
        .split('-')
        .next()?
        .trim()
        .parse()
        .ok()
}

/// Length of the file in `Content-Range: bytes */200`.
fn whole_length<B>(response: &Response<B>) -> Option<u64> {
    let value = response.headers().get(header::CONTENT_RANGE)?.to_str().ok()?;
    value.rsplit('/').next()?.trim().parse().ok()
}

fn content_length<B>(response: &Response<B>) -> Option<u64> {
    response
        .headers()
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// The part of an address that a person recognises.
fn host(address: &str) -> &str {
    address
        .split("://")
        .nth(1)
        .unwrap_or(address)
        .split('/')
        .next()
        .unwrap_or(address)
}
