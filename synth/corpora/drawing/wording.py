"""Bullet points and shop texts, built from many parts so that products do not repeat each other."""

from __future__ import annotations

from random import Random

from synth.corpora.drawing.design import Design
from synth.corpora.drawing.grammar import say
from synth.randomness import rng

FAMILIES: dict[str, tuple[str, ...]] = {
    "cotton": ("Cotton", "Organic Cotton", "Cotton Blend", "Cotton Flannel", "Corduroy"),
    "linen": ("Linen",),
    "wool": ("Wool", "Merino Wool", "Wool Blend", "Cashmere", "Tweed"),
    "fluid": ("Viscose", "Silk", "Satin", "Chiffon", "Velvet"),
    "technical": (
        "Polyester", "Recycled Polyester", "Nylon", "Recycled Nylon", "Polyamide", "Mesh", "Fleece",
    ),
    "denim": ("Denim",),
    "leather": ("Leather", "Suede", "Patent Leather"),
    "vegan": ("Vegan Leather",),
    "canvas": ("Canvas",),
    "metal": ("Stainless Steel", "Sterling Silver", "Gold-plated Silver", "Brass"),
    "moulded": ("Rubber", "Silicone", "Acetate", "Recycled Plastic", "Resin", "Glass", "Wood"),
    "straw": ("Straw",),
}  # fmt: skip
FAMILY_OF = {material: family for family, materials in FAMILIES.items() for material in materials}

MAKE: dict[str, tuple[str, ...]] = {
    "cotton": (
        "{Material} that [softens|mellows|gets nicer] [with every wash|the more you wear it|over the years]",
        "[Midweight|Sturdy but soft|Breathable|Densely woven] {material}[, washed once for a settled size|"
        " with a [brushed|smooth|peachy] inside| from [small|family-run|certified] mills]",
        "[Seams|Edges|Joins] [taped|doubled|reinforced] so the {material} [keeps its shape|never twists|lies flat]",
        "A {material} [cloth|fabric|quality] with [a little give|a dry hand|plenty of body|a clean surface]",
        "[Pre-shrunk|Garment-dyed|Enzyme-washed] {material} [of "
        "even thickness|with quiet seams|that stays true to size]",
        "{Material} [picked|combed|carded] [by hand|twice|slowly] "
        "for [fewer loose ends|a cleaner surface|a fuller touch]",
        "[Knitted|Woven|Finished] [in one mill|close to home|without "
        "harsh chemistry] from {material} [we trust|with long fibres]",
    ),
    "linen": (
        "[Airy|Cool|Crisp] linen with [the small slubs it is loved for|a pleasantly dry touch|an honest, uneven yarn]",
        "Flax [grown|spun] in [small lots|the north|coastal fields] "
        "and [woven loosely|washed twice|left undyed inside]",
        "Linen [dries in no time|lets every breeze through|creases, and looks better for it]",
    ),
    "wool": (
        "{Material} spun [fine|soft|evenly] enough to wear [on bare skin|without a shirt|next to a baby's cheek]",
        "[Warm without weight|Light for its warmth|Holds heat, not "
        "damp]: {material} [knows its trade|does that by itself]",
        "[Traceable|Mulesing-free|Slow-spun] {material}, "
        "[steamed|pressed|finished by hand] [after knitting|before it leaves us]",
        "A {material} yarn that [resists pilling|springs back|shrugs off light rain]",
        "[Doubled|Hand-turned|Carefully bound] edges keep the {material} [in line|from curling|neat for years]",
    ),
    "fluid": (
        "{Material} that [falls|drapes|moves] [like water|softly|with every step]",
        "[French seams|A narrow rolled hem|Hand-finished edges] for a "
        "{material} piece that is [tidy inside and out|light as air]",
        "[Soft-sheen|Fluid|Feather-light] {material} [never clings|feels cool at first touch|swings nicely]",
        "Cut [on the bias|generously|with care] so that the {material} [follows you|keeps its flow|hangs straight]",
    ),
    "technical": (
        "{Material} that [dries quickly|wicks moisture|weighs next to nothing][ and packs small|]",
        "[Flat|Bonded|Chafe-free] seams [where it matters|for long days|at every turn]",
        "[Hard-wearing|Tightly woven|Stretchy] {material} with a [soft|matt|water-repellent] [face|finish]",
        "Spun [with solar power|with less water|in a certified "
        "mill]: {material} with [a lighter footprint|few regrets]",
        "[Shape-keeping|Breathable|Springy] {material}, tested over [fifty washes|two seasons|many a hill]",
    ),
    "denim": (
        "[Mid-weight|Ring-spun|Comfortably stretchy] denim that [ages well|moulds to you|breaks in within a week]",
        "[Bar tacks|Copper rivets|Chain stitching] at the [points of strain|pockets|seams]",
        "Denim [dyed with less water|washed with ozone|rinsed, not "
        "bleached], [so the blue stays deep|for a clear conscience]",
        "A [twelve|thirteen|eleven]-ounce denim with [a dry hand|some stretch|real backbone]",
    ),
    "leather": (
        "{Material} [tanned without chrome|from one careful "
        "tannery|picked hide by hide] and [edged|burnished|waxed] by hand",
        "[Supple|Full-bodied|Close-grained] {material} that [darkens with age|earns its marks|softens within days]",
        "[Saddle|Double|Waxed-thread] stitching on {material} that [lasts|forgives|outlives fashions]",
        "Each {material} panel is [cut singly|matched for grain|skived thin at the folds]",
    ),
    "vegan": (
        "[Leather-look|Grained|Soft-touch] surface [made without animals|on a cotton backing|that wipes clean]",
        "Vegan leather [with a supple hand|that keeps its colour|that neither cracks nor peels]",
        "[No hides, no compromise|Animal-free throughout]: [glue and lining too|down to the thread]",
    ),
    "canvas": (
        "[Stout|Waxed|Close-woven] canvas that [stands up by itself|takes knocks|scuffs gracefully]",
        "Canvas [woven|dyed] in [short runs|one piece] with [stitched-through|riveted|doubled] corners",
        "[Heavy|Twelve-ounce|Unbleached] canvas[, lined in cotton| with bound seams|, soft from day one]",
    ),
    "metal": (
        "{Material}, [polished|brushed|tumbled] until it [glows|is smooth to the touch|catches the light]",
        "[Nickel-free|Skin-friendly|Tarnish-resistant] {material}[ for sensitive wearers| with a protective coat|]",
        "Each {material} part is [cast|turned|joined] [by hand|in small batches|and checked under a lens]",
    ),
    "moulded": (
        "{Material} [shaped in one piece|tumbled for days|polished by "
        "hand] for [smooth edges|a calm surface|a pleasing weight]",
        "[Light|Tough|Even-toned] {material} that [shrugs off scratches|is kind to skin|stands daily use]",
        "[Hand-finished|Carefully cast|Precision-made] {material} with [no rough spots|a soft gleam|rounded corners]",
    ),
    "straw": (
        "[Hand-plaited|Closely woven|Natural] straw that [breathes|keeps its form|weighs hardly anything]",
        "Straw [gathered|braided|sewn] in [one long spiral|narrow rows|village workshops]",
        "[Paper|Wheat|Raffia] straw with [a springy edge|a clean, even weave]",
    ),
}

CARE: dict[str, tuple[str, ...]] = {
    "cotton": (
        "[Wash|Machine wash] at [30|40] degrees[, inside out| with "
        "similar colours|]; [iron while damp|dry on the line]",
        "[Easy-care|Unfussy]: [a cool wash|a short cycle] and [a quick shake|an hour on the line] [will do|is enough]",
        "[Tumble dry low|Skip the dryer|Reshape while wet] to [keep its size|spare the fibres|save time at the iron]",
        "[Loves|Forgives] [the washing machine|a 30-degree wash|hard water]; "
        "[hang|fold] {it} [slightly damp|out of the sun|straight away]",
        "[Wash with|Keep to] [like colours|a mild detergent], [avoid "
        "bleach|no softener needed], [dry in the open air|iron on medium]",
    ),
    "linen": (
        "[Cool|Gentle] wash, [no spin|hang up wet], [iron if you must|ironing optional]",
        "[Line-dry in shade|Dry flat or hanging]; linen [likes it slow|thanks you for it]",
    ),
    "wool": (
        "[Air|Hang out] overnight [instead of washing|after wearing]; [hand wash|wool cycle] when needed",
        "[Dry flat on a towel|Never wring], and [store folded|keep cedar nearby]",
        "[Cold hand wash|Wool programme only], [a drop of wool soap|no softener]",
    ),
    "fluid": (
        "[Hand wash cold|Delicate cycle in a net], [press|iron] from the [inside|reverse] on low",
        "[Hang after wearing|Steam lightly] and creases [drop out|vanish] by themselves",
        "[Keep from strong sun|Wash apart] to [save the sheen|protect the colour]",
    ),
    "technical": (
        "[Wash at 30 degrees|Cold wash], [no softener|no bleach], [drip dry|hang to dry] [in an hour or two|overnight]",
        "[Rinse after sport|Wash after a salty day]; [do not iron|keep the iron away]",
        "[Close all zips|Turn {it} inside out] before [washing|the machine] and [dry on low|hang {it} up]",
    ),
    "denim": (
        "Wash [seldom|cold|inside out] and [hang by the hem|let {it} drip] [to keep the shade|for a slow fade]",
        "[Colour may rub off|Dye can transfer] at first: [keep from pale sofas|wash once before wearing]",
    ),
    "leather": (
        "[Brush|Wipe] [dry dirt off|with a soft cloth], then [feed with balm|wax] [twice a year|each season]",
        "Let [rain dry slowly|wet patches dry] [away from heaters|at room temperature][; stuff with paper|]",
        "[Dust bag|Spare cloth] included; [neutral|colourless] cream [keeps {it} supple|suits {it} best]",
    ),
    "vegan": (
        "[Wipe with a damp cloth|Clean with mild soap], [dry at once|leave to air]",
        "[Keep from heat|Store lying flat] so that the surface [stays smooth|does not crease]",
    ),
    "canvas": (
        "[Spot clean|Brush off] with [lukewarm water|mild soap]; [do not soak|let {it} air]",
        "[Sponge marks at once|A stiff brush does it]: canvas [is forgiving|likes plain care]",
    ),
    "metal": (
        "[Take {it} off for swimming|Keep from perfume] and [rub with a dry cloth|keep in a pouch]",
        "[Polish now and then|A soft cloth] [brings the shine back|keeps {it} bright]",
    ),
    "moulded": (
        "[Rinse|Wipe] with [lukewarm|clear] water and [pat dry|a soft cloth]",
        "[Comes with a pouch|Pouch included]; [avoid solvents|no harsh cleaners, please]",
    ),
    "straw": (
        "[Keep dry|Dust with a soft brush] and [steam back into shape|store stuffed with paper]",
        "[Not for packing flat|Carry by the edge]; [let damp straw air|dry away from radiators]",
    ),
}

USE: dict[str, tuple[str, ...]] = {
    "Casual": (
        "[Goes with|Sits easily beside] [whatever is clean|most of a wardrobe|old favourites]",
        "For [slow mornings|errands|coffee with friends|school runs], and [whatever follows|all between]",
        "[Sofa-soft|Easy on weekends|Unbothered by plans], [fine "
        "for a café|presentable at the door|good with bare feet]",
        "[Reach for|Count on] {it} for [the market|a park bench|film night|a stroll] "
        "[without a second look|and feel like yourself]",
        "[An everyday piece|One for any day|A weekday staple] that "
        "[asks for little|gets on with denim|suits no plans at all]",
    ),
    "Formal": (
        "[Holds its own|Looks right] at [weddings|receptions|the opera|a christening]",
        "[Quiet|Well-judged] elegance for [invitations on thick paper|speeches and toasts|evenings that matter]",
        "Made for [dress codes|ceremonies|black-shoe occasions] without [stiffness|fuss]",
    ),
    "Sports": (
        "[Stays put|Keeps up] through [sprints|long sets|the last lap|match and stretch]",
        "[Gym|Track|Court|Club] ready, [and happy on the way home|with room to move]",
        "[Tested by|Worn by] [weekend runners|our own team|people who really sweat]",
    ),
    "Party": (
        "[Catches|Loves] [candlelight|the dance floor|a camera flash]",
        "For [birthdays|late dinners|New Year's Eve|rooftop bars]: [small effort, big entrance|nothing else needed]",
        "[Dances well|Made to be noticed] from [first toast|the door] to [last song|the taxi]",
    ),
    "Outdoor": (
        "[Ready for|At home in] [drizzle|mud and wind|forest paths|high meadows]",
        "[Built|Thought out] for [long walks|camp mornings|dog owners|gardeners]",
        "[Comfort|Shelter] on [rough tracks|windy ridges|the allotment]",
    ),
    "Work": (
        "[Smart|Composed] through [meetings|commutes|a full diary] and [still fresh|easy] by six",
        "[Means business|Office-proof] without [a tie's worth of stiffness|shouting]",
        "From [desk|first call] to [drinks|the last train] with [nothing to adjust|no second thought]",
    ),
    "Travel": (
        "[Packs|Folds|Tucks] [small|flat|away neatly] for [carry-on life|city breaks|ferry decks]",
        "[Train|Beach|Airport]-tested: [light|sturdy], [simple to combine|ready at a grab]",
        "[Sun, salt or sightseeing|New places]: [one thing less to worry about|a good companion]",
    ),
}

SEASON: dict[str, tuple[str, ...]] = {
    "Spring": ("[Right|Just enough] for [cool mornings|April light|the first warm days]",),
    "Summer": ("[Kept light|Made airy] for [hot pavements|July|long bright evenings]",),
    "Autumn": ("[Right|Made|Ready] for [turning leaves|cool evenings|low mist|the first fires]",),
    "Winter": ("[Warmth|Comfort] for [frost|short days|the coldest weeks]",),
}

CUT: dict[str, tuple[str, ...]] = {
    "fit": (
        "{Value} [cut|shape|silhouette], [true to size|tried on by many bodies|with no pulling anywhere]",
        "[Pattern|Shape] redrawn [this year|three times]: {value}, [but easy to move in|without excess]",
    ),
    "neck": ("{Value} [finished by hand|that keeps its edge|with a neat inside]",),
    "sleeve": ("{Value} [set in|cut] [with room to reach|for free movement|without pulling]",),
    "length": ("{Value}[, hemmed twice|, easy to shorten|, tested sitting and standing]",),
    "closure": (
        "[Closure|Fastening]: {value}[, tried again and again|, easy with one hand|, quiet and secure|, no fiddling|]",
    ),
    "heel": ("{Value} with [a quiet tread|good grip|a cushioned step]",),
    "sole": ("{Value} sole, [stitched and glued|non-marking|good on wet tiles]",),
    "strap": ("{Value}[, reinforced at the ends|, comfortable for hours|, sewn twice]",),
    "dial": ("{Value} under [hardened|scratch-resistant|domed] glass[, water resistant to 3 bar|]",),
}
UNREMARKABLE = ("Sleeveless", "Strappy", "Flat", "No strap", "Open top", "Open front")
"""Values that make no bullet point."""

OPENINGS = (
    "[Some things|A few pieces|Certain finds] are [simply right|worth keeping|hard "
    "to better]: {the} {noun} from {brand} [{is} among them|prove{s} it].",
    "{brand} [thinks of|designs for|listens to] [{people}|daily life] "
    "[first|above all], and {the} {noun} [show{s} it|{is} no exception].",
    "[Meet|Say hello to|Here {is}] {the} {noun} [to reach for again and "
    "again|that earn{s} a place in the hall|you will not lend out].",
    "{The} {noun} [began as a sketch|{was} two years in the making|started on a kitchen table|grew out of a bet].",
    "[An easy|A good|Our] answer to [{occasion}|the eternal question of {occasion}].",
    "[Drawn|Planned|Made] with {occasion} in mind, {the} {noun} [wear{s} "
    "the {material} lightly|keep{s} things simple|leave{s} nothing out].",
    "[Looking for something|In need of an idea|Short of time] for {occasion}? {brand} [has one|can help|went ahead].",
    "{brand} [returns to|gives new life to|redraws] [a classic|an old favourite|a forgotten shape] with {the} {noun}.",
    "[Designed|Sketched|Fitted] [in our attic|by the sea|over one "
    "long winter], {the} {noun} [suit{s}|{is} ready for] {occasion}.",
    "[{occasion_upper}: that was the thought|Think of {occasion}, and you have the idea] behind {the} {noun}.",
    "[Honest|Careful|Patient] work in {material}: {brand} [knows how|shows how|takes its time].",
    "[Whenever it comes to|For the love of|Before] {occasion}: {the} {noun} [{is} ready|go{es} along].",
)
CLOSINGS = (
    "{Material} does the rest.",
    "The {material} [speaks for itself|will tell you more|gets better with age].",
    "[Good to give|A nice present|Well worth wrapping], [better to keep|hard to part with|easy to love].",
    "[Trouble|Fuss|Bother] [not included|stays outside].",
    "[Treat {it} well|Use {it} often|Enjoy {it}][, for years|, from day one|].",
    "[Made in small numbers|Produced fairly], [sold without noise|priced plainly].",
    "[Small details|Quiet details|The finishing touches] [reward a closer look|are the point].",
    "[Your mirror|Your best friend|The neighbours] [will agree|may comment].",
    "[Compliments|Questions|Glances] [are likely|come free].",
    "[Look closely|Come nearer]: [the seams are straight|nothing is left to chance].",
    "[We would buy {it} too|We kept one ourselves].",
    "",
    "",
    "",
    "",
)
OCCASIONS: dict[str, tuple[str, ...]] = {
    "Casual": ("free days", "a Saturday in town", "an unhurried week", "days off"),
    "Formal": ("grand occasions", "a wedding", "the big day", "an evening at the opera"),
    "Sports": ("training days", "the next race", "match day", "early runs"),
    "Party": ("a night out", "a birthday", "the dance floor", "festive evenings"),
    "Outdoor": ("the hills", "wet forests", "camping weekends", "long walks"),
    "Work": ("the office", "busy weeks", "a new job", "days of meetings"),
    "Travel": ("the road", "a city break", "holidays by the sea", "far-off places"),
}
PEOPLE = {
    "Women": "women",
    "Men": "men",
    "Girls": "girls who climb trees",
    "Boys": "boys on the move",
    "Unisex": "everyone",
}


def _words(design: Design, random: Random) -> dict[str, str]:
    noun = design.kind.nouns[0]
    material = design.material.lower()
    occasion = random.choice(OCCASIONS[design.usage])
    many = noun.endswith("s") and noun != "Dress"
    return {
        "material": material,
        "Material": material[0].upper() + material[1:],
        "noun": noun.lower().replace("t-shirt", "T-shirt"),
        "the": "these" if many else "this",
        "The": "These" if many else "This",
        "is": "are" if many else "is",
        "was": "were" if many else "was",
        "s": "" if many else "s",
        "es": "" if many else "es",
        "it": "them" if many else "it",
        "brand": design.brand.name,
        "people": PEOPLE[design.gender],
        "occasion": occasion,
        "occasion_upper": occasion[0].upper() + occasion[1:],
    }


def features(design: Design) -> tuple[str, ...]:
    """Two to four bullet points about make, cut, care and use."""
    random = rng(design.seed, "features", design.index)
    words = _words(design, random)
    family = FAMILY_OF[design.material]
    points = [say(random.choice(MAKE[family]), random, words)]
    optional = [random.choice(CARE[family]), random.choice(USE[design.usage])]
    if design.season and random.random() < 0.5:
        optional.append(random.choice(SEASON[design.season]))
    cuts = [name for name, value in design.cut.items() if name in CUT and value not in UNREMARKABLE]
    if design.kind.group != "Clothing" or design.kind.type == "Socks":
        cuts = [name for name in cuts if name != "length"]
    if cuts and random.random() < 0.6:
        name = random.choice(cuts)
        value = design.cut[name]
        words = {**words, "value": value.lower(), "Value": value}
        optional.append(random.choice(CUT[name]))
    random.shuffle(optional)
    points += [say(template, random, words) for template in optional[: random.choice((1, 2, 2, 3))]]
    return tuple(points)


def description(design: Design) -> str:
    """One or two sentences in the voice of a shop."""
    random = rng(design.seed, "description", design.index)
    words = _words(design, random)
    return say(f"{random.choice(OPENINGS)} {random.choice(CLOSINGS)}", random, words)
