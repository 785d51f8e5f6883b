//! The server's door: bytes of a client, as they come over a connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use flawforge::augment::{ProceduralTextures, Selection};
use flawforge::datasets::demo;
use flawforge::server::{Prepared, Settings, Source, serve};
use flawforge::training::{Experiment, Method, Product, Profile, TrainOptions, train};

use super::{Finding, Seen};

/// Nothing that a client of this machine asks takes longer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Times of the server, so short that it soon hangs up on a client that says nothing more.
const SHORT: Duration = Duration::from_millis(150);

static SERVER: OnceLock<Result<SocketAddr, Finding>> = OnceLock::new();

/// The bytes are sent, and nothing after them; the connection stays open. The server answers or hangs up, and answers the next client.
pub(super) fn request(bytes: &[u8]) -> Result<Seen, Finding> {
    let address = SERVER.get_or_init(start).clone()?;
    let answer = exchange(address, bytes)?;
    let alive = exchange(
        address,
        b"GET /health HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n",
    )?;
    if !alive.starts_with(b"HTTP/1.1 200 ") {
        return Err(format!(
            "afterwards it answers {:?}",
            String::from_utf8_lossy(&alive)
        ));
    }
    if answer.starts_with(b"HTTP/1.1 5") {
        return Err(format!("it answers {:?}", String::from_utf8_lossy(&answer)));
    }
    Ok(match answer.starts_with(b"HTTP/1.1 2") {
        true => Seen::Taken,
        false => Seen::Refused,
    })
}

fn exchange(address: SocketAddr, bytes: &[u8]) -> Result<Vec<u8>, Finding> {
    let gone = |fault: std::io::Error| format!("no connection: {fault}");
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(gone)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(gone)?;
    // A server that refuses may hang up before it has heard everything.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(fault) if fault.kind() == std::io::ErrorKind::WouldBlock => {
            Err(format!("no end of its answer within {} s", PATIENCE.as_secs()))
        }
        _ => Ok(answer),
    }
}

/// A training of two steps on few images.
pub(super) fn train_briefly(run: &Path) -> Result<(), Finding> {
    fn said(fault: impl std::fmt::Display) -> Finding {
        format!("no run to try: {fault}")
    }
    let profile = Profile::builtin("smoke").map_err(said)?;
    let product = Product::new("gear", Selection::default());
    let mut experiment = Experiment::new(Method::LinYan, &profile, &product, 0)
        .and_then(|whole| whole.with_steps(2))
        .map_err(said)?;
    let calibration = &mut experiment.calibration;
    (calibration.held_out, calibration.fewest, calibration.folds) = (0.25, 0, 0);
    let mut category = demo::category("gear", &experiment.loading(), 0).map_err(said)?;
    category.train.truncate(8);
    let textures = Arc::new(ProceduralTextures::new(0, 4));
    train(&experiment, &category, textures, run, &TrainOptions::default()).map_err(said)?;
    Ok(())
}

/// A server on a run of few steps, in this process, until it ends.
fn start() -> Result<SocketAddr, Finding> {
    fn said(fault: impl std::fmt::Display) -> Finding {
        format!("no server to try: {fault}")
    }
    let folder = tempfile::tempdir().map_err(said)?;
    let run = folder.path().join("run");
    train_briefly(&run)?;
    let source = Source::named("gear", &run, Arc::new(Prepared::of)).map_err(said)?;
    let settings = Settings {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        max_body: 1 << 20,
        max_pixels: 1 << 20,
        head_time: SHORT,
        body_time: SHORT,
        ..Settings::default()
    };
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        // The run's folder lives as long as the server.
        let _folder = folder;
        let address = tell.clone();
        let served = serve(settings, vec![source], Arc::new(AtomicBool::new(false)), |at| {
            let _ = address.send(Ok(at));
        });
        let _ = tell.send(Err(served.err().map_or_else(|| "it ended".to_owned(), said)));
    });
    told.recv().map_err(said)?
}
