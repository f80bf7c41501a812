"""Token estimates against counts of OpenAI's o200k and cl100k encodings (npm gpt-tokenizer 4.0.0)."""

from __future__ import annotations

import pytest

from synth.llm.tokens import estimate_tokens, most_tokens

PROMPT = """You play a shopper in a conversation with an assistant. Answer in one to three sentences, as people
write in a chat. Do not name a brand, a price or the product you have in mind.

<product id="S01042">
title: Linen-blend shirt with a band collar, sand
category: Clothing > Shirts
colour: sand
seen in the picture, sleeves: long
price: USD 34.90
- Made of 55% linen, 45% cotton
- Machine washable at 30 degrees
</product>

Reject this product with two reasons that are true differences to what you want."""

COUNTED = [  # text, o200k, cl100k
    (PROMPT, 129, 132),
    (
        "Women's Summer Casual Short Sleeve V Neck Midi Dress with Pockets, Navy Blue, XX-Large (Pack of 2), 95%/5%",
        31,
        31,
    ),
    (
        '{"winner": "first", "id": "B07XJ8C8F5", "reasons": [{"text": "Too deep.", "wanted": null}], "price": 24.50}',
        44,
        44,
    ),
    ("Ich suche eine leichte Sommerjacke für meine Frau, die sie auch ins Büro tragen kann.", 19, 22),
    ("Estoy buscando unas zapatillas cómodas para caminar todo el día por la ciudad.", 16, 21),
    ("Я ищу тёплую куртку для прогулок с собакой по вечерам, что-нибудь неброское.", 27, 42),
    ("Ψάχνω ένα απλό αλλά κομψό φόρεμα για τη βάφτιση της ανιψιάς μου.", 29, 56),
    ("أبحث عن حقيبة يد أنيقة تناسب العمل والمناسبات معا. أفضل الألوان الهادئة.", 23, 53),
    ("妹の結婚式に着ていくワンピースを探しています。落ち着いた紺か深緑がいいです。", 32, 47),
    ("我想给妈妈买一件轻便的外套，春天和秋天都能穿。她喜欢素净的颜色。", 29, 49),
    ("여동생 졸업식에 입고 갈 단정한 원피스를 찾고 있어요.", 22, 32),
    ("Love these 😍🔥!! The red ones 👠 or the blue 💙? Honestly both, but my budget 💸😅 says one.", 30, 32),
]


@pytest.mark.parametrize(("text", "o200k", "cl100k"), COUNTED)
def test_the_estimate_is_near_and_the_bound_holds(text: str, o200k: int, cl100k: int) -> None:
    assert estimate_tokens(text) == pytest.approx(o200k, rel=0.2)
    assert most_tokens(text) >= max(o200k, cl100k)


def test_a_long_prompt_is_estimated_like_its_parts() -> None:
    text = COUNTED[0][0]
    assert estimate_tokens("\n".join([text] * 50)) == pytest.approx(50 * estimate_tokens(text), rel=0.03)


def test_any_string_has_an_estimate() -> None:
    assert estimate_tokens("") == most_tokens("") == 0
    assert estimate_tokens("\ud800 half an emoji") > 0
    assert most_tokens("\x00é€😀") == 1 + 2 + 3 + 4
