"""Words about products that the readers know: names of columns, colours, wearers, and what a title says of its product.

Data only. English is covered best; column names and wearers are known in the larger European languages too.
"""

from __future__ import annotations

from typing import Final

from synth.corpora.records import Gender

FIELDS: Final[dict[str, str]] = {
    name: field
    for field, names in {
        "id": "id sku asin parent_asin article article_id article_number article_no item item_id item_number "
        "product_id productid item_sku code product_code ean gtin upc handle uid uuid artikel artikelnummer artikel_nr "
        "art_nr produktnummer produkt_id reference ref reference_produit codice codigo id_producto id_produit nr no "
        "number nummer numero",
        "title": "title name product_name product_title item_name item_title display_name product_display_name "
        "productname prod_name label product heading titel produktname artikelname artikelbezeichnung bezeichnung "
        "produktbezeichnung titre nom nom_produit intitule libelle titulo nombre nombre_producto nome titolo naam "
        "productnaam namn benamning",
        "description": "description desc detail_desc product_description long_description full_description body "
        "body_html text summary about overview beschreibung produktbeschreibung langtext descripcion descrizione "
        "descricao omschrijving beskrivning description_produit",
        "features": "features feature bullet_points bullets about_product highlights key_features merkmale "
        "eigenschaften caracteristiques caracteristicas caratteristiche",
        "categories": "categories category category_path category_name categorie categoria kategorie kategorien gruppe "
        "warengruppe produktgruppe product_category google_product_category breadcrumbs breadcrumb taxonomy "
        "rubrique rayon",
        "price": "price prix preis verkaufspreis precio prezzo preco prijs pris price_usd sale_price list_price "
        "current_price selling_price final_price unit_price cost variant_price",
        "currency": "currency currency_code wahrung waehrung devise moneda valuta",
        "images": "image images img picture pictures photo photos image_url image_urls img_url image_link image_links "
        "image_path image_file filename file_name file main_image primary_image image_src picture_url photo_url "
        "thumbnail link_image bild bilder bild_url bilddatei foto fotos fotografia imagen imagenes immagine immagini "
        "imagem imagens afbeelding image_principale photo_principale large_image medium_image",
        "details": "details specifications specs product_details technical_details",
        "licence": "licence license lizenz licencia licenza",
    }.items()
    for name in names.split()
}
"""Field of a product by normalised column name."""

CATEGORY_LEVELS: Final[tuple[frozenset[str], ...]] = tuple(
    frozenset(names.split())
    for names in (
        "master_category main_category top_category category_1 category1 category_level_1 category_l1 l1_category "
        "level_1 department_category hauptkategorie categorie_principale index_group_name product_group_name "
        "hauptwarengruppe",
        "sub_category subcategory category_2 category2 category_level_2 category_l2 l2_category level_2 "
        "unterkategorie sous_categorie subcategoria section_name garment_group_name",
        "category_3 category3 category_level_3 category_l3 l3_category level_3 sub_sub_category subsubcategory",
    )
)
"""Columns that are one level of a category path each, by level."""

ATTRIBUTES: Final[dict[str, str]] = {
    name: attribute
    for attribute, names in {
        "type": "type article_type product_type item_type product_type_name produkttyp produktart artikeltyp "
        "artikelart typ art type_produit tipo tipo_producto tipo_prodotto clothing_type",
        "gender": "gender sex target_gender wearer geschlecht genre sexe genero genere sesso geslacht kon",
        "age_group": "age_group agegroup age_range age_range_description altersgruppe tranche_age target_audience",
        "department": "department abteilung target_department",
        "colour": "colour color base_colour base_color main_colour main_color primary_colour primary_color "
        "colour_name color_name colour_group_name farbe grundfarbe hauptfarbe couleur coloris color_principal cor "
        "colore kleur farg",
        "season": "season saison temporada stagione seizoen jahreszeit",
        "usage": "usage occasion use purpose usage_occasion verwendung anlass einsatz utilisation occasione ocasion "
        "uso gebruik occasion_type",
        "brand": "brand brand_name marke marque marca merk marke_name store manufacturer hersteller fabricant "
        "vendor label_name maker",
        "pattern": "pattern pattern_type print muster motif patron estampado fantasia patroon "
        "graphical_appearance_name",
        "material": "material material_type fabric fabric_type composition stoff matiere tessuto materiale "
        "materiaal materiau tejido outer_material material_composition",
        "fit": "fit fit_type passform coupe ajuste vestibilita",
        "neck": "neck neckline neck_style collar collar_style halsausschnitt ausschnitt encolure cuello scollo",
        "sleeve": "sleeve sleeves sleeve_type sleeve_length armellange aermellaenge manches mangas maniche",
        "display": "display display_type dial watch_display",
        "closure": "closure closure_type verschluss fermeture cierre chiusura",
        "size": "size groesse grosse taille talla taglia maat",
        "style": "style stil estilo stile style_name",
    }.items()
    for name in names.split()
}
"""Canonical attribute name by normalised column name."""

NOT_ATTRIBUTES: Final = frozenset(
    name
    for names in (
        "average_rating rating rating_number ratings reviews review_count number_of_reviews stars stock quantity",
        "inventory in_stock availability created_at updated_at date timestamp modified url link product_url",
        "page_url bought_together also_buy also_view rank sales_rank salesrank best_sellers_rank",
        "date_first_available item_model_number model_number part_number manufacturer_part_number asin ean upc",
        "gtin package_dimensions product_dimensions item_dimensions_lxwxh item_weight package_weight",
        "is_discontinued_by_manufacturer videos video author subtitle customer_reviews discount",
        "discount_percentage unspsc_code country_of_origin batteries_required batteries_included unnamed index row",
    )
    for name in names.split()
)
"""Normalised column names that say nothing a buyer would ask for."""

_F: Final[Gender] = "female"
_M: Final[Gender] = "male"

WEARERS: Final[dict[str, tuple[Gender | None, bool | None]]] = {
    word: meaning
    for meaning, words in (
        ((_F, False), "women womens womans woman ladies ladys damen femme femmes mujer mujeres donna donne senhora "
                      "feminino dames dam kvinna female"),
        ((_M, False), "men mens mans gents gentlemen gentlemens herren homme hommes hombre hombres uomo uomini "
                      "masculino heren herr male"),
        ((_F, True), "girl girls mädchen fille fillette filles niña niñas bambina bambine menina meninas meisjes"),
        ((_M, True), "boy boys jungen junge garçon garçons niño niños bambino bambini menino meninos jongens"),
        ((None, True), "kid kids child children childrens childs toddler toddlers infant infants baby babies babys "
                       "kinder kind enfant enfants bébé bebe bebé infantil bimbi kinderen barn youth newborn"),
        ((None, None), "unisex"),
        ((None, False), "adult adults erwachsene"),
    )
    for word in words.split()
}  # fmt: skip
"""(gender, child) by lower-case word without apostrophes; None where the word does not say."""

NOT_WEARERS: Final = frozenset(
    ["baby pink", "baby blue", "baby doll", "baby dolls", "baby soft", "baby powder", "x men", "mr men", "wonder woman",
     "boy friend", "boy london", "bad boy", "bad boys", "bad girl", "fall out boy", "rude boy", "tall boy",
     "little black", "it girl", "cover girl", "angry men", "pretty woman", "geek girl"]
)  # fmt: skip
"""Two words whose wearer word names something else."""

COLOURS: Final[dict[str, frozenset[str]]] = {
    name: frozenset(families.split())
    for name, families in {
        "black": "black",
        "jet black": "black",
        "white": "white",
        "off white": "white beige",
        "ivory": "white beige",
        "cream": "white beige yellow",
        "beige": "beige brown white",
        "nude": "beige pink brown",
        "taupe": "beige brown grey",
        "grey": "grey",
        "gray": "grey",
        "grey melange": "grey",
        "charcoal": "grey black",
        "charcoal grey": "grey black",
        "anthracite": "grey black",
        "silver": "silver grey",
        "steel": "silver grey",
        "gunmetal": "grey silver",
        "metallic": "silver grey gold",
        "gold": "gold yellow",
        "golden": "gold yellow",
        "rose gold": "gold pink",
        "copper": "copper brown orange gold",
        "bronze": "bronze brown gold",
        "brown": "brown",
        "coffee": "brown",
        "coffee brown": "brown",
        "chocolate": "brown",
        "mushroom brown": "brown grey beige",
        "tan": "brown beige",
        "camel": "brown beige",
        "khaki": "beige green brown",
        "rust": "brown orange red",
        "mustard": "yellow brown",
        "yellow": "yellow",
        "lemon": "yellow",
        "orange": "orange",
        "peach": "orange pink",
        "coral": "orange pink red",
        "red": "red",
        "crimson": "red",
        "scarlet": "red",
        "maroon": "red brown purple",
        "burgundy": "red purple",
        "pink": "pink",
        "magenta": "pink purple",
        "fuchsia": "pink purple",
        "purple": "purple",
        "violet": "purple",
        "lavender": "purple",
        "lilac": "purple",
        "mauve": "purple pink",
        "blue": "blue",
        "navy": "blue",
        "navy blue": "blue",
        "royal blue": "blue",
        "sky blue": "blue",
        "light blue": "blue",
        "dark blue": "blue",
        "indigo": "blue purple",
        "turquoise": "blue green",
        "turquoise blue": "blue green",
        "teal": "blue green",
        "aqua": "blue green",
        "green": "green",
        "sea green": "green blue",
        "lime green": "green yellow",
        "fluorescent green": "green yellow",
        "olive": "green brown",
        "olive green": "green brown",
        "mint": "green",
        "multi": "multi",
        "multicolour": "multi",
        "multicoloured": "multi",
        "multicolor": "multi",
        "multicolored": "multi",
        "assorted": "multi",
    }.items()
}
"""Families by colour name. Two names can mean the same thing to a shopper when they share a family."""

DESCRIPTORS: Final[dict[str, tuple[str, str]]] = {
    phrase: (facet, value)
    for facet, values in {
        "pattern": {
            "striped": "striped stripe stripes|pin stripe|pinstripe|pin striped|pinstriped",
            "checked": "check checks checked checkered chequered plaid gingham tartan",
            "polka dots": "polka|polka dot|polka dots|polka dotted|dotted",
            "floral": "floral|floral print|floral printed|flower print",
            "animal print": "|animal print|animal printed|leopard print|leopard|zebra print|snake print",
            "camouflage": "camouflage camo",
            "paisley": "paisley",
            "graphic": "graphic|graphic print|graphic printed",
            "geometric": "geometric",
            "tie-dye": "|tie dye|tie dyed",
            "embroidered": "embroidered embroidery",
            "colour-blocked": "colourblock colourblocked colorblock colorblocked|colour block|colour blocked|"
            "color block",
            "printed": "print prints printed",
            "solid": "solid solids plain",
        },
        "material": {
            "faux leather": "leatherette pleather|faux leather|pu leather|synthetic leather|vegan leather|fake leather",
            "patent leather": "|patent leather",
            "leather": "leather|genuine leather|pure leather|full grain leather",
            "suede": "suede nubuck",
            "canvas": "canvas",
            "denim": "denim",
            "cotton": "cotton|pure cotton|organic cotton",
            "linen": "linen",
            "silk": "silk",
            "satin": "satin",
            "chiffon": "chiffon",
            "georgette": "georgette",
            "velvet": "velvet",
            "wool": "wool woollen woolen|merino wool",
            "cashmere": "cashmere",
            "fleece": "fleece",
            "corduroy": "corduroy",
            "jute": "jute",
            "nylon": "nylon",
            "polyester": "polyester",
            "viscose": "viscose rayon",
            "stainless steel": "|stainless steel",
            "steel": "steel",
            "sterling silver": "|sterling silver",
            "titanium": "titanium",
            "ceramic": "ceramic",
            "silicone": "silicone",
            "rubber": "rubber",
            "mesh": "mesh",
            "lace": "lacy|lace detail|lace dress|lace top|lace trim|all lace",
            "wood": "wooden|solid wood",
            "bamboo": "bamboo",
            "plastic": "plastic",
        },
        "fit": {
            "slim fit": "|slim fit|slim fitted|tailored fit",
            "skinny fit": "skinny|skinny fit",
            "regular fit": "|regular fit|classic fit|comfort fit",
            "relaxed fit": "|relaxed fit|loose fit",
            "straight fit": "|straight fit|straight leg",
            "bootcut": "bootcut|boot cut",
        },
        "neck": {
            "v-neck": "vneck|v neck",
            "round neck": "|round neck|crew neck|crewneck",
            "polo collar": "|polo neck|polo t|polo tshirt|polo tee|polo shirt|polo tshirts|polo shirts",
            "henley neck": "henley|henley neck",
            "high neck": "turtleneck|turtle neck|high neck|mock neck",
            "mandarin collar": "|mandarin collar|band collar|chinese collar",
            "boat neck": "|boat neck",
            "scoop neck": "|scoop neck",
            "halter neck": "halter|halter neck",
        },
        "sleeve": {
            "sleeveless": "sleeveless",
            "long sleeves": "|full sleeve|full sleeves|full sleeved|long sleeve|long sleeves|long sleeved|longsleeve",
            "short sleeves": "|half sleeve|half sleeves|half sleeved|short sleeve|short sleeves|short sleeved",
            "three-quarter sleeves": "|3 4 sleeve|3 4 sleeves|three quarter sleeve|three quarter sleeves|3 4th sleeve",
        },
        "display": {
            "analogue": "analog analogue",
            "digital": "digital",
            "chronograph": "chronograph",
            "analogue and digital": "|ana digi|analog digital|analogue digital|analog and digital",
        },
        "closure": {
            "lace-up": "|lace up|lace ups",
            "slip-on": "|slip on|slip ons",
            "zip": "zipped zippered|zip up|full zip|half zip",
            "velcro": "velcro",
            "buttoned": "|button down|button up",
        },
    }.items()
    for value, words in values.items()
    for n, group in enumerate(words.split("|"))
    for phrase in (group.split() if n == 0 else [group])
}
"""(facet, value) by a phrase of a title: lower case, one space between words, hyphens are spaces."""

VAGUE: Final = frozenset({"printed", "solid"})
"""Values that give way to a more exact one of the same facet in the same title."""

FUNCTION_WORDS: Final[dict[str, frozenset[str]]] = {
    code: frozenset(words.split())
    for code, words in {
        "en": "the and with for of from this your you are women men is in to by",
        "de": "und mit für aus der die das den dem ein eine einem von zum zur aus ist sie damen herren",
        "fr": "et avec pour le la les des du une un dans sur est vous femme homme en aux",
        "es": "y con para el la los las una un del por es hombre mujer en sin",
        "it": "e con per il lo gli una un della del di uomo donna in da che è",
        "pt": "e com para o os as uma um do da dos das em não é feminino masculino",
        "nl": "en met voor het een van de dames heren op is uit bij",
        "sv": "och med för en ett av till dam herr är på som",
        "pl": "i z dla w na ze oraz do jest się damskie męskie damska męska",
    }.items()
}
"""Frequent words by language, to tell one from another."""
