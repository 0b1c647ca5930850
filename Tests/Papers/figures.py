#!/usr/bin/env python3
"""Counts what tells how this source reads: sizes of files and functions, files to open for one thing, doc comments.

    Tests/Papers/figures.py                    the work tree
    Tests/Papers/figures.py --at REV           another commit beside it
    Tests/Papers/figures.py --comments MODULE  the doc comments that begin without a noun
    Tests/Papers/figures.py --json

The files of a walk are those that the section of the architecture article names; the files to change are those that
CONTRIBUTING.md lists. A commit without these papers has no such figures.
"""

import argparse
import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
ARCHITECTURE = "Sources/sluice/Documentation.docc/Architecture.md"
CONTRIBUTING = ".github/CONTRIBUTING.md"
# What is counted, by paper and heading.
WALKS = {
    "inbound packet": (ARCHITECTURE, "An inbound packet"),
    "outbound packet": (ARCHITECTURE, "An outbound packet"),
    "rekey": (ARCHITECTURE, "A rekey"),
    "configuration key": (CONTRIBUTING, "A configuration key"),
    "counter": (CONTRIBUTING, "A counter"),
    "drop reason": (CONTRIBUTING, "A drop reason"),
}
LONG_FUNCTION = 60
SHORT_FILE = 50
# A first sentence that names no subject, or begins with a word that points at something unsaid.
WITHOUT_NOUN = re.compile(
    r"(?:What|Who|Whom|Whose|Whoever|Whatever|Which|Where|When|How|Those|These|That|This|It|They|As|To be|To|For when|"
    r"Of|By|In|With|Without|From|nil|Not|Nothing|None|Only|If|Has|Is|Are)\b(?! )?(?=[ :,])"
)
# Beginnings of usual sentences that the expression above takes for others.
USUAL = re.compile(r"(?:Whether|This type|This function|In-place|From-)\b")
PATH = re.compile(r"`((?:Sources|Tests|bpf|deploy)/[^`\s…*]+\.[A-Za-z.]+)`")


def masked(text):
    """The text with comments and the contents of strings blanked, so that braces can be counted."""
    out, index, length = [], 0, len(text)

    def blank(end):
        nonlocal index
        out.append(re.sub(r"[^\n]", " ", text[index:end]))
        index = end

    def string_end(start, quote):
        position, depth = start, 0
        while position < length:
            if text.startswith("\\(", position):
                depth, position = depth + 1, position + 2
            elif depth and text[position] == "(":
                depth, position = depth + 1, position + 1
            elif depth and text[position] == ")":
                depth, position = depth - 1, position + 1
            elif depth and text[position] == '"':
                # A string within an interpolation.
                position = string_end(position + 1, '"')
            elif text[position] == "\\":
                position += 2
            elif not depth and text.startswith(quote, position):
                return position + len(quote)
            else:
                position += 1
        return length

    while index < length:
        if text.startswith("//", index):
            end = text.find("\n", index)
            blank(length if end < 0 else end)
        elif text.startswith("/*", index):
            end = text.find("*/", index)
            blank(length if end < 0 else end + 2)
        elif text.startswith('"""', index):
            blank(string_end(index + 3, '"""'))
        elif text[index] == '"':
            blank(string_end(index + 1, '"'))
        else:
            out.append(text[index])
            index += 1
    return "".join(out)


FUNCTION = re.compile(r"^[ \t]*(?:@\w+(?:\([^)]*\))?\s+)*(?:[a-z]+(?:\([a-z]+\))? )*(?:func\b|init\b[?!]?\s*[(<]|deinit\b)", re.M)


def functions(text):
    """The lines of each function, from its first line to its closing brace."""
    code = masked(text)
    for match in FUNCTION.finditer(code):
        # The body is the first brace outside of parentheses; a requirement of a protocol has none on its lines.
        position, depth = match.end() - 1 if code[match.end() - 1] in "(<" else match.end(), 0
        while position < len(code):
            character = code[position]
            if character in "([":
                depth += 1
            elif character in ")]":
                depth -= 1
                if depth < 0:
                    break
            elif character == "{" and depth == 0:
                break
            elif character == "}" and depth == 0:
                break
            elif character == "\n" and depth == 0 and re.match(
                r"\n\s*(?:(?:public|private|package|internal|static|mutating|@\w+) )*(?:func|var|let|init|case|\})\b", code[position:position + 80]
            ):
                break
            position += 1
        if position >= len(code) or code[position] != "{":
            continue
        end, depth = position, 0
        while end < len(code):
            depth += {"{": 1, "}": -1}.get(code[end], 0)
            end += 1
            if depth == 0:
                break
        begin = match.start() + len(match.group()) - len(match.group().lstrip())
        yield code.count("\n", begin, end) + 1


def doc_comments(text):
    """The first line of each doc comment, with its line number."""
    before = ""
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped.startswith("/// ") and not before.startswith("///"):
            yield number, stripped[4:].strip()
        before = stripped


def without_noun(sentence):
    return bool(WITHOUT_NOUN.match(sentence)) and not USUAL.match(sentence)


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0


def module_figures(files):
    lines = [text.count("\n") for text in files.values()]
    lengths = [length for text in files.values() for length in functions(text)]
    comments = [line for text in files.values() for _, line in doc_comments(text)]
    return {
        "files": len(lines),
        "lines": sum(lines),
        "median": int(statistics.median(lines)) if lines else 0,
        "p90": percentile(lines, 0.9),
        "largest": max(lines, default=0),
        "short files": sum(count < SHORT_FILE for count in lines),
        "functions": len(lengths),
        "long functions": sum(length > LONG_FUNCTION for length in lengths),
        "comments": len(comments),
        "without noun": sum(without_noun(comment) for comment in comments),
    }


def section(text, heading):
    match = re.search(rf"^(#+) {re.escape(heading)}\n(.*?)(?=^#{{1,6}} |\Z)", text, re.M | re.S)
    return match.group(2) if match else None


def walk(root, paper, heading):
    path = root / paper
    text = section(path.read_text(), heading) if path.exists() else None
    return sorted(set(PATH.findall(text))) if text else None


def figures(root):
    modules = {}
    for path in sorted((root / "Sources").rglob("*.swift")):
        module = path.relative_to(root / "Sources").parts[0]
        modules.setdefault(module, {})[str(path.relative_to(root))] = path.read_text()
    everything = {name: text for files in modules.values() for name, text in files.items()}
    tests = {str(path): path.read_text() for path in (root / "Tests").rglob("*.swift")}
    result = {name: module_figures(files) for name, files in modules.items()}
    result["Sources"] = module_figures(everything)
    result["Tests"] = module_figures(tests)
    walks = {name: walk(root, *place) for name, place in WALKS.items()}
    return {"modules": result, "walks": {name: files and len(files) for name, files in walks.items()}}


def at(revision):
    """The figures of a commit."""
    archive = subprocess.run(
        ["git", "-C", str(ROOT), "archive", revision], check=True, stdout=subprocess.PIPE
    ).stdout
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["tar", "-x", "-C", folder], check=True, input=archive)
        return figures(pathlib.Path(folder))


def shown(value):
    return "–" if value is None else f"{value:,}"


def print_table(now, before):
    columns = list(now["modules"]["Sources"])
    print(f"{'':18}" + "".join(f"{column:>16}" for column in columns))
    for module in [name for name in now["modules"] if name not in ("Sources", "Tests")] + ["Sources", "Tests"]:
        cells = []
        for column in columns:
            value = shown(now["modules"][module][column])
            if before:
                earlier = before["modules"].get(module, {}).get(column)
                value = value if earlier == now["modules"][module][column] else f"{shown(earlier)}→{value}"
            cells.append(f"{value:>16}")
        print(f"{module:18}" + "".join(cells))
    print("\nfiles to open, or to change")
    for name, count in now["walks"].items():
        value = shown(count)
        if before and before["walks"][name] != count:
            value = f"{shown(before['walks'][name])}→{value}"
        print(f"  {name:18}{value:>12}")


def print_comments(module):
    for path in sorted((ROOT / "Sources" / module).rglob("*.swift")):
        for number, comment in doc_comments(path.read_text()):
            if without_noun(comment):
                print(f"{path.relative_to(ROOT)}:{number}: {comment}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--at", metavar="REV", help="a commit to compare with")
    parser.add_argument("--comments", metavar="MODULE", help="list the doc comments of a module that begin without a noun")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.comments:
        return print_comments(options.comments)
    now, before = figures(ROOT), at(options.at) if options.at else None
    if options.json:
        print(json.dumps({"now": now, options.at or "at": before}, indent=2))
    else:
        print_table(now, before)


if __name__ == "__main__":
    sys.exit(main())
