#!/usr/bin/env python3
"""check.py BINARY: looks into a release build of sluice, at everything that one round of a worker can run.

From Worker.poll on it follows every branch and every direct call of the machine code. What it reaches may not call the
allocator, reference counting, locks, lazy initialisation or exclusivity checks, may not copy a whole structure of the
size of the worker, and may not contain a trap (ud2): no packet can stop the process. Calls through pointers are not followed; there are two, to the cipher of an SA: it is given
packets, and asked for those that it has kept. The cipher has tests of its own. Prints what it found and exits with 1 if anything is wrong.
"""
import re
import subprocess
import sys

ROOT = "$s9Dataplane6WorkerV4poll3nowSis6UInt64V_tF"
FORBIDDEN = re.compile(
    r"^(swift_(?!memcpy)\w+|malloc|calloc|realloc|free|posix_memalign|aligned_alloc|pthread_\w+|_Znwm|_ZdlPv|abort"
    r"|\$ss17_assertionFailure\w*|\$ss18_fatalErrorMessage\w*)$")
# Outside of the binary, and harmless: system calls and memory.
LIBRARY = {"memcpy", "memmove", "memset", "memcmp", "sendto", "recvfrom", "poll", "write", "read", "__errno_location",
           "__stack_chk_fail"}
# Traps that no packet can reach, with how many there are and why.
TRAPS = {
    ROOT: (1, "the published snapshot's pointer, which is never null"),
}
# Bytes that a call of memcpy may copy when their number is fixed: an ICMP error's quotation. More is the worker, which the
# compiler copies for calls of methods that are neither inlined nor mutating.
LARGEST_COPY = 576
# Everything below is reached; if the compiler inlines differently, most of it must still be there.
EXPECTED = ["Sealing.(seal", "processInbound", "Outbound.(decide", "receiveHandedOver", "payBack",
            "wakeTouched", "IPv4Fragmenter", "ICMPError", "PacketSummary", "ESPBatch", "SnapshotTables"]


def disassemble(binary):
    """Instructions by address, and the symbol that each belongs to."""
    text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", "-j", ".text", "-j", ".plt", "-j", ".plt.sec", binary],
                          check=True, capture_output=True, text=True).stdout
    code, starts, following, bodies = {}, {}, {}, {}
    symbol, previous = None, None
    for line in text.split("\n"):
        if line.startswith("  "):
            place, _, instruction = line.partition(":\t")
            address = int(place, 16)
            code[address] = (instruction, symbol)
            bodies[symbol].append(address)
            if previous is not None:
                following[previous] = address
            previous = address
        elif line.endswith(">:"):
            address, _, name = line.partition(" <")
            symbol, previous = name[:-2], None  # no function runs on into the next one
            starts.setdefault(symbol, int(address, 16))
            bodies.setdefault(symbol, [])
    return code, starts, following, bodies


def size_of_copy(code, address, instruction):
    """The fixed number of bytes that this instruction copies by memcpy, 0 for all else."""
    if not (instruction.startswith("call") and "<memcpy@plt>" in instruction):
        return 0
    before = [place for place in range(address - 40, address) if place in code]
    for place in reversed(before):
        size = re.match(r"mov\s+\$0x([0-9a-f]+),%[er]dx", code[place][0])
        if size:
            return int(size.group(1), 16)
        if code[place][0].startswith("call") or "dx" in code[place][0].split(",")[-1]:
            return 0
    return 0


def follow(code, starts, following, bodies):
    """Every instruction that can run from the root on: (symbols reached, calls through pointers, findings)."""
    reached, pointers, found = {}, [], []
    traps = {}
    pending = [starts[ROOT]]
    seen = set()
    while pending:
        address = pending.pop()
        if address in seen or address not in code:
            continue
        seen.add(address)
        instruction, symbol = code[address]
        name = symbol.split("@")[0]
        if symbol.endswith("@plt"):
            if FORBIDDEN.match(name) or name not in LIBRARY:
                found.append(f"{name} is called")
            reached.setdefault(symbol, address)
            continue
        reached.setdefault(symbol, address)
        if FORBIDDEN.match(symbol):
            found.append(f"{symbol} is called")
            continue
        operation = instruction.split()[0]
        copied = size_of_copy(code, address, instruction)
        if copied > LARGEST_COPY:
            found.append(f"{symbol} copies {copied} bytes at {address:x}")
        target = re.search(r"\s([0-9a-f]+) <", instruction)
        if operation.startswith("ud2"):
            traps.setdefault(symbol, []).append(hex(address))
            continue
        if operation.startswith("j") or operation.startswith("call"):
            if target:
                pending.append(int(target.group(1), 16))
            elif operation.startswith("call"):
                pointers.append(symbol)
            else:
                # A table of jumps: anywhere in this function.
                pending += bodies[symbol]
        # What follows the end of the process is padding, or another function that has no symbol.
        ends = operation.startswith("call") and "<__stack_chk_fail@plt>" in instruction
        if operation not in ("ret", "jmp", "hlt") and not ends and address in following:
            pending.append(following[address])
    for symbol, addresses in traps.items():
        allowed, _ = TRAPS.get(symbol, (0, ""))
        if len(addresses) > allowed:
            found.append(f"{symbol} can trap at {', '.join(sorted(addresses))}")
    return reached, pointers, found


def demangled(names):
    text = "\n".join(names)
    try:
        return subprocess.run(["swift", "demangle", "--compact"], input=text, check=True, capture_output=True,
                              text=True).stdout.split("\n")
    except (OSError, subprocess.CalledProcessError):
        return list(names)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    code, starts, following, bodies = disassemble(sys.argv[1])
    if ROOT not in starts:
        sys.exit(f"hot path: {sys.argv[1]} has no Worker.poll")
    reached, pointers, found = follow(code, starts, following, bodies)
    names = demangled(sorted(reached))
    for wanted in EXPECTED:
        if not any(wanted in name for name in names):
            found.append(f"{wanted} was not reached: the check looks at the wrong code")
    # The compiler may write one call of the source twice, so the functions are counted.
    if len(set(pointers)) != 2:
        found.append(f"{len(set(pointers))} functions call through pointers, not the two to the cipher: {sorted(set(pointers))}")
    readable = demangled([finding.split(" ")[0] for finding in found])
    for finding, name in zip(found, readable):
        print(f"hot path: {name} {finding.partition(' ')[2]}")
    print(f"hot path: {len(reached)} functions from Worker.poll on, {len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
