"""Takes the pictures of docs/report.md: python -m tests.report.screenshots runs docs/report.

`runs` holds a finished matrix whose report.html is written. The pictures of the first screen are as
wide as a desktop's and a phone's; the others show one part of the page each.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from tests.browser import Browser, browser

# Part of the page, and how much of its top.
PARTS = {
    "runs": ("runs", 760),
    "learning": ("learning", 900),
    "studies": ("studies", 760),
    "curves": ("curves", 860),
    "fills": ("fills", 900),
    "costs": ("costs", 760),
    "sensitivity": ("sensitivity", 900),
}
DESKTOP = (1280, 900)
PHONE = (390, 844)
PRINTED_PAGES = 4


def show(tab: Browser, selector: str) -> None:
    """Scroll so that an element begins at the top of the screen."""
    tab.value(
        f"document.documentElement.style.scrollPaddingTop = '0';"
        f"document.querySelector('.top').style.position = 'static';"
        f"document.querySelector({selector!r}).scrollIntoView()"
    )


def pages_side_by_side(printed: Path, picture: Path) -> None:
    """Draw the first pages of a print beside each other."""
    stem = printed.with_suffix("")
    command = ["pdftoppm", "-png", "-r", "75", "-l", str(PRINTED_PAGES), str(printed), str(stem)]
    subprocess.run(command, check=True)
    pages = [Image.open(path) for path in sorted(stem.parent.glob(f"{stem.name}-*.png"))]
    width, height = pages[0].size
    gap = 8
    sheet = Image.new("RGB", ((width + gap) * len(pages) - gap, height), "#888")
    for place, page in enumerate(pages):
        sheet.paste(page, (place * (width + gap), 0))
    sheet.save(picture)


def shrink(folder: Path) -> None:
    """Keep the pictures small: few colours are enough for charts."""
    for path in folder.glob("*.png"):
        Image.open(path).convert("RGB").quantize(255, dither=Image.Dither.NONE).save(
            path, optimize=True
        )


def take(runs: Path, folder: Path) -> None:
    """Take every picture."""
    report = runs / "report.html"
    best = sorted(runs.glob("SAC/*_conservative_seed2/report.html"))[-1]
    with tempfile.TemporaryDirectory() as name, browser(Path(name) / "profile") as tab:
        tab.screen(*DESKTOP)
        tab.open(report)
        tab.screenshot(folder / "verdict.png")
        for picture, (part, height) in PARTS.items():
            tab.screen(DESKTOP[0], height)
            show(tab, f"[id$='-{part}']")
            tab.screenshot(folder / f"{picture}.png")
        tab.screen(*DESKTOP, dark=True)
        tab.open(report)
        tab.screenshot(folder / "dark.png")
        tab.screen(1280, 820, dark=True)
        tab.open(best)
        show(tab, "#quotes")
        for button in ("next", "in", "in"):
            tab.value(f"document.querySelector('[data-do={button}]').click()")
        tab.screenshot(folder / "run_dark.png")
        tab.screen(*PHONE, phone=True)
        tab.open(report)
        tab.screenshot(folder / "phone.png")
        tab.screen(*DESKTOP)
        tab.open(report)
        tab.pdf(Path(name) / "printed.pdf")
        pages_side_by_side(Path(name) / "printed.pdf", folder / "print.png")
    shrink(folder)


if __name__ == "__main__":
    take(Path(sys.argv[1]), Path(sys.argv[2]))
