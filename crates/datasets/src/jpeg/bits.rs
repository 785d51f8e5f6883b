//! Bits of a scan, and the Huffman codes that they spell.

/// Why the data of a scan do not spell a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The bits end, at a marker or at the end of the file, before the last block.
    Short,
    /// A code that its table does not have, or a coefficient beyond the last of its block.
    Code,
    /// The table that a scan names was never given.
    NoTable,
}

/// Bits of the code that are looked up at once.
const LOOKUP: u32 = 9;

/// A Huffman table: codes to symbols.
pub(super) struct Table {
    /// By the first bits: the length of the code and its symbol; a length of 0 where the code is longer.
    short: Vec<(u8, u8)>,
    /// By length: the first code that is too large for it, aligned to 16 bits.
    limit: [u32; 17],
    /// By length: what to add to a code to find its symbol.
    offset: [i32; 17],
    symbols: Vec<u8>,
}

impl Table {
    /// A table from the number of codes of each length and their symbols; `None` where they overflow the code space.
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Self> {
        let mut table = Self {
            short: vec![(0, 0); 1 << LOOKUP],
            limit: [0; 17],
            offset: [0; 17],
            symbols: symbols.to_vec(),
        };
        let (mut code, mut first) = (0u32, 0usize);
        for (index, &count) in counts.iter().enumerate() {
            let (length, count) = (index + 1, usize::from(count));
            table.offset[length] = first as i32 - code as i32;
            for &symbol in symbols.get(first..first + count)? {
                if code >= 1 << length {
                    return None;
                }
                if let Some(free) = LOOKUP.checked_sub(length as u32) {
                    table.short[(code << free) as usize..][..1 << free].fill((length as u8, symbol));
                }
                code += 1;
            }
            first += count;
            table.limit[length] = code << (16 - length);
            code <<= 1;
        }
        Some(table)
    }
}

/// The bits between two markers. A byte 0xff is followed by a stuffed zero there; any other byte after it ends the bits.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// The next byte that is not in the buffer.
    at: usize,
    buffer: u64,
    count: u32,
    ended: bool,
}

impl<'a> Bits<'a> {
    /// The bits that begin at a byte.
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self {
            bytes,
            at,
            buffer: 0,
            count: 0,
            ended: false,
        }
    }

    fn fill(&mut self) {
        while self.count <= 56 && !self.ended {
            match (self.bytes.get(self.at), self.bytes.get(self.at + 1)) {
                (Some(0xff), Some(0)) => self.push(0xff, 2),
                (Some(0xff), _) | (None, _) => self.ended = true,
                (Some(&byte), _) => self.push(byte, 1),
            }
        }
    }

    fn push(&mut self, byte: u8, length: usize) {
        self.buffer = self.buffer << 8 | u64::from(byte);
        self.count += 8;
        self.at += length;
    }

    /// The next symbol of a table.
    pub(super) fn symbol(&mut self, table: &Table) -> Result<u8, Fault> {
        if self.count < 16 {
            self.fill();
        }
        // Where fewer than 16 bits are left, zeros stand in; a code that would need them is refused below.
        let bits = match self.count {
            count @ 0..16 => (self.buffer << (16 - count)) as u32 & 0xffff,
            count => (self.buffer >> (count - 16)) as u32 & 0xffff,
        };
        let (length, symbol) = match table.short[(bits >> (16 - LOOKUP)) as usize] {
            (0, _) => {
                let length = (LOOKUP as usize + 1..17).find(|&length| bits < table.limit[length]);
                let Some(length) = length else {
                    return Err(if self.count < 16 {
                        Fault::Short
                    } else {
                        Fault::Code
                    });
                };
                let place = (bits >> (16 - length)) as i32 + table.offset[length];
                let symbol = usize::try_from(place).ok().and_then(|at| table.symbols.get(at));
                (length as u32, *symbol.ok_or(Fault::Code)?)
            }
            (length, symbol) => (u32::from(length), symbol),
        };
        self.count = self.count.checked_sub(length).ok_or(Fault::Short)?;
        Ok(symbol)
    }

    /// The next bits, at most 16, as a number.
    pub(super) fn take(&mut self, bits: u32) -> Result<u32, Fault> {
        if self.count < bits {
            self.fill();
        }
        self.count = self.count.checked_sub(bits).ok_or(Fault::Short)?;
        Ok((self.buffer >> self.count) as u32 & ((1 << bits) - 1))
    }

    /// Whether the rest of the byte that is begun is filled up with ones, as the standard wants it at the end of a scan.
    pub(super) fn is_padded(&self) -> bool {
        let ones = (1u64 << (self.count % 8)) - 1;
        self.buffer >> (self.count / 8 * 8) & ones == ones
    }

    /// The byte after the last one of which a bit was taken.
    pub(super) fn end(&self) -> usize {
        (0..self.count / 8).fold(self.at, |at, _| {
            let stuffed = at >= 2 && self.bytes[at - 2..at] == [0xff, 0];
            at - if stuffed { 2 } else { 1 }
        })
    }
}
