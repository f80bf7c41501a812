"""Words that say nothing about a text's matter, left out of word clouds."""

from __future__ import annotations

STOPWORDS = frozenset(
    """
    a about after again all also am an and any are as at be because been before being both but by can cannot could did
    do does doing done down each even ever every few for from get gets getting give given go goes going gone got had has
    have having he her here hers herself him himself his how i if in into is it its itself just let like made make makes
    many may me might mine more most much must my myself near need no nor not now of off oh ok okay on once one only or
    other our ours ourselves out over own perhaps please put quite rather really right said same say says see seem seems
    shall she should since so some something such take than thank thanks that the their theirs them themselves then
    there these they thing things think this those though through till to too under until up upon us use very want was
    way we well were what when where which while who whom whose why will with within without would yes yet you your
    yours yourself yourselves
    've 'd 'll 're 's 'm n't ca wo sha ai na ta gon wan
    anything everything nothing anyone everyone nobody somebody anybody
    """.split()
)
