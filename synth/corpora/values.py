"""Cells of a product file made into values: text, lists, prices, paths of categories, references to pictures.

The shapes of Amazon Reviews 2023 metadata (Hou et al., 2024) are among those understood: prices that are absent, a
number or a text, `images` as a list of dicts and as a dict of lists, lists and dicts written out as text.
"""

from __future__ import annotations

import ast
import html
import json
import math
import re
from typing import Any

Reference = str | bytes
"""Where a picture is: a file name, an address, or the picture itself."""

_EMPTY = frozenset({"", "nan", "none", "null", "n/a", "na", "#n/a", "-", "--", "—", "<na>"})
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|<!--.*?-->", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ufeff]")
_PATH = re.compile(r"\s*(?:>+|\||»|›|::)\s*|\s+/\s+")
_PRICE = re.compile(r"\d[\d.,'’\u00a0\u202f ]*")
_SYMBOLS = {"R$": "BRL", "$": "USD", "€": "EUR", "£": "GBP", "₹": "INR", "¥": "JPY", "₩": "KRW", "zł": "PLN"}
_CODE = re.compile(r"\b(USD|EUR|GBP|INR|JPY|CNY|KRW|PLN|BRL|CHF|CAD|AUD|SEK|NOK|DKK|CZK|MXN|TRY)\b", re.IGNORECASE)
_PICTURE = re.compile(r"\.(?:jpe?g|png|webp|gif|bmp|tiff?)(?:$|[?#])", re.IGNORECASE)
_SIZES = ("hi_res", "large", "url", "src", "path", "medium", "thumb")


def text(value: Any) -> str:
    """A cell as clean text: entities and tags resolved, blanks collapsed; `""` for absent values such as `NaN`."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, (list, tuple)):
        return " ".join(filter(None, map(text, value)))
    if isinstance(value, (dict, bytes)):
        return ""
    found = str(value)
    if "&" in found:
        found = html.unescape(found)
    if "<" in found:
        found = _TAG.sub(" ", found)
    found = " ".join(_CONTROL.sub("", found).split())
    return "" if found.lower() in _EMPTY else found


def texts(value: Any) -> tuple[str, ...]:
    """A cell with several entries, e.g. the bullet points of `features`; a text with line ends is one entry a line."""
    value = unfold(value)
    if isinstance(value, str):
        value = value.splitlines()
    if not isinstance(value, (list, tuple)):
        value = [value]
    return tuple(filter(None, map(text, value)))


def path(value: Any) -> tuple[str, ...]:
    """A category path, from a list or from `Clothing > Women > Dresses`."""
    return tuple(part for entry in texts(value) for part in filter(None, _PATH.split(entry)))


def price(value: Any) -> tuple[float | None, str | None]:
    """(price, currency), each None where the cell does not say. Of a range, the lower end."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return (round(float(value), 2) if math.isfinite(value) and value > 0 else None), None
    found = text(value)
    code = _CODE.search(found)
    currency = code.group().upper() if code else next((c for s, c in _SYMBOLS.items() if s in found), None)
    number = _PRICE.search(found)
    amount = _number(number.group()) if number else None
    return (amount, currency) if amount else (None, None)


def _number(digits: str) -> float | None:
    """`1,299.00`, `1.299,00`, `1 299` and `12,99`: the last mark is a decimal one unless three digits follow it."""
    digits = re.sub(r"[^\d.,]", "", digits).strip(".,")
    last = max(digits.rfind("."), digits.rfind(","))
    whole, fraction = (digits[:last], digits[last + 1 :]) if last >= 0 else (digits, "")
    grouped = len(fraction) == 3 and (digits[last] == "," or digits.count(digits[last]) > 1)
    if grouped:
        whole, fraction = whole + fraction, ""
    try:
        return round(float(f"{re.sub('[.,]', '', whole) or 0}.{fraction or 0}"), 2)
    except ValueError:
        return None


def references(value: Any) -> list[Reference]:
    """The pictures a cell points to, the main one first, each in its largest size."""
    value = unfold(value)
    if isinstance(value, bytes):
        return [value]
    if isinstance(value, str):
        return _split(value.strip())
    if isinstance(value, dict):
        return _of_dict(value)
    if isinstance(value, (list, tuple)):
        main_first = sorted(value, key=lambda v: not (isinstance(v, dict) and v.get("variant") == "MAIN"))
        return list(dict.fromkeys(reference for entry in main_first for reference in references(entry)))
    return [text(value)] if text(value) else []


def _of_dict(value: dict[str, Any]) -> list[Reference]:
    if isinstance(value.get("bytes"), bytes):
        return [value["bytes"]]
    sizes = [value[size] for size in _SIZES if value.get(size) is not None]
    if any(isinstance(size, (list, tuple)) for size in sizes):
        columns = [size for size in sizes if isinstance(size, (list, tuple))]
        variants = value.get("variant") or []
        rows = [
            {"url": next((column[n] for column in columns if n < len(column) and column[n]), None),
             "variant": variants[n] if n < len(variants) else None}
            for n in range(max(map(len, columns)))
        ]  # fmt: skip
        return references(rows)
    largest = next((size for size in sizes if isinstance(size, str) and text(size)), None)
    return [largest] if largest else []


def _split(cell: str) -> list[Reference]:
    if not text(cell):
        return []
    if "http://" in cell or "https://" in cell:
        return [part for part in re.split(r"[\s|;]+|,(?=\s*https?://)", cell) if part]
    commas = [part.strip() for part in cell.split(",")]
    if len(commas) > 1 and all(map(_PICTURE.search, commas)):
        return [*commas]
    return [part.strip() for part in re.split(r"[|;\n]", cell) if part.strip()]


def is_picture(value: Any) -> bool:
    """Whether a cell points to a picture by its looks: a picture's suffix, or the picture itself."""
    return any(isinstance(found, bytes) or _PICTURE.search(found) for found in references(value))


def is_address(value: Any) -> bool:
    """Whether a cell holds web addresses."""
    return any(isinstance(found, str) and found.startswith(("http://", "https://")) for found in references(value))


def unfold(value: Any) -> Any:
    """A list or dict that was written out as text (JSON or Python), else the value as it is."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("[", "{"):
        return value
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        try:
            found = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return value
    return found if isinstance(found, (list, dict)) else value
