"""The parser, with the examples of the format's own page (https://fountain.io/syntax)."""

import time

import pytest
from screenplays import fountain, layout, paper
from screenplays.fountain import Element, parse


def kinds(text: str) -> list[tuple[str, str]]:
    return [(element.kind, element.text) for element in parse(text).elements]


def test_scene_headings() -> None:
    text = (
        "EXT. BRICK'S POOL - DAY\n\nSteel, in the middle of a heated phone call, slaps at the "
        "water.\n\n.SNIPER SCOPE POV\n\n...where the second boxer went.\n\n"
        "int house - day\n\nInterior thoughts."
    )

    assert kinds(text) == [
        ("scene", "EXT. BRICK'S POOL - DAY"),
        ("action", "Steel, in the middle of a heated phone call, slaps at the water."),
        ("scene", "SNIPER SCOPE POV"),
        ("action", "...where the second boxer went."),
        ("scene", "int house - day"),
        ("action", "Interior thoughts."),
    ]


@pytest.mark.parametrize("number", ["1", "1A", "1a", "A1", "I-1-A", "110A", "1."])
def test_scene_numbers(number: str) -> None:
    scene = Element("scene", "INT. HOUSE - DAY", number=number)

    assert parse(f"INT. HOUSE - DAY #{number}#").elements == (scene,)


def test_characters_and_their_dialogue() -> None:
    text = (
        "STEEL\nThe man's a myth!\n\nMOM (O. S.)\nLuke! Come down for supper!\n\n"
        "HANS (on the radio)\nWhat was it you said?\n\n@McCLANE\nYippie ki-yay!\n\n"
        "R2D2\n(whistling)\nBeep.\n~A song\n\n23\nIs not a name."
    )

    assert kinds(text) == [
        ("character", "STEEL"),
        ("dialogue", "The man's a myth!"),
        ("character", "MOM (O. S.)"),
        ("dialogue", "Luke! Come down for supper!"),
        ("character", "HANS (on the radio)"),
        ("dialogue", "What was it you said?"),
        ("character", "McCLANE"),
        ("dialogue", "Yippie ki-yay!"),
        ("character", "R2D2"),
        ("parenthetical", "(whistling)"),
        ("dialogue", "Beep."),
        ("lyrics", "A song"),
        ("action", "23\nIs not a name."),
    ]


def test_a_line_of_two_spaces_is_in_the_dialogue() -> None:
    text = "DEALER\nTen.\nFour.\n  \nHit or stand sir?\n\nMONKEY\nDude, I'm a monkey."

    assert kinds(text)[:5] == [
        ("character", "DEALER"),
        ("dialogue", "Ten."),
        ("dialogue", "Four."),
        ("dialogue", ""),
        ("dialogue", "Hit or stand sir?"),
    ]


def test_dual_dialogue() -> None:
    found = parse("BRICK\nScrew retirement.\n\nSTEEL ^\nScrew retirement.").elements

    assert [one.is_dual for one in found if one.kind == "character"] == [False, True]
    assert found[2].text == "STEEL"


def test_transitions_and_centered_text() -> None:
    text = "Jack begins to argue.\n\nCUT TO:\n\nEXT. POOL - DAY\n\n> Burn to White.\n\n> THE END <"

    assert kinds(text) == [
        ("action", "Jack begins to argue."),
        ("transition", "CUT TO:"),
        ("scene", "EXT. POOL - DAY"),
        ("transition", "Burn to White."),
        ("centered", "THE END"),
    ]


def test_forced_action_and_what_capitals_alone_mean() -> None:
    text = "!SCANNING THE AISLES...\nWhere is that pit boss?\n\nBANG\n\n    Indented action."

    assert kinds(text) == [
        ("action", "SCANNING THE AISLES...\nWhere is that pit boss?"),
        ("action", "BANG"),
        ("action", "    Indented action."),
    ]


def test_sections_synopses_page_breaks_notes_and_the_boneyard() -> None:
    text = (
        "# Act\n\n## Sequence\n\n= Set up the characters.\n\nHe sits.[[Why?\n  \nBecause.]]\n\n"
        "/*\nCUT TO:\n\nINT. NOWHERE\n*/\n===\n\nHe [[ is\n\nnot ]] up."
    )

    assert kinds(text) == [
        ("section", "Act"),
        ("section", "Sequence"),
        ("synopsis", "Set up the characters."),
        ("action", "He sits."),
        ("page_break", ""),
        ("action", "He [[ is"),
        ("action", "not ]] up."),
    ]


def test_the_title_page() -> None:
    text = (
        "Title:\n    _**BRICK & STEEL**_\n    _**FULL RETIRED**_\nCredit: Written by\n"
        "Author: Stu Maschwitz\nDraft date: 1/20/2012\n\nEXT. POOL - DAY\n"
    )

    script = parse(text)

    assert script.title_page == (
        ("Title", "_**BRICK & STEEL**_\n_**FULL RETIRED**_"),
        ("Credit", "Written by"),
        ("Author", "Stu Maschwitz"),
        ("Draft date", "1/20/2012"),
    )
    assert [element.kind for element in script.elements] == ["scene"]


def test_fade_in_is_not_a_title_page() -> None:
    assert kinds("FADE IN:\n\nEXT. POOL - DAY") == [
        ("action", "FADE IN:"),
        ("scene", "EXT. POOL - DAY"),
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("*italics*", "<i>italics</i>"),
        ("**bold**", "<b>bold</b>"),
        ("***bold italics***", "<b><i>bold italics</i></b>"),
        ("_underline_", "<u>underline</u>"),
        ("_the *Leupold Mark 4* scope_.", "<u>the <i>Leupold Mark 4</i> scope</u>."),
        (r"**\*9765\***", "<b>*9765*</b>"),
        ("He dialed *69 and then *23, and hung up.", "He dialed *69 and then *23, and hung up."),
        (
            "He dialed *69 and then 23*, and hung up.",
            "He dialed <i>69 and then 23</i>, and hung up.",
        ),
        ("a * b * c", "a * b * c"),
        ("*one\ntwo*", "*one\ntwo*"),
    ],
)
def test_emphasis(text: str, shown: str) -> None:
    assert fountain.emphasized(text) == shown


@pytest.mark.parametrize(
    "piece", ["[[", "/*", "*a ", "_", "(", "#a", " \t", "\n", "A\nb\n\n", "a:b\n", "> <\n", "*_"]
)
def test_no_text_takes_long(piece: str) -> None:
    """An expression that goes back over the text would take 64 times as long for the second."""

    def seconds(length: int) -> float:
        text = "A " + piece * (length // len(piece)) + " B"
        begun = time.process_time()
        layout.document("Slow", parse(text))
        return time.process_time() - begun

    assert seconds(160_000) < 32 * max(seconds(20_000), 0.001)


def test_nothing_in_a_screenplay_becomes_html() -> None:
    evil = "<script>alert(1)</script>"
    text = f"Title: {evil}\n\nINT. {evil} #<b>#\n\n{evil}\n\nEVE\n({evil})\n{evil}\n\n> {evil} <"

    shown = layout.document(evil, parse(text))

    assert "<script" not in shown
    assert shown.count("&lt;script&gt;") == 7


def test_scenes_have_numbers_pages_and_lengths() -> None:
    long = "\n".join("Line." for _ in range(60))
    text = f"INT. ONE - DAY\n\nShort.\n\nEXT. TWO - DAY #7A#\n\n{long}\n\n===\n\nINT. THREE - DAY\n"

    script = parse(text)

    assert [
        (scene.number, scene.heading, scene.page, scene.pages) for scene in layout.scenes(script)
    ] == [
        ("1", "INT. ONE - DAY", 1, 0.125),
        ("7A", "EXT. TWO - DAY", 1, 2.0),
        ("3", "INT. THREE - DAY", 3, 0.125),
    ]
    assert paper.pages(script) == 3
    assert layout.scenes(parse("Only action.")) == []


def test_chinese_takes_twice_the_width() -> None:
    assert paper.pages(parse("山" * 30 * 56)) > paper.pages(parse("a" * 30 * 56))
