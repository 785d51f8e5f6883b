//! How large an image file may be, and how much is held of many: promises that are kept before any pixel is allocated.

/// Limits on one image file, and on what is held of many. The first three are checked before pixels are allocated: the bytes when
/// the file is opened, sides and pixels when its header has been read.
///
/// Memory in use while loading is at most about `threads · (pixels · 16 + max_file_bytes)` above what is returned, `pixels` being
/// the lesser of `max_side²` and `max_pixels`; for 8-bit files `pixels · 6`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest width and height in pixels. Default 65,536 (proposal): line-scan images are long.
    pub max_side: u32,
    /// Most pixels, width times height. Default 268,435,456 (proposal): 16384×16384.
    pub max_pixels: u64,
    /// Largest file in bytes. Default 1 GiB (proposal).
    pub max_file_bytes: u64,
    /// Pixels of training images that are held in memory, at most, in bytes: 3 a pixel at the size that a method asks for. The
    /// first images are held; those beyond are decoded again whenever they are wanted, which changes no result. Default 256 MiB
    /// (proposal): 1,365 images of 256×256.
    pub max_held_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_side: 65_536,
            max_pixels: 1 << 28,
            max_file_bytes: 1 << 30,
            max_held_bytes: 256 << 20,
        }
    }
}
