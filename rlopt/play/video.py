"""Frames as a film: MP4 through PyAV, GIF through Pillow. Both are kept small in memory: what is held is encoded.

Not gymnasium's RecordVideo: its moviepy 2.2 needs a Pillow below 12.
"""

from __future__ import annotations

import io
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from rlopt.errors import UserError
from rlopt.logs.files import atomic_file, check_writable

GIF_WIDTH = 320
"""Pixels; wider frames are made smaller."""
GIF_RATE = 25
"""Frames a second of a GIF, about; viewers show no more than 50."""


class Mp4:
    """H.264 in MP4, `rate` frames a second."""

    def __init__(self, rate: float):
        import av

        self.file = io.BytesIO()
        self.container = av.open(self.file, "w", format="mp4")
        self.rate = Fraction(rate).limit_denominator(1000)
        self.stream: Any = None

    def add(self, frame: np.ndarray) -> None:
        """A frame `[height, width, 3]` of bytes, all of one size; an odd last row or column does not fit and is left out."""
        import av

        height, width = frame.shape[0] // 2 * 2, frame.shape[1] // 2 * 2
        if self.stream is None:
            self.stream = self.container.add_stream("libx264", rate=self.rate)
            self.stream.height, self.stream.width, self.stream.pix_fmt = height, width, "yuv420p"
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame[:height, :width]), format="rgb24")
        self.container.mux(self.stream.encode(picture))

    def content(self) -> bytes:
        """The file."""
        if self.stream is not None:
            self.container.mux(self.stream.encode(None))
        self.container.close()
        return self.file.getvalue()


class Gif:
    """A GIF that repeats, of about `GIF_RATE` of `rate` frames a second, `width` pixels wide at most."""

    def __init__(self, rate: float, width: int = GIF_WIDTH):
        self.width = width
        self.every = max(1, round(rate / GIF_RATE))
        self.milliseconds = max(20, round(1000 * self.every / rate / 10) * 10)  # in hundredths, as the format has it
        self.seen = 0
        self.images: list[Any] = []

    def add(self, frame: np.ndarray) -> None:
        """A frame `[height, width, 3]` of bytes, all of one size."""
        from PIL import Image

        self.seen += 1
        if (self.seen - 1) % self.every:
            return
        image = Image.fromarray(frame)
        if image.width > self.width:
            image = shrink(image, self.width, round(image.height * self.width / image.width))
        self.images.append(image.quantize(128, Image.Quantize.FASTOCTREE))

    def content(self) -> bytes:
        """The file."""
        file, (first, *rest) = io.BytesIO(), self.images
        first.save(file, "GIF", save_all=True, append_images=rest, duration=self.milliseconds, loop=0)
        return file.getvalue()


Film = Mp4 | Gif
"""Takes frames one after the other; its `content` is the file, after the last one."""


def shrink(image: Any, width: int, height: int) -> Any:
    """A smaller picture, by Pillow's fast way."""
    from PIL import Image

    return image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=1.0)


def check_film(path: str | Path, suffix: str) -> Path:
    """The path of a film to be. Raises UserError for another suffix, a folder that is closed, or a missing package."""
    path = Path(path)
    if path.suffix.lower() != suffix:
        raise UserError(f"{path} is to be a film: give it a name that ends in {suffix}.")
    if suffix == ".mp4" and find_spec("av") is None:
        raise UserError("--video needs PyAV: pip install 'rlopt[video]' (--gif does without).")
    check_writable(path.parent, path.name)
    return path


def make_film(path: Path, rate: float) -> Film:
    """What the suffix says, for `rate` frames a second."""
    return Mp4(rate) if path.suffix.lower() == ".mp4" else Gif(rate)


def save_film(path: Path, film: Film) -> None:
    """Replace `path` by a film. Raises CannotWrite as `atomic_file` does."""
    content = film.content()
    with atomic_file(path) as file:
        file.write(content)
