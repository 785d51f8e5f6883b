//! Files that PyTorch wrote, files cut short or changed, and files that want to run something.

use std::io::{Cursor, Write};

use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

use super::parse;

/// Written by `tests/golden/pytorch.py`, in both layouts.
const ZIP: &[u8] = include_bytes!("../../tests/golden/zip.pth");
const LEGACY: &[u8] = include_bytes!("../../tests/golden/legacy.pth");

/// The rule of the script: numbers that every type holds exactly.
fn rule(count: usize) -> Vec<f32> {
    (0..count).map(|i| (i * 37 % 23) as f32 - 11.0).collect()
}

#[test]
fn both_layouts_of_pytorch_are_read() {
    for file in [ZIP, LEGACY] {
        let tensors = parse(file).unwrap();
        assert_eq!(tensors.len(), 7);
        let floats = |name: &str| -> (Vec<usize>, Vec<f32>) {
            let tensor = &tensors[name];
            (
                tensor.dims().to_vec(),
                tensor.flatten_all().unwrap().to_vec1().unwrap(),
            )
        };
        for name in ["conv.weight", "double", "half", "brain"] {
            assert_eq!(floats(name), (vec![2, 3, 2], rule(12)), "{name}");
        }
        let across: Vec<f32> = (0..3)
            .flat_map(|j| (0..2).map(move |i| rule(6)[i * 3 + j]))
            .collect();
        assert_eq!(floats("transposed"), (vec![3, 2], across));
        assert_eq!(floats("part"), (vec![4], rule(12)[5..9].to_vec()));
        let count = &tensors["num_batches_tracked"];
        assert_eq!(count.dims(), [0usize; 0]);
        assert_eq!(count.to_scalar::<i64>().unwrap(), 77);
    }
}

#[test]
fn a_file_cut_short_is_an_error() {
    for file in [ZIP, LEGACY] {
        for length in (0..file.len() - 1).step_by(7) {
            assert!(parse(&file[..length]).is_err(), "{length} of {}", file.len());
        }
    }
}

#[test]
fn a_changed_byte_is_never_more_than_an_error() {
    for file in [ZIP, LEGACY] {
        for place in 0..file.len().min(1500) {
            for change in [0x01, 0x80, 0xff] {
                let mut changed = file.to_vec();
                changed[place] ^= change;
                // Changed numbers are read as numbers; everything else must be noticed, or be harmless.
                let _ = parse(&changed);
            }
        }
    }
}

fn archive(program: &[u8], storage: &[u8]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in [("x/data.pkl", program), ("x/data/0", storage)] {
        zip.start_file(name, stored).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn fault(program: &[u8]) -> String {
    parse(&archive(program, &[0; 16])).unwrap_err()
}

#[test]
fn nothing_is_run() {
    let cases: [&[u8]; 5] = [
        b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R.",
        b"\x80\x02cbuiltins\neval\nX\x01\x00\x00\x001\x85R.",
        b"\x80\x02ctorch\nload\n)R.",
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v3\n)R.",
        b"\x80\x02}X\x01\x00\x00\x00ac__builtin__\nexec\ns.",
    ];
    for program in cases {
        let fault = fault(program);
        assert!(fault.contains("nothing that weights need"), "{fault}");
    }
    // Objects made by class, extension codes, and text protocols have no instruction here at all.
    for program in [
        &b"\x80\x02ccollections\nOrderedDict\n)\x81."[..],
        b"\x82\x01.",
        b"I5\n.",
        b"\x80\x04\x95.",
    ] {
        assert!(
            fault(program).contains("known here")
                || fault(program).contains("does not occur in a state dict")
        );
    }
}

#[test]
fn senseless_programs_are_errors() {
    let storage =
        b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ";
    let tensor = |rest: &[u8]| {
        let head: [&[u8]; 6] = [
            b"\x80\x02}X\x01\x00\x00\x00a",
            b"ctorch._utils\n_rebuild_tensor_v2\n(",
            storage,
            rest,
            b"tRs",
            b".",
        ];
        head.concat()
    };
    let sound = tensor(b"K\x00K\x02K\x02\x86K\x02K\x01\x86");
    assert_eq!(parse(&archive(&sound, &[0; 16])).unwrap()["a"].dims(), [2, 2]);
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (tensor(b"K\x01K\x02K\x02\x86K\x02K\x01\x86"), "beyond its storage"),
        (tensor(b"K\x00K\x02K\x02\x86K\x7fK\x01\x86"), "beyond its storage"),
        (tensor(b"K\x00K\x05\x85K\x00\x85"), "larger than its storage"),
        (
            tensor(b"K\x00J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86K\x00K\x00\x86"),
            "larger than its storage",
        ),
        (
            tensor(b"K\x00\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7fK\x02\x86K\x01K\x01\x86"),
            "larger than its storage",
        ),
        (
            tensor(b"K\x00K\x02K\x02\x86\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7fK\x01\x86"),
            "beyond its storage",
        ),
        (tensor(b"K\x00J\xff\xff\xff\xff\x85K\x01\x85"), "not known here"),
        (tensor(b"K\x00K\x02\x85)"), "1 dimensions, 0 strides"),
        (b"\x80\x02.".to_vec(), "not there"),
        (b"\x80\x02h\x05.".to_vec(), "recalls"),
        (b"\x80\x02Nr\xff\xff\xff\xff.".to_vec(), "gaps"),
        (b"\x80\x02X\xff\xff\xff\xffab.".to_vec(), "cut short"),
        (b"\x80\x02}(K\x01u.".to_vec(), "without a value"),
        (b"\x80\x02}(u(.".to_vec(), "not there"),
        (b"\x80\x02Nt.".to_vec(), "lacks a mark"),
        (b"\x80\x02NK\x01a.".to_vec(), "not a list"),
        (b"\x80\x02K\x01.".to_vec(), "no dictionary"),
        (b"\x80\x02}.".to_vec(), "no tensors"),
        (
            b"\x80\x02}X\x01\x00\x00\x00aK\x01s.".to_vec(),
            "\"a\" is not a tensor",
        ),
        (b"\x80\x02}K\x01Ns.".to_vec(), "not a text"),
        (b"\x80\x02)Q.".to_vec(), "not a plain storage"),
    ];
    for (program, wanted) in cases {
        let fault = fault(&program);
        assert!(fault.contains(wanted), "{wanted}: {fault}");
    }
    let short = parse(&archive(&sound, &[0; 12])).unwrap_err();
    assert!(short.contains("12 bytes instead of 16"), "{short}");
    let long = parse(&archive(&sound, &[0; 20])).unwrap_err();
    assert!(long.contains("at most 16"), "{long}");
}

#[test]
fn depth_and_circles_cost_nothing() {
    let mut deep = b"\x80\x02N".to_vec();
    deep.extend(std::iter::repeat_n(0x85, 1_000_000));
    deep.push(b'.');
    assert!(fault(&deep).contains("no dictionary"));
    assert!(fault(b"\x80\x02]q\x00h\x00a.").contains("no dictionary"));
    assert!(fault(b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.").contains("not a tensor"));
}

#[test]
fn other_files_are_told_apart() {
    let mut tar = vec![0; 1024];
    tar[257..262].copy_from_slice(b"ustar");
    assert!(parse(&tar).unwrap_err().contains("tar archive"));
    assert!(parse(b"hello").unwrap_err().contains("neither"));
    assert!(parse(b"\x80\x02K\x01.").unwrap_err().contains("neither"));
}
