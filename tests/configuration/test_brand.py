"""The name, the color and the logo of the product."""

import struct
import zlib
from pathlib import Path

import pytest

from config import Settings
from configuration.brand import DARK, LEAST_CONTRAST, WHITE, contrast, lightened
from configuration.logo import MOST_BYTES
from configuration.refusals import SettingsRefused
from tests.cases import each

SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {}>{}</svg>'
)


def read(tmp_path: Path, **variables: str) -> Settings:
    return Settings.from_environment(variables, instance=tmp_path / "instance")


def refusal(tmp_path: Path, **variables: str) -> str:
    """The one sentence by which these variables are refused."""
    with pytest.raises(SettingsRefused) as refused:
        read(tmp_path, **variables)
    (reason,) = refused.value.reasons
    assert reason.startswith(f"{next(iter(variables))} ")
    return str(reason)


def png(padding: int = 0) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"\0\0")), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + b"\0" * padding


def webp(size: int = 12) -> bytes:
    return b"RIFF" + size.to_bytes(4, "little") + b"WEBPVP8L" + b"\0" * 4


def svg(inside: str = "", attributes: str = "") -> bytes:
    return SVG.format(attributes, inside).encode()


def written(folder: Path, content: bytes) -> str:
    """The path of a file with this content. Its name says nothing about it."""
    file = folder / "logo"
    file.write_bytes(content)
    return str(file)


# The name and the address


@each(
    ("variable", "text", "setting", "value"),
    [
        ("BRAND_NAME", " Acme, Inc. ", "brand_name", "Acme, Inc."),
        ("BRAND_NAME", "小" * 50, "brand_name", "小" * 50),
        ("SUPPORT_EMAIL", "help@bücher.example", "support_email", "help@xn--bcher-kva.example"),
        (
            "SECURITY_CONTACT",
            "security@example.com, https://example.com/security, tel:+1-201-555-0123",
            "security_contact",
            [
                *("mailto:security@example.com", "https://example.com/security"),
                "tel:+1-201-555-0123",
            ],
        ),
        ("BRAND_COLOR", "14532D", "brand_color", "#14532d"),
        ("BRAND_COLOR", "#14b", "brand_color", "#1144bb"),
        ("BRAND_COLOR", "#767676", "brand_color", "#767676"),
        ("BRAND_COLOR", "#000000", "brand_color", "#000000"),
    ],
)
def test_a_variable_sets_its_setting(
    tmp_path: Path, variable: str, text: str, setting: str, value: str
) -> None:
    assert getattr(read(tmp_path, **{variable: text}), setting) == value


@each(
    ("variable", "text", "reason"),
    [
        ("BRAND_NAME", "   ", "is empty, longer"),
        ("BRAND_NAME", "x" * 51, "longer than 50"),
        ("BRAND_NAME", "Acme\nBcc: x", "control character"),
        ("BRAND_NAME", "Acme\u202e", "control character"),
        ("BRAND_NAME", "help@acme.example", "an @"),
        ("BRAND_NAME", "=?utf-8?q?a?=", "encoded word"),
        ("SUPPORT_EMAIL", "help", "help@example.com"),
        ("SUPPORT_EMAIL", "Help <help@example.com>", "help@example.com"),
        ("SUPPORT_EMAIL", "a@example.com?subject=x", "help@example.com"),
        ("SECURITY_CONTACT", "http://example.com", "neither an address nor a URI"),
        ("SECURITY_CONTACT", "security@example.com\nExpires: 2099", "neither an address"),
        ("TEMPLATES_DIR", "/no/such/folder", "one that exists"),
        ("TEMPLATES_DIR", __file__, "one that exists"),
        ("BRAND_COLOR", "blue", "Write one like #1d4ed8"),
        ("BRAND_COLOR", "#12345", "Write one like #1d4ed8"),
        ("BRAND_COLOR", "#1d4ed8ff", "Write one like #1d4ed8"),
        ("BRAND_COLOR", "#777777", "contrast with white is 4.47."),
        ("BRAND_COLOR", "#fff", "contrast with white is 1.00."),
    ],
)
def test_a_bad_value_is_refused(tmp_path: Path, variable: str, text: str, reason: str) -> None:
    assert reason in refusal(tmp_path, **{variable: text})


# The color


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", WHITE) == pytest.approx(21)
    assert contrast(WHITE, "#767676") == pytest.approx(4.54, abs=0.005)


def test_a_color_is_lightened_until_it_can_be_read_in_the_dark_and_no_further() -> None:
    for color in ("#000000", "#1d4ed8", "#14532d", "#b91c1c", "#767676", "#00008b"):
        lighter = lightened(color)

        assert contrast(lighter, DARK) >= LEAST_CONTRAST
        assert contrast(lighter, DARK) < LEAST_CONTRAST + 0.25
    assert lightened("#7aa2f7") == "#7aa2f7"


def test_the_brand_has_what_pages_show(tmp_path: Path) -> None:
    brand = read(tmp_path, BRAND_NAME="Acme", BRAND_COLOR="#00008b").brand

    assert (brand.name, brand.color, brand.logo) == ("Acme", "#00008b", None)
    assert brand.color_in_the_dark == lightened("#00008b")
    assert contrast(brand.color, brand.text) >= LEAST_CONTRAST
    assert contrast(brand.color_in_the_dark, brand.text_in_the_dark) >= LEAST_CONTRAST


# The logo


@each(
    ("content", "media_type"),
    [
        (png(), "image/png"),
        (png(MOST_BYTES - len(png())), "image/png"),
        (webp(), "image/webp"),
        (svg(), "image/svg+xml"),
        (
            b'<?xml version="1.0"?>\n' + svg("<title>Acme</title><path d='M0 0h1'/>"),
            "image/svg+xml",
        ),
        (
            b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" '
            b'"http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">' + svg(),
            "image/svg+xml",
        ),
        (
            svg(
                '<defs><linearGradient id="a"/></defs><style>path{fill:url(#a)}</style>'
                '<use xlink:href="#b"/><path id="b" fill="url( \'#a\' )" style="filter:url(#c)"/>'
                '<image href="data:image/png;base64,AAAA"/>'
            ),
            "image/svg+xml",
        ),
        (
            svg(
                '<n:namedview id="v"/><metadata><r:RDF><r:li r:resource="http://x"/></r:RDF></metadata>',
                'xmlns:n="http://www.inkscape.org/namespaces/inkscape" '
                'xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#" n:version="1.2"',
            ),
            "image/svg+xml",
        ),
    ],
)
def test_a_logo_is_read_with_its_kind(tmp_path: Path, content: bytes, media_type: str) -> None:
    logo = read(tmp_path, BRAND_LOGO=written(tmp_path, content)).brand.logo

    assert logo is not None
    assert (logo.content, logo.media_type) == (content, media_type)


@each(
    ("content", "reason"),
    [
        (b"", "cannot be read"),
        (b"GIF89a", "cannot be read"),
        (b"<html/>", "begins with <html>"),
        (b"<svg/>", "in the namespace http://www.w3.org/2000/svg"),
        (b"\x89PNG\r\n\x1a\n", "cannot be read"),
        (webp(size=1000), "cannot be read"),
        (png(MOST_BYTES - len(png()) + 1), "larger than 100 KiB"),
        (svg()[:-1], "cannot be read"),
        (svg("<script/>"), "<script>"),
        (svg("<foreignObject/>"), "<foreignObject>"),
        (svg('<a href="https://evil.example"/>'), "<a>"),
        (svg('<set attributeName="href" to="javascript:1"/>'), "<set>"),
        (svg('<x:script xmlns:x="http://www.w3.org/1999/xhtml"/>'), "<script>"),
        (svg('<x:style xmlns:x="http://www.w3.org/1999/xhtml"/>'), "<style>"),
        (svg('<x xmlns=""/>'), "<x>"),
        (svg('<x:listener xmlns:x="http://www.w3.org/2001/xml-events"/>'), "<listener>"),
        (svg(attributes='onload="x()"'), "onload"),
        (svg('<path ONCLICK="x()"/>'), "ONCLICK"),
        (svg('<use xlink:href="other.svg#a"/>'), "href leads outside"),
        (svg('<use href=" javascript:alert(1)"/>'), "href leads outside"),
        (svg('<image href="https://evil.example/a.png"/>'), "href leads outside"),
        (svg('<image href="data:image/svg+xml;base64,AAAA"/>'), "href leads outside"),
        (svg(attributes='xml:base="https://evil.example/"'), "base leads outside"),
        (svg('<path fill="url(https://evil.example/#a)"/>'), "fill loads"),
        (svg('<path style="fill:URL( //evil.example/#a)"/>'), "style loads"),
        (svg('<path style="fill:u\\72l(//evil.example)"/>'), "backslash"),
        (svg("<style>@im<![CDATA[port]]> '//evil.example';</style>"), "style loads"),
        (svg("<style>@im<style/>port '//evil.example';</style>"), "element in <style>"),
        (svg("<style>a{background:image-set('//evil.example')}</style>"), "style loads"),
        (b'<!DOCTYPE svg [<!ENTITY a "b">]>' + svg("&a;"), "declares entities"),
        (b'<?xml-stylesheet href="//evil.example"?>' + svg(), "<?xml-stylesheet?>"),
    ],
)
def test_a_logo_that_is_not_a_harmless_picture_is_refused(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    assert reason in refusal(tmp_path, BRAND_LOGO=written(tmp_path, content))


def test_a_logo_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    assert "not a file" in refusal(tmp_path, BRAND_LOGO=str(tmp_path / "none.png"))
    assert "not a file" in refusal(tmp_path, BRAND_LOGO=str(tmp_path))
    assert "Input/output error" in refusal(tmp_path, BRAND_LOGO="/proc/self/mem")


def test_the_digest_tells_one_logo_from_another(tmp_path: Path) -> None:
    digests = []
    for content in (png(), png(), png(1)):
        logo = read(tmp_path, BRAND_LOGO=written(tmp_path, content)).brand_logo
        assert logo is not None
        digests.append(logo.digest)

    assert digests[0] == digests[1] != digests[2]
    assert "IHDR" not in repr(logo)
