"""Pictures made safe to keep, and found where they lie."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synth.corpora.pictures import MAX_BYTES, MAX_SIDE, Folder, PictureError, Zip, clean, is_bare_jpeg
from synth.errors import SynthError


def photo(width: int = 60, height: int = 80) -> Image.Image:
    ramp = np.linspace(0, 255, width * height, dtype=np.uint8).reshape(height, width)
    return Image.fromarray(np.dstack((ramp, ramp[::-1], np.full_like(ramp, 90))))


def data(image: Image.Image, format: str = "JPEG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def exif(orientation: int) -> Image.Exif:
    found = Image.Exif()
    found[0x0112] = orientation
    found[0x010F] = "SECRET CAMERA"
    return found


def test_a_bare_jpeg_keeps_its_bytes() -> None:
    plain = data(photo())
    assert clean(plain).data == plain
    progressive = data(photo(), progressive=True)
    assert clean(progressive).data == progressive


@pytest.mark.parametrize(
    "options",
    [{"exif": exif(1)}, {"comment": "SECRET"}, {"icc_profile": b"SECRET" * 30}, {"xmp": b"SECRET"}],
    ids=["exif", "comment", "icc", "xmp"],
)
@pytest.mark.parametrize("progressive", [False, True])
def test_metadata_is_stripped(options: dict[str, object], progressive: bool) -> None:
    before = data(photo(), progressive=progressive, **options)
    assert b"SECRET" in before and not is_bare_jpeg(before)
    after = clean(before)
    assert b"SECRET" not in after.data and is_bare_jpeg(after.data)


def test_bytes_after_the_end_are_stripped() -> None:
    assert b"SECRET" not in clean(data(photo()) + b"SECRET").data
    assert b"SECRET" not in clean(data(photo()) + b"SECRET\xff\xd9").data


def test_metadata_of_a_png_is_stripped() -> None:
    from PIL.PngImagePlugin import PngInfo

    notes = PngInfo()
    notes.add_text("Author", "SECRET")
    after = clean(data(photo(), "PNG", pnginfo=notes))
    assert after.mime == "image/png" and b"SECRET" not in after.data


def test_orientation_is_applied() -> None:
    after = clean(data(photo(60, 80), exif=exif(6)))
    assert after.image.size == (80, 60)
    assert Image.open(io.BytesIO(after.data)).size == (80, 60)


def test_transparency_is_laid_on_white() -> None:
    image = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    image.paste((200, 0, 0, 255), (10, 10, 30, 30))
    found = clean(data(image, "PNG")).image
    assert found.getpixel((0, 0)) == (255, 255, 255) and found.getpixel((20, 20)) == (200, 0, 0)


@pytest.mark.parametrize("mode", ["L", "P", "LA", "CMYK", "1", "I;16"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray((np.asarray(photo().convert("L")).astype(np.uint16)) * 256)
    else:
        image = photo().convert(mode)
    found = clean(data(image, "TIFF" if mode == "CMYK" else "PNG")).image
    assert found.mode == "RGB" and found.size == (60, 80)
    assert np.asarray(found).std() > 15


def test_large_pictures_shrink() -> None:
    found = clean(data(photo(2400, 600)))
    assert found.image.size == (MAX_SIDE, MAX_SIDE // 4)
    assert Image.open(io.BytesIO(found.data)).size == found.image.size


def bomb() -> bytes:
    """A small PNG file that says it is 30,000 pixels wide and high."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<html>not found</html>", "not a picture"),
        (b"", "not a picture"),
        (data(photo(300, 300))[:-3000], "broken picture"),
        (data(photo(300, 300), "PNG")[:900], "broken picture"),
        (bomb(), "picture too large"),
        (b"\0" * (MAX_BYTES + 1), "picture too large"),
        (data(photo(8, 200)), "picture too small"),
        (data(Image.new("RGB", (60, 80), "white")), "blank picture"),
    ],
    ids=["html", "nothing", "cut jpeg", "cut png", "bomb", "bytes", "small", "blank"],
)
@pytest.mark.filterwarnings("error::PIL.Image.DecompressionBombWarning")
def test_pictures_that_cannot_be_used(content: bytes, reason: str) -> None:
    with pytest.raises(PictureError) as caught:
        clean(content)
    assert caught.value.reason == reason


def archive(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(name, name)
    return path


def test_references_are_found(tmp_path: Path) -> None:
    names = ("images/a/1.jpg", "images/b/1.jpg", "images/b/two.PNG", "__MACOSX/images/._two.PNG")
    album = Zip(archive(tmp_path / "pictures.zip", *names))
    for reference in ("images/b/two.PNG", "./images/b/two.png", "b\\two.png", "two", "https://x/two.png?w=1"):
        assert album.read(reference, "-") == b"images/b/two.PNG"
    assert album.read("", "two") == b"images/b/two.PNG"
    assert album.read("a/1.jpg", "-") == b"images/a/1.jpg"
    album.close()


def test_an_ambiguous_name_is_not_guessed(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.jpg").write_bytes(name.encode())
    album = Folder(tmp_path)
    assert album.read("b/1.jpg", "-") == b"b"
    with pytest.raises(PictureError, match="picture missing"):
        album.read("c/1.jpg", "1")


def test_a_folder_gives_nothing_outside_it(tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").write_bytes(b"a")
    album = Folder(tmp_path / "images")
    for reference in ("../secret.jpg", str(tmp_path / "secret.jpg"), "file:///etc/passwd"):
        with pytest.raises(PictureError, match="picture missing"):
            album.read(reference, "-")


@pytest.mark.parametrize("name", ["../evil.jpg", "a/../../evil.jpg", "/etc/evil.jpg", "C:\\evil.jpg", "..\\evil.jpg"])
def test_a_zip_that_points_out_is_refused(tmp_path: Path, name: str) -> None:
    path = archive(tmp_path / "pictures.zip", "a.jpg", name)
    with pytest.raises(SynthError, match="points out of it") as caught:
        Zip(path)
    assert "evil.jpg" in str(caught.value)


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.jpg", b"\0" * (MAX_BYTES + 10))
    album = Zip(tmp_path / "bomb.zip")
    with pytest.raises(PictureError, match="picture too large"):
        album.read("a.jpg", "-")
    album.close()


def test_a_damaged_zip(tmp_path: Path) -> None:
    path = tmp_path / "pictures.zip"
    path.write_bytes(b"no zip")
    with pytest.raises(SynthError, match="cannot be read as a zip file"):
        Zip(path)
    whole = archive(path, "a.jpg").read_bytes()
    path.write_bytes(whole.replace(b"a.jpga.jpg", b"a.jpgb.jpg"))
    album = Zip(path)
    with pytest.raises(PictureError, match="broken picture"):
        album.read("a.jpg", "-")
    album.close()
