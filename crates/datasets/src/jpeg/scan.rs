//! One scan of a JPEG picture, read code by code without computing a pixel.

use super::bits::{Bits, Fault, Table};

/// What is known of a component.
pub(super) struct Component {
    pub(super) id: u8,
    /// Blocks of a unit across and down.
    pub(super) sampling: (u32, u32),
    /// Blocks across and down in a scan of this component alone.
    pub(super) alone: (u32, u32),
    /// Blocks in a row of the whole units.
    pub(super) pitch: u32,
    /// By block, of a progressive picture: the coefficients that are not zero so far.
    pub(super) known: Vec<u64>,
    /// By coefficient: how many of its lower bits are still to come; `None` where nothing has come.
    pub(super) missing: [Option<u8>; 64],
}

/// Whether a component is there in full.
pub(super) fn is_complete(component: &Component) -> bool {
    component.missing.iter().all(|&bits| bits == Some(0))
}

/// What a scan's header says.
pub(super) struct Scan {
    /// Components in their order, with the tables of their first and other coefficients.
    pub(super) parts: Vec<(usize, usize, usize)>,
    /// First and last coefficient.
    pub(super) band: (u8, u8),
    /// Lower bits that earlier scans, and that this one leave out.
    pub(super) high: u8,
    pub(super) low: u8,
}

/// The state of the tables when a scan begins.
pub(super) struct Tables {
    pub(super) first: [Option<Table>; 4],
    pub(super) other: [Option<Table>; 4],
    /// Units between two restart markers; 0: none.
    pub(super) restart: u32,
}

/// Reads a scan from the byte after its header. Returns the byte after its data and whether its last byte is filled up with
/// ones; or a fault, with the share of the picture's height above the units it is in.
pub(super) fn read(
    bytes: &[u8],
    at: usize,
    scan: &Scan,
    components: &mut [Component],
    units: (u32, u32),
    tables: &Tables,
    progressive: bool,
) -> Result<(usize, bool), (Fault, f64)> {
    let alone = match scan.parts.as_slice() {
        [(component, ..)] => Some(components[*component].alone),
        _ => None,
    };
    let (across, down) = alone.unwrap_or(units);
    let mut reader = Reader {
        bits: Bits::new(bytes, at),
        scan,
        tables,
        progressive,
        run: 0,
    };
    for unit in 0..u64::from(across) * u64::from(down) {
        let place = (
            (unit % u64::from(across)) as u32,
            (unit / u64::from(across)) as u32,
        );
        let reached = |fault| (fault, f64::from(place.1) / f64::from(down));
        if tables.restart > 0 && unit > 0 && unit.is_multiple_of(u64::from(tables.restart)) {
            let number = (unit / u64::from(tables.restart) - 1) % 8;
            reader.restart(bytes, number as u8).map_err(reached)?;
        }
        for part in &scan.parts {
            let component = &mut components[part.0];
            let (wide, high) = if alone.is_some() {
                (1, 1)
            } else {
                component.sampling
            };
            for block in 0..wide * high {
                let column = place.0 * wide + block % wide;
                let row = place.1 * high + block / wide;
                let index = row as usize * component.pitch as usize + column as usize;
                let known = component.known.get_mut(index);
                reader.block(part, known).map_err(reached)?;
            }
        }
    }
    for part in &scan.parts {
        let (from, to) = (usize::from(scan.band.0), usize::from(scan.band.1));
        components[part.0].missing[from..=to].fill(Some(scan.low));
    }
    Ok((reader.bits.end(), reader.bits.is_padded()))
}

struct Reader<'a> {
    bits: Bits<'a>,
    scan: &'a Scan,
    tables: &'a Tables,
    progressive: bool,
    /// Blocks to come that have nothing more in this band.
    run: u32,
}

impl<'a> Reader<'a> {
    /// Goes on behind a restart marker, which must be the next marker and have its number.
    fn restart(&mut self, bytes: &'a [u8], number: u8) -> Result<(), Fault> {
        let mut at = self.bits.end();
        while let Some(pair) = bytes.get(at..at + 2) {
            match (pair[0], pair[1]) {
                (0xff, marker) if marker == 0xd0 + number => {
                    self.bits = Bits::new(bytes, at + 2);
                    self.run = 0;
                    return Ok(());
                }
                (0xff, marker) if marker != 0 && marker != 0xff => return Err(Fault::Short),
                _ => at += 1,
            }
        }
        Err(Fault::Short)
    }

    fn table(of: &[Option<Table>; 4], index: usize) -> Result<&Table, Fault> {
        of.get(index).and_then(Option::as_ref).ok_or(Fault::NoTable)
    }

    fn block(&mut self, part: &(usize, usize, usize), known: Option<&mut u64>) -> Result<(), Fault> {
        let (from, to) = (u32::from(self.scan.band.0), u32::from(self.scan.band.1));
        if !self.progressive {
            self.first(part.1)?;
            return self.others(part.2, 1, 63, None);
        }
        match (from, self.scan.high) {
            (0, 0) => self.first(part.1),
            (0, _) => self.bits.take(1).map(|_| ()),
            (_, 0) => self.others(part.2, from, to, known),
            _ => self.refine(part.2, from, to, known),
        }
    }

    /// The first coefficient of a block.
    fn first(&mut self, table: usize) -> Result<(), Fault> {
        let bits = self.bits.symbol(Self::table(&self.tables.first, table)?)?;
        if bits > 16 {
            return Err(Fault::Code);
        }
        self.bits.take(u32::from(bits)).map(|_| ())
    }

    /// The coefficients of a band, seen for the first time.
    fn others(&mut self, table: usize, from: u32, to: u32, mut known: Option<&mut u64>) -> Result<(), Fault> {
        if self.run > 0 {
            self.run -= 1;
            return Ok(());
        }
        let table = Self::table(&self.tables.other, table)?;
        let mut at = from;
        while at <= to {
            let symbol = self.bits.symbol(table)?;
            let (zeros, bits) = (u32::from(symbol >> 4), u32::from(symbol & 15));
            if bits == 0 && zeros < 15 {
                // The rest of the block is zero, in progressive pictures that of more blocks too.
                if self.progressive {
                    self.run = (1 << zeros) - 1 + self.bits.take(zeros)?;
                } else if zeros > 0 {
                    return Err(Fault::Code);
                }
                break;
            }
            at += zeros;
            if at > to {
                return Err(Fault::Code);
            }
            if bits > 0 {
                self.bits.take(bits)?;
                if let Some(known) = known.as_deref_mut() {
                    *known |= 1 << at;
                }
            }
            at += 1;
        }
        Ok(())
    }

    /// One more bit for the coefficients of a band that are known, and coefficients that become known.
    fn refine(&mut self, table: usize, from: u32, to: u32, known: Option<&mut u64>) -> Result<(), Fault> {
        let table = Self::table(&self.tables.other, table)?;
        let known = known.ok_or(Fault::Code)?;
        let mut at = from;
        while self.run == 0 && at <= to {
            let symbol = self.bits.symbol(table)?;
            let (mut zeros, bits) = (u32::from(symbol >> 4), symbol & 15);
            if bits > 0 {
                self.bits.take(1)?;
            } else if zeros < 15 {
                self.run = (1 << zeros) + self.bits.take(zeros)?;
                break;
            }
            while at <= to {
                if *known >> at & 1 == 1 {
                    self.bits.take(1)?;
                } else if zeros == 0 {
                    break;
                } else {
                    zeros -= 1;
                }
                at += 1;
            }
            if bits > 0 {
                if at > to {
                    return Err(Fault::Code);
                }
                *known |= 1 << at;
            }
            at += 1;
        }
        if self.run > 0 {
            let rest = (at..=to).filter(|&at| *known >> at & 1 == 1).count();
            for _ in 0..rest {
                self.bits.take(1)?;
            }
            self.run -= 1;
        }
        Ok(())
    }
}
