#!/usr/bin/env python3
"""Holds the papers against the repository.

In README.md, .github/ and the DocC catalogue every path in backticks and every linked file has to exist, and every <doc:…>
link has to have its article. In the compliance tables every source file, test and RFC section has to exist; what has no test is counted.
Of the modules only Platform may make system calls.

    Tests/Papers/check.py            checks, and prints a line for each RFC; exit status 1 when something is wrong
    Tests/Papers/check.py --write    writes the counts into the overview of Compliance.md too
"""

import argparse
import collections
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
CATALOGUE = ROOT / "Sources/sluice/Documentation.docc"
OVERVIEW = CATALOGUE / "Compliance.md"
SECTIONS = pathlib.Path(__file__).with_name("rfc-sections.txt")
STATUSES = ("met", "partly", "not met", "does not apply")
# A path of this repository, from its top, as the papers write it.
PATH = re.compile(r"`((?:Sources|Tests|bpf|deploy|Benchmarks|\.github|\.ci)/[^`\s]*)`")
# A link to a file, relative to the paper.
FILE_LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#]+)[^)]*\)")
DOC_LINK = re.compile(r"<doc:([^>#]+)(?:#[^>]*)?>")
# A file of a compliance table: its module and its name, whatever folder of the module it is in.
MODULE_FILE = re.compile(r"`([A-Za-z0-9]+)/([A-Za-z0-9+.]+)`")
TEST = re.compile(r"`([A-Za-z0-9]+)\.([A-Za-z0-9]+)`")


# Functions of the C library that are system calls, or stand for some; Platform has owners and errors for them.
SYSTEM_CALLS = frozenset(
    """
    accept accept4 access atexit bind chmod chown clock_getres clock_gettime close closedir connect dup dup2 dup3 epoll_create1
    epoll_ctl epoll_wait eventfd eventfd_read eventfd_write exit fchmod fchown fcntl fdatasync flock fopen fork freeaddrinfo fstat
    fstatfs fsync ftruncate getaddrinfo getenv getifaddrs getpeername getpid getrandom getrlimit getrusage getsockname getsockopt
    gettid gettimeofday getuid geteuid if_indextoname if_nameindex if_nametoindex ioctl isatty kill listen lseek lstat madvise
    mkdir mkstemp mlock mlockall mmap mprotect munlock munmap nanosleep open openat opendir pipe pipe2 poll ppoll prctl pread
    pwrite read readdir readlink readv realpath recv recvfrom recvmmsg recvmsg rename rmdir sched_getaffinity sched_setaffinity
    sched_setscheduler sched_yield select send sendmmsg sendmsg sendto setenv setns setrlimit setsockopt shutdown sigaction
    signal sigprocmask sleep socket socketpair stat statfs strerror strerror_r symlink sync syscall sysconf time timerfd_create
    timerfd_gettime timerfd_settime umask uname unlink unshare usleep waitpid write writev
    """.split()
)
# What other modules may import Glibc for: functions that enter the kernel not at all, or only to look up names of files.
LIBRARY_FUNCTIONS = frozenset("memcpy memset memcmp memmove explicit_bzero glob globfree timegm gmtime_r free strlen".split())
CALL = re.compile(r"(?<![\w.`])(?<!\bcase )(?:(Glibc)\.)?([a-z_][a-z0-9_]*)\((?!\s*(?:\)|[A-Za-z_]\w*:))")
IMPORT_GLIBC = re.compile(r"^\s*(?:@\w+ )?(?:public |package )?import Glibc$", re.M)


def papers():
    yield ROOT / "README.md"
    yield from sorted((ROOT / ".github").glob("*.md"))
    yield from sorted(CATALOGUE.glob("*.md"))
    yield from sorted((ROOT / "deploy/examples").glob("*.md"))


def check_links(problems):
    """Paths and links to articles; how many there are of both."""
    count = 0
    for paper in papers():
        name = paper.relative_to(ROOT)
        for number, line in enumerate(paper.read_text().splitlines(), 1):
            for path in PATH.findall(line):
                count += 1
                if not (ROOT / path).exists():
                    problems.append(f"{name}:{number}: there is no {path}")
            for path in FILE_LINK.findall(line):
                count += 1
                if not (paper.parent / path).exists():
                    problems.append(f"{name}:{number}: there is no {path} beside it")
            for article in DOC_LINK.findall(line):
                count += 1
                if not (CATALOGUE / f"{article}.md").exists():
                    problems.append(f"{name}:{number}: there is no article {article}")
    return count


def check_system_calls(problems):
    """Files outside Platform that call the system, and imports of Glibc that nothing needs."""
    for module in sorted((ROOT / "Sources").iterdir()):
        if module.name in ("Platform", "CompileBPF"):
            continue
        texts = {path: re.sub(r"//.*", "", path.read_text()) for path in sorted(module.rglob("*.swift"))}
        # A function of the module's own may have the same name; calls with labels, and of members, are never the C library's.
        own = set(re.findall(r"\bfunc ([a-z]\w*)", "\n".join(texts.values())))
        for path, text in texts.items():
            name, calls = path.relative_to(ROOT), list(CALL.finditer(text))
            for call in calls:
                function = call.group(2)
                isSystemCall = function in SYSTEM_CALLS or function.startswith("pthread_")
                if isSystemCall and (call.group(1) or function not in own):
                    line = text.count("\n", 0, call.start()) + 1
                    problems.append(f"{name}:{line}: {function} is a system call: it belongs in Sources/Platform")
            if IMPORT_GLIBC.search(text) and not LIBRARY_FUNCTIONS & {call.group(2) for call in calls}:
                problems.append(f"{name}: imports Glibc and uses no function of it that Platform does not have")


def source_files():
    """The paths of each (module, file name)."""
    files = collections.defaultdict(list)
    for path in (ROOT / "Sources").rglob("*"):
        if path.suffix in (".swift", ".h"):
            files[path.relative_to(ROOT / "Sources").parts[0], path.name].append(path)
    for path in (ROOT / "bpf").iterdir():
        files["bpf", path.name].append(path)
    return files


def test_functions():
    """The tests that there are, as (suite, function). A suite goes by the name of its type, and by that of its file."""
    tests = set()
    token = re.compile(
        r"^[ \t]*(?:@Suite\b[^\n]*?[ \t])?(?:(?:public|private|package|fileprivate|final) )*"
        r"(?:struct|class|enum|actor|extension) ([\w.]+)"
        r"|@Test\b|\bfunc (`[^`]+`|\w+)",
        re.M,
    )
    for path in (ROOT / "Tests").rglob("*.swift"):
        suites, isTest = [path.stem], False
        for match in token.finditer(path.read_text()):
            if match.group(1):
                # A suite may be a type within another: its tests count for both.
                suites.append(match.group(1).split(".")[-1])
            elif match.group(2):
                if isTest:
                    tests.update((suite, match.group(2).strip("`")) for suite in suites)
                isTest = False
            else:
                isTest = True
    return tests


def rows(article):
    """The rows of an article's tables: line number and cells."""
    for number, line in enumerate(article.read_text().splitlines(), 1):
        if line.startswith("|") and not re.match(r"\|(?: *§|[-| :]+$)", line):
            yield number, [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def check_row(cells, sections, files, tests):
    """What is wrong with one row."""
    if len(cells) != 5:
        return [f"{len(cells)} cells instead of 5"]
    section, requirement, status, sources, named = cells
    problems = [f"there is no section {part}" for part in section.split(", ") if part not in sections]
    if not requirement:
        problems.append("no requirement")
    if status not in STATUSES:
        problems.append(f"status '{status}' is none of: {', '.join(STATUSES)}")
    if status in ("met", "partly") and not sources:
        problems.append("no source file")
    for module, name in MODULE_FILE.findall(sources):
        found = files.get((module, name), [])
        if len(found) != 1:
            problems.append(f"{len(found) or 'no'} files {name} in {module}")
    for suite, function in TEST.findall(named):
        if (suite, function) not in tests:
            problems.append(f"there is no test {suite}.{function}")
    for cell, pattern in ((sources, MODULE_FILE), (named, TEST)):
        if rest := pattern.sub("", cell).replace(",", "").strip():
            problems.append(f"'{rest}' is not understood")
    return problems


def check_compliance(problems):
    """The counts of each RFC: by status, and without a test."""
    sections = {}
    for line in SECTIONS.read_text().splitlines():
        if not line.startswith("#"):
            number, *parts = line.split()
            sections[number] = set(parts)
    files, tests, counts = source_files(), test_functions(), {}
    for number in sections:
        article = CATALOGUE / f"RFC{number}.md"
        if not article.exists():
            problems.append(f"there is no article for RFC {number}")
            continue
        count = collections.Counter()
        for line, cells in rows(article):
            for problem in check_row(cells, sections[number], files, tests):
                problems.append(f"{article.relative_to(ROOT)}:{line}: {problem}")
            if len(cells) == 5:
                count["requirements"] += 1
                count[cells[2]] += 1
                if cells[2] in ("met", "partly") and not cells[4]:
                    count["without test"] += 1
        counts[number] = count
    return counts


def overview(counts):
    """The table of Compliance.md."""
    columns = ("requirements", *STATUSES, "without test")
    lines = [
        "| RFC | requirements | met | partly | not met | does not apply | met or partly, without a test |",
        "|---|---|---|---|---|---|---|",
    ]
    total = collections.Counter()
    for number, count in counts.items():
        total += count
        lines.append(f"| <doc:RFC{number}> | " + " | ".join(str(count[column]) for column in columns) + " |")
    lines.append("| all | " + " | ".join(str(total[column]) for column in columns) + " |")
    return lines


def write_overview(lines):
    text = OVERVIEW.read_text()
    table = re.compile(r"^\| RFC \|.*?(?=\n\n|\Z)", re.M | re.S)
    OVERVIEW.write_text(table.sub(lambda _: "\n".join(lines).rstrip(), text, count=1))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the counts into Compliance.md")
    options = parser.parse_args()
    problems = []
    counts = check_compliance(problems)
    if options.write:
        write_overview(overview(counts))
    links = check_links(problems)
    check_system_calls(problems)
    for number, count in counts.items():
        statuses = ", ".join(f"{count[status]} {status}" for status in STATUSES)
        print(f"RFC {number}: {count['requirements']} requirements, {statuses}; {count['without test']} without a test")
    print(f"papers: {links} links")
    if "\n".join(overview(counts)) not in OVERVIEW.read_text():
        problems.append(f"{OVERVIEW.relative_to(ROOT)}: the counts are old; write them with Tests/Papers/check.py --write")
    for problem in problems:
        print(f"error: {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
