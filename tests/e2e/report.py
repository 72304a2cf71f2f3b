"""The pictures of a run, as a page to look through."""

from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Final

_PAGE: Final = """<!doctype html>
<meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 15px/1.4 sans-serif; margin: 2em auto; max-width: 1300px; padding: 0 1em; }}
figure {{ margin: 0 0 2.5em; }} img {{ border: 1px solid #ccc; max-width: 100%; }}
figcaption {{ font-weight: bold; padding: .4em 0; }} li {{ color: #b00020; }}
</style>
<h1>{title}</h1>
{body}
"""


@dataclass(frozen=True, slots=True)
class Picture:
    """One screenshot, and what is wrong with the page that it shows."""

    file: str
    caption: str
    faults: tuple[str, ...]


@dataclass(slots=True)
class Report:
    """Grows with every picture, so that a run that breaks off leaves one too."""

    folder: Path
    title: str
    pictures: list[Picture] = field(default_factory=list)

    def next_file(self, name: str) -> Path:
        """Return where the next picture goes."""
        return self.folder / f"{len(self.pictures) + 1:02}_{name}.png"

    def add(self, file: Path, caption: str, faults: list[str]) -> None:
        """Add a picture and write the page."""
        self.pictures.append(Picture(file.name, caption, tuple(faults)))
        body = "".join(_figure(picture) for picture in self.pictures)
        (self.folder / "index.html").write_text(
            _PAGE.format(title=escape(self.title), body=body)
        )


def _figure(picture: Picture) -> str:
    faults = "".join(f"<li>{escape(fault)}</li>" for fault in picture.faults)
    return (
        f"<figure><figcaption>{escape(picture.caption)}</figcaption>"
        f'<ul>{faults}</ul><a href="{picture.file}"><img loading="lazy" src="{picture.file}" alt=""></a></figure>\n'
    )
