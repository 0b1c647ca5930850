#!/bin/sh
# Compiles a BPF program and writes it into a Swift source file, as hex in one StaticString (an array literal of bytes would
# take the compiler a minute). Called by the CompileBPF plugin: embed.sh CLANG OBJCOPY SOURCE WORK_DIRECTORY OUTPUT
set -eu
clang=$1 objcopy=$2 source=$3 object=$4/steering.o output=$5

# asm/types.h lies in the multiarch directory on Debian and its like.
"$clang" -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Werror -Wno-unused-parameter \
    -I"/usr/include/$(uname -m)-linux-gnu" -c "$source" -o "$object"
# The DWARF goes; the BTF, which describes the maps, stays.
"$objcopy" --strip-debug "$object"
{
    echo "/// The steering program's ELF object in hexadecimal digits; made by bpf/embed.sh from bpf/steering.bpf.c."
    printf 'let steeringObjectHex: StaticString = "'
    od -An -v -tx1 "$object" | tr -d ' \n'
    echo '"'
} >"$output"
