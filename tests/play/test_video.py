"""Films hold every frame, in order, at the right speed."""

import io

import numpy as np
import pytest
from PIL import Image

from rlopt.errors import CannotWrite, UserError
from rlopt.play import video
from rlopt.play.video import Gif, Mp4, check_film, make_film, save_film


def grey(level, height=6, width=8):
    return np.full((height, width, 3), level, np.uint8)


def gif_frames(content):
    image = Image.open(io.BytesIO(content))
    frames = []
    for index in range(image.n_frames):
        image.seek(index)
        frames.append((image.convert("RGB").getpixel((2, 2))[0], image.info["duration"]))
    return frames, image.size


def test_a_gif_has_every_frame_of_a_slow_environment():
    film = Gif(rate=10)
    for level in (0, 40, 80, 120):
        film.add(grey(level))
    frames, size = gif_frames(film.content())
    assert frames == [(level, 100) for level in (0, 40, 80, 120)]
    assert size == (8, 6)


def test_a_gif_of_a_fast_one_has_every_fourth_and_is_not_wide():
    film = Gif(rate=100)
    for level in range(0, 180, 20):
        film.add(grey(level, 20, 640))
    frames, size = gif_frames(film.content())
    assert frames == [(0, 40), (80, 40), (160, 40)]  # 25 a second
    assert size == (320, 10)


def test_an_mp4_has_every_frame_and_even_sides():
    av = pytest.importorskip("av")
    film = Mp4(rate=12.5)
    for level in (20, 100, 220):
        film.add(grey(level, 35, 47))
    with av.open(io.BytesIO(film.content())) as file:
        stream = file.streams.video[0]
        assert (float(stream.average_rate), stream.width, stream.height) == (12.5, 46, 34)
        levels = [frame.to_ndarray(format="rgb24").mean() for frame in file.decode(video=0)]
    np.testing.assert_allclose(levels, (20, 100, 220), atol=4)


def test_a_film_is_written_whole_or_not_at_all(tmp_path):
    path = check_film(tmp_path / "new" / "out.gif", ".gif")
    film = make_film(path, 10)
    film.add(grey(1))
    assert not path.exists()
    save_film(path, film)
    assert path.read_bytes() == film.content()
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWrite):
        check_film(tmp_path / "file" / "out.gif", ".gif")


def test_other_names_and_a_missing_package_are_refused(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"give it a name that ends in \.mp4"):
        check_film(tmp_path / "out.avi", ".mp4")
    monkeypatch.setattr(video, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"--video needs PyAV: pip install 'rlopt\[video\]' \(--gif does without\)"):
        check_film(tmp_path / "out.mp4", ".mp4")
    assert list(tmp_path.iterdir()) == []
