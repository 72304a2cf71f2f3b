"""Draw the integration's brand images: a battery pack of four cells on a two-wire bus.

usage: .venv/bin/python scripts/lib/brand.py      (needs Pillow, which .venv has)
"""

from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont

FOLDER: Final = Path(__file__).parents[2] / "custom_components" / "jkbms" / "brand"

# Everything is drawn on a square of 256 units and this many times larger, then scaled down: smooth edges.
UNIT: Final = 8
SIDE: Final = 256
GREEN: Final = "#2e9e5b"
CELL: Final = "#4cc27c"
EMPTY: Final = "#bfe6cf"
WIRE: Final = "#1f7a45"
INK: Final = "#1d2b24"
INK_ON_DARK: Final = "#e8f5ed"


def _box(
    draw: ImageDraw.ImageDraw,
    box: tuple[float, float, float, float],
    radius: float,
    fill: str,
) -> None:
    """Draw a rounded rectangle given in units."""
    left, top, right, bottom = (round(value * UNIT) for value in box)
    draw.rounded_rectangle(
        (left, top, right - 1, bottom - 1), round(radius * UNIT), fill=fill
    )


def mark() -> Image.Image:
    """Draw the pack: case, terminals, four cells filled to different levels, and the bus below it."""
    image = Image.new("RGBA", (SIDE * UNIT, SIDE * UNIT), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    # Terminals and case.
    _box(draw, (50, 0, 94, 40), 10, GREEN)
    _box(draw, (162, 0, 206, 40), 10, GREEN)
    _box(draw, (0, 22, 256, 194), 30, GREEN)
    _box(draw, (16, 38, 240, 178), 17, "#ffffff")
    # Cells: 4 of 44 with gaps of 12 between the inner walls.
    for index, level in enumerate((1.0, 0.82, 0.92, 0.7)):
        left = 28 + index * 52
        top, bottom = 52, 164
        _box(draw, (left, top, left + 44, bottom), 9, EMPTY)
        _box(draw, (left, bottom - (bottom - top) * level, left + 44, bottom), 9, CELL)
    # The bus: two wires, the pack hangs on both.
    _box(draw, (0, 207, 256, 219), 6, WIRE)
    _box(draw, (0, 237, 256, 249), 6, WIRE)
    for left, bottom in ((74, 213), (170, 243)):
        _box(draw, (left, 190, left + 12, bottom), 0, WIRE)
        x, y, radius = (left + 6) * UNIT, bottom * UNIT, 13 * UNIT
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=WIRE)
    return image


def logo(ink: str) -> Image.Image:
    """Set the name beside the mark."""
    font = ImageFont.load_default(size=150 * UNIT)
    left, top, right, bottom = font.getbbox("JK BMS")
    gap = 40 * UNIT
    image = Image.new(
        "RGBA", (round(SIDE * UNIT + gap + right - left), SIDE * UNIT), (0, 0, 0, 0)
    )
    image.alpha_composite(mark())
    text = ImageDraw.Draw(image)
    text.text(
        (SIDE * UNIT + gap - left, (SIDE * UNIT - bottom - top) / 2),
        "JK BMS",
        font=font,
        fill=ink,
    )
    return image


def save(image: Image.Image, name: str) -> None:
    """Write an image 256 pixels high, and one of 512 for dense screens."""
    for suffix, height in (("", 256), ("@2x", 512)):
        width = round(image.width * height / image.height)
        image.resize((width, height), Image.Resampling.LANCZOS).save(
            FOLDER / f"{name}{suffix}.png", optimize=True
        )


def main() -> None:
    """Write all images."""
    FOLDER.mkdir(exist_ok=True)
    save(mark(), "icon")
    save(logo(INK), "logo")
    save(logo(INK_ON_DARK), "dark_logo")


if __name__ == "__main__":
    main()
