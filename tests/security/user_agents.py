"""The commonest user agents, and what a person calls the devices that send them."""

MOZILLA = "Mozilla/5.0"
WINDOWS = f"{MOZILLA} (Windows NT 10.0; Win64; x64"
MAC = f"{MOZILLA} (Macintosh; Intel Mac OS X 10_15_7)"
LINUX = f"{MOZILLA} (X11; Linux x86_64"
BLINK = "AppleWebKit/537.36 (KHTML, like Gecko)"
WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
ANDROID = f"{MOZILLA} (Linux; Android 10; K) {BLINK}"
GALAXY = f"{MOZILLA} (Linux; Android 15; SM-S921B Build/AP3A; wv) {BLINK} Version/4.0"
PIXEL = f"{MOZILLA} (Linux; Android 15; Pixel 9 Build/BP1A; wv) {BLINK} Version/4.0"
IPHONE = f"{MOZILLA} (iPhone; CPU iPhone OS 18_5 like Mac OS X) {WEBKIT}"
IPAD = f"{MOZILLA} (iPad; CPU OS 17_6 like Mac OS X) {WEBKIT}"
DESK = "Chrome/142.0.0.0 Safari/537.36"
PHONE = "Chrome/142.0.0.0 Mobile Safari/537.36"

COMMON = {
    f"{WINDOWS}) {BLINK} {DESK}": "Chrome on Windows",
    f"{MAC} {BLINK} {DESK}": "Chrome on macOS",
    f"{LINUX}) {BLINK} {DESK}": "Chrome on Linux",
    f"{ANDROID} {PHONE}": "Chrome on Android",
    f"{IPHONE} Version/18.5 Mobile/15E148 Safari/604.1": "Safari on iPhone",
    f"{MAC} {WEBKIT} Version/18.5 Safari/605.1.15": "Safari on macOS",
    f"{WINDOWS}; rv:144.0) Gecko/20100101 Firefox/144.0": "Firefox on Windows",
    f"{MOZILLA} (Macintosh; Intel Mac OS X 10.15; rv:144.0) Gecko/20100101 Firefox/144.0": (
        "Firefox on macOS"
    ),
    f"{LINUX}; rv:144.0) Gecko/20100101 Firefox/144.0": "Firefox on Linux",
    f"{MOZILLA} (X11; Ubuntu; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0": (
        "Firefox on Linux"
    ),
    f"{MOZILLA} (Android 15; Mobile; rv:144.0) Gecko/144.0 Firefox/144.0": "Firefox on Android",
    f"{WINDOWS}) {BLINK} {DESK} Edg/142.0.0.0": "Edge on Windows",
    f"{MAC} {BLINK} {DESK} Edg/142.0.0.0": "Edge on macOS",
    f"{ANDROID} {PHONE} EdgA/142.0.0.0": "Edge on Android",
    f"{IPHONE} Version/18.0 EdgiOS/142.0.3595.66 Mobile/15E148 Safari/604.1": "Edge on iPhone",
    f"{IPHONE} CriOS/142.0.7444.77 Mobile/15E148 Safari/604.1": "Chrome on iPhone",
    f"{IPAD} CriOS/142.0.7444.77 Mobile/15E148 Safari/604.1": "Chrome on iPad",
    f"{IPAD} Version/17.6 Mobile/15E148 Safari/604.1": "Safari on iPad",
    f"{IPHONE} FxiOS/144.0 Mobile/15E148 Safari/605.1.15": "Firefox on iPhone",
    f"{WINDOWS}) {BLINK} Chrome/140.0.0.0 Safari/537.36 OPR/124.0.0.0": "Opera on Windows",
    f"{ANDROID} Chrome/140.0.0.0 Mobile Safari/537.36 OPR/92.0.0.0": "Opera on Android",
    (
        f"{MOZILLA} (Linux; Android 15; SAMSUNG SM-S928B) {BLINK} SamsungBrowser/28.0 "
        "Chrome/130.0.0.0 Mobile Safari/537.36"
    ): "Samsung Internet on Android",
    f"{ANDROID} SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36": (
        "Samsung Internet on Android"
    ),
    f"{WINDOWS}) {BLINK} Chrome/138.0.0.0 Safari/537.36 YaBrowser/25.8.0.0": (
        "Yandex Browser on Windows"
    ),
    f"{WINDOWS}) {BLINK} Chrome/140.0.0.0 Safari/537.36 Vivaldi/7.6.3797.63": "Vivaldi on Windows",
    f"{MAC} {BLINK} {DESK} DuckDuckGo/7 Ddg/18.6": "DuckDuckGo on macOS",
    f"{IPHONE} Version/18.6 Mobile/15E148 DuckDuckGo/7 Safari/605.1.15": "DuckDuckGo on iPhone",
    f"{IPHONE} Version/18.6 Mobile/15E148 Safari/604.1 Ddg/18.6": "DuckDuckGo on iPhone",
    f"{MOZILLA} (X11; CrOS x86_64 14541.0.0) {BLINK} {DESK}": "Chrome on ChromeOS",
    f"{MOZILLA} (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko": (
        "Internet Explorer on Windows"
    ),
    (
        f"{MOZILLA} (Linux; U; Android 13; en-US; V2202) {BLINK} Version/4.0 "
        "Chrome/100.0.4896.58 UCBrowser/13.9.0.1353 Mobile Safari/537.36"
    ): "UC Browser on Android",
    (
        f"{MOZILLA} (Linux; Android 14; 23049PCD8G Build/UKQ1) {BLINK} Version/4.0 "
        "Chrome/112.0.5615.136 Mobile Safari/537.36 XiaoMi/MiuiBrowser/14.40.0-gn"
    ): "Mi Browser on Android",
    (
        f"{MOZILLA} (Linux; Android 12; NOH-AN00 Build/HUAWEINOH) {BLINK} "
        "Chrome/114.0.5735.196 HuaweiBrowser/16.0.6.301 Mobile Safari/537.36"
    ): "Huawei Browser on Android",
    (
        f"{MOZILLA} (Phone; OpenHarmony 5.0) {BLINK} Chrome/132.0.0.0 Safari/537.36  "
        "ArkWeb/6.0.0.47 Mobile HuaweiBrowser/5.1.6.303"
    ): "Huawei Browser on HarmonyOS",
    f"{WINDOWS}) {BLINK} Chrome/123.0.0.0 Safari/537.36 QQBrowser/19.4.6": "QQ Browser on Windows",
    f"{IPHONE} Mobile/15E148 MicroMessenger/8.0.61(0x18003d2f) NetType/WIFI Language/zh_CN": (
        "WeChat on iPhone"
    ),
    (
        f"{MOZILLA} (Linux; Android 14; wv) {BLINK} Version/4.0 Chrome/130.0.6723.103 "
        "Mobile Safari/537.36 XWEB/1300333 MMWEBSDK/20250201 "
        "MicroMessenger/8.0.61.2880(0x28003D50)"
    ): "WeChat on Android",
    (
        f"{IPHONE} Mobile/15E148 "
        "[FBAN/FBIOS;FBAV/530.0.0.40.70;FBBV/793000000;FBDV/iPhone15,2;FBMD/iPhone;FBSN/iOS]"
    ): "Facebook on iPhone",
    f"{GALAXY} Chrome/142.0.7444.48 Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/535.0.0.49.72;]": (
        "Facebook on Android"
    ),
    f"{IPHONE} Mobile/22F76 Instagram 385.0.0.23.82 (iPhone15,2; iOS 18_5; en_US)": (
        "Instagram on iPhone"
    ),
    f"{GALAXY} Chrome/142.0.7444.48 Mobile Safari/537.36 Instagram 405.1.0.57.77 Android": (
        "Instagram on Android"
    ),
    f"{IPHONE} GSA/388.0.811331708 Mobile/15E148 Safari/604.1": "Google on iPhone",
    f"{PIXEL} Chrome/142.0.7444.48 Mobile Safari/537.36 GSA/16.43.50": "Google on Android",
    f"{PIXEL} Chrome/142.0.7444.48 Mobile Safari/537.36": "Chrome on Android",
    (
        f"{MOZILLA} (SMART-TV; Linux; Tizen 8.0) {BLINK} SamsungBrowser/7.0 "
        "Chrome/108.0.5359.1 TV Safari/537.36"
    ): "Samsung Internet on Tizen",
    f"{MOZILLA} (Web0S; Linux/SmartTV) {BLINK} Chrome/120.0.0.0 Safari/537.36 WebAppManager": (
        "Chrome on webOS"
    ),
    f"{MOZILLA} (PlayStation; PlayStation 5/10.00) {WEBKIT} Version/15.4 Safari/605.1.15": (
        "Safari on PlayStation"
    ),
    f"{WINDOWS}) {BLINK} Chrome/142.0.0.0 Electron/39.0.0 Safari/537.36": "Chrome on Windows",
    "curl/8.14.1": "curl",
    "python-requests/2.32.4": "Python",
    "okhttp/5.1.0": "OkHttp",
    "MyApp/3 CFNetwork/3826.500.131 Darwin/24.5.0": "macOS",
    "Dart/3.9 (dart:io)": "Dart",
}
