"""Texts as people type them on phones and in word processors, in many languages, and
as those type them who try to break a page.
"""

TYPED = [
    "It\u2019s", "don\u2019t", "\u2018so\u2019", "\u201cquoted\u201d", "\u201eso\u201c",
    "\xabici\xbb", "wait\u2026", "a\u2014b", "9\u201317", "\u22125 \xb0C",
    "5\u2032 6\u2033", "\u2022 one", "a\xa0b", "a\tb", "a\u202fb", "so\xadft",
    "a\u200bb", "\ufeffstart", "a\u2060b", "\u200eleft", "\u202eevil", "x\ufe0f",
    "Z\xfcrich", "Zu\u0308rich", "caf\xe9", "ma\xf1ana", "\u0141\xf3d\u017a",
    "Stra\xdfe", "\xc5ngstr\xf6m", "\xc6r\xf8", "na\xefve", "\xbfqu\xe9?",
    "\xa1ol\xe9!", "\u0160koda", "\u010de\u0161tina", "Ti\u1ebfng Vi\u1ec7t",
    "\u0130stanbul", "x\u0301", "q\u0308", "\u0301", "a\u0301\u0302", "\ufb01ne",
    "x\xb2", "\xbd cup", "\u2460", "\u2122", "\uff21\uff22", "\U0001d400", "\u20ac5",
    "\xa35", "\xa9 me", "a \u2192 b", "a \u2260 b", "2 \xd7 3", "\xb1 1", "\u221a2",
    "\u03c0", "\u03b1\u03b2", "\u2713 done", "\U0001f389", "hi \U0001f600",
    "\u2764\ufe0f", "\U0001f469\u200d\U0001f4bb", "\U0001f1e8\U0001f1ed",
    "\U0001f44d\U0001f3fd", "1\ufe0f\u20e3", "\u05e9\u05dc\u05d5\u05dd",
    "\u0645\u0631\u062d\u0628\u0627", "a \u05e9 b",
    "\u0939\u093f\u0928\u094d\u0926\u0941", "\u0e44\u0e17\u0e22", "\ud55c\uae00",
    "\u6f22\u5b57", "\u3053\u3093", "\u041c\u0438\u0440", "\u039a\u03b1\u03bb\u03b7",
    "\u10d0", "\u0531", "\u4f60\u597d, hi", "\u02bbokina", "\u02bcn",
    "<script>window.hacked=1</script>", "<b>bold</b>", "</script>", "<!-- x -->",
    "&lt;b&gt;", "]]>", '"><img src=x onerror=window.hacked=1>',
    "javascript:window.hacked=1", "${window.hacked=1}", "{{1+1}}", "'; DROP TABLE",
    "\\", "\\n", '"""', "\\u0041", "%s%d", "__proto__", "constructor", "../../etc",
    "`x`", "\x7f", "a\x00b", "\x1b[0m", "\ud7a3", "\ue000", "\uffff", "\U0010ffff",
    "null", "NaN", "0", "-1", "1e309", "~", "!", "", " ", "  \xa0 ", "\u200b",
    "a  b   c", 'w' * 500, "two words " * 50, '\xe9' * 500,
]  # fmt: skip
