//! Charts as SVG text: what every chart here is drawn on.

use plotters::coord::Shift;
use plotters::prelude::*;

/// A surface that ends up as SVG.
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The end of drawing on a surface that ends up as SVG.
pub(super) type Drawn<'a> =
    Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

/// Colours by what they mean. The page's style sheet knows them by these values, and replaces them
/// where it is dark.
pub(super) const INK: RGBColor = RGBColor(0x5f, 0x69, 0x73);
pub(super) const LINE: RGBColor = RGBColor(0xdf, 0xe3, 0xe8);
pub(super) const BAR: RGBColor = RGBColor(0x4a, 0x76, 0xb8);
pub(super) const MARK: RGBColor = RGBColor(0xb3, 0x26, 0x1e);
pub(super) const GOOD: RGBColor = RGBColor(0x17, 0x71, 0x4a);
pub(super) const PALE: RGBColor = RGBColor(0xa6, 0xad, 0xb4);

/// A text of this size in pixels.
pub(super) fn font(size: u32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK)
}

/// Draws a chart of this width and height in pixels.
pub(super) fn svg(size: (u32, u32), draw: impl FnOnce(&Area<'_>) -> bool) -> String {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        // A string can take any drawing; nothing else can fail.
        assert!(draw(&area), "drawing into a string");
        area.present().expect("drawing into a string");
    }
    text
}
