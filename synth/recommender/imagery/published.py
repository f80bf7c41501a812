"""The paper's figures, from its released result files (Yoon et al., 2024), by model, modality and domain.

They are by the rules of `original`, whose parser drops every bare `A` among the choices.
"""

from __future__ import annotations

from dataclasses import dataclass

_OFA, _LLAVA, _GPT4V = "OFA-huge", "llava-v1.5-13b", "gpt-4-vision-preview"
DESCRIBERS = (_OFA, _LLAVA, _GPT4V)
"""In the order in which the paper shows them: from the weakest to the strongest."""
_LINES = """
Llama-2-13b-chat-hf OFA-huge books .052381 .139456 .174830 .390476
gpt-3.5-turbo-0125 OFA-huge books .140816 .350340 .412245 .606122
gpt-4-0125-preview OFA-huge books .146939 .383673 .431293 .734694
gpt-4-vision-preview OFA-huge books .150340 .382313 .442177 .707483
vicuna-13b-v1.5 OFA-huge books .001361 .007483 .010204 .289796
Llama-2-13b-chat-hf OFA-huge music .042714 .106784 .149497 .297739
gpt-3.5-turbo-0125 OFA-huge music .046482 .157035 .194724 .457286
gpt-4-0125-preview OFA-huge music .070352 .195980 .237437 .528894
gpt-4-vision-preview OFA-huge music .079146 .202261 .236181 .530151
vicuna-13b-v1.5 OFA-huge music .010050 .025126 .027638 .265075
Llama-2-13b-chat-hf gpt-4-vision-preview books .027891 .057143 .068707 .099320
gpt-3.5-turbo-0125 gpt-4-vision-preview books .176190 .451020 .511565 .680952
gpt-4-0125-CoI gpt-4-vision-preview books .203401 .510204 .594558 .817007
gpt-4-0125-preview gpt-4-vision-preview books .195238 .504762 .574150 .821769
gpt-4-vision-preview gpt-4-vision-preview books .195238 .482993 .554422 .817687
vicuna-13b-v1.5 gpt-4-vision-preview books .000000 .000000 .000000 .346939
Llama-2-13b-chat-hf gpt-4-vision-preview music .048995 .134422 .172111 .168342
gpt-3.5-turbo-0125 gpt-4-vision-preview music .061558 .214824 .256281 .592965
gpt-4-0125-CoI gpt-4-vision-preview music .086683 .266332 .307789 .664573
gpt-4-0125-preview gpt-4-vision-preview music .110553 .298995 .335427 .669598
gpt-4-vision-preview gpt-4-vision-preview music .115578 .292714 .337940 .664573
vicuna-13b-v1.5 gpt-4-vision-preview music .000000 .001256 .001256 .327889
Llama-2-13b-chat-hf llava-v1.5-13b books .036735 .091837 .110204 .181633
gpt-3.5-turbo-0125 llava-v1.5-13b books .161905 .409524 .472789 .670748
gpt-4-0125-preview llava-v1.5-13b books .189796 .470068 .544218 .804762
gpt-4-vision-preview llava-v1.5-13b books .193878 .455102 .521088 .789116
vicuna-13b-v1.5 llava-v1.5-13b books .000000 .000000 .000000 .356463
Llama-2-13b-chat-hf llava-v1.5-13b music .052764 .145729 .187186 .282663
gpt-3.5-turbo-0125 llava-v1.5-13b music .061558 .192211 .231156 .606784
gpt-4-0125-preview llava-v1.5-13b music .100503 .268844 .325377 .655779
gpt-4-vision-preview llava-v1.5-13b music .113065 .291457 .327889 .643216
vicuna-13b-v1.5 llava-v1.5-13b music .002513 .011307 .015075 .359296
gpt-4-vision-CoI image books .213605 .529932 .598639 .822449
gpt-4-vision-preview image books .202041 .486395 .550340 .808163
llava-v1.5-13b image books .021769 .045578 .049660 .581633
llava-v1.5-CoI image books .014966 .036054 .038095 .615646
gpt-4-vision-CoI image music .121859 .316583 .380653 .654523
gpt-4-vision-preview image music .118090 .293970 .356784 .646985
llava-v1.5-13b image music .067839 .143216 .175879 .413317
llava-v1.5-CoI image music .054020 .120603 .154523 .449749
"""


@dataclass(frozen=True)
class Published:
    """One row of the paper's results; shares in [0, 1]."""

    model: str
    modality: str
    domain: str
    hit1: float
    hit10: float
    hit20: float
    accuracy: float

    def figure(self, name: str) -> float:
        """By its name: `hit@1`, `hit@10`, `hit@20` or `accuracy`."""
        return {"hit@1": self.hit1, "hit@10": self.hit10, "hit@20": self.hit20, "accuracy": self.accuracy}[name]


PUBLISHED = [
    Published(model, modality, domain, *map(float, figures))
    for model, modality, domain, *figures in map(str.split, _LINES.split("\n")[1:-1])
]
