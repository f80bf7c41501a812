"""By which words the offline rules know an element. General English; a cue is a pattern on lower-cased words.

Spaces stand for any blank, and an apostrophe for both kinds.
"""

from __future__ import annotations

from synth.prompts.calls import ElementKind

Kind = ElementKind

GREETING = (
    r"^(?:hi|hello|hey|hiya|howdy|greetings|welcome|good (?:morning|afternoon|evening|day))\b",
    r"\b(?:hi|hello|hey|hiya|welcome)(?:[!.]| there\b| to you\b| from\b)",
    r"\b(?:lovely|nice|great|good|glad|pleased) to (?:see|meet|have) you\b",
    r"\b(?:thank you|thanks) for (?:coming|your visit|visiting|stopping|dropping)\b",
    r"\bhow (?:can|may|could) i (?:help|assist)\b",
    r"\bwhat (?:can|may|could) i (?:do|find|get|show|help)\b",
    r"\bwhat (?:are you|brings you|would you like to (?:see|buy|find))\b",
    r"\bhow are you\b",
)
THANKS = (
    r"\bthank(?:s| you)\b",
    r"\bcheers\b",
    r"\b(?:much )?appreciated?\b",
    r"\b(?:i'm|i am|so|very|really) grateful\b",
)
PICTURE = (
    r"\b(?:photo(?:graph)?|picture|pic|image|shot|snap|close-?up|screenshot)s?\b",
    r"\bzoom(?:ed|ing)? in\b",
    r"\byou (?:can|will|'ll) (?:see|spot|notice)\b",
)
SCENARIO = (
    r"\b(?:wedding|birthday|party|anniversary|holiday|festival|trip|journey|vacation|travel(?:l?ing)?|date|dinner|"
    r"interview|graduation|christmas|easter|eid|diwali|ceremony|celebration|reunion|concert|conference|course|term|"
    r"semester|tournament|marathon|race|match|hike|hiking|camping|commute|school run|barbecue|picnic|brunch|gala|"
    r"weekend (?:in|away|at)|promotion|(?:new|first) (?:job|day|flat|house|home)|move|moving|heatwave|present|"
    r"gift)\b",
    r"\b(?:coming up|around the corner|nearly here|almost here|next (?:week|month|weekend|year))\b",
    r"\b(?:for|since|because of|ahead of|before|during) (?:my|our|a|an|the|his|her|their) (?:\w+ ){0,4}"
    r"(?:day|week|weekend|evening|night|morning|season|year|event|occasion)\b",
    r"\b(?:it(?:'s| is)|this is|shopping|buying|something|just|all|new|only) (?:(?!not\b)\w+ )?for (?:me|myself|"
    r"my|us)\b",
    r"\b(?:this|in|all|late|early) (?:spring|summer|autumn|fall|winter|january|february|march|april|may|june|july|"
    r"august|september|october|november|december)\b",
)
REQUIREMENT = (
    r"\b(?:i|we) (?:\w+ ){0,2}(?:need|want|fancy|require|prefer|must have|insist)\b",
    r"\b(?:i|we)(?:'d| would) (?:\w+ ){0,2}(?:like|love|want|need|prefer|rather|choose|enjoy|ask|say|hope|"
    r"go for|vote)\b",
    r"\b(?:i'm|i am|we're|we are|been) (?:\w+ ){0,2}(?:looking|searching|hunting|shopping|hoping|after)\b",
    r"\b(?:looking|searching|hoping|hunting) for\b",
    r"\bdo you (?:have|sell|stock|carry|know of)\b",
    r"\b(?:can|could|would|might|will) (?:you|i|we) (?:\w+ ){0,3}(?:find|show|recommend|suggest|point|see|get)\b",
    r"\b(?:recommend|suggest|find me|show me|give me|point me)\b",
    r"\b(?:something|anything|one|a pair|a nice|a good|a decent|a new) (?:\w+ ){0,2}(?:with|in|for|that|which|"
    r"made|cut|"
    r"of|done|designed|styled|featuring|to)\b",
    r"\b(?:it )?(?:must|should|has to|have to|ought to) (?:be|have|go|work|come|feel|fit)\b",
    r"\b(?:ideally|preferably|as long as|provided|a must|is a must|my (?:only )?(?:wish|condition|budget)|matters?"
    r"(?: most)?(?: to me)?|important)\b",
)
QUESTION = (r"\?",)
RECOMMENDATION = (
    r"\b(?:recommend|suggest|propose|present|put forward|point you|introduce)\b",
    r"\b(?:how|what) about (?:the|this|our|a)\b",
    r"\b(?:here is|here's|here are|this is|these are|meet|behold|take a look|have a look|try|consider|check out)\b",
    r"\b(?:i|we)(?:'ve| have)? (?:\w+ ){0,2}(?:found|picked|chose|chosen|selected|got|come across|came across)\b",
    r"\bmight (?:like|love|enjoy|suit|work|be (?:what|right|just|the))\b",
    r"\b(?:may|could|can|shall|might) i (?:\w+ ){0,2}(?:show|offer|suggest|recommend|tempt|interest|present)\b",
    r"\b(?:brings? (?:up|us|me)|took me|leads? (?:me|us)|seemed? (?:the|a)|in favour of|my (?:pick|choice|"
    r"suggestion|tip))\b",
    r": the [a-z]",
    r"\b(?:the|this) (?:[a-z'’-]+ ){1,6}(?:should|would|could|might) (?:do|suit|fit|work|be|match|answer|please)\b",
    r"\b(?:one|the best|a good|a fine|the) (?:match|option|candidate|choice|answer|fit)\b",
)
EXPLANATION = (
    r"\b(?:because|since|as you|so that|which means|that way|therefore|thanks to)\b",
    r"\b(?:as|after|since|now that) (?:you|we) (?:\w+ ){0,2}(?:said|asked|mentioned|wanted|want|need|needed|"
    r"like|were)\b",
    r"\b(?:you|your) (?:\w+ ){0,2}(?:wish(?:es)?|requests?|brief|message|words|mentioned|asked for|wanted|"
    r"were after)\b",
    r"\b(?:it|this|they|these|which|that)(?:'s| is| are| has| have| comes?| offers?| makes?| gives?| keeps?|"
    r" features?|"
    r" suits?| goes| looks?) ",
    r"\b(?:made|cut|done|styled|designed|finished|built|crafted|kept|fastened|featuring|fitted) (?:of|from|in|"
    r"with|for|by)\b",
    r"\b(?:ideal|perfect|great|good|right|suitable|fit|all set|easy|comfortable|practical|versatile) (?:for|"
    r"with|in|on|to|"
    r"enough)\b",
    r"\b(?:page|listing|description|details?|product|site|seller|maker|reviews?) (?:\w+ )?(?:say|says|said|has|"
    r"tells?|reads?|"
    r"mentions?|here|notes?|promises?)\b",
    r"[“\"][^”\"]{12,300}[”\"]",
)
UNDERSTANDING = (
    r"\b(?:sorry|apolog(?:ies|ise|ize)|understand|i see|i hear you|fair enough|of course|no (?:problem|worries|harm|"
    r"trouble)|got it|noted|understood|makes sense|never mind|let's forget|don't worry|good point|fair point)\b",
    r"\b(?:congratulations|what a (?:relief|shame|pity|lovely|nice)|how (?:lovely|nice|exciting|wonderful)|"
    r"sounds (?:like|"
    r"lovely|great|fun|wonderful|good)|i can imagine|good luck|enjoy|you are right|you're right|i agree|"
    r"nobody should)\b",
)
REJECTION = (
    r"\b(?:not|n't|never|hardly|neither|without|no longer) (?:\w+ ){0,4}(?:me|one|it|them|this|these|right|sure|"
    r"convinced|"
    r"sold|keen|love|like|want|take|wear|buy|done|there|quite|interested|mine|work|thrilled|excited|enough|happy|fan|"
    r"go|style|taste|anything|something|far|get|touch|stand|see|have|what|won|suit|own|see myself|warm)\b",
    r"\bnot?(?:[.!,;]|$| for me| thanks| thank you)",
    r"\bnot (?:quite|my|for|the|this|really|exactly|precisely|what|an?y?|one|for me|in)\b",
    r"\b(?:afraid|unfortunately|sadly|sorry|alas|pass(?: on)?|decline|refuse|skip|turn(?:ing)? (?:it|this|them|"
    r"these) down|"
    r"rule[sd]? (?:it|this|that|them) out|off the list|near miss|miss(?:es|ed|ing)? the mark|snag|trouble is|"
    r"drawback)\b",
    r"\b(?:isn't|aren't|don't|doesn't|can't|cannot|won't|wouldn't|couldn't|didn't|not)\b",
    r"\b(?:too|a bit|a little|rather|somewhat) (?:\w+ )?(?:bright|dark|pale|muted|plain|casual|formal|big|small|"
    r"long|short|"
    r"tight|loose|heavy|thin|thick|expensive|dear|busy|loud|floral|striped|sports?|fussy|much)\b",
    r"\b(?:something else|another (?:one|try|idea|pair)|anything else|keep (?:on )?looking|try again|next one|"
    r"other ideas)\b",
    r"\b(?:nice|good|decent|close|almost|nearly|lovely|pretty|tempting|wish)\b.{0,40}\b(?:but|yet|though|"
    r"just not|sadly)\b",
)
REASON = (
    r"\b(?:anything|everything|nothing|one|an item|a piece|something|things?|another) (?:\w+ ){0,3}(?:with|in|"
    r"of|that|which|"
    r"made|cut|done|for|from|near|styled|designed)\b",
    r"\b(?:bores?|bored|annoys?|puts me off|bothers?|avoid|dislike|hate|allergic|tired of|fed up|gone off|"
    r"leaves? me cold|"
    r"gets? on my nerves|does (?:very )?little for me|rule|never again|gave away|give away|itch(?:es|y)?|"
    r"uncomfortable|"
    r"self-conscious|ages me|feels? (?:wrong|odd|off)|look(?:s)? (?:odd|wrong|silly)|overdressed|looks too)\b",
    r"\b(?:if|were|was|had) (?:it|they|the \w+|this|these) (?:were|was|had|be|been|wasn't|not)\b",
    r"\b(?:rather than|instead of|and not|more \w+ and (?:less|not)|i(?:'d| would) want|i(?:'d| would) prefer|"
    r"than \w+)\b",
    r"\b(?:already|too many|enough) (?:\w+ ){0,3}(?:own|have|got|one|ones|of)\b",
)
ACCEPTANCE = (
    r"\b(?:perfect|excellent|brilliant|fantastic|wonderful|fabulous|fab|superb|splendid|great|lovely|love|"
    r"beautiful|ideal|"
    r"delighted|thrilled|happy|first-rate|gorgeous|amazing|sorted|bang on|spot on|bravo|best|nicest|exactly|"
    r"precisely|"
    r"really (?:nice|good|sweet)|so right|a success|case closed|quite (?:a|the) (?:find|best|nicest)|just (?:as|"
    r"what)|"
    r"well played|glad|content|relief|treat|success)\b",
    r"\b(?:i(?:'ll| will|'d| would)? (?:\w+ )?(?:take|buy|have|order|get|keep|wear)|i(?:'m| am) in|add (?:it|"
    r"them|this)|sold|"
    r"deal|yes|yup|yeah|send (?:it|them)|to the (?:till|checkout)|off to pay|wrap)\b",
    r"\b(?:you(?:'ve| have)? (?:\w+ )?(?:found|did it|got it|understood|managed|read my mind|nailed|remembered|"
    r"listened)|"
    r"that's (?:it|the one|what|me)|this is (?:it|the one|what|exactly|so|better|why|the reason)|(?:is|was|"
    r"are) what i|"
    r"what i (?:was|wanted|meant|needed|had|asked|came)|search (?:ends|is over)|the one)\b",
    r"\b(?:it|this|that|they|these)(?:'ll| will|'d| would| could| should|'s| is|"
    r" are)? (?:\w+ )?(?:be (?:perfect|ideal|great|"
    r"just|right|good|fine)|suits?|works?|looks? (?:\w+ )?(?:great|good|lovely|brilliant|excellent|fab|nice|"
    r"perfect|ideal))\b",
    r"\b(?:asked for|requested|was after|came for|wanted|needed|hoping for|wished for|looking for|in mind)\b",
)

CUES: dict[Kind, tuple[str, ...]] = {
    "greeting": GREETING,
    "scenario": SCENARIO,
    "requirement": REQUIREMENT,
    "question": QUESTION,
    "picture": PICTURE,
    "recommendation": RECOMMENDATION,
    "explanation": EXPLANATION,
    "understanding": UNDERSTANDING,
    "rejection": REJECTION,
    "reason": REASON,
    "acceptance": ACCEPTANCE,
    "thanks": THANKS,
}
SEEKER: dict[str, dict[str, float]] = {
    "accept": {
        "greeting": -0.3,
        "scenario": 1.5,
        "requirement": 0.5,
        "question": -0.5,
        "picture": -0.3,
        "recommendation": 0.5,
        "explanation": 1.0,
        "understanding": 0.3,
        "rejection": -0.5,
        "reason": -0.2,
        "acceptance": 1.2,
        "thanks": 1.7,
        "": -1.8,
    },
    "chat": {
        "greeting": 1.3,
        "scenario": -0.5,
        "requirement": -1.1,
        "question": -0.7,
        "picture": 1.3,
        "recommendation": -0.4,
        "explanation": -1.1,
        "understanding": -0.6,
        "rejection": -1.1,
        "reason": -1.1,
        "acceptance": -1.2,
        "thanks": -1.1,
        "": 3.7,
    },
    "reject": {
        "greeting": -0.9,
        "scenario": -1.0,
        "requirement": 0.6,
        "question": 1.2,
        "picture": -0.9,
        "recommendation": -0.1,
        "explanation": 0.1,
        "understanding": 0.3,
        "rejection": 1.6,
        "reason": 1.3,
        "acceptance": -0.1,
        "thanks": -0.6,
        "": -1.9,
    },
}
"""Weights of the cues for what a user does once something was recommended; `""` is what each move starts with."""
GUIDE: dict[str, dict[str, float]] = {
    "chat": {"": 0.0},
    "recommend": {
        "greeting": -1.6,
        "scenario": -0.2,
        "requirement": 0.8,
        "question": -3.4,
        "picture": 2.4,
        "recommendation": 1.6,
        "explanation": 1.4,
        "understanding": -0.6,
        "rejection": 1.0,
        "reason": 1.4,
        "acceptance": -0.4,
        "thanks": -1.2,
        "": -1.6,
    },
}
"""The same for an assistant who has heard the user."""
