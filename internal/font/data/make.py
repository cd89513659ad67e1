#!/usr/bin/python3
"""Makes the font files of internal/font from Debian's packages. Run it in this folder, on Debian 12:

    apt-get install -y fonts-noto-cjk=1:20220127+repack1-1 python3-fonttools unicode-data
    /usr/bin/python3 make.py

It writes codepoints.txt, NotoSerifSC-Regular.otf, NotoSerifSC-Bold.otf, SHA256SUMS and ../testdata/tgh.txt.
The same package versions give the same bytes.

The repertoire is, as far as the font has it:
  - GBK: every two-byte code of GBK and of GB 18030 that has a Unicode character outside the private use area;
  - the whole General Standard Chinese Character List (通用规范汉字表, 2013: 8,105 characters), from the field
    kTGH of the Unicode Han database (Debian package unicode-data, Unihan_OtherMappings.txt.bz2);
  - ASCII, the upper half of Latin-1, general punctuation, currency signs, number forms, CJK symbols and
    punctuation, enclosed and squared CJK, half- and full-width forms.
The script stops when the font lacks a character of the standard list. Of GBK it lacks one sign, U+2252.
"""
import bz2
import hashlib
import sys

from fontTools import subset
from fontTools.ttLib import TTCollection

SOURCE = "/usr/share/fonts/opentype/noto/NotoSerifCJK-%s.ttc"
UNIHAN = "/usr/share/unicode/Unihan_OtherMappings.txt.bz2"
SC = 2  # number of the font for simplified Chinese in the collection
BLOCKS = [
    (0x0020, 0x007E), (0x00A0, 0x00FF), (0x2010, 0x2027), (0x2030, 0x205E), (0x20A0, 0x20BF),
    (0x2150, 0x218B), (0x2460, 0x24FF), (0x2500, 0x25FF), (0x3000, 0x303F), (0x3100, 0x312F), (0x3200, 0x33FF),
    (0xFF01, 0xFFEE),
]


def gbk():
    found = set()
    for lead in range(0x81, 0xFF):
        for trail in range(0x40, 0xFF):
            for codec in ("gbk", "cp936", "gb18030"):
                try:
                    text = bytes([lead, trail]).decode(codec)
                except UnicodeDecodeError:
                    continue
                if len(text) == 1 and not 0xE000 <= ord(text) <= 0xF8FF:
                    found.add(ord(text))
    return found


def tgh():
    numbered = {}
    with bz2.open(UNIHAN, "rt", encoding="utf-8") as lines:
        for line in lines:
            fields = line.rstrip("\n").split("\t")
            if len(fields) == 3 and fields[1] == "kTGH":
                for entry in fields[2].split():
                    year, number = entry.split(":")
                    if year == "2013":
                        numbered[int(number)] = int(fields[0][2:], 16)
    assert sorted(numbered) == list(range(1, 8106)), "kTGH is not the whole list"
    return [numbered[i] for i in range(1, 8106)]


def ranges(points):
    runs = []
    for p in sorted(points):
        if runs and p == runs[-1][1] + 1:
            runs[-1][1] = p
        else:
            runs.append([p, p])
    return runs


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)
    print(path, len(data))


def main():
    standard, national = tgh(), gbk()
    extra = {p for a, b in BLOCKS for p in range(a, b + 1)}
    wanted = None
    for weight in ("Regular", "Bold"):
        font = TTCollection(SOURCE % weight).fonts[SC]
        font.recalcTimestamp = False
        cmap = font.getBestCmap()
        missing = sorted((set(standard) | national) - set(cmap))
        if missing:
            print("the font lacks", " ".join("U+%04X" % p for p in missing))
        if set(standard) - set(cmap):
            sys.exit("a character of the standard list is missing")
        have = (set(standard) | national | extra) & set(cmap)
        if wanted is not None and have != wanted:
            sys.exit("the two weights differ")
        wanted = have
        options = subset.Options()
        options.hinting = False
        options.layout_features = []
        options.name_IDs = [0, 1, 2, 3, 4, 5, 6, 13, 14]
        options.name_languages = [0x409]
        options.notdef_outline = True
        options.glyph_names = False
        options.recalc_timestamp = False
        options.drop_tables += ["BASE", "GSUB", "GPOS", "GDEF", "VORG", "vhea", "vmtx", "DSIG"]
        job = subset.Subsetter(options)
        job.populate(unicodes=sorted(have))
        job.subset(font)
        subset.save_font(font, "NotoSerifSC-%s.otf" % weight, options)

    head = "# Code points of NotoSerifSC-*.otf, in hexadecimal, as ranges; made by make.py.\n"
    lines = ["%04X" % a if a == b else "%04X-%04X" % (a, b) for a, b in ranges(wanted)]
    write("codepoints.txt", (head + "\n".join(lines) + "\n").encode())
    head = (
        "# 通用规范汉字表 (2013), 8,105 characters in the order of the list: level one 1-3500, two 3501-6500, three 6501-8105.\n"
        "# From the field kTGH of the Unicode Han database 15.0. Copyright 1991-2022 Unicode, Inc.;\n"
        "# used under the Unicode terms, https://www.unicode.org/license.txt\n"
    )
    rows = [standard[i:i + 100] for i in range(0, len(standard), 100)]
    write("../testdata/tgh.txt", (head + "".join("".join(map(chr, r)) + "\n" for r in rows)).encode())
    sums = ""
    for name in ("NotoSerifSC-Bold.otf", "NotoSerifSC-Regular.otf", "OFL.txt", "codepoints.txt"):
        with open(name, "rb") as f:
            sums += "%s  %s\n" % (hashlib.sha256(f.read()).hexdigest(), name)
    write("SHA256SUMS", sums.encode())
    print(len(wanted), "characters,", len(standard), "of the standard list,", len(national), "of GBK")


main()
