"""Names for devices, as people would say them: "Firefox on Linux".

A client can send any text as its user agent, and the names appear in mails and
pages. So no part of that text is ever repeated: it only selects a name from
the tables here.
"""

import re
from functools import lru_cache

UNKNOWN = "Unknown device"

# The first match counts: many programs also name other browsers, to be served the pages that are
# made for those.
PROGRAMS = (
    # Pages that open inside of an app.
    (r"FBAN/|FB_IAB/", "Facebook"),
    (r"Instagram ", "Instagram"),
    (r"GSA/", "Google"),
    (r"Edg(e|A|iOS)?/", "Edge"),
    (r"OPR/|OPT/|OPiOS/|Opera[/ ]", "Opera"),
    (r"SamsungBrowser/", "Samsung Internet"),
    (r"YaBrowser/", "Yandex Browser"),
    (r"UCBrowser/|UCWEB/", "UC Browser"),
    (r"HuaweiBrowser/", "Huawei Browser"),
    (r"MiuiBrowser/", "Mi Browser"),
    (r"QQBrowser/", "QQ Browser"),
    (r"MicroMessenger/", "WeChat"),
    (r"Vivaldi/", "Vivaldi"),
    (r"Brave/", "Brave"),
    (r"(DuckDuckGo|Ddg)/", "DuckDuckGo"),
    (r"(Thunderbird|Betterbird)/", "Thunderbird"),
    (r"(Firefox|FxiOS|Focus)/", "Firefox"),
    (r"(Chrome|CriOS|Chromium|HeadlessChrome)/", "Chrome"),
    (r"Epiphany/", "GNOME Web"),
    (r"Version/.*Safari/|MobileSafari/", "Safari"),
    (r"MSIE |Trident/", "Internet Explorer"),
    (r"PostmanRuntime/", "Postman"),
    (r"insomnia/", "Insomnia"),
    (r"curl/", "curl"),
    (r"Wget/", "Wget"),
    (r"HTTPie/", "HTTPie"),
    (r"Lynx/", "Lynx"),
    (r"w3m/", "w3m"),
    (r"ELinks|Links ", "Links"),
    (r"(python-requests|python-httpx|python-urllib3|aiohttp|Python-urllib|Python)/", "Python"),
    (r"Werkzeug/", "Werkzeug"),
    (r"(axios|node-fetch|undici|node)(/|$)", "Node"),
    (r"okhttp/", "OkHttp"),
    (r"Go-http-client/", "Go"),
    (r"(Apache-HttpClient|Java)/", "Java"),
    (r"(reqwest|hyper)/", "Rust"),
    (r"Dart/", "Dart"),
    (r"(GuzzleHttp|PHP)/", "PHP"),
    (r"Ruby|Faraday", "Ruby"),
    (r"PowerShell/", "PowerShell"),
)
SYSTEMS = (
    (r"Xbox", "Xbox"),
    (r"PlayStation", "PlayStation"),
    (r"Windows Phone", "Windows Phone"),
    (r"Windows|Win(32|64)\b", "Windows"),
    (r"iPhone|iPod", "iPhone"),
    (r"iPad", "iPad"),
    (r"HarmonyOS|OpenHarmony", "HarmonyOS"),
    (r"KAIOS/", "KaiOS"),
    (r"Tizen", "Tizen"),
    (r"Web0S|webOS", "webOS"),
    (r"Android", "Android"),
    (r"CrOS\b", "ChromeOS"),
    (r"Macintosh|Mac OS X|Darwin/", "macOS"),
    (r"FreeBSD", "FreeBSD"),
    (r"OpenBSD", "OpenBSD"),
    (r"Ubuntu|Fedora|Linux|X11", "Linux"),
)


@lru_cache(4096)
def name(user_agent: str | None) -> str:
    """Return a name from the tables, or two as in "Firefox on Linux", or ``UNKNOWN``."""
    program, system = (_first(table, user_agent or "") for table in (PROGRAMS, SYSTEMS))
    if program and system:
        return f"{program} on {system}"
    return program or system or UNKNOWN


def _first(table: tuple[tuple[str, str], ...], user_agent: str) -> str:
    # A name must be at the beginning of a word: "NotFirefox/1" does not match "Firefox/".
    return next((name for mark, name in table if re.search(rf"\b({mark})", user_agent)), "")
