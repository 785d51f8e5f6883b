//! A grid of images with a title and captions for columns, rows and cells.

use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};

use crate::text::{GLYPH, draw_text, text_size, wrap};

const PAPER: Rgb<u8> = Rgb([250, 250, 250]);
const INK: Rgb<u8> = Rgb([24, 24, 24]);
/// Row captions are broken into lines of at most this many characters.
const ROW_CAPTION: usize = 16;

/// One image of a sheet.
#[derive(Debug, Clone)]
pub struct Cell {
    /// The image, of any size.
    pub image: RgbImage,
    /// A line or two below it, or nothing.
    pub caption: String,
}

impl From<RgbImage> for Cell {
    fn from(image: RgbImage) -> Self {
        Self {
            image,
            caption: String::new(),
        }
    }
}

impl Cell {
    /// An image with a caption below it.
    pub fn new(image: RgbImage, caption: impl Into<String>) -> Self {
        Self {
            image,
            caption: caption.into(),
        }
    }
}

/// A sheet of images in rows and columns.
///
/// All cells of a sheet are of one size, that of the largest image or [`ContactSheet::side`]; smaller images stand
/// in the middle of theirs.
#[derive(Debug, Clone)]
pub struct ContactSheet {
    /// Size of the text: every dot of the 8×8 font is this many pixels wide. At least 1.
    pub text_scale: u32,
    /// Distance between cells, and the margin around the sheet, in pixels.
    pub gap: u32,
    /// When set, every image is scaled so that its longer side has this many pixels (enlarged by nearest
    /// pixel, so that small maps stay honest; reduced by averaging).
    pub side: Option<u32>,
    title: String,
    columns: Vec<String>,
    rows: Vec<(String, Vec<Cell>)>,
}

impl ContactSheet {
    /// A sheet with a caption for every column.
    pub fn new<S: AsRef<str>>(columns: &[S]) -> Self {
        Self {
            text_scale: 1,
            gap: 6,
            side: None,
            title: String::new(),
            columns: columns
                .iter()
                .map(|caption| caption.as_ref().to_owned())
                .collect(),
            rows: Vec::new(),
        }
    }

    /// Sets the line above everything.
    pub fn title(&mut self, title: impl Into<String>) {
        self.title = title.into();
    }

    /// Adds a row. It may have fewer cells than there are columns, or more.
    pub fn row<C: Into<Cell>>(&mut self, caption: impl Into<String>, cells: impl IntoIterator<Item = C>) {
        self.rows
            .push((caption.into(), cells.into_iter().map(Into::into).collect()));
    }

    /// Draws the sheet.
    pub fn render(&self) -> RgbImage {
        let (scale, gap) = (self.text_scale.max(1), self.gap);
        let rows: Vec<(String, Vec<Cell>)> = self
            .rows
            .iter()
            .map(|(caption, cells)| {
                (
                    wrap(caption, ROW_CAPTION),
                    cells.iter().map(|c| self.fitted(c)).collect(),
                )
            })
            .collect();
        let cells = || rows.iter().flat_map(|(_, cells)| cells);
        let cell_width = cells()
            .map(|cell| cell.image.width())
            .max()
            .unwrap_or(0)
            .max(GLYPH * scale);
        let cell_height = cells().map(|cell| cell.image.height()).max().unwrap_or(0);
        let count = rows
            .iter()
            .map(|(_, cells)| cells.len())
            .max()
            .unwrap_or(0)
            .max(self.columns.len()) as u32;
        let fit = |text: &str| wrap(text, (cell_width / (GLYPH * scale)) as usize);
        // The height of a text with the gap that parts it from what follows; nothing for no text.
        let room = |text: &str| match text_size(text, scale).1 {
            0 => 0,
            height => height + gap,
        };

        let captions: Vec<String> = self.columns.iter().map(|caption| fit(caption)).collect();
        let caption_width = rows
            .iter()
            .map(|(caption, _)| text_size(caption, scale).0)
            .max()
            .unwrap_or(0);
        let left = if caption_width == 0 {
            gap
        } else {
            2 * gap + caption_width
        };
        let width = left + count * (cell_width + gap);
        let title = wrap(
            &self.title,
            (width.saturating_sub(2 * gap) / (GLYPH * scale)) as usize,
        );
        let captions_top = gap + room(&title);
        let rows_top = captions_top + captions.iter().map(|caption| room(caption)).max().unwrap_or(0);
        let row_height = |caption: &str, cells: &[Cell]| {
            let tallest = cells
                .iter()
                .map(|cell| room(&fit(&cell.caption)))
                .max()
                .unwrap_or(0);
            (cell_height + gap + tallest).max(room(caption))
        };
        let height = rows_top
            + rows
                .iter()
                .map(|(caption, cells)| row_height(caption, cells))
                .sum::<u32>();

        let mut sheet = RgbImage::from_pixel(width, height, PAPER);
        draw_text(&mut sheet, gap, gap, &title, scale, INK);
        let column_left = |column: u32| left + column * (cell_width + gap);
        for (column, caption) in (0u32..).zip(&captions) {
            centered(
                &mut sheet,
                column_left(column),
                cell_width,
                captions_top,
                caption,
                scale,
            );
        }
        let mut top = rows_top;
        for (caption, cells) in &rows {
            let (_, tall) = text_size(caption, scale);
            draw_text(
                &mut sheet,
                gap,
                top + cell_height.saturating_sub(tall) / 2,
                caption,
                scale,
                INK,
            );
            for (column, cell) in (0u32..).zip(cells) {
                let x = column_left(column) + (cell_width - cell.image.width()) / 2;
                let y = top + (cell_height - cell.image.height()) / 2;
                imageops::replace(&mut sheet, &cell.image, i64::from(x), i64::from(y));
                let below = top + cell_height + gap / 2;
                centered(
                    &mut sheet,
                    column_left(column),
                    cell_width,
                    below,
                    &fit(&cell.caption),
                    scale,
                );
            }
            top += row_height(caption, cells);
        }
        sheet
    }

    fn fitted(&self, cell: &Cell) -> Cell {
        let (width, height) = cell.image.dimensions();
        let longer = width.max(height);
        let image = match self.side {
            Some(side) if longer > 0 && side > 0 && side != longer => {
                let scaled = |length: u32| {
                    let exact = u64::from(length) * u64::from(side);
                    ((exact + u64::from(longer) / 2) / u64::from(longer)).max(1) as u32
                };
                let filter = if side > longer {
                    FilterType::Nearest
                } else {
                    FilterType::Triangle
                };
                imageops::resize(&cell.image, scaled(width), scaled(height), filter)
            }
            _ => cell.image.clone(),
        };
        Cell {
            image,
            caption: cell.caption.clone(),
        }
    }
}

/// Draws lines of text, each in the middle of the `width` pixels from `left`.
fn centered(sheet: &mut RgbImage, left: u32, width: u32, top: u32, text: &str, scale: u32) {
    let mut y = top;
    for line in text.lines() {
        let x = left + width.saturating_sub(text_size(line, scale).0) / 2;
        draw_text(sheet, x, y, line, scale, INK);
        y += text_size("\n\n", scale).1 - text_size("\n", scale).1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RED: Rgb<u8> = Rgb([200, 0, 0]);
    const BLUE: Rgb<u8> = Rgb([0, 0, 200]);

    fn filled(width: u32, height: u32, color: Rgb<u8>) -> RgbImage {
        RgbImage::from_pixel(width, height, color)
    }

    /// Left, top, right, bottom (exclusive) of all pixels of a color, and their number.
    fn bounds(image: &RgbImage, color: Rgb<u8>) -> (u32, u32, u32, u32, usize) {
        let found: Vec<(u32, u32)> = image
            .enumerate_pixels()
            .filter(|(_, _, p)| **p == color)
            .map(|(x, y, _)| (x, y))
            .collect();
        let least = |f: fn(&(u32, u32)) -> u32| found.iter().map(f).min().unwrap_or(0);
        let most = |f: fn(&(u32, u32)) -> u32| found.iter().map(f).max().unwrap_or(0) + 1;
        (
            least(|p| p.0),
            least(|p| p.1),
            most(|p| p.0),
            most(|p| p.1),
            found.len(),
        )
    }

    #[test]
    fn bare_images_stand_in_a_grid_with_gaps() {
        let mut sheet = ContactSheet::new::<&str>(&[]);
        sheet.gap = 2;
        sheet.row("", [filled(10, 12, RED), filled(10, 12, BLUE)]);
        sheet.row("", [filled(10, 12, BLUE)]);
        let picture = sheet.render();
        assert_eq!(picture.dimensions(), (2 + 10 + 2 + 10 + 2, 2 + 12 + 2 + 12 + 2));
        assert_eq!(bounds(&picture, RED), (2, 2, 12, 14, 120));
        assert_eq!(bounds(&picture, BLUE), (2, 2, 24, 28, 240));
        assert_eq!(*picture.get_pixel(14, 2), BLUE);
        assert_eq!(*picture.get_pixel(2, 16), BLUE);
        assert_eq!(*picture.get_pixel(14, 16), PAPER);
    }

    #[test]
    fn captions_take_their_room() {
        let mut sheet = ContactSheet::new(&["a", "b"]);
        sheet.title("t");
        sheet.row(
            "r",
            [Cell::new(filled(16, 16, RED), "c"), filled(16, 16, BLUE).into()],
        );
        let picture = sheet.render();
        // Margin, row caption, gap; margin, title, gap, column captions, gap.
        assert_eq!(bounds(&picture, RED), (6 + 8 + 6, 6 + 14 + 14, 36, 50, 256));
        assert_eq!(bounds(&picture, BLUE), (42, 34, 58, 50, 256));
        assert_eq!(picture.dimensions(), (58 + 6, 50 + 6 + 14));
        let ink = |left, top| {
            let area = imageops::crop_imm(&picture, left, top, 8, 8).to_image();
            bounds(&area, INK).4
        };
        let expected = |text: &str| {
            let mut glyph = filled(8, 8, PAPER);
            draw_text(&mut glyph, 0, 0, text, 1, INK);
            bounds(&glyph, INK).4
        };
        assert_eq!(ink(6, 6), expected("t"));
        assert_eq!(ink(24, 20), expected("a"));
        assert_eq!(ink(46, 20), expected("b"));
        assert_eq!(ink(6, 38), expected("r"));
        assert_eq!(ink(24, 53), expected("c"));
    }

    #[test]
    fn images_are_fitted_to_a_side() {
        let mut sheet = ContactSheet::new::<&str>(&[]);
        sheet.side = Some(20);
        sheet.gap = 0;
        sheet.row("", [filled(2, 1, RED), filled(30, 60, BLUE)]);
        let picture = sheet.render();
        assert_eq!(picture.dimensions(), (40, 20));
        assert_eq!(bounds(&picture, RED), (0, 5, 20, 15, 200));
        assert_eq!(bounds(&picture, BLUE), (25, 0, 35, 20, 200));
    }

    #[test]
    fn an_empty_sheet_is_a_picture_too() {
        assert_eq!(ContactSheet::new::<&str>(&[]).render().dimensions(), (6, 6));
        let mut sheet = ContactSheet::new(&["x"]);
        sheet.row("nothing", Vec::<RgbImage>::new());
        assert!(sheet.render().width() > 50);
    }
}
