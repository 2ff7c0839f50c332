"""What may be typed as an entry: what it is stored as, or what is wrong with it and what is offered."""

from typing import Any

from allowlist.policy.problems import Problem

LONGEST_LABEL = "a" * 63
LONGEST_HOST = ".".join([LONGEST_LABEL] * 3 + ["a" * 61])

# fmt: off
ACCEPTED_DOMAINS = {
    "origin": {
        "https://example.com": "https://example.com", "http://example.com": "http://example.com",
        "https://example.com:8443": "https://example.com:8443",
        "http://localhost:3000": "http://localhost:3000", "http://[::1]:3000": "http://[::1]:3000",
        "http://127.0.0.1:8000": "http://127.0.0.1:8000", "http://intranet": "http://intranet",
        "HTTPS://Example.COM": "https://example.com", "https://example.com:443": "https://example.com",
        "http://example.com:80": "http://example.com", "https://example.com:80": "https://example.com:80",
        "https://example.com/": "https://example.com", "http://localhost:3000/": "http://localhost:3000",
        "https://example.com.": "https://example.com", "http://127.0.0.1.": "http://127.0.0.1",
        "http://[0:0::0:1]": "http://[::1]", "http://[2001:DB8::7]:80": "http://[2001:db8::7]",
        "http://[::ffff:1.2.3.4]": "http://[::ffff:102:304]",
        "https://b\xfccher.de:8443": "https://xn--bcher-kva.de:8443",
    },
    "origin wildcard": {
        "https://*.example.com": "https://*.example.com",
        "https://*.example.com:8443": "https://*.example.com:8443",
        "https://*.example.com:443": "https://*.example.com",
    },
    "host": {
        "example.com": "example.com", "localhost": "localhost", "127.0.0.1": "127.0.0.1",
        " \texample.com\r\n": "example.com", "example.com/": "example.com", "example.com.": "example.com",
        "fa\xdf.de": "xn--fa-hia.de", "xn--fa-hia.de": "xn--fa-hia.de", "XN--FA-HIA.de": "xn--fa-hia.de",
        "xn--fh0da.de": "xn--fh0da.de", "bu\u0308cher.de": "xn--bcher-kva.de",
        "\u03c3\u03c2.gr": "xn--3xab.gr", "\U0001f4a9.la": "xn--ls8h.la",
        "\u65e5\u672c\u3002jp": "xn--wgv71a.jp", "\uff45xample.com": "example.com",
        "exam\xadple.com": "example.com", "a_b.example.com": "a_b.example.com",
        "_a.example.com": "_a.example.com", "a--b.example.com": "a--b.example.com", "1and1.com": "1and1.com",
        f"{LONGEST_LABEL}.com": f"{LONGEST_LABEL}.com", LONGEST_HOST: LONGEST_HOST, "co.uk": "co.uk",
        "site.github.io": "site.github.io",
    },
    "wildcard": {
        "*.example.com": "*.example.com", "*.localhost": "*.localhost", "*.test": "*.test",
        "*.example.com.": "*.example.com", "*.B\xdcCHER.de": "*.xn--bcher-kva.de",
    },
}
"""The canonical text of each text, by the forms of the entry."""
REFUSED_DOMAINS: dict[Problem, list[Any]] = {
    Problem.EMPTY: ["", "\t \n"],
    Problem.NOT_TEXT: [None, b'example.com', ['example.com']],
    Problem.TOO_LONG: ["a" * 1001, "https://" + "a." * 50_000],
    Problem.SEVERAL: [
        "example.com,example.org", "example.com;example.org", "example.com\nexample.org",
        "example.com\rexample.org",
    ],
    Problem.SPACES: ["example.com example.org", "exam\tple.com", "exam\xa0ple.com"],
    Problem.CONTROL: [
        "example.com\x00", "example.com\x0b", "\x1cexample.com", "exam\x0cple.com", "\x7fexample.com",
        "example.com\ud800", "\ue000.com",
    ],
    Problem.NULL: ["null", "NULL"],
    Problem.EVERYTHING: ["*", "*:80", "*.*", "https://*", "http://*:3000"],
    Problem.SCHEME: [
        ("ftp://example.com", "https://example.com"), "file:///etc/hosts", "chrome-extension://abcdef",
        "capacitor://localhost", "about:blank", "data:text/html", ("ws://example.com", "http://example.com"),
        ("wss://example.com:1", "https://example.com:1"),
        ("//example.com", "https://example.com", "http://example.com"),
        ("https:example.com", "https://example.com"), ("http:/example.com", "http://example.com"),
        "https:\\\\example.com", "https:",
    ],
    Problem.NO_HOST: ["https://", "https:///", "https://:443", ".", "*."],
    Problem.USERINFO: [
        ("https://me@example.com", "https://example.com"),
        ("https://me:pw@example.com:1", "https://example.com:1"), ("me@example.com", "example.com"),
        ("me:pw@example.com", "example.com"), ("mailto:me@example.com", "example.com"),
        ("https://a@b@example.com", "https://example.com"),
        ("https://me@example.com/path", "https://example.com"), "https://@",
    ],
    Problem.PATH: [
        ("https://example.com/path", "https://example.com"), ("https://example.com//", "https://example.com"),
        ("https://example.com?q=1", "https://example.com"),
        ("https://example.com/#top", "https://example.com"), ("example.com/path", "example.com"),
        ("example.com?q", "example.com"),
        ("example.com:8080/path", "https://example.com:8080", "http://example.com:8080"),
        ("https://*.example.com/a", "https://*.example.com"),
        ("https://example.com/@evil.com", "https://example.com"), ("127.0.0.1/index.html", "127.0.0.1"),
        "/path", "https://*.com/path",
    ],
    Problem.BACKSLASH: ["https://evil.com\\@example.com", "example.com\\"],
    Problem.PERCENT: ["https://exam%70le.com", "http://[fe80::1%25eth0]"],
    Problem.PORT: [
        ("https://example.com:0", "https://example.com"),
        ("https://example.com:65536", "https://example.com"),
        ("https://example.com:0443", "https://example.com:443"),
        ("https://example.com:", "https://example.com"), ("https://example.com:http", "https://example.com"),
        ("https://example.com:1:2", "https://example.com"), ("http://[::1]:0", "http://[::1]"),
        ("example.com:", "example.com"), ("example.com:99999", "example.com"),
        ("https://example.com:\u0661", "https://example.com"),
    ],
    Problem.HOST_PORT: [
        ("example.com:8080", "https://example.com:8080", "http://example.com:8080"),
        ("example.com:8080/", "https://example.com:8080", "http://example.com:8080"),
        ("localhost:3000", "https://localhost:3000", "http://localhost:3000"),
        ("*.example.com:1", "https://*.example.com:1", "http://*.example.com:1"),
    ],
    Problem.BARE_IPV6: [
        ("::1", "https://[::1]", "http://[::1]"), ("[::1]", "https://[::1]", "http://[::1]"),
        ("[::1]:80", "https://[::1]:80", "http://[::1]:80"),
    ],
    Problem.BRACKETS: [
        ("http://::1", "http://[::1]"), ("http://::1:3000", "http://[::1]:3000", "http://[::1:3000]"),
        ("http://::1:30000", "http://[::1]:30000"), "http://[::1", "http://[::1]x",
        "http://[::1].example.com", "http://[zz]", "http://[1.2.3.4]",
    ],
    Problem.NETWORK_AS_DOMAIN: ["203.0.113.0/24", "2001:db8::/32", "203.0.113.7/24", "0.0.0.0/0"],
    Problem.WILDCARD: [
        ("a.*.example.com", "*.example.com"), ("www*.example.com", "*.example.com"),
        ("*www.example.com", "*.www.example.com"), ("*example.com", "*.example.com"),
        ("**.example.com", "*.example.com"), ("*.*.example.com", "*.example.com"),
        ("https://a.*.example.com:1", "https://*.example.com"), "example.*", "www.*.com",
    ],
    Problem.WILDCARD_ADDRESS: ["*.127.0.0.1", "http://*.127.0.0.1", "*.[::1]", "http://*.[::1]:3000"],
    Problem.LEADING_DOT: [
        (".example.com", "*.example.com", "example.com"),
        ("https://.example.com", "https://*.example.com", "https://example.com"), ".com",
    ],
    Problem.EMPTY_LABEL: [
        ("a..example.com", "a.example.com"), ("https://example..com:1", "https://example.com:1"),
        ("example.com..", "example.com."), "\uff0eexample.com",
    ],
    Problem.LONG_LABEL: [f"{LONGEST_LABEL}a.com", "\xfc" * 60 + ".com"],
    Problem.LONG_HOST: [f"{LONGEST_HOST}a"],
    Problem.HYPHEN: [
        "-example.com", "example.com-", "a-.example.com", "a.-b.example.com", "https://*.-a.com",
        "xn--example-.com",
    ],
    Problem.HOST: [
        "exam!ple.com", "https://exam(ple).com", "a\u200db.com", "\uff0a.example.com",
        "example\uff0fpath.com", "example.com\uff1a80", "me\uff20example.com", "\uff58\uff4e--a.com",
    ],
    Problem.PUNYCODE: [
        "xn--a.com", "a.xn--zzzzzzzzzz99.com", "xn--example.com", "xn--bcher-kva\xfc.de", "xn--bcher-2pa.de",
        "xn---bcher-4ya.de", "\xad-b\xfccher.de",
    ],
    Problem.ODD_IPV4: [
        ("0x7f.1", "127.0.0.1"), ("127.1", "127.0.0.1"), ("127.0.0.01", "127.0.0.1"),
        ("2130706433", "127.0.0.1"), ("http://0x7f.1", "http://127.0.0.1"),
        ("\uff11\uff12\uff17.0.0.1", "127.0.0.1"), "1.2.3.256", "1.2.3.4.5", "example.1",
        "https://example.0x1.",
    ],
    Problem.SINGLE_LABEL: [
        ("intranet", "https://intranet", "http://intranet"),
        ("intranet.", "https://intranet", "http://intranet"),
    ],
}
"""The texts with each problem; a text with guesses is a tuple that starts with the text."""
MATCHES = {
    "https://example.com": (
        "https://example.com https://EXAMPLE.com.:443",
        ("http://example.com https://example.com:8443 https://www.example.com https://example.com.evil.com"
        " https://notexample.com https://example.co"),
    ),
    "https://example.com:8443": ("https://example.com:8443", "https://example.com http://example.com:8443"),
    "http://localhost:3000": (
        "http://localhost:3000",
        "http://localhost:3001 https://localhost:3000 http://a.localhost:3000",
    ),
    "http://[::1]:3000": (
        "http://[::1]:3000 http://[0:0:0:0:0:0:0:1]:3000",
        "http://[::1] http://[::2]:3000 http://127.0.0.1:3000",
    ),
    "https://*.example.com": (
        "https://a.example.com https://a.b.c.example.com https://A.EXAMPLE.com.",
        ("https://example.com http://a.example.com https://a.example.com:8443"
        " https://aexample.com https://a.example.com.evil.com"),
    ),
    "https://*.example.com:8443": (
        "https://a.example.com:8443",
        "https://a.example.com https://example.com:8443 http://a.example.com:8443",
    ),
    "example.com": (
        "https://example.com http://example.com http://example.com:8080 https://Example.COM.:1",
        "https://www.example.com https://example.com.evil.com https://example.org",
    ),
    "localhost": ("http://localhost https://localhost:3000", "http://a.localhost http://127.0.0.1"),
    "127.0.0.1": (
        "http://127.0.0.1 https://127.0.0.1:8443",
        "http://127.0.0.2 http://[::ffff:127.0.0.1] http://localhost",
    ),
    "*.example.com": (
        "https://a.example.com http://a.example.com:8080 http://a.b.c.example.com",
        ("https://example.com http://example.com:8080 https://badexample.com"
        " https://a.example.com.evil.com https://com"),
    ),
    "*.localhost": ("http://a.localhost:3000", "http://localhost:3000"),
    "fa\xdf.de": ("https://xn--fa-hia.de https://XN--FA-HIA.de", "https://fass.de"),
    "*.b\xfccher.de": ("https://www.xn--bcher-kva.de", "https://xn--mein-xn--bcher-kva.de"),
    # Saving refuses it since the public-suffix list knows it. Stored before, it keeps matching.
    "*.github.io": ("https://site.github.io", "https://github.io"),
}
"""The pages that each entry matches, and pages that it doesn't match."""
ACCEPTED_IPS = {
    "address": {
        "203.0.113.7": "203.0.113.7", "2001:db8::7": "2001:db8::7", " 203.0.113.7\n": "203.0.113.7",
        "2001:DB8::7": "2001:db8::7", "2001:0db8:0:0:0:0:0:7": "2001:db8::7", "203.0.113.7/32": "203.0.113.7",
        "2001:db8::7/128": "2001:db8::7", "::ffff:203.0.113.7": "203.0.113.7",
        "::FFFF:cb00:7107": "203.0.113.7", "::ffff:203.0.113.7/128": "203.0.113.7", "127.0.0.1": "127.0.0.1",
        "::1": "::1", "fe80::1": "fe80::1", "255.255.255.254": "255.255.255.254",
    },
    "network": {
        "203.0.113.0/24": "203.0.113.0/24", "2001:db8::/32": "2001:db8::/32",
        "2001:db8:0:0::/32": "2001:db8::/32", "::ffff:203.0.113.0/120": "203.0.113.0/24",
        "::ffff:10.0.0.0/104": "10.0.0.0/8", "10.0.0.0/8": "10.0.0.0/8", "2000::/3": "2000::/3",
        "::/1": "::/1", "0.0.0.0/8": "0.0.0.0/8",
    },
}
REFUSED_IPS: dict[Problem, list[Any]] = {
    Problem.EMPTY: ["", " \t\n"],
    Problem.NOT_TEXT: [None, 3405803783],
    Problem.TOO_LONG: ["1" * 1001, "1" * 100_000],
    Problem.SEVERAL: ["203.0.113.7,203.0.113.8", "203.0.113.7;203.0.113.8", "203.0.113.7\n203.0.113.8"],
    Problem.SPACES: ["203.0.113.7 203.0.113.8"],
    Problem.CONTROL: ["203.0.113.7\x00", "203.0.113.7\x0b", "203.0.113.7\ud800"],
    Problem.ZONE: [
        ("fe80::1%eth0", "fe80::1"), ("fe80::1%25eth0", "fe80::1"), ("fe80::%eth0/64", "fe80::"),
        ("::ffff:1.2.3.4%1", "::ffff:1.2.3.4"),
    ],
    Problem.PREFIX: [
        ("203.0.113.0/024", "203.0.113.0/24"), ("10.0.0.0/08", "10.0.0.0/8"), ("10.0.0.1/08", "10.0.0.0/8"),
        ("2001:db8::/032", "2001:db8::/32"), ("203.0.113.0/255.255.255.0", "203.0.113.0/24"),
        ("203.0.113.7/255.255.255.0", "203.0.113.0/24"), ("203.0.113.0/0.0.0.255", "203.0.113.0/24"),
        "2001:db8::/ffff:ffff::", "203.0.113.0/33", "2001:db8::/129", "203.0.113.0/", "203.0.113.0/+24",
        "203.0.113.0/-1", "203.0.113.0/24/24", "203.0.113.0/\u0662\u0664", "203.0.113.0/00",
    ],
    Problem.HOST_BITS: [
        ("203.0.113.7/24", "203.0.113.0/24"), ("2001:db8::1/32", "2001:db8::/32"),
        ("::ffff:203.0.113.7/120", "203.0.113.0/24"), "203.0.113.7/7",
    ],
    Problem.TOO_WIDE: ["8.0.0.0/7", "::ffff:8.0.0.0/103"],
    Problem.EVERY_ADDRESS: ["0.0.0.0/0", "::/0", "::ffff:0:0/96", "*", "*.*.*.*"],
    Problem.MULTICAST: ["224.0.0.1", "239.0.0.0/8", "ff02::1", "ff00::/8", "::ffff:224.0.0.1"],
    Problem.UNSPECIFIED: ["0.0.0.0", "0.0.0.0/32", "::", "::ffff:0.0.0.0"],
    Problem.BROADCAST: ["255.255.255.255", "::ffff:255.255.255.255"],
    Problem.IP_PORT: [
        ("203.0.113.7:443", "203.0.113.7"), ("[2001:db8::7]:443", "2001:db8::7"),
        ("[2001:DB8::7]", "2001:DB8::7"), "999.0.113.7:443",
    ],
    Problem.IP_WILDCARD: [
        ("203.0.113.*", "203.0.113.0/24"), ("203.0.*.*", "203.0.0.0/16"), ("203.0.*", "203.0.0.0/16"),
        ("203.*", "203.0.0.0/8"), "999.*",
    ],
    Problem.ODD_IPV4: [
        ("203.0.113.07", "203.0.113.7"), ("203.000.113.7", "203.0.113.7"), ("010.0.0.0/8", "10.0.0.0/8"),
        "203.0.113.256", "0x7f.1", "127.1", "203.0.113/24", "2130706433", "1.2.3.4.5",
    ],
    Problem.DOMAIN_AS_IP: [
        "example.com", "https://example.com", "http://203.0.113.7", "localhost", "*.example.com", "9gag.com",
        "example.com:8080", "example.com/path", "b\xfccher.de",
    ],
    Problem.NOT_AN_ADDRESS: [
        "203.0.113.7-203.0.113.9", "12345::", "2001:db8::g", "2001:db8", "[2001:db8::7", "/24", "12345::/16",
        "\uff11.2.3.4",
    ],
}
# fmt: on


def accepted(table: dict[str, dict[str, str]]) -> list[tuple[str, str, set[str]]]:
    """Return the table's rows: a text, its canonical text, its forms."""
    return [
        (text, canonical, set(forms.split()))
        for forms, texts in table.items()
        for text, canonical in texts.items()
    ]


def refused(table: dict[Problem, list[Any]]) -> list[tuple[Any, Problem, tuple[str, ...]]]:
    """Return the table's rows: a text, its problem, its guesses."""
    rows = []
    for problem, texts in table.items():
        for each in texts:
            text, *guesses = each if isinstance(each, tuple) else (each,)
            rows.append((text, problem, tuple(guesses)))
    return rows


def matches() -> list[tuple[str, str, bool]]:
    """Return each entry with each of its pages, and whether it matches."""
    return [
        (entry, page, found)
        for entry, pages in MATCHES.items()
        for found, texts in zip((True, False), pages, strict=True)
        for page in texts.split()
    ]


def short(value: object) -> str:
    """Return a test's id for a value, however long."""
    return ascii(value)[:60]
