"""Hostile ``Origin`` and ``Referer`` headers, by what becomes of them.

A text of `both` is tried as ``Origin`` and as ``Referer``, which may go on after its host. So a `page` is
malformed as Origin and a page of a listed site as Referer, an `other_page` one of a site that isn't listed.
"""

from collections.abc import Iterable

from . import HIDDEN, MALFORMED, MISSING, NOT_LISTED, OK, OPAQUE, Group, Row, wire

SHOP = "https://shop.example.com"
EVIL = "https://evil.net"
LABEL = "a" * 63
LONGEST = ".".join([LABEL] * 3 + ["a" * 44, "wild.example.com"])
assert len(LONGEST) == 253

OUTCOMES = {
    "ok": (OK, OK),
    "not_listed": (NOT_LISTED, NOT_LISTED),
    "malformed": (MALFORMED, MALFORMED),
    "opaque": (OPAQUE, MALFORMED),
    "page": (MALFORMED, OK),
    "other_page": (MALFORMED, NOT_LISTED),
}
"""What becomes of a text as ``Origin`` and as ``Referer``."""


def both(name: str, source: str, **texts: Iterable[str]) -> Group:
    """Return a group whose texts are tried as either header."""
    return Group(
        name,
        source,
        tuple(
            Row(f"{header}: {text[:70]!a}", {header: text}, expected)
            for outcome, each in texts.items()
            for text in each
            for header, expected in zip(("Origin", "Referer"), OUTCOMES[outcome], strict=True)
        ),
    )


def referer(name: str, source: str, **texts: Iterable[str]) -> Group:
    """Return a group whose texts are tried as ``Referer`` alone."""
    rows = both(name, source, **texts).rows
    return Group(name, source, tuple(row for row in rows if "Referer" in row.headers))


# fmt: off
PAGES = [
    both("honest",
        ("RFC 6454 section 6.2 and Fetch, 'serializing a request origin'; RFC 9110 section 5.5 for blanks "
         "around"),
        ok=[
            "https://shop.example.com", "https://shop.example.com:8443", "https://shop.example.com:443",
            "HTTPS://shop.example.com", "https://SHOP.EXAMPLE.COM", "hTTps://sHop.eXample.cOm",
            "https://shop.example.com.", "https://shop.example.com.:8443", "  https://shop.example.com ",
            "\thttps://shop.example.com\t", "http://localhost:3000", "http://[::1]:3000",
            "http://[0:0:0:0:0:0:0:1]:3000", "http://[0000:0000:0000:0000:0000:0000:0000:0001]:3000",
            "http://[::0.0.0.1]:3000", "http://[::ffff:cb00:7107]", "http://[::FFFF:203.0.113.7]:80",
            "https://host.example.com", "http://host.example.com", "http://host.example.com:1",
            "https://host.example.com:65535", "http://127.0.0.1:8000", "http://127.0.0.1.",
            "https://a.wild.example.com", "https://a.b.c.d.e.f.wild.example.com",
            "https://_dmarc.a_b.wild.example.com", "https://1.2.3.4.wild.example.com",
            "https://a--b.wild.example.com", "https://xn--shp-fmd.wild.example.com",
            "https://A.WILD.EXAMPLE.COM.:443", f"https://{LABEL}.wild.example.com", f"https://{LONGEST}",
            f"https://{LONGEST}.:443", "http://a.any.example.org:81",
            "https://wild.example.com.wild.example.com", "https://evil.net.wild.example.com",
            "https://xn--fa-hia.de", "https://XN--FA-HIA.DE", "https://www.xn--bcher-kva.example",
        ],
    ),
    both("look-alike: before the host",
        ("PortSwigger, 'Exploiting CORS misconfigurations for Bitcoins and bounties' (2016): origins "
         "matched by their end"),
        not_listed=[
            "https://evilshop.example.com", "https://evil-shop.example.com", "https://evil_shop.example.com",
            "https://evil.shop.example.com", "https://shop.example.comshop.example.com",
            "https://0shop.example.com", "https://xn--shop.example.com", "https://evilhost.example.com",
            "https://evil.host.example.com", "https://evilwild.example.com", "https://evil-wild.example.com",
            "https://wild.example.com", "https://wild.example.com.", "https://any.example.org",
            "https://example.com", "https://mild.example.com", "http://evil.localhost:3000",
            "https://p.example.com",
        ],
        malformed=["http://1.127.0.0.1", "http://1127.0.0.1"],
    ),
    both("look-alike: after the host",
        "PortSwigger, as above: origins matched by their start; the tests of jub0bs/cors",
        not_listed=[
            "https://shop.example.comevil", "https://shop.example.com.evil.net",
            "https://shop.example.com-evil.net", "https://shop.example.com_evil.net",
            "https://shop.example.com1", "https://shop.example.com.au", "https://shop.example.com.com",
            "https://host.example.com.evil.net", "https://a.wild.example.com.evil.net",
            "https://a.wild.example.comx", "http://localhost.evil.net:3000",
            "http://localhost.localdomain:3000", "http://localhostx:3000", "http://127.0.0.1.evil.net",
            "http://127.0.0.1.nip.io", "http://127.0.0.11", "https://shop.example.co", "https://shop",
            "https://a.wild.example",
        ],
        malformed=["http://127.0.0.1.1", "https://"],
    ),
    both("look-alike: a character of the host",
        "CWE-777 (regular expressions without anchors, '.' unescaped); dnstwist's kinds of typo-squatting",
        not_listed=[
            "https://shopXexample.com", "https://shop-example.com", "https://shop_example.com",
            "https://shopexample.com", "https://sho.pexample.com", "https://s.hop.example.com",
            "https://shp.example.com", "https://shopp.example.com", "https://hsop.example.com",
            "https://shop.exanple.com", "https://shop.exam0le.com", "https://sh0p.example.com",
            "https://shop.examp1e.com", "https://shop.exarnple.com", "https://a.vvild.example.com",
            "https://shops.example.com", "https://shop.example.cm", "https://s-hop.example.com",
            "https://com.example.shop", "https://www.shop.example.com",
        ],
    ),
    both("dots and hyphens",
        ("RFC 1034 section 3.1 and RFC 1123 section 2.1 for labels; WHATWG URL, 'forbidden host' and "
         "VerifyDnsLength"),
        malformed=[
            "https://shop.example.com..", "https://shop.example.com...", "https://.shop.example.com",
            "https://.wild.example.com", "https://shop..example.com", "https://a..wild.example.com",
            "https://.", "https://...", "https://.:443", "https://-shop.example.com",
            "https://shop-.example.com", "https://-.wild.example.com", "https://-",
            "https://shop.example.com-",
            "https://shop.example.com.-", f"https://{LABEL}a.wild.example.com", f"https://a{LONGEST}",
            f"https://a.{LONGEST}.", "https://" + "a." * 125 + "wild.example.com",
            "https://*.wild.example.com", "https://*", "https://a*.wild.example.com",
        ],
        not_listed=["https://shop.exam_ple.com"],
    ),
    both("schemes",
        "RFC 6454 section 4: the scheme is part of the origin; WHATWG URL, 'special scheme'",
        not_listed=[
            "http://shop.example.com", "https://localhost:3000", "http://a.wild.example.com",
            "http://shop.example.com:443", "https://https",
        ],
        malformed=[
            "ws://host.example.com", "wss://host.example.com", "ftp://host.example.com",
            "file://host.example.com", "file://", "javascript://host.example.com",
            "data:text/html,https://shop.example.com", "blob:https://shop.example.com",
            "filesystem:https://shop.example.com", "view-source:https://shop.example.com", "about:blank",
            "about:srcdoc", "chrome-extension://aapbdbdomjkkjkaonfhkkikfgjllcleb",
            "moz-extension://9b0c4a3e-1f53-4d8f-9b2a-0c9d1e2f3a4b", "safari-web-extension://host.example.com",
            "resource://host.example.com", "chrome://host.example.com", "devtools://devtools",
            "capacitor://localhost:3000", "ionic://localhost:3000", "app://host.example.com",
            "tauri://localhost:3000", "android-app://host.example.com", "isolated-app://host.example.com",
            "ipfs://host.example.com", "gopher://host.example.com", "mailto:me@host.example.com",
            "urn:host.example.com", "https+unix://host.example.com", "httpss://host.example.com",
            "shttp://host.example.com", "htt://host.example.com", "h2://host.example.com",
            "https://https://shop.example.com", "https ://shop.example.com", "https.://shop.example.com",
        ],
    ),
    both("slashes and relative forms",
        ("WHATWG URL, 'special authority slashes state': browsers read these as absolute, headers never "
         "hold them"),
        malformed=[
            "shop.example.com", "shop.example.com:443", "//shop.example.com", "/shop.example.com",
            "https:shop.example.com", "https:/shop.example.com", "https:///shop.example.com",
            "https://////shop.example.com", "https//shop.example.com", "https:://shop.example.com",
            "://shop.example.com", "origin=https://shop.example.com", "Origin: https://shop.example.com",
        ],
    ),
    both("after the host",
        "RFC 6454 section 7.1: an origin has no path; OWASP, 'Testing Cross Origin Resource Sharing'",
        page=[
            "https://shop.example.com/", "https://shop.example.com/widget", "https://shop.example.com?a",
            "https://shop.example.com#a", "https://shop.example.com?", "https://shop.example.com#",
            "https://shop.example.com:8443/", "https://shop.example.com/../evil.net",
        ],
        malformed=["https://shop.example.com;a", "https://shop.example.com&a", "https://shop.example.com=a"],
        other_page=[
            "https://evil.net/https://shop.example.com", "https://evil.net/shop.example.com",
            "https://evil.net/.wild.example.com", "https://evil.net?https://shop.example.com",
            "https://evil.net?.wild.example.com", "https://evil.net#https://shop.example.com",
            "https://evil.net#.wild.example.com", "https://evil.net/;a.wild.example.com",
            "https://evil.net/:443",
        ],
    ),
    both("userinfo",
        ("RFC 3986 section 7.6 (semantic attacks); Orange Tsai, 'A New Era of SSRF' (2017): URL parsers "
         "that disagree"),
        malformed=[
            "https://shop.example.com@evil.net", "https://shop.example.com:443@evil.net",
            "https://a:shop.example.com@evil.net", "https://evil.net@shop.example.com",
            "https://me@shop.example.com", "https://me:secret@shop.example.com", "https://@shop.example.com",
            "https://:@shop.example.com", "https://shop.example.com@evil.net@shop.example.com",
            "https://shop.example.com:443@", "https://shop.example.com%40evil.net",
            wire("https://shop.example.com\uff20evil.net"), wire("https://shop.example.com\ufe6bevil.net"),
            "https://evil.net@a.wild.example.com", "https://evil.net @shop.example.com",
            "https://[@shop.example.com",
        ],
        page=[
            "https://shop.example.com/@evil.net", "https://shop.example.com?@evil.net",
            "https://shop.example.com#@evil.net",
        ],
        other_page=[
            "https://evil.net#@shop.example.com", "https://evil.net?@shop.example.com",
            "https://evil.net/@shop.example.com",
        ],
    ),
    both("backslash",
        ("WHATWG URL: '\\' is '/' in special URLs, RFC 3986 knows none; CVE-2018-3774 (url-parse) and "
         "CVE-2020-26291 (URI.js)"),
        malformed=[
            "https://evil.net\\@shop.example.com", "https://shop.example.com\\@evil.net",
            "https://evil.net\\.wild.example.com", "https://shop.example.com\\",
            "https://shop.example.com\\.evil.net", "https:\\\\shop.example.com", "https:/\\shop.example.com",
            "https:\\/shop.example.com", "https://\\shop.example.com", "https://shop.example.com\\:443",
            "https://shop\\.example\\.com", "https://shop.example.com\\x2eevil.net",
            "https://shop\\u002eexample.com", "https://evil.net\xa5@shop.example.com",
            wire("https://evil.net\uff3c@shop.example.com"),
        ],
    ),
    both("control characters and blanks",
        ("WHATWG URL strips tabs and newlines (CVE-2022-0391, bpo-43882 in urllib.parse); RFC 9110 "
         "section 5.5 forbids them"),
        malformed=[
            "https://shop.\texample.com", "https://shop.\nexample.com", "https://shop.\rexample.com",
            "ht\ttps://shop.example.com", "https\n://shop.example.com", "https://shop.example.com:84\t43",
            "https:/\t/shop.example.com", "https://shop.example.com\n", "\nhttps://shop.example.com",
            "https://shop.example.com\nnull", "https://shop.example.com\nhttps://evil.net",
            "https://shop.example.com\r", "https://evil.net\r\nOrigin: https://shop.example.com",
            "https://shop.example.com\r\n .evil.net", "https://evil.net\r\n\r\nhttps://shop.example.com",
            "https://shop.example.com\x0b", "\x0chttps://shop.example.com", "https://shop.example.com\x1c",
            "\x1fhttps://shop.example.com", "\x1b[0mhttps://shop.example.com",
            "https://evil.net\x08\x08\x08shop.example.com", "https://shop.example.com\x7f",
            "https://shop.example.com\x85", "\xa0https://shop.example.com", "https://shop.example.com\x00",
            "\x00https://shop.example.com", "https://shop.example.com\x00.evil.net",
            "https://evil.net\x00.wild.example.com", "\x00", "https://shop. example.com",
            "https://evil.net .wild.example.com", "https://shop.example.com :443",
            "https://shop.example.com: 443", "https:// shop.example.com", " \n https://shop.example.com",
        ],
    ),
    both("percent-encoding",
        ("WHATWG URL decodes hosts, RFC 6454 origins never hold escapes; PortSwigger's URL validation "
         "bypass cheat sheet"),
        malformed=[
            "https://shop%2eexample.com", "https://shop%2Eexample%2Ecom", "https://%73hop.example.com",
            "https://evil.net%2f.wild.example.com", "https://evil.net%252f.wild.example.com",
            "https://evil.net%5c.wild.example.com", "https://evil.net%3f.wild.example.com",
            "https://evil.net%23.wild.example.com", "https://evil.net%00.wild.example.com",
            "https://evil.net%0a.wild.example.com", "https://shop%09.example.com",
            "https://shop.example.com%20", "https://shop.example.com%3a443", "https://sh%c2%adop.example.com",
            "https://shop%ef%bc%8eexample.com", "https://fa%c3%9f.de", "https://shop%c0%aeexample.com",
            "https://shop.example.com%", "https://shop.example.com%zz", "https%3A%2F%2Fshop.example.com",
            "https://shop%u002eexample.com", "https://shop&#46;example.com", "https://shop=2Eexample.com",
            "=?utf-8?q?https=3A//shop.example.com?=",
        ],
    ),
    both("characters that parsers let through",
        ("Corben Leo, 'Advanced CORS Exploitation Techniques' (2018): browsers that sent hosts with such "
         "characters"),
        malformed=[
            *(f"https://evil.net{char}.wild.example.com" for char in ",;!'\"()*+=$&~`{}|^<>"),
            "https://shop.example.com`.evil.net", "'https://shop.example.com'", '"https://shop.example.com"',
            "<https://shop.example.com>", "(https://shop.example.com)", '["https://shop.example.com"]',
            "${https://shop.example.com}", "${jndi:ldap://evil.net/a}", "' OR '1'='1",
            "https://%.example.com", "https://.*", "https://(shop|evil).example.com",
            "https://{0}.example.com", "https://%s.example.com", "../../shop.example.com",
        ],
        not_listed=["https://sho_.example.com"],
        other_page=["https://sho?.example.com"],
    ),
    both("lists",
        ("RFC 6454 section 7.1 once allowed lists by spaces, RFC 9110 section 5.3 joins duplicates by "
         "commas; Fetch has neither"),
        malformed=[
            "https://evil.net, https://shop.example.com", "https://shop.example.com, https://evil.net",
            "https://shop.example.com, https://shop.example.com", "https://shop.example.com,https://evil.net",
            "https://shop.example.com https://evil.net", "https://shop.example.com\thttps://evil.net",
            "https://shop.example.com;https://evil.net", "https://shop.example.com|https://evil.net",
            "https://shop.example.com,", ",https://shop.example.com", "https://shop.example.com, ",
            ", https://shop.example.com", ",", "null, https://shop.example.com",
            "https://shop.example.com, null", "null, null", "null null", "https://shop.example.com,evil.net",
            "https://shop.example.com:443,8443", wire("https://shop.example.com\uff0chttps://evil.net"),
            "https://shop.example.com, *",
        ],
    ),
    both("empty values and words",
        "Fetch: an opaque origin is 'null', exactly; OWASP: whitelisted 'null'; CWE-346",
        opaque=["null", " null\t"],
        malformed=[
            "NULL", "Null", "null.", "null\x00", '"null"', "null://", "null\n",
            wire("\uff4e\uff55\uff4c\uff4c"), "", " ", "\t", " \t \t ", "*", "None", "undefined", "true", "0",
            "same-origin", "'self'", "unknown", "-", "opaque", "[]", "{}", "[object Object]", "NaN",
        ],
        not_listed=["https://null"],
    ),
    both("ports",
        "WHATWG URL, 'port state': digits up to 65535; RFC 6454 section 4: the port is part of the origin",
        not_listed=[
            "https://shop.example.com:444", "https://shop.example.com:80", "http://shop.example.com:8443",
            "http://localhost", "https://shop.example.com:844", "https://a.wild.example.com:8443",
        ],
        malformed=[
            "https://shop.example.com:84430", "https://shop.example.com:", "https://shop.example.com.:",
            "https://host.example.com:0", "https://host.example.com:00000", "https://shop.example.com:0443",
            "https://shop.example.com:00443", "https://host.example.com:65536",
            "https://shop.example.com:65979", "https://shop.example.com:4294967739",
            "https://host.example.com:99999", "https://host.example.com:100000",
            "https://shop.example.com:+443", "https://shop.example.com:-443",
            "https://shop.example.com:0x1bb", "https://shop.example.com:443e0",
            "https://shop.example.com:443.0", "https://shop.example.com:8_443",
            "https://shop.example.com:https", "https://shop.example.com:*",
            "https://shop.example.com:443:443", "https://shop.example.com::443",
            "https://shop.example.com:\u0664\u0664\u0663",
            wire("https://shop.example.com:\uff14\uff14\uff13"), "https://shop.example.com:44\xb3",
            "https://:443", "https://shop.example.com:443.evil.net", "https://shop.example.com:" + "4" * 5000,
        ],
    ),
    both("brackets and IPv6",
        ("RFC 3986 section 3.2.2, RFC 6874 (zones), WHATWG 'IPv6 parser'; CVE-2024-11168 (urllib.parse "
         "and brackets)"),
        not_listed=[
            "http://[::2]:3000", "http://[::1]:3001", "http://[::1]", "http://[::]:3000",
            "http://[::ffff:127.0.0.1]", "http://[::127.0.0.1]", "http://[64:ff9b::127.0.0.1]",
            "http://[2002:7f00:1::]", "http://[::1:3000]", "http://0--1.ipv6-literal.net:3000",
        ],
        malformed=[
            "http://::1:3000", "https://[::1].wild.example.com", "http://[::1]evil.net",
            "http://[::1]@evil.net", "http://[::1].:3000", "https://[shop.example.com]",
            "https://[shop.example.com]:443", "http://[127.0.0.1]", "http://[v1.fe80::a]",
            "http://[::1%25lo]:3000", "http://[::1%lo]:3000", "http://[::1%1]:3000", "http://[::1:3000",
            "http://::1]:3000", "http://[[::1]]:3000", "http://[]:3000", "http://[ ::1]:3000",
            "http://[1:2:3:4:5:6:7:8:9]", "http://[0:0:0:0:0:0:1]:3000", "http://[::1::]:3000",
            "http://[:::1]:3000", "http://[::00001]:3000", "http://[::g]:3000", "http://[::12345]",
            "http://[::1/128]:3000",
            "http://[::ffff:203.0.113.07]", "http://[::ffff:203.0.113.256]", "http://[::ffff:203.0.113]",
            "http://[::203.0.113.7:1]", "http://(::1):3000", "http://%5b::1%5d:3000",
            wire("http://[\uff1a\uff1a1]:3000"),
        ],
    ),
    both("odd IPv4",
        ("WHATWG URL, 'IPv4 parser' and 'ends in a number checker'; CVE-2021-29921 (leading zeros in "
         "ipaddress); inet_aton"),
        malformed=[
            "http://127.1", "http://127.0.1", "http://2130706433", "http://0x7f.0.0.1", "http://127.0.0.0x1",
            "http://0x7f000001", "http://0X7F.0.0.1", "http://0177.0.0.1", "http://017700000001",
            "http://127.0.0.08", "http://127.0.0.01", "http://127.000.000.001", "http://127.0.0.256",
            "http://383.0.0.1", "http://6425673729", "http://127.0.0.0.1", "http://127.0.0.1..",
            "http://127..0.1", "http://127.0.0.-1", "http://0", "http://127.0.0.0x",
            "https://a.wild.example.com.1", "https://a.wild.example.com.0xa",
            wire("http://\uff11\uff12\uff17.0.0.1"), wire("http://\u2460\u2461\u2466.0.0.1"),
            "http://127.0.0.\xb9",
        ],
        page=["http://127.0.0.1/8"],
        not_listed=[
            "http://127.0.0.2", "http://0.0.0.0", "http://127.0.0.1a", "http://1.0.0.127.in-addr.arpa",
            "http://localhost:8000", "https://127.0.0.1.localhost:3000",
        ],
    ),
    both("IDN and homographs, as browsers send them",
        "Unicode UTS 39 confusables, UTS 46; Gabrilovich and Gontmakher, 'The Homograph Attack' (2002)",
        not_listed=[
            "https://xn--shp-ted.example.com", "https://xn--n1ae5d4v.example.com",
            "https://xn--shp-bzc.example.com", "https://xn--sop-ree.example.com",
            "https://shop.xn--exmple-cxc.com", "https://a.xn--wld-jua.example.com",
            "https://xn--shp-hna.example.com", "https://xn--shop-t0c.example.com",
            "https://xn--9dbd1a4b.example.com", "https://xn--hop-no1l.example.com",
            "https://xn--shop.example.com-2v5o.evil.net", "https://xn--com-vc2a.evil.net", "https://fass.de",
            "https://xn--fa-64s.de", "https://xn--fa-g9b.de", "https://www.buecher.example",
            "https://www.bucher.example", "https://www.xn--bucher-xyd.example",
            "https://xn--bcher-kva.example", "https://xn--e88h.example.com",
        ],
    ),
    both("punycode that does not round-trip",
        ("RFC 3492, RFC 5891 section 5.4 and UTS 46 validity; headers are compared undecoded, entries are "
         "judged at save"),
        malformed=[
            "https://xn--shop-.example.com", "https://xn--shop--.example.com", "https://xn--.example.com",
            "https://xn--xn--shp-fmd-.example.com", "https://xn----.example.com",
            "https://xn--" + "a" * 60 + ".wild.example.com",
        ],
        not_listed=[
            "https://xn--a.example.com", "https://xn--99999999999.example.com",
            "https://xn--BCHER-2pa.example", "https://xn--fa-hia.de.evil.net",
            "https://xn--shop-676a.example.com", "https://xn--shop-rga.example.com",
            "https://xn--shopexample-7e3j.com", "https://xn--evil-y89x.net", "https://xn--0o8a.example.com",
            "https://xn--fa-hib.de", "https://bq--fa-hia.de", "https://xn__fa-hia.de",
            "https://shop.example.xn--com",
        ],
    ),
    both("Unicode that normalises to the site",
        ("UTS 46 mapping table and CVE-2019-9636, CVE-2019-10160 (NFKC in urlsplit); HostSplit (Birch, "
         "Black Hat 2019)"),
        malformed=[
            wire("https://\uff53hop.example.com"), wire("https://\uff53\uff48\uff4f\uff50.example.com"),
            wire("https://\u017fhop.example.com"), wire("https://\u212aelvin.any.example.org"),
            wire("https://\U0001d42c\U0001d421op.example.com"), wire("https://\u24e2hop.example.com"),
            wire("https://a.w\ufb01ld.example.com"), wire("https://evil.\u2105.wild.example.com"),
            wire("https://evil.n\u2100.wild.example.com"), wire("https://shop\u3002example.com"),
            wire("https://shop\uff0eexample.com"), wire("https://shop\uff61example.com"),
            wire("https://shop\u2024example.com"), wire("https://sh\xadop.example.com"),
            wire("https://shop\u200b.example.com"), wire("https://sh\u200dop.example.com"),
            wire("https://sh\u2060op.example.com"), wire("https://shop\ufe0f.example.com"),
            wire("\ufeffhttps://shop.example.com"), wire("https://\u202emoc.elpmaxe.pohs"),
            wire("https://evil.net\uff0f.wild.example.com"), wire("https://evil.net\uff1f.wild.example.com"),
            wire("https://evil.net\uff03.wild.example.com"), wire("\uff48ttps://shop.example.com"),
            wire("http\u017f://shop.example.com"), wire("https://a.w\u0130ld.example.com"),
            wire("https://fa\xdf.de"), wire("https://www.b\xfccher.example"),
        ],
    ),
    both("bytes beyond ASCII",
        "PEP 3333: header bytes arrive decoded as latin-1; RFC 9110 section 5.5: obs-text is opaque data",
        malformed=[
            "https://fa\xdf.de", "https://www.b\xfccher.example", "https://shop.example.com\xff",
            "https://shop.example.com\x80", "\xfe\xffhttps://shop.example.com",
            "https://shop.example.com".encode("utf-16-le").decode("latin-1"),
            "+AGgAdAB0AHAAcw-://shop.example.com", "https://shop\x81Dexample.com",
            "https://evil.net\x81.wild.example.com", "https://evil.net\xc0\xaf.wild.example.com",
            "https://evil.net\xc0\x80.wild.example.com", "https://shop.example.com\xe2\x80",
            "https://shop.example.com\xed\xa0\x80", "https://shop.example.com\udc80",
            "https://\ud800.wild.example.com", "https://shop\u3002example.com",
            "https://\uff53hop.example.com", "https://\u212a.any.example.org",
            "https://\u017fhop.example.com", "https://sh\xbap.example.com",
            "https://evil.net\xa6.wild.example.com", "https://\xd7.wild.example.com",
        ],
    ),
    both("70 kB and more",
        "CWE-1333 (slow regular expressions) and CWE-400; servers pass on 8 to 64 kB, some more",
        malformed=[
            *("a" * 70_000, "\x00" * 70_000, "\n" * 70_000, "\xff" * 70_000, " \t" * 35_000),
            "null, " * 12_000,
            *("https://" + text for text in ("a" * 70_000, "." * 70_000, "-" * 70_000, "[" * 70_000)),
            *("https://" + text for text in ("a-" * 35_000 + "!", "xn--a." * 12_000, "%25" * 23_000)),
            *("https://" + text + "wild.example.com" for text in ("a@" * 35_000, "\\" * 70_000, " " * 9)),
            "https://" + "a." * 35_000 + "wild.example.com", "https://[" + ":" * 70_000 + "]",
            "https://host.example.com:" + "1" * 70_000, "http://" + "1." * 35_000 + "1",
            "https://" * 8_800 + "shop.example.com", "h" * 70_000 + "://shop.example.com",
            ", ".join([SHOP] * 2_700), "https://shop.example.com" + "a" * 1_000_000,
        ],
        ok=[" " * 35_000 + SHOP + "\t" * 35_000],
    ),
    referer("Referer alone",
        "RFC 9110 section 10.1.3: an absolute URL or a partial one, without userinfo and fragment; CWE-293",
        ok=[
            "https://shop.example.com/products?id=1#top", "https://shop.example.com:8443/a",
            "https://a.wild.example.com/b", "http://[::1]:3000/a",
            "https://shop.example.com/?next=https://evil.net",
            "https://shop.example.com/\\evil.net", "https://shop.example.com//evil.net/",
            "https://shop.example.com/%00", "https://shop.example.com/a b",
            "https://shop.example.com/a, https://evil.net/",
            SHOP + "/" + "a" * 70_000, SHOP + "/" + "?#" * 35_000,
        ],
        not_listed=[
            "https://evil.net/shop.example.com/", "https://evil.net/?u=https://shop.example.com/",
            "https://evil.net/#https://shop.example.com/", "https://shop.example.com.evil.net/",
            EVIL + "/" + "a" * 70_000 + SHOP,
            "http://shop.example.com/",
        ],
        malformed=[
            "https://shop.example.com, https://evil.net/", "https://shop.example.com/\x00",
            "https://shop.example.com/a\tb", "https://shop.example.com/a\nb", "https://shop.example.com/\n",
            "https://shop.example.com/?a\r", "https://shop.example.com/#\x7f",
            "https://shop.example.com/caf\xe9", wire("https://shop.example.com/caf\xe9"),
            "https://shop.example.com/\xa0",
            SHOP + "/" + "a" * 70_000 + "\x00",
            "https://me@shop.example.com/", "https://shop.example.com\\/", "https://shop.example.com;/",
            "/products", "../", "//shop.example.com/", "about:client", "no-referrer",
            "android-app://com.example.shop/", '"https://shop.example.com/"',
        ],
    ),
]
SEVERAL: dict[str, list[dict[str, str]]] = {
    MISSING: [{}],
    OPAQUE: [{"Origin": "null", "Referer": SHOP}, {"Origin": "null", "Sec-Fetch-Site": "same-origin"}],
    NOT_LISTED: [{"Origin": EVIL, "Referer": SHOP}, {"Origin": EVIL, "Sec-Fetch-Site": "same-origin"}],
    MALFORMED: [
        {"Origin": "", "Referer": SHOP}, {"Origin": "\t", "Referer": SHOP}, {"Origin": "x", "Referer": SHOP},
        {"Origin": "NULL", "Referer": SHOP}, {"Referer": "", "Sec-Fetch-Site": "cross-site"},
    ],
    OK: [
        {"Origin": SHOP, "Referer": EVIL}, {"Origin": SHOP, "Referer": "\x00"},
        {"Referer": SHOP, "Sec-Fetch-Site": "cross-site"},
    ],
    HIDDEN: [
        {"Sec-Fetch-Site": text}
        for text in ("cross-site", "same-origin", "none", "", SHOP, "x" * 70_000, "\x00")
    ],
}
"""Headers that are sent together: Origin alone decides, else Referer; Sec-Fetch-Site never lets in."""
# fmt: on

PAGES.append(
    Group(
        "several headers",
        "Fetch, 'append a request Origin header'; RFC 9110 section 10.1.3",
        tuple(
            Row(f"{headers!a:.90}", headers, expected)
            for expected, sent in SEVERAL.items()
            for headers in sent
        ),
    )
)
FOREIGN = {
    **dict.fromkeys(
        ("X-Origin", "_Origin", "Sec-Origin", "Sec-WebSocket-Origin", "True-Client-Origin", "Referrer"), SHOP
    ),
    **dict.fromkeys(("X-Original-URL", "X-Rewrite-URL", "X-Wap-Profile", "Ping-From"), f"{SHOP}/"),
    **dict.fromkeys(("Host", "X-Forwarded-Host", "X-HTTP-Host-Override", "Via"), "shop.example.com"),
    **dict.fromkeys(("Access-Control-Allow-Origin", "Timing-Allow-Origin"), SHOP),
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Port": "8443",
    "From": "me@shop.example.com",
    "Forwarded": "host=shop.example.com;proto=https",
    "Cookie": f"origin={SHOP}; allowlist=1",
    "User-Agent": f"Mozilla/5.0 (+{SHOP})",
    "X-Requested-With": "XMLHttpRequest",
    "Sec-Fetch-Mode": "cors",
    "Sec-Fetch-Dest": "empty",
    "Sec-Fetch-User": "?1",
    "Sec-Fetch-Storage-Access": "active",
    "Access-Control-Request-Method": "GET",
}
"""Headers that name a listed site, or that browsers send too: none of them is read."""
