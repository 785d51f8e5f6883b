//! Connections: how many there are, how long they may say nothing, how they end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt as _;

use crate::app::App;

/// After a connection could not be accepted: there may be no more handles of files for a while.
const PAUSE: Duration = Duration::from_millis(50);
/// For connections that were just accepted when the server ended, to ask and be told so.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// For answers to be written when all is done.
const FAREWELL: Duration = Duration::from_secs(5);
/// Bytes of the head of a request, at most.
const HEAD: usize = 64 << 10;

/// Connections of one listener.
pub(crate) struct Connections {
    listener: TcpListener,
    room: Arc<Semaphore>,
    open: GracefulShutdown,
    app: Arc<App>,
    router: Router,
}

impl Connections {
    pub(crate) fn new(listener: TcpListener, app: Arc<App>, router: Router) -> Self {
        Self {
            listener,
            room: Arc::new(Semaphore::new(app.settings.connections.max(1))),
            open: GracefulShutdown::new(),
            app,
            router,
        }
    }

    /// Accepts connections until `ended`, then lets those that are open finish.
    pub(crate) async fn serve(self, ended: impl Future<Output = ()>) {
        tokio::pin!(ended);
        loop {
            let accepted = tokio::select! {
                accepted = self.accept() => accepted,
                () = &mut ended => break,
            };
            match accepted {
                Ok((stream, permit)) => self.start(stream, permit),
                Err(fault) => {
                    log::warn!("a connection cannot be accepted: {fault}");
                    sleep(PAUSE).await;
                }
            }
        }
        // Those that the system has accepted already are answered too.
        while let Ok(Ok((stream, permit))) = timeout(Duration::ZERO, self.accept()).await {
            self.start(stream, permit);
        }
        drop(self.listener);
        sleep(LAST_WORDS).await;
        let open = self.open.count();
        if timeout(FAREWELL, self.open.shutdown()).await.is_err() {
            log::warn!("some of {open} connections were cut off: their clients take no answer");
        }
    }

    async fn accept(&self) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
        // Never closed.
        let permit = Arc::clone(&self.room).acquire_owned().await;
        let permit = permit.map_err(io::Error::other)?;
        let (stream, _) = self.listener.accept().await?;
        Ok((stream, permit))
    }

    fn start(&self, stream: TcpStream, permit: OwnedSemaphorePermit) {
        let settings = &self.app.settings;
        let _ = stream.set_nodelay(true);
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(settings.write_time));
        let service = self
            .router
            .clone()
            .map_request(|request: hyper::Request<Incoming>| request.map(axum::body::Body::new));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(settings.head_time)
            .max_buf_size(HEAD)
            .serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(service));
        let connection = self.open.watch(connection);
        let app = Arc::clone(&self.app);
        tokio::spawn(async move {
            app.metrics.connections.inc();
            // A client that went away, was too slow or spoke nonsense: hyper has answered what can be answered.
            let _ = connection.await;
            app.metrics.connections.dec();
            drop(permit);
        });
    }
}
