"""The drawing surface: flat shapes with edges at three times the size, soft light and shadow at the final size.

Each part is laid on what is there: its colours go to `flat`, its shading to `light`. Because shading is soft it needs
no supersampling, which is what makes a picture take some 15 ms.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from synth.corpora.drawing import palette
from synth.corpora.drawing.geometry import MIDDLE, Point, Points, ellipse
from synth.corpora.drawing.palette import RGB
from synth.corpora.drawing.patterns import HEIGHT, SCALE, WIDTH, coverage
from synth.corpora.drawing.textures import texture

Light = NDArray[np.float32]
BACKDROP: RGB = (252, 252, 251)
REACH = 28
"""How far the shadow on the ground goes beyond a product, pixels."""


@dataclass(frozen=True)
class Paint:
    """What a surface is made of, as far as the eye can tell."""

    base: RGB
    pattern: str = ""
    """A name in `patterns.WOVEN_OR_PRINTED`, or empty for a plain surface."""
    layers: tuple[RGB, ...] = ()
    variant: int = 0
    angle: int = 0
    """Degrees the pattern is turned by, counter-clockwise."""
    texture: str = ""
    """A name in `textures.TEXTURES`, or empty for a smooth surface."""
    gloss: float = 0.0
    """0 (matt) to 1 (patent leather, metal)."""

    def plain(self) -> Paint:
        return replace(self, pattern="", layers=())

    def turned(self, angle: int) -> Paint:
        return replace(self, angle=self.angle + angle)

    def dyed(self, rgb: RGB) -> Paint:
        """The same material in another colour, without the pattern."""
        return replace(self, base=rgb, pattern="", layers=())


@dataclass(frozen=True)
class Part:
    """A part already laid; later drawing can be clipped to it."""

    left: int
    top: int
    right: int
    bottom: int
    mask: Image.Image
    """Mode L, SCALE times the size of the box."""

    @cached_property
    def cover(self) -> Light:
        """How much of each pixel it covers, 0 to 1: height × width of the box."""
        return np.asarray(self.mask.reduce(SCALE), np.float32) / np.float32(255)

    @property
    def corner(self) -> tuple[int, int]:
        """Its upper left corner on the enlarged picture."""
        return self.left * SCALE, self.top * SCALE

    def within(self, left: int, top: int, right: int, bottom: int) -> Image.Image:
        """The mask over another box; 0 where this part is not."""
        return self.mask.crop(
            (
                (left - self.left) * SCALE,
                (top - self.top) * SCALE,
                (right - self.left) * SCALE,
                (bottom - self.top) * SCALE,
            )
        )


class Canvas:
    """One picture in the making. Points are in picture pixels before `placed` moves them."""

    def __init__(self) -> None:
        self.flat = Image.new("RGB", (WIDTH * SCALE, HEIGHT * SCALE), BACKDROP)
        self.light: Light = np.zeros((HEIGHT, WIDTH), np.float32)
        self.cover: Light = np.zeros((HEIGHT, WIDTH), np.float32)
        self._pen = ImageDraw.Draw(self.flat)
        self._scale, self._dx, self._dy = 1.0, 0.0, 0.0

    @contextmanager
    def placed(self, scale: float = 1.0, dx: float = 0.0, dy: float = 0.0) -> Iterator[None]:
        """Draws what follows `scale` times as large about the picture's middle and moved by (dx, dy) pixels."""
        before = self._scale, self._dx, self._dy
        self._dx, self._dy = before[1] + dx * before[0], before[2] + dy * before[0]
        self._scale = before[0] * scale
        yield
        self._scale, self._dx, self._dy = before

    def fill(
        self,
        points: Sequence[Point],
        paint: Paint,
        *,
        volume: float = 0.3,
        lift: float = 0.0,
        edge: float = 1.0,
        clip: Part | None = None,
        holes: Sequence[Sequence[Point]] = (),
    ) -> Part:
        """Lays a closed shape.

        Args:
            volume: how round it looks, 0 (flat) to 1.
            lift: how dark a shadow it throws on what lies below, 0 to 1.
            edge: width of its darker edge, pixels; 0 for none.
            clip: draws only where this part is.
            holes: outlines that are left open.
        """
        placed = self._place(points)
        part = self._blank(placed, 1, clip)
        pen = ImageDraw.Draw(part.mask)
        pen.polygon(self._inside(placed, part), fill=255)
        rims = [placed, *(self._place(h) for h in holes)]
        for hole in rims[1:]:
            pen.polygon(self._inside(hole, part), fill=0)
        return self._lay(part, paint, rims, volume, lift, edge, clip)

    def outline(self, points: Sequence[Point]) -> Part:
        """A part to clip to, without laying anything."""
        placed = self._place(points)
        part = self._blank(placed, 1)
        ImageDraw.Draw(part.mask).polygon(self._inside(placed, part), fill=255)
        return part

    def tube(
        self,
        points: Sequence[Point],
        width: float,
        paint: Paint,
        *,
        volume: float = 0.6,
        lift: float = 0.0,
        edge: float = 0.8,
        clip: Part | None = None,
    ) -> Part:
        """Lays a band of constant width with round ends along a line: straps, handles, laces, temples, chains."""
        placed = self._place(points)
        half = width * self._scale / 2
        part = self._blank(placed, half + 1, clip)
        pen = ImageDraw.Draw(part.mask)
        inside = self._inside(placed, part)
        self._line(pen, inside, width, 255)
        if edge:
            core = Image.new("L", part.mask.size, 0)
            self._line(ImageDraw.Draw(core), inside, max(width - 2 * edge, 0.3), 255)
            rim = ImageChops.subtract(part.mask, core)
            laid = self._lay(part, paint, [], volume, lift, 0, clip)
            if clip:
                rim = ImageChops.multiply(rim, laid.mask)
            self.flat.paste(palette.outline(paint.base), part.corner, rim)
            return laid
        return self._lay(part, paint, [], volume, lift, 0, clip)

    def _line(self, pen: ImageDraw.ImageDraw, points: Sequence[Point], width: float, value: int) -> None:
        size = max(1, round(width * self._scale * SCALE))
        pen.line(list(points), fill=value, width=size, joint="curve")
        for x, y in (points[0], points[-1]):
            pen.ellipse((x - size / 2, y - size / 2, x + size / 2, y + size / 2), fill=value)

    def _lay(
        self,
        part: Part,
        paint: Paint,
        rims: Sequence[Sequence[Point]],
        volume: float,
        lift: float,
        edge: float,
        clip: Part | None,
    ) -> Part:
        # A shape that nothing cuts is drawn straight away, which is several times as fast as through its mask.
        uncut = clip is None and len(rims) == 1
        if clip:
            part = self._clipped(part, clip)
        mask, corner = part.mask, part.corner
        if uncut:
            self._pen.polygon([(x * SCALE, y * SCALE) for x, y in rims[0]], fill=paint.base)
        else:
            self.flat.paste(paint.base, corner, mask)
        inner = (*corner, part.right * SCALE, part.bottom * SCALE)
        for i, rgb in enumerate(paint.layers):
            layer = coverage(paint.pattern, i, paint.variant, paint.angle).crop(inner)
            self.flat.paste(rgb, corner, ImageChops.multiply(mask, layer))
        if edge:
            self._rim(part, rims, palette.outline(paint.base), edge, uncut)
        self._shade(part, paint, volume, lift)
        return part

    def _rim(self, part: Part, rims: Sequence[Sequence[Point]], rgb: RGB, edge: float, uncut: bool) -> None:
        """The darker edge of a part just laid."""
        width = max(2, round(edge * SCALE * self._scale))
        if uncut:
            self._pen.line([(x * SCALE, y * SCALE) for x, y in (*rims[0], rims[0][0])], fill=rgb, width=width)
            return
        ring = Image.new("L", part.mask.size, 0)
        pen = ImageDraw.Draw(ring)
        for outline in rims:
            pen.line(self._inside([*outline, outline[0]], part), fill=255, width=2 * width)
        self.flat.paste(rgb, part.corner, ImageChops.multiply(part.mask, ring))

    def _shade(self, part: Part, paint: Paint, volume: float, lift: float) -> None:
        """Light from the upper left: brighter rims there, darker ones opposite, a soft shadow on what is below."""
        small = part.mask.reduce(SCALE)
        radius = float(np.clip(min(small.size) * 0.17, 1.5, 13))
        pad = round(radius * 1.5) + 2
        padded = Image.new("L", (small.width + 2 * pad, small.height + 2 * pad), 0)
        padded.paste(small, (pad, pad))
        soft = np.asarray(padded.filter(ImageFilter.GaussianBlur(radius)), np.float32) / 255
        h, w = small.height, small.width
        if lift:
            fall = np.asarray(padded.filter(ImageFilter.GaussianBlur(3.5)), np.float32) / 255
            self._throw(part, np.roll(fall, (3, 1), (0, 1)), pad, lift)
        d = max(1, round(radius * 0.55))
        y, x = pad, pad
        slope = soft[y + d : y + d + h, x + d : x + d + w] - soft[y - d : y - d + h, x - d : x - d + w]
        shade = volume * (0.75 * (soft[y : y + h, x : x + w] - 1) + 0.55 * slope + 0.1)
        if paint.gloss:
            shade += paint.gloss * np.clip(slope - 0.18, 0, 0.5) * 1.1
        where = np.s_[part.top : part.bottom, part.left : part.right]
        if paint.texture:
            shade += texture(paint.texture)[where]
        self.light[where] += (shade - self.light[where]) * part.cover
        self.cover[where] = np.maximum(self.cover[where], part.cover)

    def _throw(self, part: Part, fall: Light, pad: int, lift: float) -> None:
        top, left = max(part.top - pad, 0), max(part.left - pad, 0)
        bottom, right = min(part.bottom + pad, HEIGHT), min(part.right + pad, WIDTH)
        y, x = top - part.top + pad, left - part.left + pad
        self.light[top:bottom, left:right] -= lift * fall[y : y + bottom - top, x : x + right - left]

    def fold(self, points: Sequence[Point], depth: float, width: float = 5, clip: Part | None = None) -> None:
        """A soft crease (depth > 0) or a soft gleam (depth < 0) along a line; `depth` is the share of light lost."""
        placed = self._place(points)
        width *= self._scale
        left, top, right, bottom = _box(placed, width * 2)
        small = Image.new("L", (right - left, bottom - top), 0)
        inside = [(x - left, y - top) for x, y in placed]
        ImageDraw.Draw(small).line(inside, fill=255, width=max(1, round(width)))
        soft = np.asarray(small.filter(ImageFilter.GaussianBlur(width * 0.7)), np.float32) * np.float32(depth / 255)
        if clip:
            x1, y1 = max(left, clip.left), max(top, clip.top)
            x2, y2 = max(x1, min(right, clip.right)), max(y1, min(bottom, clip.bottom))
            soft = soft[y1 - top : y2 - top, x1 - left : x2 - left]
            soft = soft * clip.cover[y1 - clip.top : y2 - clip.top, x1 - clip.left : x2 - clip.left]
            left, top, right, bottom = x1, y1, x2, y2
        self.light[top:bottom, left:right] -= soft

    def stroke(
        self, points: Sequence[Point], rgb: RGB, width: float = 1.0, clip: Part | None = None, dash: float = 0
    ) -> None:
        """A line on what is there: seams, prints, laces. `dash` is the length of a stitch, 0 for a solid line."""
        placed = self._place(points)
        size = max(1, round(width * self._scale * SCALE))
        runs = _dashes(placed, dash) if dash else [placed]
        if clip is None:
            for run in runs:
                self._pen.line([(x * SCALE, y * SCALE) for x, y in run], fill=rgb, width=size, joint="curve")
            return
        part = self._blank(placed, width, clip)
        pen = ImageDraw.Draw(part.mask)
        joint = "curve" if size > 6 and not dash else None
        for run in runs:
            pen.line(self._inside(run, part), fill=255, width=size, joint=joint)
        self.flat.paste(rgb, part.corner, self._clipped(part, clip).mask)

    def stain(self, points: Sequence[Point], rgb: RGB, clip: Part | None = None) -> None:
        """Colours an area of what is there and keeps its shading: panels, prints, painted dials."""
        placed = self._place(points)
        if clip is None:
            self._pen.polygon([(x * SCALE, y * SCALE) for x, y in placed], fill=rgb)
            return
        part = self._blank(placed, 1, clip)
        ImageDraw.Draw(part.mask).polygon(self._inside(placed, part), fill=255)
        self.flat.paste(rgb, part.corner, self._clipped(part, clip).mask)

    def button(self, x: float, y: float, radius: float, rgb: RGB) -> None:
        """A sewn button with its holes."""
        self.fill(ellipse(x, y, radius, radius, steps=16), Paint(rgb), volume=0.5, lift=0.5, edge=0.6)
        for dx, dy in ((-0.3, -0.3), (0.3, 0.3)):
            self.stain(
                ellipse(x + dx * radius, y + dy * radius, radius * 0.16, radius * 0.16, steps=6), palette.outline(rgb)
            )

    def stud(self, x: float, y: float, radius: float, rgb: RGB) -> None:
        """A small shining piece of metal or a pearl."""
        self.fill(ellipse(x, y, radius, radius, steps=18), Paint(rgb, gloss=1), volume=0.7, edge=0.5, lift=0.3)
        gleam = ellipse(x - radius * 0.3, y - radius * 0.32, radius * 0.28, radius * 0.22, steps=8)
        self.stain(gleam, palette.lighter(rgb, 0.75))

    def finish(self) -> Image.Image:
        """The picture: RGB, 320 × 400, with a soft shadow on a pale ground."""
        outline = Image.fromarray((self.cover * 255).astype(np.uint8))
        drawn = outline.getbbox() or (0, 0, WIDTH, HEIGHT)
        left, top = max(0, drawn[0] - REACH), max(0, drawn[1] - REACH)
        right, bottom = min(WIDTH, drawn[2] + REACH), min(HEIGHT, drawn[3] + REACH)
        where = np.s_[top:bottom, left:right]
        enlarged = (left * SCALE, top * SCALE, right * SCALE, bottom * SCALE)
        pixels = np.array(self.flat.reduce(SCALE, enlarged), np.float32)
        cover = self.cover[where]
        light = np.clip(self.light[where] * cover, -0.72, 0.6)[:, :, None]
        pixels += np.where(light < 0, pixels, 255 - pixels) * light
        soft = outline.crop((left, top, right, bottom)).filter(ImageFilter.GaussianBlur(7))
        shadow = np.roll(np.asarray(soft, np.float32) / 255, (7, 3), (0, 1)) * (1 - cover)
        pixels *= (1 - 0.2 * shadow)[:, :, None]
        picture = Image.new("RGB", (WIDTH, HEIGHT), BACKDROP)
        picture.paste(Image.fromarray((np.clip(pixels, 0, 255) + np.float32(0.5)).astype(np.uint8)), (left, top))
        return picture

    def _place(self, points: Sequence[Point]) -> Points:
        s, cy = self._scale, HEIGHT / 2
        return [(MIDDLE + (x - MIDDLE) * s + self._dx, cy + (y - cy) * s + self._dy) for x, y in points]

    def _blank(self, placed: Sequence[Point], margin: float, clip: Part | None = None) -> Part:
        """An empty part around placed points, cut to the picture or to another part."""
        left, top, right, bottom = _box(placed, margin, clip)
        return Part(left, top, right, bottom, Image.new("L", ((right - left) * SCALE, (bottom - top) * SCALE), 0))

    def _clipped(self, part: Part, clip: Part) -> Part:
        inside = clip.within(part.left, part.top, part.right, part.bottom)
        return replace(part, mask=ImageChops.multiply(part.mask, inside))

    def _inside(self, placed: Sequence[Point], part: Part) -> Points:
        return [((x - part.left) * SCALE, (y - part.top) * SCALE) for x, y in placed]


def _box(placed: Sequence[Point], margin: float, clip: Part | None = None) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what holds the points; at least a pixel, even where they lie outside."""
    xs, ys = [p[0] for p in placed], [p[1] for p in placed]
    x1, y1, x2, y2 = (clip.left, clip.top, clip.right, clip.bottom) if clip else (0, 0, WIDTH, HEIGHT)
    left = min(max(x1, int(min(xs) - margin)), x2 - 1)
    top = min(max(y1, int(min(ys) - margin)), y2 - 1)
    right = min(x2, max(left + 1, int(max(xs) + margin) + 2))
    bottom = min(y2, max(top + 1, int(max(ys) + margin) + 2))
    return left, top, right, bottom


def _dashes(points: Sequence[Point], length: float) -> list[Points]:
    """Cuts a polyline into stitches of `length` pixels with gaps of 0.7 times that."""
    out: list[Points] = []
    on, left, run = True, length, [points[0]]
    for a, b in zip(points, points[1:], strict=False):
        span = float(np.hypot(b[0] - a[0], b[1] - a[1]))
        done = 0.0
        while span - done > left:
            done += left
            at = (a[0] + (b[0] - a[0]) * done / span, a[1] + (b[1] - a[1]) * done / span)
            if on:
                out.append([*run, at])
            run, on = [at], not on
            left = length if on else length * 0.7
        left -= span - done
        run.append(b)
    if on and len(run) > 1:
        out.append(run)
    return out
