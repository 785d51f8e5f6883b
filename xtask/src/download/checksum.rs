//! Is this the file that the catalogue means? Length first, then SHA-256 over all of it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::meter::Meter;
use super::{DataSet, DownloadError, Show};

/// SHA-256 of bytes in memory, 64 lower-case hexadecimal digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Checks a file against the catalogue's length and hash.
pub(super) fn check(path: &Path, set: &DataSet, show: Show) -> Result<(), DownloadError> {
    let io = DownloadError::io(path);
    let wrong = |fault| DownloadError::WrongFile {
        path: path.to_path_buf(),
        fault,
    };
    let mut file = File::open(path).map_err(&io)?;
    let length = file.metadata().map_err(&io)?.len();
    match set.is_weights() {
        false if length != set.bytes => {
            return Err(wrong(format!("{length} bytes instead of {}", set.bytes)));
        }
        true if length > set.bytes => {
            return Err(wrong(format!("{length} bytes, at most {} are right", set.bytes)));
        }
        _ => {}
    }
    let mut meter = Meter::new(show, &format!("Checking {}", set.archive), length);
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer).map_err(&io)?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
        meter.add(read as u64);
    }
    let found = hex(&hash.finalize());
    meter.finish();
    match found.starts_with(&set.sha256) {
        true => Ok(()),
        false => Err(wrong(format!("SHA-256 is {found} instead of {}", set.sha256))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_standard_one() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(
            sha256_hex(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
