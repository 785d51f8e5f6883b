//! Whether a JPEG file holds its whole picture, and where the picture ends.
//!
//! Decoders fill up what is missing with grey and say nothing, and an end marker proves nothing: files are cut and closed
//! again, phones append a film, cameras forget the marker. So the codes of every scan are read to the last block here. That
//! costs less than decoding, which is left to the `image` crate.

mod bits;
mod scan;

use bits::{Fault, Table};
use scan::{Component, Scan, Tables, is_complete};

/// A picture that is there in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Whole {
    /// The byte after its data, where the end marker belongs.
    pub(crate) end: usize,
    /// Whether the end marker is there.
    pub(crate) closed: bool,
    /// Whether another picture follows at once.
    pub(crate) another: bool,
}

/// Looks for the whole picture of a JPEG file, or of the data of one in another file.
///
/// `Ok(None)` for kinds that are not read here (arithmetic coding, lossless, 12 bits, a height that comes later).
///
/// # Errors
/// What is missing or damaged, in words.
pub(crate) fn whole(bytes: &[u8]) -> Result<Option<Whole>, String> {
    match Walk::new(bytes).walked() {
        Ok(end) => {
            let after = &bytes[end..];
            let closed = after.starts_with(&[0xff, 0xd9]);
            Ok(Some(Whole {
                end,
                closed,
                another: closed && after[2..].starts_with(&[0xff, 0xd8, 0xff]),
            }))
        }
        Err(Stop::NotReadHere) => Ok(None),
        Err(Stop::Faulty(fault)) => Err(fault),
    }
}

/// Whether a file of a kind that is not read here lacks its end: no end marker after the last start of a scan.
pub(crate) fn lacks_its_end(bytes: &[u8]) -> bool {
    let last = |marker: u8| bytes.windows(2).rposition(|pair| pair == [0xff, marker]);
    match (last(0xda), last(0xd9)) {
        (Some(scan), Some(end)) => end < scan,
        _ => true,
    }
}

/// Why a walk ends early.
enum Stop {
    NotReadHere,
    Faulty(String),
}

/// Largest number of blocks of a component that are kept track of: far above what [`crate::Limits`] lets through.
const MOST_BLOCKS: u64 = 1 << 26;

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    tables: Tables,
    components: Vec<Component>,
    progressive: bool,
    /// Units across and down in a scan of several components.
    units: (u32, u32),
    height: u32,
}

impl<'a> Walk<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 2,
            tables: Tables {
                first: [const { None }; 4],
                other: [const { None }; 4],
                restart: 0,
            },
            components: Vec::new(),
            progressive: false,
            units: (0, 0),
            height: 0,
        }
    }

    /// The byte after the last block of the picture.
    fn walked(mut self) -> Result<usize, Stop> {
        loop {
            let marker = self.marker()?;
            match marker {
                0xc0..=0xc2 if self.components.is_empty() => {
                    self.progressive = marker == 0xc2;
                    self.frame()?;
                }
                0xc4 => self.huffman()?,
                0xc0..=0xcf => return Err(Stop::NotReadHere),
                0xdd => {
                    let interval = self.segment()?.get(..2).ok_or_else(header)?;
                    self.tables.restart = u32::from(interval[0]) << 8 | u32::from(interval[1]);
                }
                0xda => {
                    let end = self.scan()?;
                    if self.components.iter().all(is_complete) {
                        return Ok(end);
                    }
                    self.at = end;
                }
                // An end, or another picture's beginning, before all of this one was there.
                0xd8 | 0xd9 => return Err(self.unfinished()),
                0x01 | 0xd0..=0xd7 => {}
                _ => drop(self.segment()?),
            }
        }
    }

    /// The next marker, whatever lies before it.
    fn marker(&mut self) -> Result<u8, Stop> {
        while let Some(pair) = self.bytes.get(self.at..self.at + 2) {
            match (pair[0], pair[1]) {
                (0xff, marker) if marker != 0 && marker != 0xff => {
                    self.at += 2;
                    return Ok(marker);
                }
                _ => self.at += 1,
            }
        }
        Err(self.unfinished())
    }

    /// The content of the segment that begins here.
    fn segment(&mut self) -> Result<&'a [u8], Stop> {
        let length = self.bytes.get(self.at..self.at + 2).ok_or_else(header)?;
        let length = usize::from(length[0]) << 8 | usize::from(length[1]);
        let content = self
            .bytes
            .get(self.at + 2..self.at + length.max(2))
            .ok_or_else(header)?;
        self.at += length.max(2);
        Ok(content)
    }

    fn unfinished(&self) -> Stop {
        match self
            .components
            .iter()
            .any(|component| component.missing[0].is_some())
        {
            true => Stop::Faulty("the file ends early (scans of the JPEG are missing)".to_owned()),
            false => header(),
        }
    }

    fn frame(&mut self) -> Result<(), Stop> {
        let content = self.segment()?;
        let number = |at: usize| content.get(at).copied().map(u32::from).ok_or_else(header);
        let (height, width) = (number(1)? << 8 | number(2)?, number(3)? << 8 | number(4)?);
        if number(0)? != 8 || height == 0 || width == 0 {
            return Err(Stop::NotReadHere);
        }
        let parts = content.get(6..).ok_or_else(header)?.chunks_exact(3);
        let sampling: Vec<(u8, (u32, u32))> = parts
            .take(number(5)? as usize)
            .map(|part| (part[0], (u32::from(part[1] >> 4), u32::from(part[1] & 15))))
            .collect();
        let fits = |side: u32| (1..=4).contains(&side);
        if sampling.is_empty()
            || !sampling
                .iter()
                .all(|(_, (wide, high))| fits(*wide) && fits(*high))
        {
            return Err(Stop::NotReadHere);
        }
        let most = sampling.iter().fold((1, 1), |most, (_, (wide, high))| {
            (most.0.max(*wide), most.1.max(*high))
        });
        self.height = height;
        self.units = (width.div_ceil(8 * most.0), height.div_ceil(8 * most.1));
        for (id, sampling) in sampling {
            let pitch = self.units.0 * sampling.0;
            let blocks = u64::from(pitch) * u64::from(self.units.1 * sampling.1);
            if blocks > MOST_BLOCKS {
                return Err(Stop::NotReadHere);
            }
            self.components.push(Component {
                id,
                sampling,
                alone: (
                    (width * sampling.0).div_ceil(8 * most.0),
                    (height * sampling.1).div_ceil(8 * most.1),
                ),
                pitch,
                known: vec![0; if self.progressive { blocks as usize } else { 0 }],
                missing: [None; 64],
            });
        }
        Ok(())
    }

    fn huffman(&mut self) -> Result<(), Stop> {
        let mut content = self.segment()?;
        while let Some((&head, rest)) = content.split_first() {
            let counts: &[u8; 16] = rest.first_chunk().ok_or_else(header)?;
            let length: usize = counts.iter().copied().map(usize::from).sum();
            let symbols = rest.get(16..16 + length).ok_or_else(header)?;
            let table = Table::new(counts, symbols)
                .ok_or_else(|| Stop::Faulty("a table of the JPEG is damaged".to_owned()))?;
            let class = if head >> 4 == 0 {
                &mut self.tables.first
            } else {
                &mut self.tables.other
            };
            *class.get_mut(usize::from(head & 15)).ok_or(Stop::NotReadHere)? = Some(table);
            content = &rest[16 + length..];
        }
        Ok(())
    }

    /// Reads a scan; returns the byte after its data.
    fn scan(&mut self) -> Result<usize, Stop> {
        let content = self.segment()?;
        let (&count, rest) = content.split_first().ok_or_else(header)?;
        let (parts, rest) = rest.split_at_checked(2 * usize::from(count)).ok_or_else(header)?;
        let &[from, to, approximation] = rest.first_chunk().ok_or_else(header)?;
        let place = |id: u8| self.components.iter().position(|component| component.id == id);
        let parts: Option<Vec<_>> = parts
            .chunks_exact(2)
            .map(|part| {
                Some((
                    place(part[0])?,
                    usize::from(part[1] >> 4),
                    usize::from(part[1] & 15),
                ))
            })
            .collect();
        let damaged = || Stop::Faulty("the header of a scan of the JPEG is damaged".to_owned());
        let scan = Scan {
            parts: parts.filter(|parts| !parts.is_empty()).ok_or_else(damaged)?,
            band: if self.progressive { (from, to) } else { (0, 63) },
            high: if self.progressive { approximation >> 4 } else { 0 },
            low: if self.progressive { approximation & 15 } else { 0 },
        };
        let alone = scan.parts.len() == 1;
        let (from, to) = scan.band;
        let is_band = to < 64 && from <= to && (from > 0 || to == 0 || !self.progressive);
        if !is_band || (from > 0 && !alone) {
            return Err(damaged());
        }
        let read = scan::read(
            self.bytes,
            self.at,
            &scan,
            &mut self.components,
            self.units,
            &self.tables,
            self.progressive,
        );
        match read {
            Ok((end, padded)) => match self.bytes.get(end) {
                Some(0) if self.fades_out(end) => Err(Stop::Faulty(
                    "the JPEG is cut, and filled up with zeros".to_owned(),
                )),
                // Where no marker follows, the end shows at least that it is one.
                Some(&next) if next != 0xff && !padded => {
                    let height = self.height;
                    Err(Stop::Faulty(format!(
                        "the JPEG is cut or damaged before row {height}, its last"
                    )))
                }
                _ => Ok(end),
            },
            Err((Fault::NoTable, _)) => Err(Stop::NotReadHere),
            Err((fault, share)) => {
                let row = (share * f64::from(self.height)) as u32;
                let height = self.height;
                Err(Stop::Faulty(match fault {
                    Fault::Short => {
                        format!("the file ends early (the JPEG's data end near row {row} of {height})")
                    }
                    _ => format!("the JPEG is cut or damaged near row {row} of {height}"),
                }))
            }
        }
    }

    /// Whether a scan's data end in zeros, where more of them follow in place of a marker: copies that broke off leave these,
    /// and zeros spell valid codes.
    fn fades_out(&self, end: usize) -> bool {
        const MANY: usize = 4;
        end > MANY && self.bytes[end - MANY..end].iter().all(|byte| *byte == 0)
    }
}

fn header() -> Stop {
    Stop::Faulty("the file ends early (within a header of the JPEG)".to_owned())
}
