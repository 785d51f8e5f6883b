//! A server from its beginning to its end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::ServerError;
use crate::app::App;
use crate::connections::Connections;
use crate::line::Threads;
use crate::reload;
use crate::routes::router;
use crate::runs::Runs;
use crate::served::Source;
use crate::settings::Settings;

/// Threads that wait for the network: they compute nothing (proposal).
const WAITING: usize = 2;
/// Time between two looks whether it is to end.
const PAUSE: Duration = Duration::from_millis(20);

/// Serves runs until `stop` is set, then finishes what it has accepted, answers what comes with 503, and returns. `told` is called
/// once with the address, when it listens.
///
/// # Errors
/// A run that cannot be loaded, an address that cannot be listened on, threads that cannot be started.
pub fn serve(
    settings: Settings,
    sources: Vec<Source>,
    stop: Arc<AtomicBool>,
    told: impl FnOnce(SocketAddr),
) -> Result<(), ServerError> {
    let address = settings.listen;
    let listen = |source| ServerError::Listen { address, source };
    // Before the runs are loaded, which takes a while.
    let listener = std::net::TcpListener::bind(address).map_err(listen)?;
    listener.set_nonblocking(true).map_err(listen)?;
    let app = Arc::new(App::new(settings, Runs::load(sources)?));
    let threads = Threads::start(&app.line, &app.metrics)?;
    let watching = {
        let app = Arc::clone(&app);
        thread::Builder::new()
            .name("replaced runs".to_owned())
            .spawn(move || reload::watch(&app))
            .map_err(ServerError::Thread)?
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WAITING)
        .enable_all()
        .build()
        .map_err(ServerError::Thread)?;
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener).map_err(listen)?;
        told(listener.local_addr().map_err(listen)?);
        let connections = Connections::new(listener, Arc::clone(&app), router(&app));
        connections.serve(ended(&app, &stop)).await;
        Ok::<(), ServerError>(())
    })?;
    // Whoever does not let go of a connection is cut off.
    runtime.shutdown_background();
    app.drain.end();
    threads.finish();
    if watching.join().is_err() {
        log::error!("the thread that looks for replaced runs failed");
    }
    Ok(())
}

/// Waits until it is to end and nothing is in hand.
async fn ended(app: &App, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        sleep(PAUSE).await;
    }
    app.drain.end();
    log::info!(
        "ending: {} in hand; new ones are answered with 503",
        flawforge_datasets::counted(app.drain.in_hand(), "request")
    );
    let until = Instant::now() + app.settings.grace;
    while app.drain.in_hand() > 0 && Instant::now() < until {
        sleep(PAUSE).await;
    }
    let left = app.drain.in_hand();
    if left > 0 {
        log::error!(
            "{} could not be finished within {} s",
            flawforge_datasets::counted(left, "request"),
            app.settings.grace.as_secs_f64()
        );
    }
}
