//! OpenCV's 8-bit colour conversions, equal within one level: luma, CIE Lab and Luv; those with a hue are in [`hue`](super::hue).
//!
//! Pixels are arrays in the order that the conversions name them: R, G, B on one side, the channels of the
//! colour space on the other.

use std::sync::OnceLock;

/// A colour space with a brightness channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColorSpace {
    /// Brightness Y.
    YCrCb,
    /// Brightness V.
    Hsv,
    /// Brightness L.
    Hls,
    /// Brightness L (CIE 1976).
    Lab,
    /// Brightness L (CIE 1976).
    Luv,
    /// Brightness Y.
    Yuv,
}

impl ColorSpace {
    /// All six.
    pub const ALL: [Self; 6] = [Self::YCrCb, Self::Hsv, Self::Hls, Self::Lab, Self::Luv, Self::Yuv];
}

pub(super) fn descale(value: i32, shift: u32) -> i32 {
    (value + (1 << (shift - 1))) >> shift
}

// --- Luma and two differences -----------------------------------------------------------------------------

/// Coefficients of a luma space in units of 2^-14.
pub(super) struct LumaSpace {
    /// Channel of the two differences in R, G, B: the first chroma's, the second's.
    from: [usize; 2],
    forward: [i32; 2],
    /// What the first and the second chroma add to R, G, B.
    back: [[i32; 3]; 2],
}

pub(super) const YCRCB: LumaSpace = LumaSpace {
    from: [0, 2],
    forward: [11682, 9241],
    back: [[22987, -11698, 0], [0, -5636, 29049]],
};
pub(super) const YUV: LumaSpace = LumaSpace {
    from: [2, 0],
    forward: [8061, 14369],
    back: [[0, -6472, 33292], [18678, -9519, 0]],
};

pub(super) fn to_luma(rgb: [u8; 3], space: &LumaSpace) -> [u8; 3] {
    let [r, g, b] = rgb.map(i32::from);
    let y = descale(r * 4899 + g * 9617 + b * 1868, 14);
    let chroma = |k: usize| {
        let difference = i32::from(rgb[space.from[k]]) - y;
        descale(difference * space.forward[k] + (128 << 14), 14).clamp(0, 255) as u8
    };
    [y.clamp(0, 255) as u8, chroma(0), chroma(1)]
}

pub(super) fn from_luma([y, c, d]: [u8; 3], space: &LumaSpace) -> [u8; 3] {
    let (c, d) = (i32::from(c) - 128, i32::from(d) - 128);
    std::array::from_fn(|k| {
        let add = descale(c * space.back[0][k] + d * space.back[1][k], 14);
        (i32::from(y) + add).clamp(0, 255) as u8
    })
}

// --- CIE Lab and Luv --------------------------------------------------------------------------------------

/// Linear sRGB to XYZ and back (D65).
const TO_XYZ: [[f64; 3]; 3] = [
    [0.412453, 0.357580, 0.180423],
    [0.212671, 0.715160, 0.072169],
    [0.019334, 0.119193, 0.950227],
];
const FROM_XYZ: [[f64; 3]; 3] = [
    [3.240479, -1.53715, -0.498535],
    [-0.969256, 1.875991, 0.041556],
    [0.055648, -0.204043, 1.057311],
];
const WHITE: [f64; 3] = [0.950456, 1.0, 1.088754];

/// Fixed-point one of the ways back.
const BASE: i32 = 1 << 14;
const SRGB_LEVELS: usize = 1 << 12;
const CBRT_LEVELS: usize = 256 * 3 / 2 * 8;

/// Tables of the CIE conversions.
pub(super) struct LabTables {
    /// Linear value of every level, in 1/2040.
    linear: [i32; 256],
    /// The CIE cube root function of n / 2040, in 2^-15.
    cube_root: Vec<i32>,
    /// RGB to XYZ over white, in 2^-12.
    forward: [[i32; 3]; 3],
    /// Level of the linear value n / SRGB_LEVELS.
    srgb: Vec<u8>,
    /// Y and the CIE cube root function of Y for every level of L, in 1/BASE.
    luminance: [[i32; 2]; 256],
    /// XYZ, over white or not, to RGB, in 2^-12.
    back_white: [[i32; 3]; 3],
    back: [[i32; 3]; 3],
}

fn linear(x: f64) -> f64 {
    if x <= 0.04045 {
        x / 12.92
    } else {
        ((x + 0.055) / 1.055).powf(2.4)
    }
}

fn luminance(level: usize) -> [i32; 2] {
    let (l, base) = (level as f64 * 100.0 / 255.0, f64::from(BASE));
    if level <= 20 {
        let y = l / 903.3;
        [
            (y * base).round_ties_even() as i32,
            ((7.787 * y + 16.0 / 116.0) * base).round_ties_even() as i32,
        ]
    } else {
        let fy = ((l + 16.0) / 116.0 * base).round_ties_even() as i32;
        [fy * fy / BASE * fy / BASE, fy]
    }
}

pub(super) fn lab_tables() -> &'static LabTables {
    static TABLE: OnceLock<LabTables> = OnceLock::new();
    TABLE.get_or_init(|| {
        let cube_root = (0..CBRT_LEVELS).map(|n| {
            let x = n as f64 / 2040.0;
            let root = if x < 0.008856 {
                x * 7.787 + 16.0 / 116.0
            } else {
                x.cbrt()
            };
            (root * 32768.0).round_ties_even() as i32
        });
        let srgb = (0..SRGB_LEVELS).map(|n| {
            let x = n as f64 / SRGB_LEVELS as f64;
            let y = if x <= 0.0031308 {
                x * 12.92
            } else {
                1.055 * x.powf(1.0 / 2.4) - 0.055
            };
            (y * 255.0).round() as u8
        });
        LabTables {
            linear: std::array::from_fn(|n| (2040.0 * linear(n as f64 / 255.0)).round_ties_even() as i32),
            cube_root: cube_root.collect(),
            forward: std::array::from_fn(|i| {
                TO_XYZ[i].map(|c| (c / WHITE[i] * 4096.0).round_ties_even() as i32)
            }),
            srgb: srgb.collect(),
            luminance: std::array::from_fn(luminance),
            back_white: FROM_XYZ
                .map(|row| std::array::from_fn(|k| (row[k] * WHITE[k] * 4096.0).round_ties_even() as i32)),
            back: FROM_XYZ.map(|row| row.map(|c| (c * 4096.0).round_ties_even() as i32)),
        }
    })
}

pub(super) fn to_lab(rgb: [u8; 3], tables: &LabTables) -> [u8; 3] {
    let rgb = rgb.map(|v| tables.linear[usize::from(v)]);
    let [x, y, z] = tables.forward.map(|row| {
        let sum = row[0] * rgb[0] + row[1] * rgb[1] + row[2] * rgb[2];
        tables.cube_root[(descale(sum, 12) as usize).min(CBRT_LEVELS - 1)]
    });
    // Scaled so that L of 0..100 fills 0..255; offsets keep OpenCV's integer rounding.
    const SCALE: i32 = (116 * 255 + 50) / 100;
    const SHIFT: i32 = -((16 * 255 * (1 << 15) + 50) / 100);
    let l = descale(SCALE * y + SHIFT, 15);
    let a = descale(500 * (x - y) + (128 << 15), 15);
    let b = descale(200 * (y - z) + (128 << 15), 15);
    [l, a, b].map(|v| v.clamp(0, 255) as u8)
}

pub(super) fn from_lab([l, a, b]: [u8; 3], tables: &LabTables) -> [u8; 3] {
    let [y, fy] = tables.luminance[usize::from(l)];
    // a / 500 and b / 200 with OpenCV's integer constants.
    let fx = fy + ((5 * i32::from(a) * 53687 + (1 << 7)) >> 13) - 128 * BASE / 500;
    let fz = fy - (((i32::from(b) * 41943 + (1 << 4)) >> 9) - 128 * BASE / 200 + 1);
    let cube = |f: i32| {
        // Below 6/29 the function is linear.
        if f <= 3390 {
            f * 108 / 841 - BASE * 16 / 116 * 108 / 841
        } else {
            f * f / BASE * f / BASE
        }
    };
    from_xyz([cube(fx), y, cube(fz)], &tables.back_white, tables)
}

/// Levels from X, Y, Z in units of 1/BASE.
fn from_xyz([x, y, z]: [i32; 3], matrix: &[[i32; 3]; 3], tables: &LabTables) -> [u8; 3] {
    matrix.map(|row| {
        let value = descale(row[0] * x + row[1] * y + row[2] * z, 14);
        tables.srgb[value.clamp(0, SRGB_LEVELS as i32 - 1) as usize]
    })
}

const CUBE: usize = 33;
const U_LOW: f64 = -134.0;
const U_RANGE: f64 = 354.0;
const V_LOW: f64 = -140.0;
const V_RANGE: f64 = 262.0;

/// The chromaticity of white, times 13.
fn white_uv() -> [f64; 2] {
    let d = WHITE[0] + 15.0 * WHITE[1] + 3.0 * WHITE[2];
    [13.0 * 4.0 * WHITE[0] / d, 13.0 * 9.0 * WHITE[1] / d]
}

/// L, u, v at 33 steps of 8 levels per channel, in 2^-14 of their ranges: OpenCV interpolates this conversion.
pub(super) fn luv_cube() -> &'static [[i32; 3]] {
    static TABLE: OnceLock<Vec<[i32; 3]>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let [un, vn] = white_uv();
        (0..CUBE.pow(3))
            .map(|n| {
                let rgb = [n / (CUBE * CUBE), n / CUBE % CUBE, n % CUBE].map(|k| linear(k as f64 / 32.0));
                let [x, y, z] = TO_XYZ.map(|row| row[0] * rgb[0] + row[1] * rgb[1] + row[2] * rgb[2]);
                let l = if y > 0.008856 {
                    116.0 * y.cbrt() - 16.0
                } else {
                    y * 903.3
                };
                let d = 52.0 / (x + 15.0 * y + 3.0 * z).max(f64::from(f32::EPSILON));
                let (u, v) = (l * (x * d - un), l * (2.25 * y * d - vn));
                [l / 100.0, (u - U_LOW) / U_RANGE, (v - V_LOW) / V_RANGE]
                    .map(|value| (value * 16384.0).round_ties_even() as i32)
            })
            .collect()
    })
}

pub(super) fn to_luv(rgb: [u8; 3], cube: &[[i32; 3]]) -> [u8; 3] {
    let [r, g, b] = rgb.map(|v| usize::from(v) >> 3);
    // Place between two steps, in sixteenths.
    let [fr, fg, fb] = rgb.map(|v| i32::from(v & 7) * 2);
    let mut sums = [1 << 11; 3];
    for corner in 0..8 {
        let (dr, dg, db) = (corner >> 2, (corner >> 1) & 1, corner & 1);
        let weight = |far: usize, f: i32| if far == 1 { f } else { 16 - f };
        let weight = weight(dr, fr) * weight(dg, fg) * weight(db, fb);
        let node = cube[((r + dr) * CUBE + g + dg) * CUBE + b + db];
        for (sum, value) in sums.iter_mut().zip(node) {
            *sum += weight * value;
        }
    }
    sums.map(|sum| ((sum >> 12) / 64).clamp(0, 255) as u8)
}

/// What the way back from Luv needs of every pair (L, u) or (L, v), in OpenCV's fixed-point units.
pub(super) struct LuvTables {
    /// 9 (u + L u_n), in 1/16.
    u: Vec<i32>,
    /// 1 / (4 (v + L v_n)), at most 1/4 either way, in 2^-24.
    v: Vec<i32>,
}

pub(super) fn luv_tables() -> &'static LuvTables {
    static TABLE: OnceLock<LuvTables> = OnceLock::new();
    TABLE.get_or_init(|| {
        let [un, vn] = white_uv();
        let pairs = |f: &dyn Fn(f64, f64) -> f64| {
            let place = |n: usize| ((n / 256) as f64 * 100.0 / 255.0, (n % 256) as f64 / 255.0);
            (0..1 << 16)
                .map(place)
                .map(|(l, c)| f(l, c).round_ties_even() as i32)
                .collect()
        };
        LuvTables {
            u: pairs(&|l, u| 9.0 * (u * U_RANGE + U_LOW + l * un) * 16.0),
            v: pairs(&|l, v| (0.25 / (v * V_RANGE + V_LOW + l * vn)).clamp(-0.25, 0.25) * f64::from(1 << 24)),
        }
    })
}

pub(super) fn from_luv([l, u, v]: [u8; 3], tables: &LabTables, luv: &LuvTables) -> [u8; 3] {
    const WIDE: i64 = BASE as i64;
    let y = i64::from(tables.luminance[usize::from(l)][0]);
    let up = i64::from(luv.u[usize::from(l) << 8 | usize::from(u)]);
    let vp = i64::from(luv.v[usize::from(l) << 8 | usize::from(v)]);
    let product = up * vp;
    let x = y * (product / WIDE) / WIDE;
    // 255 (156 L vp - up vp / 3 - 5)
    let vpl = vp * i64::from(l) * (156 * 100 * 16);
    let z = y * ((vpl - product * 85) / WIDE - 5 * 255 * WIDE) / WIDE;
    let z = z / 256 + z / 65536;
    // Colours that no light has arise when L alone is changed.
    let limit = |value: i64| value.clamp(0, 2 * WIDE) as i32;
    from_xyz([limit(x), y as i32, limit(z)], &tables.back, tables)
}
