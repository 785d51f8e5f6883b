//! What a server may hold, and how long anything may take.

use std::net::SocketAddr;
use std::time::Duration;

use crate::Token;

/// Everything that bounds a server. Every default is a proposal.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it listens. Default 127.0.0.1:8080: nobody but this machine.
    pub listen: SocketAddr,
    /// What requests must show, if anything.
    pub token: Option<Token>,
    /// Largest body of a request in bytes. Default 64 MiB.
    pub max_body: u64,
    /// Most pixels of an image. Default 67,108,864 (8192 x 8192); a side has at most 65,536 in any case.
    pub max_pixels: u64,
    /// Most images in a request. Default 32.
    pub max_images: usize,
    /// Images that may wait to be decoded. Default 256.
    pub queue: usize,
    /// Bytes of bodies, and of pictures that are answered, that may be held together. Default 1 GiB. Decoding takes up to 16 bytes a
    /// pixel beside it, in each of at most four threads.
    pub memory: u64,
    /// Most connections at once; further ones wait. Default 1024.
    pub connections: usize,
    /// Time for the head of a request, and for a connection without one. Default 30 s.
    pub head_time: Duration,
    /// Time for the body of a request. Default 30 s.
    pub body_time: Duration,
    /// Time from a whole body to its answer. Default 60 s.
    pub score_time: Duration,
    /// Time for which a client may take none of its answer. Default 30 s.
    pub write_time: Duration,
    /// Time to finish what was accepted, once it was told to end. Default 60 s.
    pub grace: Duration,
    /// Time between two looks whether a run was replaced on disk. Default 2 s.
    pub look: Duration,
}

impl Settings {
    /// Most images in a request: they wait together, so the queue must hold them.
    pub(crate) fn images_at_once(&self) -> usize {
        self.max_images.min(self.queue).max(1)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            token: None,
            max_body: 64 << 20,
            max_pixels: 8192 * 8192,
            max_images: 32,
            queue: 256,
            memory: 1 << 30,
            connections: 1024,
            head_time: Duration::from_secs(30),
            body_time: Duration::from_secs(30),
            score_time: Duration::from_secs(60),
            write_time: Duration::from_secs(30),
            grace: Duration::from_secs(60),
            look: Duration::from_secs(2),
        }
    }
}
